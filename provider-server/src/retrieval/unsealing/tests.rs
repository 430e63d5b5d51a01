use super::*;
use cairn_primitives::{ProofSpec, Tier};
use cairn_proving::SealRequest;
use std::io::Write;

const SPEC: ProofSpec = ProofSpec {
	tier: Tier::Sealed,
	version: 1,
	sector_size_log2: 15,
	layers: 2,
	activation_challenges: 2,
};
const SIZE: u64 = 1 << SPEC.sector_size_log2;
/// More than a key takes beside its labels.
const SLACK: u64 = 4096;

/// Activated sealed sectors 0, 1, …, each with one piece whose payload file is gone.
struct Sectors {
	dir: tempfile::TempDir,
	store: SectorStore,
	metrics: Metrics,
}

impl Sectors {
	fn new(count: u32) -> Self {
		let dir = tempfile::tempdir().unwrap();
		let store = SectorStore::open(dir.path()).unwrap();
		for sector in 0..count {
			let mut writer = store.begin_piece().unwrap();
			writer.write_all(&payload(sector)).unwrap();
			let piece = writer.finish(None).unwrap();
			let request = SealRequest {
				sector,
				prover_id: [7; 32],
				spec: SPEC,
				ticket: [8; 32],
				pieces: vec![piece],
			};
			store.seal(&request, &mut |_| ControlFlow::Continue(())).unwrap();
			store.finish_activation(sector).unwrap();
			store.remove_piece(&piece).unwrap();
		}
		let metrics = Metrics::default();
		Sectors { dir, store, metrics }
	}

	fn unsealer(&self, bounds: Bounds) -> Unsealer {
		let disk = Disk::new(self.dir.path(), 0);
		Unsealer::start(self.store.clone(), disk, bounds, self.metrics.clone()).unwrap()
	}

	/// Sectors that have keys on the disk.
	fn keys(&self) -> Vec<SectorNumber> {
		self.store
			.keys()
			.unwrap()
			.iter()
			.map(|(sector, _)| *sector)
			.collect()
	}
}

fn payload(sector: SectorNumber) -> Vec<u8> {
	(0..20_000u32)
		.map(|n| (n.wrapping_mul(2654435761) >> 24) as u8 ^ sector as u8)
		.collect()
}

fn read(open: &KeyedSector) -> bool {
	let expected = payload(open.sector());
	let mut bytes = vec![0; 1000];
	open.read_payload_at(0, &mut bytes, 10_000).unwrap();
	bytes == expected[10_000..11_000]
}

fn open(unsealer: &Unsealer, sector: SectorNumber) -> Arc<KeyedSector> {
	let open = unsealer.open(sector, Purpose::Reading, PATIENCE).unwrap();
	assert!(read(&open));
	open
}

#[test]
fn all_who_wait_for_a_sector_wait_for_one_computation() {
	let sectors = Sectors::new(1);
	let unsealer = sectors.unsealer(Bounds::new(u64::MAX));
	thread::scope(|scope| {
		for _ in 0..8 {
			scope.spawn(|| open(&unsealer, 0));
		}
	});
	assert_eq!(sectors.metrics.keys_computed.get(), 1);
	let piece = sectors.store.sector(0).unwrap().pieces[0];
	let (at_hand, index) = unsealer.at_hand(&piece).unwrap();
	assert_eq!((at_hand.sector(), index), (0, 0));
	drop(unsealer);

	// The next process reads it once and computes nothing.
	let again = sectors.unsealer(Bounds::new(u64::MAX));
	assert!(again.at_hand(&piece).is_none());
	open(&again, 0);
	assert_eq!(sectors.metrics.keys_computed.get(), 1);
}

#[test]
fn who_has_waited_for_long_comes_back_to_a_finished_key() {
	let sectors = Sectors::new(1);
	let unsealer = sectors.unsealer(Bounds::new(u64::MAX));
	let impatient = unsealer.open(0, Purpose::Reading, Duration::ZERO);
	assert!(matches!(impatient, Err(UnsealError::Running)));
	open(&unsealer, 0);
	assert_eq!(sectors.metrics.keys_computed.get(), 1);
}

#[test]
fn the_longest_unused_key_makes_room() {
	let sectors = Sectors::new(4);
	let unsealer = sectors.unsealer(Bounds::new(2 * (SIZE + SLACK)));
	for sector in [0, 1, 0] {
		open(&unsealer, sector);
	}
	assert_eq!(sectors.keys(), [0, 1]);
	open(&unsealer, 2);
	assert_eq!(sectors.keys(), [0, 2], "1 was unused for longer than 0");
	// One that is being read by stays, although it has been so for the longest time.
	let held = open(&unsealer, 0);
	open(&unsealer, 2);
	open(&unsealer, 3);
	assert_eq!(sectors.keys(), [0, 3]);
	assert!(read(&held));
	assert_eq!(sectors.metrics.keys_computed.get(), 4);
}

