//! Random operations of several providers, valid and not. The consistency checks run after each; a
//! model says who is guilty; in the end every hold is gone.

use super::{mock::*, sealing::*};
use crate::{types::Ask, Call, Event, HoldReason, PreCommits, Providers, Sectors};
use cairn_pallet_traits::{Beacons as _, Sectors as _};
use cairn_primitives::{sector::SectorProof, SectorNumber};
use frame_support::weights::Weight;
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use std::collections::BTreeMap;

const OWNERS: [AccountId; 4] = [1, 2, 3, 4];

struct World {
	rng: ChaCha8Rng,
	store: Store,
	content: u64,
	/// Calls that worked and that were refused, by name.
	outcomes: BTreeMap<&'static str, (u32, u32)>,
}

impl World {
	fn below(&mut self, n: u64) -> u64 {
		self.rng.next_u64() % n
	}

	fn one_in(&mut self, n: u64) -> bool {
		self.below(n) == 0
	}

	fn owner(&mut self) -> AccountId {
		OWNERS[self.below(4) as usize]
	}

	fn call(&mut self, name: &'static str, who: AccountId, call: Call<Test>) -> bool {
		let worked = dispatch(who, call).is_ok();
		let (good, bad) = self.outcomes.entry(name).or_default();
		*if worked { good } else { bad } += 1;
		worked
	}

	/// Numbers of an owner's sectors, live and expired.
	fn numbers(&self, owner: AccountId) -> Vec<SectorNumber> {
		let mut numbers: Vec<_> = Sectors::<Test>::iter_key_prefix(owner).collect();
		numbers.sort_unstable();
		numbers
	}

	fn some_numbers(&mut self, owner: AccountId) -> Vec<SectorNumber> {
		let all = self.numbers(owner);
		let mut chosen: Vec<_> = all.into_iter().filter(|_| self.one_in(3)).take(8).collect();
		if self.one_in(20) {
			chosen.push(self.below(50) as u32);
		}
		chosen
	}

	fn step(&mut self) {
		let owner = self.owner();
		match self.below(100) {
			0..6 => self.account(owner),
			6..20 => self.pre_commit(owner),
			20..45 => self.prove_commit(owner),
			45..53 => {
				let mut sectors = self.some_numbers(owner);
				if !self.one_in(4) {
					sectors.truncate(1);
				}
				let sectors = sectors.try_into().expect("few");
				self.call("declare", owner, Call::declare_faults { sectors });
			}
			53..68 => {
				let sectors = self.some_numbers(owner);
				// One by one, since most of them are not faulty.
				for sector in sectors {
					let sectors = vec![sector].try_into().expect("one");
					self.call("recover", owner, Call::declare_faults_recovered { sectors });
				}
			}
			68..80 => self.window_garbage(owner),
			80..90 => self.close_deals(owner),
			90..95 => {
				let limit = self.below(4) as u32;
				self.call("service", 40, Call::service { limit });
			}
			_ => {
				let gap = now() + 1 + self.below(10) as u32;
				let length = self.below(8) as u32;
				ScriptedBeacons::leave_out(gap..gap + length);
			}
		}
	}

	fn account(&mut self, owner: AccountId) {
		let worker = [owner, owner + 10, owner + 11, 1][self.below(4) as usize];
		match self.below(8) {
			0 => {
				self.call("deregister", owner, Call::deregister {});
			}
			1 => {
				self.call("worker", owner, Call::set_worker { worker });
			}
			2 => {
				let beneficiary = Some(self.below(30));
				self.call(
					"update",
					worker,
					Call::update_provider {
						contact: Some(contact()),
						beneficiary,
					},
				);
			}
			3 => {
				let ask = Ask::V1 {
					price_per_gib: 1,
					min_piece_log2: self.below(9) as u8 + 5,
					max_piece_log2: 11,
					min_duration: 10,
					max_duration: 20,
					accepting: true,
				};
				self.call(
					"ask",
					worker,
					Call::set_ask {
						proof_type: HOT,
						ask: Some(ask),
					},
				);
			}
			_ => {
				let call = Call::register_storage_provider {
					worker,
					beneficiary: owner,
					contact: contact(),
				};
				self.call("register", owner, call);
			}
		}
	}

