//! Benchmarks of the calls, of the calendar and of the market's part in the storage-provider
//! pallet's calls. Clients are distinct in each, since the same one would be read once.

use super::*;
use crate::types::{CalendarItem, ClientDealProposal, ClientDealProposals, DealIds, ProposalHashes};
use alloc::{vec, vec::Vec};
use cairn_pallet_traits::{Deals as _, Parameters, Sectors};
use cairn_primitives::{
	deal::{wrapped_signing_bytes, DealPayload, DealProposal, PayloadKind},
	sector::MAX_DEALS_PER_SECTOR,
	Balance, BlockNumber, DealId, PieceInfo, SectorNumber, Tier,
};
use frame_benchmarking::{account, v2::*};
use frame_support::{
	traits::fungible::{Inspect, InspectHold, Mutate},
	weights::WeightMeter,
};
use frame_system::RawOrigin;
use sp_core::{crypto::KeyTypeId, H256};
use sp_runtime::{traits::BlockNumberProvider, AccountId32, MultiSignature};
use types::{MAX_PROPOSALS_PER_CALL, MAX_SETTLEMENTS_PER_CALL};

const KEY_TYPE: KeyTypeId = KeyTypeId(*b"mrkt");
const SECTOR: SectorNumber = 1;
const STEPS: u32 = 128;

/// A free balance that covers every benchmark's escrow.
fn wealth<T: Config>() -> Balance {
	T::Currency::minimum_balance().saturating_mul(1_000_000)
}

fn price<T: Config>() -> Balance {
	T::Currency::minimum_balance()
}

fn fund<T: Config>(who: &T::AccountId) {
	let deposit = T::Parameters::get().proposal_deposit;
	T::Currency::set_balance(who, wealth::<T>().saturating_mul(4).saturating_add(deposit));
}

/// Funds `who` and its escrow.
fn fund_escrow<T: Config>(who: &T::AccountId) -> Result<(), BenchmarkError> {
	fund::<T>(who);
	Pallet::<T>::add_balance(RawOrigin::Signed(who.clone()).into(), wealth::<T>())?;
	Ok(())
}

/// A registered provider whose escrow covers `deals` collaterals.
fn provider<T: Config>(deals: u32) -> Result<T::AccountId, BenchmarkError> {
	let who: T::AccountId = account("provider", 0, 0);
	let budget = wealth::<T>().saturating_mul(Balance::from(deals) + 1);
	T::Currency::set_balance(&who, budget.saturating_mul(4));
	T::Sectors::register_for_benchmark(&who);
	T::Currency::set_balance(&who, budget.saturating_mul(4));
	Pallet::<T>::add_balance(RawOrigin::Signed(who.clone()).into(), budget)?;
	Ok(who)
}

/// A proposal of the largest encoding and the shortest duration.
fn proposal<T: Config>(
	client: &T::AccountId,
	provider: &T::AccountId,
	nonce: u32,
) -> DealProposal<T::AccountId> {
	let parameters = T::Parameters::get();
	let mut commitment = [0xcc; 32];
	commitment[..4].copy_from_slice(&nonce.to_le_bytes());
	let mut proposal = DealProposal {
		piece: PieceInfo {
			commitment,
			size_log2: 7,
			payload_size: 127,
		},
		payload: DealPayload::V1 {
			kind: PayloadKind::Protected,
			root: vec![1; 64].try_into().unwrap_or_default(),
		},
		client: client.clone(),
		provider: provider.clone(),
		tier: Tier::Hot,
		start_by: Pallet::<T>::now() + parameters.max_start_delay,
		duration: parameters.min_deal_duration,
		price_per_block: 0,
		provider_collateral: 0,
		nonce: nonce.into(),
		label: vec![b'l'; 128].try_into().unwrap_or_default(),
	};
	proposal.price_per_block = price::<T>() / Balance::from(proposal.duration) + 1;
	let total = proposal.price_per_block * Balance::from(proposal.duration);
	proposal.provider_collateral = Pallet::<T>::min_collateral(total, parameters.min_collateral_ppm)
		.unwrap_or_default()
		.max(1);
	proposal
}

/// Proposals of distinct clients, proposed on chain.
fn proposed<T: Config>(provider: &T::AccountId, n: u32) -> Result<Vec<H256>, BenchmarkError> {
	(0..n)
		.map(|nonce| {
			let client: T::AccountId = account("client", nonce, 0);
			fund_escrow::<T>(&client)?;
			let proposal = proposal::<T>(&client, provider, nonce);
			let hash = Pallet::<T>::identify(&proposal).1;
			Pallet::<T>::propose_deal(RawOrigin::Signed(client).into(), proposal)?;
			Ok(hash)
		})
		.collect()
}

