//! Where the DHT's state outlives the process: three tables of a redb database.
//!
//! | table | key | value |
//! |---|---|---|
//! | `network/provided/1` | multihash | seconds since the Unix epoch of the last announcement, 0 for never |
//! | `network/providers/2` | (multihash, peer id) | end in seconds since the Unix epoch, `u64` little-endian; the network that the record came from; then addresses |
//! | `network/neighbours/1` | peer id | addresses of a peer to join the DHT through |
//!
//! Each address is its length as `u16` little-endian and its bytes. A network is the length of its first IP address,
//! 0 if it was not seen, and that address.
//!
//! The database can be shared: its owner may keep other tables in it.

use super::records::{Changes, Claim, Records};
use crate::{address::PeerAddress, ip_network::IpNetwork};
use libp2p::{kad::RecordKey, Multiaddr, PeerId};
use redb::{backends::InMemoryBackend, Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{path::Path, sync::Arc, time::Duration};
use thiserror::Error;

const PROVIDED: TableDefinition<&[u8], u64> = TableDefinition::new("network/provided/1");
const PROVIDERS: TableDefinition<(&[u8], &[u8]), &[u8]> = TableDefinition::new("network/providers/2");
const NEIGHBOURS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("network/neighbours/1");

/// The database of provider records could not be opened, read or written.
#[derive(Debug, Error)]
#[error("the database of provider records: {0}")]
pub struct DatabaseError(#[source] redb::Error);

impl<E: Into<redb::Error>> From<E> for DatabaseError {
	fn from(error: E) -> Self {
		Self(error.into())
	}
}

/// A database that keeps provider records. Clones are the same.
#[derive(Clone, Debug)]
pub struct RecordDatabase(Arc<Database>);

impl RecordDatabase {
	/// Opens or creates the database in a file. Blocks on the disk.
	///
	/// # Errors
	/// If the file cannot be opened, is something else, or is open in another process.
	pub fn open(path: &Path) -> Result<Self, DatabaseError> {
		Self::shared(Arc::new(Database::create(path)?))
	}

	/// A database that ends with the process.
	///
	/// # Errors
	/// If the tables cannot be made.
	pub fn in_memory() -> Result<Self, DatabaseError> {
		Self::shared(Arc::new(
			Database::builder().create_with_backend(InMemoryBackend::new())?,
		))
	}

	/// Keeps the records in a database that is open already. Blocks on the disk.
	///
	/// # Errors
	/// If the tables cannot be made.
	pub fn shared(database: Arc<Database>) -> Result<Self, DatabaseError> {
		let transaction = database.begin_write()?;
		transaction.open_table(PROVIDED)?;
		transaction.open_table(PROVIDERS)?;
		transaction.open_table(NEIGHBOURS)?;
		transaction.commit()?;
		Ok(Self(database))
	}

	/// Puts the records that are kept into `records`, and returns the peers to join the DHT through. Blocks on the
	/// disk.
	pub(crate) fn load(&self, records: &mut Records) -> Result<Vec<PeerAddress>, DatabaseError> {
		let transaction = self.0.begin_read()?;
		for row in transaction.open_table(PROVIDED)?.iter()? {
			let (key, announced) = row?;
			records.start_providing(
				RecordKey::new(&key.value()),
				Duration::from_secs(announced.value()),
			);
		}
		let mut left_out = 0_u64;
		for row in transaction.open_table(PROVIDERS)?.iter()? {
			let (id, claim) = row?;
			let (key, peer) = id.value();
			let claim = decode_claim(peer, claim.value());
			// Records of others are told again by their providers: what does not fit or cannot be read is no loss.
			let is_kept = claim.is_some_and(|claim| records.claim(RecordKey::new(&key), claim).is_ok());
			left_out += u64::from(!is_kept);
		}
		if left_out > 0 {
			tracing::warn!(left_out, "provider records of others were left out");
		}
		records.remove_ended();
		// The database has what was just read from it; only what has ended since is news to it.
		let mut changes = records.take_changes();
		changes.claims.retain(|_, change| change.is_none());
		records.restore_changes(changes);
		let mut neighbours = Vec::new();
		for row in transaction.open_table(NEIGHBOURS)?.iter()? {
			let (peer, addresses) = row?;
			neighbours.extend(decode_peer(peer.value(), addresses.value()));
		}
		Ok(neighbours)
	}

	/// Writes changes one after the other, all or none. Blocks on the disk.
	pub(crate) fn write(&self, changes: &[&Changes]) -> Result<(), DatabaseError> {
		let transaction = self.0.begin_write()?;
		{
			let mut provided = transaction.open_table(PROVIDED)?;
			for (key, change) in changes.iter().flat_map(|changes| &changes.provided) {
				match change {
					Some(announced) => provided.insert(key.as_ref(), announced.as_secs())?,
					None => provided.remove(key.as_ref())?,
				};
			}
			let mut providers = transaction.open_table(PROVIDERS)?;
			for ((key, peer), change) in changes.iter().flat_map(|changes| &changes.claims) {
				let peer = peer.to_bytes();
				let id = (key.as_ref(), &peer[..]);
				match change {
					Some(claim) => providers.insert(id, &encode_claim(claim)[..])?,
					None => providers.remove(id)?,
				};
			}
			let mut neighbours = transaction.open_table(NEIGHBOURS)?;
			for peers in changes.iter().flat_map(|changes| &changes.neighbours) {
				neighbours.retain(|_, _| false)?;
				for peer in peers {
					neighbours.insert(&peer.peer.to_bytes()[..], &encode_addresses(peer)[..])?;
				}
			}
		}
		transaction.commit()?;
		Ok(())
	}
}

fn encode_claim(claim: &Claim) -> Vec<u8> {
	let mut bytes = claim.expires.as_secs().to_le_bytes().to_vec();
	let origin = claim.origin.map_or_else(Vec::new, IpNetwork::to_bytes);
	bytes.push(u8::try_from(origin.len()).expect("an IP address has at most 16 bytes"));
	bytes.extend(origin);
	bytes.extend(encode_addresses(&claim.provider));
	bytes
}

fn encode_addresses(peer: &PeerAddress) -> Vec<u8> {
	let mut bytes = Vec::new();
	for address in &peer.addresses {
		// Longer ones are never kept: see `address::MAX_ADDRESS_BYTES`.
		let length = u16::try_from(address.len()).expect("kept addresses have at most 256 bytes");
		bytes.extend(length.to_le_bytes());
		bytes.extend(address.as_ref());
	}
	bytes
}

fn decode_claim(peer: &[u8], bytes: &[u8]) -> Option<Claim> {
	let (expires, rest) = bytes.split_first_chunk()?;
	let (length, rest) = rest.split_first()?;
	let (origin, addresses) = rest.split_at_checked((*length).into())?;
	let origin = match origin {
		[] => None,
		origin => Some(IpNetwork::site_from_bytes(origin)?),
	};
	Some(Claim {
		provider: decode_peer(peer, addresses)?,
		expires: Duration::from_secs(u64::from_le_bytes(*expires)),
		origin,
	})
}

fn decode_peer(peer: &[u8], mut addresses: &[u8]) -> Option<PeerAddress> {
	let mut known = PeerAddress::new(PeerId::from_bytes(peer).ok()?, []);
	while !addresses.is_empty() {
		let (length, rest) = addresses.split_first_chunk()?;
		let (address, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
		known.extend([Multiaddr::try_from(address.to_vec()).ok()?]);
		addresses = rest;
	}
	Some(known)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{
		clock::{Clock, ManualClock},
		discovery::records::RecordsConfig,
	};
	use libp2p::kad::{store::RecordStore, ProviderRecord};

	fn records(clock: &ManualClock) -> Records {
		Records::new(
			PeerId::random(),
			RecordsConfig::default(),
			Arc::new(clock.clone()),
		)
	}

	#[test]
	fn records_outlive_the_process() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("records.redb");
		let clock = ManualClock::new(Duration::from_secs(1_000_000));
		let [own, other, ended] = [b"own", b"oth", b"end"].map(RecordKey::new);
		let [peer, late] = [PeerId::random(), PeerId::random()];
		let origin = IpNetwork::site([203, 0, 113, 7].into());
		let addresses: Vec<Multiaddr> = vec!["/memory/1".parse().unwrap(), "/memory/2".parse().unwrap()];
		{
			let database = RecordDatabase::open(&path).unwrap();
			let mut records = records(&clock);
			records.start_providing(own.clone(), Duration::ZERO);
			records.announced(&own, Duration::from_secs(77));
			records
				.add_provider(ProviderRecord::new(ended.clone(), peer, Vec::new()))
				.unwrap();
			clock.advance(Duration::from_secs(24 * 3600));
			records.connected(peer, Some(origin));
			records
				.add_provider(ProviderRecord::new(other.clone(), peer, addresses.clone()))
				.unwrap();
			records
				.add_provider(ProviderRecord::new(other.clone(), late, Vec::new()))
				.unwrap();
			records.remember(vec![PeerAddress::new(late, addresses.clone())]);
			database.write(&[&records.take_changes()]).unwrap();
			records.remember(vec![PeerAddress::new(peer, addresses.clone())]);
			records.remove_provider(&other, &late);
			database.write(&[&records.take_changes()]).unwrap();
			assert!(RecordDatabase::open(&path).is_err());
		}
		clock.advance(Duration::from_secs(24 * 3600));
		let database = RecordDatabase::open(&path).unwrap();
		let mut again = Records::new(
			PeerId::random(),
			RecordsConfig {
				max_per_network: 1,
				..RecordsConfig::default()
			},
			Arc::new(clock.clone()),
		);
		let neighbours = database.load(&mut again).unwrap();
		assert_eq!(neighbours, [PeerAddress::new(peer, addresses.clone())]);
		assert_eq!(again.take_changes().claims.len(), 1);
		assert_eq!(
			again.announcements().collect::<Vec<_>>(),
			[(&own, Duration::from_secs(77))]
		);
		assert_eq!(again.claim_count(), 1);
		assert!(again.providers(&ended).is_empty());
		assert_eq!(again.addresses(&other, &peer), addresses);
		assert_eq!(
			again.next_end(),
			Some(clock.now() + Duration::from_secs(24 * 3600))
		);
		// The network that it came from is remembered: there is no room for another of it.
		let neighbour = PeerId::random();
		again.connected(neighbour, Some(origin));
		assert!(again
			.add_provider(ProviderRecord::new(ended.clone(), neighbour, Vec::new()))
			.is_err());
	}

	#[test]
	fn what_cannot_be_read_is_left_out() {
		let clock = ManualClock::new(Duration::ZERO);
		let database = RecordDatabase::in_memory().unwrap();
		let peer = PeerId::random().to_bytes();
		let far = u64::MAX.to_le_bytes();
		let transaction = database.0.begin_write().unwrap();
		{
			let mut table = transaction.open_table(PROVIDERS).unwrap();
			table.insert((&b"a"[..], &b"not a peer"[..]), &far[..]).unwrap();
			table.insert((&b"b"[..], &peer[..]), &far[..7]).unwrap();
			let cut = [&far[..], &[0, 9, 0, 1]].concat();
			table.insert((&b"c"[..], &peer[..]), &cut[..]).unwrap();
			let garbage = [&far[..], &[0, 2, 0, 0xff, 0xff]].concat();
			table.insert((&b"d"[..], &peer[..]), &garbage[..]).unwrap();
			let no_network = [&far[..], &[3, 1, 2, 3]].concat();
			table.insert((&b"f"[..], &peer[..]), &no_network[..]).unwrap();
			let good = [&far[..], &[0]].concat();
			table.insert((&b"e"[..], &peer[..]), &good[..]).unwrap();
		}
		transaction.commit().unwrap();
		let mut records = records(&clock);
		database.load(&mut records).unwrap();
		assert_eq!(records.claim_count(), 1);
		assert_eq!(records.providers(&RecordKey::new(b"e")).len(), 1);
	}
}
