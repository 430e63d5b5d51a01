//! The provider records of one DHT node: those of its own keys and those it keeps for others.
//!
//! The stock store of libp2p's Kademlia forgets everything at a restart, and counts a node's own keys and
//! other people's against one limit of 1,024. Here the node's own keys have no limit, others' records are
//! limited in total, per key and per provider, and [`Changes`] are collected for the
//! [database](super::database). Times are those of the host's clock, so records outlive the process.

use crate::{address::PeerAddress, clock::Clock};
use libp2p::{
	kad::{
		store::{Error, RecordStore, Result},
		ProviderRecord, Record, RecordKey,
	},
	PeerId,
};
use std::{
	borrow::Cow,
	collections::{BTreeSet, HashMap},
	iter,
	sync::Arc,
	time::Duration,
};

/// Longest key of the DHT, in bytes: a multihash of 64 bytes with its code and length.
pub const MAX_KEY_BYTES: usize = 80;

/// Limits of the provider records that a host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsConfig {
	/// How long others' records are kept. Default 48 hours.
	pub lifetime: Duration,
	/// Records kept for others. Default 100,000, some 30 MB.
	pub max_records: usize,
	/// Records kept of one key. Default 20, Kademlia's replication factor.
	pub max_per_key: usize,
	/// Records kept of one provider, so that one peer cannot take all the room. Default 25,000.
	pub max_per_peer: usize,
}

impl Default for RecordsConfig {
	fn default() -> Self {
		Self {
			lifetime: Duration::from_secs(48 * 3600),
			max_records: 100_000,
			max_per_key: 20,
			max_per_peer: 25_000,
		}
	}
}

/// What another peer said that it provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
	/// The provider and its addresses.
	pub provider: PeerAddress,
	/// When the record ends, as a time since the Unix epoch.
	pub expires: Duration,
}

/// What changed since the last write to the database. Later changes replace earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Changes {
	/// Own keys: when each was last announced, zero for never. `None` if it is not provided any more.
	pub provided: HashMap<RecordKey, Option<Duration>>,
	/// Others' records, by key and provider. `None` if it is gone.
	pub(super) claims: HashMap<(RecordKey, PeerId), Option<Claim>>,
	/// The peers to join the DHT through after a restart, if they are others than before.
	pub(super) neighbours: Option<Vec<PeerAddress>>,
}

impl Changes {
	pub fn is_empty(&self) -> bool {
		self.provided.is_empty() && self.claims.is_empty() && self.neighbours.is_none()
	}

	/// Puts back changes that could not be written, unless later ones replaced them.
	pub fn restore(&mut self, earlier: Changes) {
		for (key, change) in earlier.provided {
			self.provided.entry(key).or_insert(change);
		}
		for (key, change) in earlier.claims {
			self.claims.entry(key).or_insert(change);
		}
		self.neighbours = self.neighbours.take().or(earlier.neighbours);
	}
}

/// The records of one node, in memory.
pub(crate) struct Records {
	local: PeerId,
	config: RecordsConfig,
	clock: Arc<dyn Clock>,
	/// Own keys, and when each was last announced.
	provided: HashMap<RecordKey, Duration>,
	claims: HashMap<RecordKey, Vec<Claim>>,
	/// Others' records by the time they end.
	ends: BTreeSet<(Duration, Vec<u8>, PeerId)>,
	/// Others' records, counted by provider.
	per_peer: HashMap<PeerId, usize>,
	changes: Changes,
}

impl Records {
	pub fn new(local: PeerId, config: RecordsConfig, clock: Arc<dyn Clock>) -> Self {
		Self {
			local,
			config,
			clock,
			provided: HashMap::new(),
			claims: HashMap::new(),
			ends: BTreeSet::new(),
			per_peer: HashMap::new(),
			changes: Changes::default(),
		}
	}

	/// The node's own name.
	pub fn local(&self) -> &PeerId {
		&self.local
	}