	fn pre_commit(&mut self, owner: AccountId) {
		if !StorageProvider::is_provider(&owner) {
			return;
		}
		let mut batch = vec![];
		for _ in 0..1 + self.below(3) {
			let number = (0..).find(|number| {
				!StorageProvider::is_allocated(&owner, *number)
					&& batch.iter().all(|sector: &Kept| sector.number != *number)
			});
			let mut number = number.expect("some are free");
			if self.one_in(15) {
				number = number.saturating_sub(1);
			}
			let orders: Vec<_> = (0..[0, 1, 1, 2, 3, 4][self.below(6) as usize])
				.map(|_| {
					self.content += 1;
					Order {
						content: self.content,
						length: 1 + self.below(508) as usize,
						start_by: now() + 2 + self.below(200) as u32,
						duration: 20 + self.below(120) as u32,
					}
				})
				.collect();
			let seal = orders.is_empty() && !self.one_in(5) || self.one_in(3);
			let sector = if seal && StorageProvider::view_ticket(owner).is_some() {
				let expiration = now() + 200 + self.below(150) as u32;
				Kept::sealed(owner, number, &orders, expiration)
			} else {
				Kept::hot(owner, number, &orders)
			};
			batch.push(sector);
		}
		if self.call("pre_commit", owner, pre_commit(&batch.iter().collect::<Vec<_>>())) {
			batch.into_iter().for_each(|sector| self.store.add(sector));
		}
	}

	fn prove_commit(&mut self, owner: AccountId) {
		let pending: Vec<_> = PreCommits::<Test>::iter_prefix(owner).collect();
		let mut proofs: Vec<SectorProof> = vec![];
		for (number, record) in pending {
			if self.one_in(2) || proofs.len() >= 8 {
				continue;
			}
			let Some(challenge) = StorageProvider::view_activation_challenge(owner, number) else {
				continue;
			};
			let count = spec(record.proof_type).activation_challenges;
			let open: Vec<u16> = (0..count)
				.filter(|j| challenge.proven[usize::from(j / 8)] >> (j % 8) & 1 == 0)
				.collect();
			let first = open[0];
			let mut length = open
				.iter()
				.zip(first..)
				.take_while(|(j, expected)| **j == *expected)
				.count() as u16;
			if self.one_in(3) {
				length = 1 + self.below(length.into()) as u16;
			}
			let mut bytes = self.store.0[&(owner, number)].activation(&challenge.seed, first, length);
			if self.one_in(20) {
				let at = self.below(bytes.len() as u64) as usize;
				bytes[at] ^= 4;
			}
			proofs.push(part_of(number, first, length, bytes));
		}
		if !proofs.is_empty() || self.one_in(10) {
			self.call("prove_commit", owner, prove(proofs));
		}
	}

	/// A windowed proof at any time, for any deadline.
	fn window_garbage(&mut self, owner: AccountId) {
		let Some(challenge) = StorageProvider::view_deadline_challenge(owner) else {
			return;
		};
		let partitions = [(0, 0), (0, 1), (1, 0), (0, u64::MAX)];
		let partition = partitions[self.below(4) as usize];
		let deadline = (challenge.window.deadline + u32::from(self.one_in(2))) % 4;
		let bytes = vec![0; self.below(3_000) as usize];
		assert!(!self.call("garbage", owner, submit(deadline, &[partition], bytes)));
	}

	fn close_deals(&mut self, owner: AccountId) {
		for number in self.numbers(owner) {
			let over = record(owner, number).location.is_none();
			if over && self.one_in(2) {
				StorageProvider::deal_closed(&owner, number);
				check();
			}
		}
	}

	/// Each provider's proof of what is due, by the view of the block before.
	fn prove_due(&mut self, due: Vec<(AccountId, cairn_primitives::sector::DeadlineChallenge)>) {
		for (owner, challenge) in due {
			if self.one_in(5) {
				continue;
			}
			for partition in &challenge.partitions {
				if partition.proven || partition.sectors.is_empty() || self.one_in(8) {
					continue;
				}
				let skipped = partition
					.sectors
					.iter()
					.filter(|_| self.one_in(10))
					.fold(0, |skipped, sector| skipped | 1u64 << sector.slot);
				let all = partition
					.sectors
					.iter()
					.all(|sector| skipped >> sector.slot & 1 == 1);
				let mut bytes = self.store.prove_partition(owner, partition, skipped);
				let altered = !bytes.is_empty() && self.one_in(12);
				if altered {
					let at = self.below(bytes.len() as u64) as usize;
					bytes[at] ^= 2;
				}
				let call = submit(
					challenge.window.deadline,
					&[(partition.partition, skipped)],
					bytes,
				);
				let accepted = self.call("window", owner, call);
				assert_eq!(
					accepted,
					!altered && !all,
					"what the view names is what the verifier checks"
				);
			}
		}
	}