#[test]
fn a_bound_of_nothing_keeps_what_is_read_by_and_nothing_else() {
	let sectors = Sectors::new(2);
	let unsealer = sectors.unsealer(Bounds::new(0));
	let [first, second] = [open(&unsealer, 0), open(&unsealer, 1)];
	assert_eq!(sectors.keys(), [0, 1]);
	drop(first);
	unsealer.shared.remove_unused(0, None);
	assert_eq!(sectors.keys(), [1]);
	assert!(read(&second));
	drop(second);
	unsealer.shared.remove_unused(0, None);
	assert!(sectors.keys().is_empty());
}

#[test]
fn unused_keys_go_after_a_while() {
	let sectors = Sectors::new(2);
	let bounds = Bounds {
		max_idle: Duration::ZERO,
		..Bounds::new(u64::MAX)
	};
	let unsealer = sectors.unsealer(bounds);
	let held = open(&unsealer, 0);
	open(&unsealer, 1);
	unsealer.shared.remove_unused(0, None);
	assert_eq!(sectors.keys(), [0]);
	assert!(read(&held));
}

#[test]
fn nothing_is_begun_that_the_disk_has_no_room_for() {
	let sectors = Sectors::new(1);
	let full = Disk::new(sectors.dir.path(), u64::MAX);
	let unsealer = Unsealer::start(
		sectors.store.clone(),
		full,
		Bounds::new(u64::MAX),
		sectors.metrics.clone(),
	)
	.unwrap();
	match unsealer.open(0, Purpose::Reading, PATIENCE) {
		Err(UnsealError::NoRoom { needed, available: 0 }) => assert!(needed >= 2 * SIZE),
		other => panic!("{other:?}"),
	}
	assert!(sectors.keys().is_empty());
	assert_eq!(sectors.metrics.keys_computed.get(), 0);
}

#[test]
fn a_flood_of_readers_is_refused_and_recovery_is_not() {
	let sectors = Sectors::new(0);
	let disk = Disk::new(sectors.dir.path(), 0);
	let unsealer =
		Unsealer::without_thread(sectors.store.clone(), disk, Bounds::new(0), Metrics::default()).unwrap();
	// What there is to read does not matter here: orders are taken before anything is looked at.
	let order = |sector, purpose| unsealer.shared.order(sector, purpose).map(drop);
	for sector in 0..MAX_QUEUED as u32 {
		order(sector, Purpose::Reading).unwrap();
		order(sector, Purpose::Reading).unwrap();
	}
	assert!(matches!(order(1000, Purpose::Reading), Err(UnsealError::Busy)));
	order(1, Purpose::Reading).unwrap();
	order(1000, Purpose::Recovery).unwrap();
	unsealer.shared.lock().waiting = MAX_WAITING;
	assert!(matches!(order(1, Purpose::Reading), Err(UnsealError::Busy)));
	order(1, Purpose::Recovery).unwrap();
}

#[test]
fn stopping_ends_the_wait_and_loses_no_layer() {
	let sectors = Sectors::new(1);
	let disk = Disk::new(sectors.dir.path(), 0);
	let unsealer = Unsealer::without_thread(
		sectors.store.clone(),
		disk,
		Bounds::new(u64::MAX),
		sectors.metrics.clone(),
	)
	.unwrap();
	thread::scope(|scope| {
		let waiting = scope.spawn(|| unsealer.open(0, Purpose::Reading, PATIENCE));
		while unsealer.shared.lock().waiting == 0 {
			thread::yield_now();
		}
		unsealer.shared.stop.store(true, Ordering::SeqCst);
		// A computation under way notices it.
		let stopped = unsealer.shared.make_key(0);
		assert!(matches!(stopped, Err(UnsealError::Stopping)), "{stopped:?}");
		unsealer.shared.changed.notify_all();
		assert!(matches!(waiting.join().unwrap(), Err(UnsealError::Stopping)));
	});
	drop(unsealer);
	open(&sectors.unsealer(Bounds::new(u64::MAX)), 0);
}

#[test]
fn what_cannot_be_unsealed_is_an_error_for_everybody_who_waits() {
	let sectors = Sectors::new(1);
	std::fs::remove_file(sectors.dir.path().join("sectors/0000000000/replica")).unwrap();
	let unsealer = sectors.unsealer(Bounds::new(u64::MAX));
	thread::scope(|scope| {
		for _ in 0..3 {
			scope.spawn(|| {
				let failed = unsealer.open(0, Purpose::Reading, PATIENCE);
				assert!(matches!(failed, Err(UnsealError::Seal(_))), "{failed:?}");
			});
		}
	});
}
