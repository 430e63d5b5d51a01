//! Random faults: whatever happens, a call that succeeds took effect once, one that is given up never.

use super::{effects, remark, start, ALICE};
use crate::{fake_node::SubmitFault, SubmitError, SubmitOptions};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use std::time::Duration;

fn below(rng: &mut ChaCha8Rng, bound: u32) -> u32 {
	rng.next_u32() % bound
}

/// Returns how many calls succeeded, and how many were made.
async fn run(seed: u64) -> (usize, usize) {
	println!("seed {seed}");
	let mut rng = ChaCha8Rng::seed_from_u64(seed);
	let (node, submitter) = start().await;
	let mut tasks = Vec::new();
	let mut offline = 0;
	for _ in 0..300 {
		match below(&mut rng, 20) {
			0..=3 if tasks.len() < 40 => {
				let (submitter, number) = (submitter.clone(), tasks.len() as u32);
				let options = SubmitOptions {
					mortality: 8,
					attempts: 3,
					..Default::default()
				};
				tasks.push(tokio::spawn(async move {
					submitter.submit_with(remark(number), options).await
				}));
			}
			4 => {
				let count = below(&mut rng, 4) as usize;
				let forget = below(&mut rng, 2) == 0;
				node.state().retract(count, forget);
			}
			5 => node.state().clear_pool(None),
			6 => node.state().clear_pool(Some("dropped".into())),
			7 => {
				node.state().disconnect();
				offline = 1 + below(&mut rng, 12);
			}
			8 => node.state().usurp(ALICE),
			9 => node.state().mute = below(&mut rng, 2) == 0,
			10 => {
				let fault = match below(&mut rng, 5) {
					0 => SubmitFault::LostBefore,
					1 => SubmitFault::LostAfter,
					2 => SubmitFault::Full,
					3 => SubmitFault::Unfunded,
					_ => SubmitFault::Refused,
				};
				node.state().faults.push_back(fault);
			}
			_ => {
				let behind = below(&mut rng, 4) as usize;
				node.state().author();
				node.state().finalize(behind);
			}
		}
		if offline > 0 {
			offline -= 1;
			if offline == 0 {
				node.state().reconnect();
			}
		}
		tokio::time::sleep(Duration::from_millis(u64::from(below(&mut rng, 3000)))).await;
	}
	{
		let mut state = node.state();
		state.reconnect();
		state.faults.clear();
	}
	let runner = node.run();
	let made = tasks.len();
	let mut succeeded = 0;
	for (number, task) in tasks.into_iter().enumerate() {
		let result = task.await.expect("no panic");
		let times = effects(&node, &remark(number as u32));
		match result {
			Ok(_) => {
				succeeded += 1;
				assert_eq!(times, 1, "call {number}, seed {seed}");
			}
			Err(
				e @ (SubmitError::Unfunded
				| SubmitError::Rejected { .. }
				| SubmitError::Expired { .. }
				| SubmitError::Superseded { .. }),
			) => assert_eq!(times, 0, "call {number}, {e:?}, seed {seed}"),
			Err(e) => panic!("call {number}, {e:?}, seed {seed}"),
		}
	}
	// Nothing that was given up comes back.
	tokio::time::sleep(Duration::from_secs(600)).await;
	for (call, times) in node.state().effects() {
		assert!(
			times == 1 || call == [0xff, 0xff],
			"{call:?} took effect {times} times, seed {seed}"
		);
	}
	runner.abort();
	(succeeded, made)
}

#[tokio::test(start_paused = true)]
async fn calls_take_effect_once_under_random_faults() {
	let first: Option<u64> = std::env::var("CAIRN_TEST_SEED")
		.ok()
		.and_then(|seed| seed.parse().ok());
	let seeds = first.map_or(0..100, |seed| seed..seed + 1);
	let (mut succeeded, mut made) = (0, 0);
	for seed in seeds {
		let (more_succeeded, more_made) = run(seed).await;
		succeeded += more_succeeded;
		made += more_made;
	}
	println!("{succeeded} of {made} calls succeeded");
	// Most calls get through whatever happens; else the test would show little.
	assert!(made > 10 && succeeded * 3 > made * 2);
}