	/// Own keys, and when each was last announced, zero for never.
	pub fn announcements(&self) -> impl Iterator<Item = (&RecordKey, Duration)> {
		self.provided.iter().map(|(key, announced)| (key, *announced))
	}

	/// Own keys.
	pub fn provided_keys(&self) -> Vec<Vec<u8>> {
		self.provided.keys().map(RecordKey::to_vec).collect()
	}

	/// How many keys this node provides.
	pub fn provided_count(&self) -> usize {
		self.provided.len()
	}

	/// How many records it keeps for others.
	pub fn claim_count(&self) -> usize {
		self.ends.len()
	}

	/// Whether this node provides a key.
	pub fn provides(&self, key: &RecordKey) -> bool {
		self.provided.contains_key(key)
	}

	/// Adds an own key that the database has, if it is not there yet.
	pub fn start_providing(&mut self, key: RecordKey, announced: Duration) {
		self.provided.entry(key).or_insert(announced);
	}

	/// Removes an own key that the database has not any more. Whether it was there.
	pub fn stop_providing(&mut self, key: &RecordKey) -> bool {
		self.changes.provided.remove(key);
		self.provided.remove(key).is_some()
	}

	/// Notes when an own key was announced.
	pub fn announced(&mut self, key: &RecordKey, at: Duration) {
		if let Some(announced) = self.provided.get_mut(key) {
			*announced = at;
			self.changes.provided.insert(key.clone(), Some(at));
		}
	}

	/// Another peer's record. `None` if there is none or it has ended.
	fn live_claims(&self, key: &RecordKey) -> impl Iterator<Item = &Claim> {
		let now = self.clock.now();
		let claims = self.claims.get(key).into_iter().flatten();
		claims.filter(move |claim| claim.expires > now)
	}

	/// Adds what another peer said, as it arrives or as the database has it.
	///
	/// # Errors
	/// If there is no room for it.
	pub(super) fn claim(&mut self, key: RecordKey, claim: Claim) -> Result<()> {
		let peer = claim.provider.peer;
		let known = self
			.claims
			.get(&key)
			.and_then(|claims| claims.iter().position(|known| known.provider.peer == peer));
		match known {
			Some(index) => {
				// It was found at this index of this key's records just now.
				let known = &mut self.claims.get_mut(&key).expect("the key has records")[index];
				self.ends.remove(&(known.expires, key.to_vec(), peer));
				*known = claim.clone();
			}
			None => {
				self.remove_ended();
				let of_key = self.claims.get(&key).map_or(0, Vec::len);
				let of_peer = self.per_peer.get(&peer).copied().unwrap_or(0);
				let is_full = self.ends.len() >= self.config.max_records
					|| of_key >= self.config.max_per_key
					|| of_peer >= self.config.max_per_peer;
				if is_full {
					return Err(Error::MaxProvidedKeys);
				}
				self.claims.entry(key.clone()).or_default().push(claim.clone());
				*self.per_peer.entry(peer).or_default() += 1;
			}
		}
		self.ends.insert((claim.expires, key.to_vec(), peer));
		self.changes.claims.insert((key, peer), Some(claim));
		Ok(())
	}

	/// Forgets another peer's record.
	fn unclaim(&mut self, key: &RecordKey, peer: &PeerId) {
		let Some(claims) = self.claims.get_mut(key) else {
			return;
		};
		let Some(index) = claims.iter().position(|claim| claim.provider.peer == *peer) else {
			return;
		};
		let claim = claims.remove(index);
		if claims.is_empty() {
			self.claims.remove(key);
		}
		self.ends.remove(&(claim.expires, key.to_vec(), *peer));
		if let Some(count) = self.per_peer.get_mut(peer) {
			*count -= 1;
			if *count == 0 {
				self.per_peer.remove(peer);
			}
		}
		self.changes.claims.insert((key.clone(), *peer), None);
	}

