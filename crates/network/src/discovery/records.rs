//! The provider records of one DHT node: those of its own keys and those it keeps for others.
//!
//! The stock store of libp2p's Kademlia forgets everything at a restart, and counts a node's own keys and
//! other people's against one limit of 1,024. Here the node's own keys have no limit, others' records are
//! limited in total, per key, per provider and per network that providers come from, and [`Changes`] are
//! collected for the [database](super::database). Times are those of the host's clock, so records outlive the
//! process.
//!
//! Identities cost nothing, so a limit per provider alone would let who comes first keep everybody else out for as
//! long as records live. Where there is no room, a record gives way: of one key one of the network that has most of
//! them, of all keys one of the key farthest from this node, which others are to keep.

use crate::{address::PeerAddress, clock::Clock, ip_network::IpNetwork};
use libp2p::{
	kad::{
		store::{Error, RecordStore, Result},
		KBucketDistance, KBucketKey, ProviderRecord, Record, RecordKey,
	},
	PeerId,
};
use std::{
	borrow::Cow,
	collections::{BTreeMap, BTreeSet, HashMap},
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
	/// Records kept for others. One of a key nearer to this node replaces one of the key farthest from it. Default
	/// 100,000, some 30 MB.
	pub max_records: usize,
	/// Records kept of one key. One from a network that has few of them replaces one of the network that has most.
	/// Default 20, Kademlia's replication factor.
	pub max_per_key: usize,
	/// Records kept of one provider, so that one peer cannot take all the room. Default 25,000.
	pub max_per_peer: usize,
	/// Records kept of providers in one network, an IPv4 network of 24 bits or an IPv6 network of 48; those whose
	/// address is not seen, because they are relayed, count as one. Default 50,000.
	pub max_per_network: usize,
}

impl Default for RecordsConfig {
	fn default() -> Self {
		Self {
			lifetime: Duration::from_secs(48 * 3600),
			max_records: 100_000,
			max_per_key: 20,
			max_per_peer: 25_000,
			max_per_network: 50_000,
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
	/// The network that it came from. `None` if that was not seen.
	pub origin: Option<IpNetwork>,
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
	/// The keys of others' records by their distance from this node.
	distances: BTreeMap<KBucketDistance, RecordKey>,
	/// Others' records, counted by provider.
	per_peer: HashMap<PeerId, usize>,
	/// Others' records, counted by the network that they came from.
	per_network: HashMap<Option<IpNetwork>, usize>,
	/// The networks of the peers that there are connections with.
	origins: HashMap<PeerId, Option<IpNetwork>>,
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
			distances: BTreeMap::new(),
			per_peer: HashMap::new(),
			per_network: HashMap::new(),
			origins: HashMap::new(),
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

	/// Notes the network that a peer's connection comes from; its records from now on count for that.
	pub fn connected(&mut self, peer: PeerId, origin: Option<IpNetwork>) {
		self.origins.insert(peer, origin);
	}

	/// There is no connection with a peer any more.
	pub fn disconnected(&mut self, peer: &PeerId) {
		self.origins.remove(peer);
	}

	fn distance(&self, key: &RecordKey) -> KBucketDistance {
		KBucketKey::from(self.local).distance(&KBucketKey::new(key.clone()))
	}

	/// Adds what another peer said, as it arrives or as the database has it.
	///
	/// # Errors
	/// If there is no room for it.
	pub(super) fn claim(&mut self, key: RecordKey, claim: Claim) -> Result<()> {
		let peer = claim.provider.peer;
		let is_renewal = self.unclaim(&key, &peer);
		if !is_renewal {
			self.remove_ended();
			self.make_room(&key, &claim)?;
		}
		self.distances.insert(self.distance(&key), key.clone());
		self.claims.entry(key.clone()).or_default().push(claim.clone());
		*self.per_peer.entry(peer).or_default() += 1;
		*self.per_network.entry(claim.origin).or_default() += 1;
		self.ends.insert((claim.expires, key.to_vec(), peer));
		self.changes.claims.insert((key, peer), Some(claim));
		Ok(())
	}

	/// Makes room for a new record, at another's cost if need be.
	///
	/// # Errors
	/// If there is no room for it.
	fn make_room(&mut self, key: &RecordKey, claim: &Claim) -> Result<()> {
		let of_peer = self.per_peer.get(&claim.provider.peer).copied().unwrap_or(0);
		let of_network = self.per_network.get(&claim.origin).copied().unwrap_or(0);
		if of_peer >= self.config.max_per_peer || of_network >= self.config.max_per_network {
			return Err(Error::MaxProvidedKeys);
		}
		let of_key = self.claims.get(key).map_or(&[][..], Vec::as_slice);
		if of_key.len() >= self.config.max_per_key {
			let gives_way = gives_way(of_key, claim.origin).ok_or(Error::MaxProvidedKeys)?;
			self.unclaim(key, &gives_way);
		} else if self.ends.len() >= self.config.max_records {
			let distance = self.distance(key);
			let farthest = self.distances.last_key_value();
			let farthest = farthest.filter(|(farthest, _)| **farthest > distance);
			let farthest = farthest.ok_or(Error::MaxProvidedKeys)?.1.clone();
			let oldest = self.claims.get(&farthest).into_iter().flatten();
			let oldest = oldest.min_by_key(|claim| claim.expires);
			let oldest = oldest
				.map(|claim| claim.provider.peer)
				.ok_or(Error::MaxProvidedKeys)?;
			self.unclaim(&farthest, &oldest);
		}
		Ok(())
	}

	/// Forgets another peer's record. Whether there was one.
	fn unclaim(&mut self, key: &RecordKey, peer: &PeerId) -> bool {
		let Some(claims) = self.claims.get_mut(key) else {
			return false;
		};
		let Some(index) = claims.iter().position(|claim| claim.provider.peer == *peer) else {
			return false;
		};
		let claim = claims.remove(index);
		if claims.is_empty() {
			self.claims.remove(key);
			self.distances.remove(&self.distance(key));
		}
		self.ends.remove(&(claim.expires, key.to_vec(), *peer));
		count_down(&mut self.per_peer, peer);
		count_down(&mut self.per_network, &claim.origin);
		self.changes.claims.insert((key.clone(), *peer), None);
		true
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
			origin: self.origins.get(&record.provider).copied().flatten(),
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

/// The provider whose record of a key gives way to one from another network: the oldest of the network that has most,
/// if that has more than the newcomer's would have then.
fn gives_way(claims: &[Claim], newcomer: Option<IpNetwork>) -> Option<PeerId> {
	let mut counts: HashMap<Option<IpNetwork>, usize> = HashMap::new();
	for claim in claims {
		*counts.entry(claim.origin).or_default() += 1;
	}
	let of_newcomer = counts.get(&newcomer).copied().unwrap_or(0);
	let most = counts.values().copied().max().unwrap_or(0);
	if most <= of_newcomer + 1 {
		return None;
	}
	let in_largest = claims.iter().filter(|claim| counts[&claim.origin] == most);
	in_largest
		.min_by_key(|claim| claim.expires)
		.map(|claim| claim.provider.peer)
}

/// Counts one less; what is at zero is forgotten.
fn count_down<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
	if let Some(count) = counts.get_mut(key) {
		*count -= 1;
		if *count == 0 {
			counts.remove(key);
		}
	}
}

#[cfg(test)]
mod tests;