/// Published deals of distinct clients.
fn published<T: Config>(provider: &T::AccountId, n: u32) -> Result<Vec<DealId>, BenchmarkError> {
	let first = NextDealId::<T>::get();
	for hash in proposed::<T>(provider, n)? {
		let proposals = ProposalHashes::try_from(vec![hash]).map_err(|_| BenchmarkError::Stop("bounds"))?;
		Pallet::<T>::accept_deals(RawOrigin::Signed(provider.clone()).into(), proposals)?;
	}
	Ok((first..first + DealId::from(n)).collect())
}

/// Deals of distinct clients in one sector, wholly proven, none settled. The clock stands where they
/// end for good.
fn ended<T: Config>(provider: &T::AccountId, n: u32) -> Result<Vec<DealId>, BenchmarkError> {
	let deals = published::<T>(provider, n)?;
	let now = Pallet::<T>::now();
	let parameters = T::Parameters::get();
	let end = now + parameters.min_deal_duration;
	T::Sectors::add_proven_sector_for_benchmark(
		provider,
		SECTOR,
		n,
		now,
		end + 2 * parameters.proving_period,
	);
	for chunk in deals.chunks(MAX_DEALS_PER_SECTOR as usize) {
		Pallet::<T>::bind(provider, SECTOR, Tier::Hot, now, chunk)?;
		Pallet::<T>::activate(provider, SECTOR, chunk, now)?;
	}
	let over = T::Sectors::final_at(provider, SECTOR, end)
		.unwrap_or(end)
		.max(end);
	T::BlockNumberProvider::set_block_number(over);
	Ok(deals)
}

/// Leaves only the deals' final settlements in the calendar and moves the cursor to them.
fn clear_calendar<T: Config>() {
	let others: Vec<_> = Calendar::<T>::iter_keys()
		.filter(|(_, item)| !matches!(item, CalendarItem::FinalSettlement(_)))
		.collect();
	for (at, item) in others {
		Calendar::<T>::remove(at, item);
	}
	let first = Calendar::<T>::iter_keys()
		.map(|(at, _)| at)
		.min()
		.unwrap_or_else(Pallet::<T>::now);
	CalendarCursor::<T>::put(first);
}

fn start<T: Config>() -> BlockNumber {
	T::BlockNumberProvider::set_block_number(10);
	10
}