	/// Forgets the records of others that have ended.
	pub fn remove_ended(&mut self) {
		let now = self.clock.now();
		while let Some((expires, key, peer)) = self.ends.first().cloned() {
			if expires > now {
				break;
			}
			self.unclaim(&RecordKey::from(key), &peer);
		}
	}

	/// When the next of others' records ends.
	pub fn next_end(&self) -> Option<Duration> {
		self.ends.first().map(|(expires, ..)| *expires)
	}

	/// Notes the peers to join the DHT through after a restart.
	pub fn remember(&mut self, neighbours: Vec<PeerAddress>) {
		self.changes.neighbours = Some(neighbours);
	}

	/// Whether something is to be written to the database.
	pub fn has_changes(&self) -> bool {
		!self.changes.is_empty()
	}

	/// Hands out what is to be written to the database.
	pub fn take_changes(&mut self) -> Changes {
		std::mem::take(&mut self.changes)
	}

	/// Takes back what could not be written.
	pub fn restore_changes(&mut self, earlier: Changes) {
		self.changes.restore(earlier);
	}

	/// The addresses that a provider gave with its record.
	pub fn addresses(&self, key: &RecordKey, peer: &PeerId) -> Vec<libp2p::Multiaddr> {
		self.live_claims(key)
			.find(|claim| claim.provider.peer == *peer)
			.map_or_else(Vec::new, |claim| claim.provider.addresses.clone())
	}
}

impl RecordStore for Records {
	type RecordsIter<'a> = iter::Empty<Cow<'a, Record>>;
	type ProvidedIter<'a> = Box<dyn Iterator<Item = Cow<'a, ProviderRecord>> + 'a>;

	fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
		None
	}

	/// Always an error: this network keeps no values in its DHT.
	fn put(&mut self, _: Record) -> Result<()> {
		Err(Error::MaxRecords)
	}

	fn remove(&mut self, _: &RecordKey) {}

	fn records(&self) -> Self::RecordsIter<'_> {
		iter::empty()
	}

	fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
		if record.key.as_ref().len() > MAX_KEY_BYTES {
			return Err(Error::ValueTooLarge);
		}
		if record.provider == self.local {
			// Kademlia repeats what the host told it when it announces a key.
			return Ok(());
		}
		let claim = Claim {
			provider: PeerAddress::new(record.provider, record.addresses),
			expires: self.clock.now().saturating_add(self.config.lifetime),
		};
		self.claim(record.key, claim)
	}

	fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
		let own = self.provides(key).then_some((self.local, Vec::new()));
		let others = self
			.live_claims(key)
			.map(|claim| (claim.provider.peer, claim.provider.addresses.clone()));
		own.into_iter()
			.chain(others)
			.map(|(peer, addresses)| ProviderRecord::new(key.clone(), peer, addresses))
			.collect()
	}

	fn provided(&self) -> Self::ProvidedIter<'_> {
		let record = |key: &RecordKey| ProviderRecord::new(key.clone(), self.local, Vec::new());
		Box::new(self.provided.keys().map(move |key| Cow::Owned(record(key))))
	}

	fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
		if *provider != self.local {
			self.unclaim(key, provider);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::clock::ManualClock;
	use libp2p::Multiaddr;

	fn key(number: u32) -> RecordKey {
		RecordKey::new(&number.to_be_bytes())
	}

	fn records(config: RecordsConfig) -> (Records, ManualClock) {
		let clock = ManualClock::new(Duration::from_secs(1_000_000));
		let records = Records::new(PeerId::random(), config, Arc::new(clock.clone()));
		(records, clock)
	}

	fn add(records: &mut Records, number: u32, peer: PeerId) -> Result<()> {
		let address: Multiaddr = "/memory/1".parse().unwrap();
		records.add_provider(ProviderRecord::new(key(number), peer, vec![address]))
	}

	#[test]
	fn records_end_by_the_hosts_clock_and_renewal_prolongs_them() {
		let (mut records, clock) = records(RecordsConfig::default());
		let [one, two] = [PeerId::random(), PeerId::random()];
		add(&mut records, 1, one).unwrap();
		clock.advance(Duration::from_secs(40 * 3600));
		add(&mut records, 1, two).unwrap();
		add(&mut records, 2, one).unwrap();
		assert_eq!(records.providers(&key(1)).len(), 2);
		clock.advance(Duration::from_secs(8 * 3600));
		let left = records.providers(&key(1));
		assert_eq!(left.len(), 1);
		assert_eq!(left[0].provider, two);
		assert_eq!(records.claim_count(), 3);
		add(&mut records, 2, one).unwrap();
		records.remove_ended();
		assert_eq!(records.claim_count(), 2);
		assert_eq!(
			records.next_end(),
			Some(clock.now() + Duration::from_secs(40 * 3600))
		);
		clock.advance(Duration::from_secs(40 * 3600));
		records.remove_ended();
		assert!(records.providers(&key(1)).is_empty());
		assert_eq!(records.providers(&key(2))[0].provider, one);
		clock.advance(Duration::from_secs(8 * 3600));
		records.remove_ended();
		assert_eq!(records.claim_count(), 0);
		assert!(records.claims.is_empty() && records.per_peer.is_empty());
		let changes = records.take_changes();
		assert_eq!(changes.claims.len(), 3);
		assert!(changes.claims.values().all(Option::is_none));
	}

	#[test]
	fn others_are_limited_and_own_keys_are_not() {
		let (mut records, clock) = records(RecordsConfig {
			max_records: 6,
			max_per_key: 2,
			max_per_peer: 3,
			..RecordsConfig::default()
		});
		let greedy = PeerId::random();
		for number in 0..3 {
			add(&mut records, number, greedy).unwrap();
		}
		assert!(add(&mut records, 3, greedy).is_err());
		add(&mut records, 0, greedy).unwrap();
		add(&mut records, 0, PeerId::random()).unwrap();
		assert!(add(&mut records, 0, PeerId::random()).is_err());
		add(&mut records, 4, PeerId::random()).unwrap();
		add(&mut records, 5, PeerId::random()).unwrap();
		assert_eq!(records.claim_count(), 6);
		assert!(add(&mut records, 6, PeerId::random()).is_err());
		for number in 0..2000 {
			records.start_providing(key(number), Duration::ZERO);
		}
		assert_eq!(records.provided().count(), 2000);
		// The end of the others makes room.
		clock.advance(Duration::from_secs(48 * 3600));
		add(&mut records, 6, PeerId::random()).unwrap();
		assert_eq!(records.claim_count(), 1);
		let long = RecordKey::new(&[0; MAX_KEY_BYTES + 1]);
		let record = ProviderRecord::new(long, greedy, Vec::new());
		assert!(records.add_provider(record).is_err());
		assert!(records.put(Record::new(key(1), vec![1])).is_err());
	}

	#[test]
	fn own_keys_are_found_and_remember_their_announcement() {
		let (mut records, _) = records(RecordsConfig::default());
		let local = records.local;
		records.start_providing(key(1), Duration::ZERO);
		assert_eq!(records.providers(&key(1))[0].provider, local);
		assert!(!records.has_changes());
		records.announced(&key(1), Duration::from_secs(5));
		records.announced(&key(2), Duration::from_secs(5));
		records.start_providing(key(1), Duration::ZERO);
		assert_eq!(
			records.announcements().collect::<Vec<_>>(),
			[(&key(1), Duration::from_secs(5))]
		);
		let changes = records.take_changes();
		assert_eq!(changes.provided.len(), 1);
		assert!(!records.has_changes());
		// What could not be written is written later, but never over what happened since.
		records.announced(&key(1), Duration::from_secs(6));
		records.restore_changes(changes);
		let changes = records.take_changes();
		assert_eq!(changes.provided[&key(1)], Some(Duration::from_secs(6)));
		assert!(records.stop_providing(&key(1)));
		assert!(!records.stop_providing(&key(1)));
		assert!(records.providers(&key(1)).is_empty());
	}
}
