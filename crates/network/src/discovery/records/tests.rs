//! What is kept, for how long, and what gives way.

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
	assert!(records.claims.is_empty() && records.distances.is_empty());
	assert!(records.per_peer.is_empty() && records.per_network.is_empty());
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

/// A peer whose connection comes from this site.
fn from_site(records: &mut Records, site: u8) -> PeerId {
	let peer = PeerId::random();
	let origin = IpNetwork::site([203, 0, site, 7].into());
	records.connected(peer, Some(origin));
	peer
}

#[test]
fn nearer_keys_replace_the_farthest() {
	const ROOM: usize = 8;
	let (mut records, _) = records(RecordsConfig {
		max_records: ROOM,
		..RecordsConfig::default()
	});
	let mut numbers: Vec<u32> = (0..64).collect();
	numbers.sort_by_key(|number| records.distance(&key(*number)));
	// A crowd takes all the room with the farthest half.
	let (near, far) = numbers.split_at(32);
	for number in &far[..ROOM] {
		add(&mut records, *number, PeerId::random()).unwrap();
	}
	assert!(add(&mut records, far[ROOM], PeerId::random()).is_err());
	let honest = PeerId::random();
	for number in near.iter().rev() {
		add(&mut records, *number, honest).unwrap();
		assert_eq!(records.claim_count(), ROOM);
	}
	// The nearest are kept, and whoever comes again with the others is refused.
	for number in near {
		let is_kept = !records.providers(&key(*number)).is_empty();
		assert_eq!(is_kept, near[..ROOM].contains(number));
	}
	for number in &numbers[ROOM..] {
		assert!(add(&mut records, *number, PeerId::random()).is_err());
	}
	let changes = records.take_changes();
	let kept = changes.claims.values().filter(|change| change.is_some()).count();
	assert_eq!(kept, ROOM, "what gave way is to go from the database too");
}

#[test]
fn a_crowd_from_one_network_does_not_occupy_a_key() {
	let (mut records, clock) = records(RecordsConfig {
		max_per_key: 4,
		..RecordsConfig::default()
	});
	let crowd: Vec<PeerId> = (0..4).map(|_| from_site(&mut records, 1)).collect();
	for peer in &crowd {
		add(&mut records, 0, *peer).unwrap();
		clock.advance(Duration::from_secs(1));
	}
	let another = from_site(&mut records, 1);
	assert!(add(&mut records, 0, another).is_err());
	// Two from elsewhere take the places of the two oldest; a third would have as many as the crowd.
	let elsewhere: Vec<PeerId> = (0..3).map(|_| from_site(&mut records, 2)).collect();
	for peer in &elsewhere[..2] {
		add(&mut records, 0, *peer).unwrap();
	}
	assert!(add(&mut records, 0, elsewhere[2]).is_err());
	let third = from_site(&mut records, 3);
	add(&mut records, 0, third).unwrap();
	let kept: Vec<PeerId> = records
		.providers(&key(0))
		.iter()
		.map(|record| record.provider)
		.collect();
	assert_eq!(kept.len(), 4);
	assert!(kept.contains(&third) && !kept.contains(&crowd[0]) && !kept.contains(&crowd[1]));
	// Who is kept renews its record, full or not.
	add(&mut records, 0, third).unwrap();
	assert_eq!(records.claim_count(), 4);
}

#[test]
fn the_identities_of_one_network_share_a_limit() {
	let (mut records, _) = records(RecordsConfig {
		max_per_network: 3,
		..RecordsConfig::default()
	});
	for number in 0..3 {
		let peer = from_site(&mut records, 1);
		add(&mut records, number, peer).unwrap();
	}
	let fourth = from_site(&mut records, 1);
	assert!(add(&mut records, 3, fourth).is_err());
	let elsewhere = from_site(&mut records, 2);
	add(&mut records, 3, elsewhere).unwrap();
	// Those whose address is not seen are one network.
	for number in 4..7 {
		add(&mut records, number, PeerId::random()).unwrap();
	}
	records.disconnected(&elsewhere);
	assert!(add(&mut records, 7, elsewhere).is_err());
	// Its old record was of another network, and makes room where it ends.
	records.remove_provider(&key(0), &records.providers(&key(0))[0].provider.clone());
	add(&mut records, 7, fourth).unwrap();
}