	fn block(&mut self) {
		let weight = match self.below(5) {
			0 => Weight::zero(),
			1 => Weight::from_parts(20_000_000_000, 1_000_000),
			_ => Weight::MAX,
		};
		let due: Vec<_> = OWNERS
			.iter()
			.filter_map(|owner| Some((*owner, self.store.due(*owner)?)))
			.collect();
		end_block(weight);
		if weight == Weight::MAX {
			guilt();
		}
		// Transactions may wait for a later block of the window.
		if !self.one_in(6) {
			self.prove_due(due);
		}
	}
}

/// With housekeeping up to date: a live sector without fault has proven the last close of its
/// deadline, unless that was void, or before its time.
fn guilt() {
	let period = parameters().proving_period;
	for (owner, number, sector) in Sectors::<Test>::iter() {
		let Some(location) = sector.location else { continue };
		assert!(
			sector.expiration + period > now(),
			"{owner}/{number} should have expired"
		);
		let offset = Providers::<Test>::get(owner).expect("registered").period_offset;
		let calendar = StorageProvider::calendar(&parameters(), offset);
		let last = calendar.last_close(location.deadline, now());
		let void = ScriptedBeacons::first_in(last.saturating_sub(5), last.saturating_sub(1)).is_none();
		if last < sector.proven.first_close() || void {
			continue;
		}
		let proven = sector.proven.until() >= last;
		let right = match sector.fault {
			None => proven,
			// Declared since, or skipped in the open window.
			Some(fault) => !proven || fault.since >= last,
		};
		assert!(right, "{owner}/{number} at {}: {sector:?}", now());
	}
	for (_, _, pre_commit) in PreCommits::<Test>::iter() {
		assert!(pre_commit.prove_by >= now());
	}
}

fn run(seed: u64, blocks: u32) -> BTreeMap<&'static str, (u32, u32)> {
	println!("seed {seed:#x}");
	let mut outcomes = BTreeMap::new();
	test(|| {
		let mut world = World {
			rng: ChaCha8Rng::seed_from_u64(seed),
			store: Store::default(),
			content: 0,
			outcomes: BTreeMap::new(),
		};
		for _ in 0..blocks {
			for _ in 0..world.below(7) {
				world.step();
			}
			world.block();
		}
		// Everything ends by itself.
		run_to(now() + 420);
		for owner in OWNERS {
			for number in world.numbers(owner) {
				while Sectors::<Test>::contains_key(owner, number) {
					assert_eq!(record(owner, number).location, None);
					StorageProvider::deal_closed(&owner, number);
				}
			}
			if StorageProvider::is_provider(&owner) {
				ok(owner, Call::deregister {});
			}
			for reason in [
				HoldReason::RegistrationBond,
				HoldReason::PreCommitDeposit,
				HoldReason::SectorPledge,
			] {
				assert_eq!(held(reason, owner), 0);
			}
		}
		assert_eq!(crate::Partitions::<Test>::iter().count(), 0);
		assert_eq!(crate::DeadlineHeads::<Test>::iter().count(), 0);
		assert_eq!(crate::DeadlineCloses::<Test>::iter().count(), 0);
		assert_eq!(crate::PreCommitExpiries::<Test>::iter().count(), 0);
		for (name, which) in [
			(
				"expired",
				(|event| matches!(event, Event::SectorExpired { .. })) as fn(&Event<Test>) -> bool,
			),
			("recovered", |event| {
				matches!(event, Event::SectorRecovered { .. })
			}),
			("faulty", |event| matches!(event, Event::SectorFaulty { .. })),
			("lapsed", |event| matches!(event, Event::PreCommitExpired { .. })),
		] {
			world.outcomes.entry(name).or_default().0 += count_events(which) as u32;
		}
		outcomes = world.outcomes;
	});
	outcomes
}

#[test]
fn random_operations_keep_the_state_consistent() {
	let mut total = BTreeMap::<&'static str, (u32, u32)>::new();
	for seed in 0xca13_1000..0xca13_1003u64 {
		for (name, (good, bad)) in run(seed, 200) {
			let sum = total.entry(name).or_default();
			sum.0 += good;
			sum.1 += bad;
		}
	}
	println!("(worked, refused): {total:?}");
	for name in [
		"pre_commit",
		"prove_commit",
		"window",
		"declare",
		"recover",
		"expired",
		"recovered",
		"faulty",
		"lapsed",
	] {
		assert!(total[name].0 > 15, "{name} hardly ever worked: {total:?}");
	}
}
