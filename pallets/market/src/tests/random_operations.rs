//! Random operations of everyone at once. The consistency checks run after each; in the end every
//! hold is gone and no money with it.

use super::mock::*;
use crate::{types::DealState, Call, Deals, HoldReason, Proposals, UsedProposals};
use cairn_pallet_traits::{Deals as _, Sectors as _};
use cairn_primitives::{deal::DealProposal, DealId, SectorNumber, Tier};
use frame_support::weights::Weight;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use std::collections::BTreeMap;

struct World {
	rng: ChaCha8Rng,
	nonce: u64,
	sector: SectorNumber,
	signed: Vec<DealProposal<AccountId>>,
	/// Pre-commits: sector, its provider and deals.
	committed: Vec<(SectorNumber, AccountId, Vec<DealId>)>,
	/// Live sectors: provider, number, next close.
	live: Vec<(AccountId, SectorNumber, u32)>,
	outcomes: BTreeMap<&'static str, (u32, u32)>,
}

impl World {
	fn below(&mut self, n: usize) -> usize {
		self.rng.next_u32() as usize % n
	}

	fn pick<A: Clone>(&mut self, of: &[A]) -> A {
		of[self.below(of.len())].clone()
	}

	fn note(&mut self, name: &'static str, worked: bool) {
		let (good, bad) = self.outcomes.entry(name).or_default();
		*if worked { good } else { bad } += 1;
	}

	fn call(&mut self, name: &'static str, who: &AccountId, call: Call<Test>) {
		let worked = dispatch(who, call).is_ok();
		self.note(name, worked);
	}

	fn account(&mut self) -> AccountId {
		self.pick(&[
			client(),
			other_client(),
			provider(),
			other_provider(),
			worker(),
			stranger(),
		])
	}

	fn proposal(&mut self) -> DealProposal<AccountId> {
		// One in eight proposals repeats an older one.
		if !self.signed.is_empty() && self.below(8) == 0 {
			let of = self.signed.clone();
			return self.pick(&of);
		}
		self.nonce += 1;
		let now = System::block_number();
		let mut proposal = proposal(self.nonce);
		proposal.client = self.pick(&[client(), other_client(), provider()]);
		proposal.provider = self.pick(&[provider(), provider(), other_provider()]);
		proposal.start_by = now + self.below(60) as u32;
		proposal.duration = 15 + self.below(100) as u32;
		proposal.price_per_block = self.pick(&[0, 1, 12_345_678, PRICE, PRICE, 3 * PRICE]);
		let total = proposal.total_price().expect("small");
		proposal.provider_collateral = total / 10 + self.below(3) as u128;
		if self.below(3) == 0 {
			proposal.tier = Tier::Hot;
			proposal.piece.commitment = [self.below(20) as u8; 32];
		}
		self.signed.push(proposal.clone());
		proposal
	}

	/// A few deals, existing or not.
	fn deals(&mut self, most: usize) -> Vec<DealId> {
		let next = crate::NextDealId::<Test>::get() + 1;
		let from = next.saturating_sub(30);
		(0..self.below(most + 1))
			.map(|_| from + self.rng.next_u64() % (next - from))
			.collect()
	}

	fn step(&mut self) {
		match self.below(100) {
			0..8 => {
				let (who, amount) = (self.account(), UNIT / 10 * self.below(50) as u128);
				self.call("add_balance", &who, Call::add_balance { amount });
			}
			8..12 => {
				let (who, amount) = (self.account(), UNIT / 10 * self.below(50) as u128);
				self.call("withdraw_balance", &who, Call::withdraw_balance { amount });
			}
			12..30 => {
				let batch: Vec<_> = (0..1 + self.below(2)).map(|_| self.proposal()).collect();
				let who = batch[0].provider.clone();
				self.call("publish", &who, publish(batch));
			}
			30..36 => {
				let proposal = self.proposal();
				let who = proposal.client.clone();
				self.call("propose", &who, Call::propose_deal { proposal });
			}
			36..43 => {
				let waiting: Vec<_> = Proposals::<Test>::iter().collect();
				if !waiting.is_empty() {
					let (_, pending) = self.pick(&waiting);
					let who = self.pick(&[pending.proposal.provider.clone(), provider()]);
					self.call("accept", &who, accept(&[&pending.proposal]));
				}
			}
			43..46 => {
				let waiting: Vec<_> = Proposals::<Test>::iter().collect();
				if !waiting.is_empty() {
					let (proposal_hash, pending) = self.pick(&waiting);
					let who = self.pick(&[pending.proposal.client, stranger()]);
					self.call("cancel", &who, Call::cancel_proposal { proposal_hash });
				}
			}
			46..58 => self.bind(),
			58..62 => {
				if !self.committed.is_empty() {
					let i = self.below(self.committed.len());
					let (_, provider, deals) = self.committed.swap_remove(i);
					Market::unbind(&provider, &deals);
				}
			}
			62..72 => self.activate(),
			72..78 => {
				let deals = self.deals(10);
				self.call("settle", &stranger(), settle(&deals));
			}
			78..79 => {
				let i = self.below(self.live.len().max(1));
				if i < self.live.len() && self.below(4) == 0 {
					let (provider, sector, _) = self.live.swap_remove(i);
					ScriptedSectors::remove(&provider, sector);
				}
			}
			79..81 => {
				let limit = self.below(20) as u32;
				self.call("service", &stranger(), Call::service { limit });
			}
			_ => self.block(),
		}
		check();
	}