#[benchmarks(where T: Config<OffchainSignature = MultiSignature>, T::AccountId: From<AccountId32>)]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn add_balance() -> Result<(), BenchmarkError> {
		let who: T::AccountId = whitelisted_caller();
		fund::<T>(&who);
		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), wealth::<T>());
		assert_eq!(Pallet::<T>::escrow(&who), wealth::<T>());
		Ok(())
	}

	#[benchmark]
	fn withdraw_balance() -> Result<(), BenchmarkError> {
		let who: T::AccountId = whitelisted_caller();
		fund_escrow::<T>(&who)?;
		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), wealth::<T>());
		assert_eq!(Pallet::<T>::escrow(&who), 0);
		Ok(())
	}

	/// Wrapped signatures: both forms are tried.
	#[benchmark]
	fn publish_storage_deals(n: Linear<1, MAX_PROPOSALS_PER_CALL>) -> Result<(), BenchmarkError> {
		start::<T>();
		let provider = provider::<T>(n)?;
		let mut proposals = Vec::new();
		for nonce in 0..n {
			let key = sp_io::crypto::sr25519_generate(KEY_TYPE, None);
			let client = T::AccountId::from(AccountId32::from(key));
			fund_escrow::<T>(&client)?;
			let proposal = proposal::<T>(&client, &provider, nonce);
			let bytes = wrapped_signing_bytes(&Pallet::<T>::identify(&proposal).0);
			let signature = sp_io::crypto::sr25519_sign(KEY_TYPE, &key, &bytes)
				.ok_or(BenchmarkError::Stop("no keystore"))?;
			proposals.push(ClientDealProposal {
				proposal,
				client_signature: signature.into(),
			});
		}
		let proposals =
			ClientDealProposals::try_from(proposals).map_err(|_| BenchmarkError::Stop("bounds"))?;
		#[extrinsic_call]
		_(RawOrigin::Signed(provider), proposals);
		assert_eq!(Deals::<T>::iter().count(), n as usize);
		Ok(())
	}

	#[benchmark]
	fn propose_deal() -> Result<(), BenchmarkError> {
		start::<T>();
		let provider = provider::<T>(1)?;
		let client: T::AccountId = whitelisted_caller();
		fund_escrow::<T>(&client)?;
		let proposal = proposal::<T>(&client, &provider, 0);
		#[extrinsic_call]
		_(RawOrigin::Signed(client), proposal);
		assert_eq!(Proposals::<T>::iter().count(), 1);
		Ok(())
	}

	#[benchmark]
	fn accept_deals(n: Linear<1, MAX_PROPOSALS_PER_CALL>) -> Result<(), BenchmarkError> {
		start::<T>();
		let provider = provider::<T>(n)?;
		let hashes = ProposalHashes::try_from(proposed::<T>(&provider, n)?)
			.map_err(|_| BenchmarkError::Stop("bounds"))?;
		#[extrinsic_call]
		_(RawOrigin::Signed(provider), hashes);
		assert_eq!(Deals::<T>::iter().count(), n as usize);
		Ok(())
	}

	/// By a stranger, after `start_by`.
	#[benchmark]
	fn cancel_proposal() -> Result<(), BenchmarkError> {
		start::<T>();
		let provider = provider::<T>(1)?;
		let hash = proposed::<T>(&provider, 1)?[0];
		T::BlockNumberProvider::set_block_number(
			Pallet::<T>::now() + T::Parameters::get().max_start_delay + 1,
		);
		let caller: T::AccountId = whitelisted_caller();
		#[extrinsic_call]
		_(RawOrigin::Signed(caller), hash);
		assert_eq!(Proposals::<T>::iter().count(), 0);
		Ok(())
	}

	/// Every deal for the last time, after its end.
	#[benchmark]
	fn settle_deal_payments(n: Linear<1, MAX_SETTLEMENTS_PER_CALL>) -> Result<(), BenchmarkError> {
		start::<T>();
		let provider = provider::<T>(n)?;
		let deals =
			DealIds::try_from(ended::<T>(&provider, n)?).map_err(|_| BenchmarkError::Stop("bounds"))?;
		let caller: T::AccountId = whitelisted_caller();
		#[extrinsic_call]
		_(RawOrigin::Signed(caller), deals);
		assert_eq!(Deals::<T>::iter().count(), 0);
		Ok(())
	}

	#[benchmark]
	fn service(n: Linear<0, STEPS>) -> Result<(), BenchmarkError> {
		start::<T>();
		if n > 0 {
			let provider = provider::<T>(n)?;
			ended::<T>(&provider, n)?;
		}
		clear_calendar::<T>();
		let caller: T::AccountId = whitelisted_caller();
		#[extrinsic_call]
		_(RawOrigin::Signed(caller), n);
		assert_eq!(Deals::<T>::iter().count(), 0);
		Ok(())
	}

	#[benchmark]
	fn service_advance() {
		let now = start::<T>();
		CalendarCursor::<T>::put(now);
		#[block]
		{
			Pallet::<T>::run_calendar(&mut WeightMeter::new(), 1);
		}
		assert_eq!(CalendarCursor::<T>::get(), now + 1);
	}

	#[benchmark]
	fn service_item() -> Result<(), BenchmarkError> {
		start::<T>();
		let provider = provider::<T>(1)?;
		ended::<T>(&provider, 1)?;
		clear_calendar::<T>();
		#[block]
		{
			Pallet::<T>::run_calendar(&mut WeightMeter::new(), 1);
		}
		assert_eq!(Deals::<T>::iter().count(), 0);
		assert_eq!(
			T::Currency::balance_on_hold(&HoldReason::DealCollateral.into(), &provider),
			0
		);
		Ok(())
	}

	#[benchmark]
	fn bind(n: Linear<0, MAX_DEALS_PER_SECTOR>) -> Result<(), BenchmarkError> {
		let now = start::<T>();
		let provider = provider::<T>(n)?;
		let deals = published::<T>(&provider, n)?;
		let bound;
		#[block]
		{
			bound = Pallet::<T>::bind(&provider, SECTOR, Tier::Hot, now, &deals)?;
		}
		assert_eq!(bound.len(), n as usize);
		Ok(())
	}

	#[benchmark]
	fn unbind(n: Linear<0, MAX_DEALS_PER_SECTOR>) -> Result<(), BenchmarkError> {
		let now = start::<T>();
		let provider = provider::<T>(n)?;
		let deals = published::<T>(&provider, n)?;
		Pallet::<T>::bind(&provider, SECTOR, Tier::Hot, now, &deals)?;
		#[block]
		{
			Pallet::<T>::unbind(&provider, &deals);
		}
		Ok(())
	}

	#[benchmark]
	fn activate(n: Linear<0, MAX_DEALS_PER_SECTOR>) -> Result<(), BenchmarkError> {
		let now = start::<T>();
		let provider = provider::<T>(n)?;
		let deals = published::<T>(&provider, n)?;
		Pallet::<T>::bind(&provider, SECTOR, Tier::Hot, now, &deals)?;
		T::Sectors::add_proven_sector_for_benchmark(&provider, SECTOR, n, now, now);
		let running;
		#[block]
		{
			running = Pallet::<T>::activate(&provider, SECTOR, &deals, now)?;
		}
		assert_eq!(running.len(), n as usize);
		Ok(())
	}

	impl_benchmark_test_suite!(Pallet, crate::tests::benchmark_ext(), crate::tests::Test);
}
