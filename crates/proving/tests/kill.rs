//! Sealing, and computing a key, in a process that is killed again and again.

mod fixture;

use cairn_proving::SectorStore;
use fixture::*;
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use std::{
	env,
	path::Path,
	process::{Command, Stdio},
	thread,
	time::Duration,
};

const ROOT: &str = "CAIRN_KILL_TEST_ROOT";
const PAYLOAD: usize = 900_000;

fn request(piece: cairn_primitives::PieceInfo) -> cairn_proving::SealRequest {
	seal_request(sealed_spec(20, 11, 4), &[piece])
}

/// The processes to be killed. They do nothing unless the other tests start them.
#[test]
fn seals_until_killed() {
	let Ok(root) = env::var(ROOT) else { return };
	let store = SectorStore::open(root).unwrap();
	let piece = store.pieces().unwrap()[0];
	store.seal(&request(piece), &mut go_on).unwrap();
}

#[test]
fn computes_a_key_until_killed() {
	let Ok(root) = env::var(ROOT) else { return };
	let store = SectorStore::open(root).unwrap();
	store.make_key(5, &mut go_on).unwrap();
}

/// Runs one of the tests above on `root` and kills it at a random moment, until it succeeds or was killed so often.
fn kill_again_and_again(test: &str, root: &Path, times: u32, seed: u64) {
	println!("seed {seed}");
	let mut rng = ChaCha8Rng::seed_from_u64(seed);
	let mut killed = 0;
	for _ in 0..times {
		let mut child = Command::new(env::current_exe().unwrap())
			.args(["--exact", test])
			.env(ROOT, root)
			.stdout(Stdio::null())
			.spawn()
			.unwrap();
		thread::sleep(Duration::from_millis(u64::from(20 + rng.next_u32() % 150)));
		// SIGKILL. Fails if the process is gone, which `wait` tells.
		let _ = child.kill();
		let status = child.wait().unwrap();
		if status.success() {
			break;
		}
		assert_eq!(status.code(), None, "ended by itself with {status}");
		killed += 1;
	}
	println!("killed {killed} times");
}

#[test]
fn a_killed_seal_resumes() {
	let whole = Fixture::new();
	let piece = whole.piece(PAYLOAD, 1);
	let expected = whole.store.seal(&request(piece), &mut go_on).unwrap();

	let fixture = Fixture::new();
	assert_eq!(fixture.piece(PAYLOAD, 1), piece);
	let root = fixture.store.root().to_owned();
	let Fixture { dir, store } = fixture;
	drop(store);
	kill_again_and_again("seals_until_killed", &root, 40, 31);
	let store = SectorStore::open(root).unwrap();
	let sealed = store.seal(&request(piece), &mut go_on).unwrap();
	assert_eq!(sealed.comm_r(), expected.comm_r());
	sealed.activation_proof(&[1; 32], 0, 4).unwrap();
	sealed.window_proof(&[0, 77, 32_767]).unwrap();
	drop(dir);
}

#[test]
fn a_killed_computation_of_a_key_resumes() {
	let fixture = Fixture::new();
	let piece = fixture.piece(PAYLOAD, 1);
	fixture.store.seal(&request(piece), &mut go_on).unwrap();
	fixture.store.finish_activation(5).unwrap();
	fixture.store.remove_piece(&piece).unwrap();
	let root = fixture.store.root().to_owned();
	let Fixture { dir, store } = fixture;
	drop(store);
	kill_again_and_again("computes_a_key_until_killed", &root, 10, 32);
	let store = SectorStore::open(root).unwrap();
	let keyed = store.make_key(5, &mut go_on).unwrap();
	let mut read = vec![0; PAYLOAD];
	keyed.read_payload_at(0, &mut read, 0).unwrap();
	assert_eq!(read, payload(PAYLOAD, 1));
	drop(dir);
}