	fn bind(&mut self) {
		let owner = self.pick(&[provider(), other_provider()]);
		let free: Vec<_> = Deals::<Test>::iter()
			.filter(|(_, deal)| {
				deal.provider == owner && deal.state == (DealState::Published { sector: None })
			})
			.map(|(id, deal)| (id, deal.tier))
			.collect();
		let Some((_, tier)) = free.first().copied() else {
			return;
		};
		let mut deals: Vec<_> = free
			.into_iter()
			.filter(|(_, other)| *other == tier)
			.map(|(id, _)| id)
			.take(4)
			.collect();
		if self.below(10) == 0 {
			deals.extend(self.deals(1));
		}
		self.sector += 1;
		let prove_from = System::block_number() + 2;
		let worked = frame_support::storage::with_storage_layer(|| {
			Market::bind(&owner, self.sector, tier, prove_from, &deals)
		})
		.is_ok();
		self.note("bind", worked);
		if worked {
			self.committed.push((self.sector, owner, deals));
		}
	}

	fn activate(&mut self) {
		if self.committed.is_empty() {
			return;
		}
		let i = self.below(self.committed.len());
		let (sector, owner, deals) = self.committed.swap_remove(i);
		let now = System::block_number();
		let first_close = now + 1 + self.below(40) as u32;
		// Stored before or after the activation.
		let before = self.below(2) == 0;
		if before {
			ScriptedSectors::add(&owner, sector, now, first_close);
		}
		let running = Market::activate(&owner, sector, &deals, now).expect("bound");
		if !before {
			ScriptedSectors::add(&owner, sector, now, first_close);
		}
		for runs in running {
			self.note("activate", runs);
		}
		self.live.push((owner, sector, first_close));
	}

	fn block(&mut self) {
		let weight = match self.below(4) {
			0 => Weight::zero(),
			1 => Weight::from_parts(10_000_000_000, 100_000),
			_ => Weight::MAX,
		};
		end_block(weight);
		let now = System::block_number();
		for i in 0..self.live.len() {
			let (provider, sector, close) = self.live[i].clone();
			if close == now + 1 {
				if self.below(4) != 0 {
					ScriptedSectors::prove(&provider, sector, close);
				}
				self.live[i].2 += parameters().proving_period;
			}
		}
	}
}

fn run(seed: u64, steps: u32) -> BTreeMap<&'static str, (u32, u32)> {
	println!("seed {seed:#x}");
	let mut outcomes = BTreeMap::new();
	test(|| {
		let mut world = World {
			rng: ChaCha8Rng::seed_from_u64(seed),
			nonce: 0,
			sector: 0,
			signed: Vec::new(),
			committed: Vec::new(),
			live: Vec::new(),
			outcomes: BTreeMap::new(),
		};
		for _ in 0..steps {
			world.step();
		}
		// Everything ends by itself.
		let end = System::block_number() + 300;
		while System::block_number() < end {
			next_block();
		}
		assert_eq!(Deals::<Test>::iter().count(), 0);
		assert_eq!(Proposals::<Test>::iter().count(), 0);
		assert_eq!(UsedProposals::<Test>::iter().count(), 0);
		assert_eq!(crate::HotPieces::<Test>::iter().count(), 0);
		assert_eq!(crate::Calendar::<Test>::iter().count(), 0);
		for who in frame_system::Account::<Test>::iter_keys() {
			for reason in [
				HoldReason::DealPayment,
				HoldReason::DealCollateral,
				HoldReason::ProposalDeposit,
			] {
				assert_eq!(held(reason, &who), 0);
			}
			assert_eq!(Balances::reserved_balance(&who), escrow(&who));
		}
		assert!(ScriptedSectors::is_provider(&provider()));
		outcomes = world.outcomes;
	});
	outcomes
}

#[test]
fn random_operations_keep_the_state_consistent() {
	let mut total = BTreeMap::<&'static str, (u32, u32)>::new();
	for seed in 0xca13_0000..0xca13_0003u64 {
		for (name, (good, bad)) in run(seed, 600) {
			let sum = total.entry(name).or_default();
			sum.0 += good;
			sum.1 += bad;
		}
	}
	println!("(worked, refused): {total:?}");
	for name in [
		"add_balance",
		"publish",
		"propose",
		"accept",
		"cancel",
		"bind",
		"activate",
		"settle",
		"service",
	] {
		assert!(total[name].0 >= 5, "{name} hardly ever worked: {total:?}");
	}
}
