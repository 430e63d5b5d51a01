//! Proposals: their terms, signatures and life until they become deals.

use crate::{
	types::{CalendarItem, ClientDealProposals, Deal, PendingProposal, ProposalHashes, UsedProposal},
	Config, Deals, Error, Event, HoldReason, HotPieces, NextDealId, Pallet, Proposals, UsedProposals,
};
use cairn_pallet_traits::{Parameters, Sectors};
use cairn_primitives::{
	deal::{proposal_hash, wrapped_signing_bytes, DealProposal},
	params::ProtocolParameters,
	piece::{capacity, PIECE_MIN_SIZE_LOG2},
	proof_type::MAX_SECTOR_SIZE_LOG2,
	Balance, BlockNumber, DealId, Tier,
};
use frame_support::{ensure, traits::fungible::MutateHold};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_core::H256;
use sp_runtime::{
	traits::{BlockNumberProvider, Verify, Zero},
	ArithmeticError, DispatchError, DispatchResult,
};

impl<T: Config> Pallet<T> {
	/// The block that the market's time counts by.
	pub(crate) fn now() -> BlockNumber {
		T::BlockNumberProvider::current_block_number()
	}

	/// First block at which a proposal that must start by `start_by` is over.
	pub(crate) fn expiry(start_by: BlockNumber) -> BlockNumber {
		start_by.saturating_add(1)
	}

	/// Bytes that a client signs on this chain, and the proposal's hash.
	pub(crate) fn identify(proposal: &DealProposal<T::AccountId>) -> (alloc::vec::Vec<u8>, H256) {
		let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero());
		let bytes = proposal.signing_bytes(&genesis.0);
		let hash = H256(proposal_hash(&bytes));
		(bytes, hash)
	}

	/// Smallest collateral for a total price, rounded up. `None` on overflow.
	pub(crate) fn min_collateral(total: Balance, ppm: u32) -> Option<Balance> {
		const MILLION: Balance = 1_000_000;
		let ppm = Balance::from(ppm);
		// The remainder's product stays below 2⁵², so that only the first one can overflow.
		(total / MILLION)
			.checked_mul(ppm)?
			.checked_add((total % MILLION * ppm).div_ceil(MILLION))
	}

	/// Checks the terms against the parameters and the clock. Returns the total price.
	pub(crate) fn check_terms(
		proposal: &DealProposal<T::AccountId>,
		parameters: &ProtocolParameters,
		now: BlockNumber,
	) -> Result<Balance, Error<T>> {
		let piece = &proposal.piece;
		ensure!(
			(PIECE_MIN_SIZE_LOG2..=MAX_SECTOR_SIZE_LOG2).contains(&piece.size_log2),
			Error::<T>::PieceSizeOutOfRange
		);
		ensure!(
			piece.payload_size > 0 && piece.payload_size <= capacity(piece.size_log2),
			Error::<T>::PayloadSizeOutOfRange
		);
		ensure!(proposal.start_by > now, Error::<T>::StartPassed);
		ensure!(
			proposal.start_by <= now.saturating_add(parameters.max_start_delay),
			Error::<T>::StartTooFar
		);
		ensure!(
			(parameters.min_deal_duration..=parameters.max_deal_duration).contains(&proposal.duration),
			Error::<T>::DurationOutOfRange
		);
		let total = proposal.total_price().ok_or(Error::<T>::PriceOverflow)?;
		let floor =
			Self::min_collateral(total, parameters.min_collateral_ppm).ok_or(Error::<T>::PriceOverflow)?;
		ensure!(
			proposal.provider_collateral >= floor,
			Error::<T>::CollateralTooLow
		);
		Ok(total)
	}

	/// Whether `signature` is the client's over `bytes`, raw or wrapped.
	fn is_signed(bytes: &[u8], signature: &T::OffchainSignature, client: &T::AccountId) -> bool {
		signature.verify(bytes, client) || signature.verify(&wrapped_signing_bytes(bytes)[..], client)
	}

	/// The provider that the caller acts for.
	fn ensure_provider(who: &T::AccountId) -> Result<T::AccountId, DispatchError> {
		T::Sectors::provider_of(who).ok_or(Error::<T>::NotProvider.into())
	}

	/// Uses a proposal up: it cannot be published or proposed again.
	fn mark_used(hash: H256, start_by: BlockNumber) -> DispatchResult {
		ensure!(!UsedProposals::<T>::contains_key(hash), Error::<T>::ProposalUsed);
		UsedProposals::<T>::insert(hash, UsedProposal { start_by, deal: None });
		Self::schedule(Self::expiry(start_by), CalendarItem::ProposalExpiry(hash));
		Ok(())
	}

	/// Makes a deal of a proposal whose price is on hold. Takes the provider's collateral.
	fn create_deal(hash: H256, proposal: DealProposal<T::AccountId>) -> Result<DealId, DispatchError> {
		Self::draw_escrow(
			&proposal.provider,
			proposal.provider_collateral,
			HoldReason::DealCollateral,
			Error::<T>::ProviderEscrowTooLow,
		)?;
		let deal = NextDealId::<T>::get();
		NextDealId::<T>::put(deal.checked_add(1).ok_or(ArithmeticError::Overflow)?);
		if proposal.tier == Tier::Hot {
			let (provider, commitment) = (&proposal.provider, &proposal.piece.commitment);
			ensure!(
				!HotPieces::<T>::contains_key(provider, commitment),
				Error::<T>::HotPieceStored
			);
			HotPieces::<T>::insert(provider, commitment, deal);
		}
		Self::schedule(Self::expiry(proposal.start_by), CalendarItem::StartBy(deal));
		Self::deposit_event(Event::DealPublished {
			deal,
			proposal_hash: hash,
			client: proposal.client.clone(),
			provider: proposal.provider.clone(),
		});
		let used = UsedProposal {
			start_by: proposal.start_by,
			deal: Some(deal),
		};
		UsedProposals::<T>::insert(hash, used);
		Deals::<T>::insert(deal, Deal::published(hash, proposal));
		Ok(deal)
	}

	pub(crate) fn do_publish(
		who: &T::AccountId,
		proposals: ClientDealProposals<T::AccountId, T::OffchainSignature>,
	) -> DispatchResult {
		ensure!(!proposals.is_empty(), Error::<T>::EmptyBatch);
		let provider = Self::ensure_provider(who)?;
		let parameters = T::Parameters::get();
		let now = Self::now();
		for signed in proposals {
			let proposal = signed.proposal;
			ensure!(proposal.provider == provider, Error::<T>::WrongProvider);
			let total = Self::check_terms(&proposal, &parameters, now)?;
			let (bytes, hash) = Self::identify(&proposal);
			Self::mark_used(hash, proposal.start_by)?;
			ensure!(
				Self::is_signed(&bytes, &signed.client_signature, &proposal.client),
				Error::<T>::WrongSignature
			);
			Self::draw_escrow(
				&proposal.client,
				total,
				HoldReason::DealPayment,
				Error::<T>::ClientEscrowTooLow,
			)?;
			Self::create_deal(hash, proposal)?;
		}
		Ok(())
	}

	pub(crate) fn do_propose(who: T::AccountId, proposal: DealProposal<T::AccountId>) -> DispatchResult {
		ensure!(proposal.client == who, Error::<T>::NotClient);
		ensure!(
			T::Sectors::is_provider(&proposal.provider),
			Error::<T>::ProviderNotRegistered
		);
		let parameters = T::Parameters::get();
		let total = Self::check_terms(&proposal, &parameters, Self::now())?;
		let (_, hash) = Self::identify(&proposal);
		Self::mark_used(hash, proposal.start_by)?;
		let deposit = parameters.proposal_deposit;
		T::Currency::hold(&HoldReason::ProposalDeposit.into(), &who, deposit)?;
		Self::draw_escrow(
			&who,
			total,
			HoldReason::DealPayment,
			Error::<T>::ClientEscrowTooLow,
		)?;
		Proposals::<T>::insert(
			hash,
			PendingProposal {
				proposal: proposal.clone(),
				deposit,
			},
		);
		Self::deposit_event(Event::DealProposed {
			proposal_hash: hash,
			proposal,
		});
		Ok(())
	}

	pub(crate) fn do_accept(who: &T::AccountId, hashes: ProposalHashes) -> DispatchResult {
		ensure!(!hashes.is_empty(), Error::<T>::EmptyBatch);
		let provider = Self::ensure_provider(who)?;
		let now = Self::now();
		for hash in hashes {
			let PendingProposal { proposal, deposit } =
				Proposals::<T>::take(hash).ok_or(Error::<T>::ProposalNotFound)?;
			ensure!(proposal.provider == provider, Error::<T>::WrongProvider);
			ensure!(proposal.start_by > now, Error::<T>::StartPassed);
			Self::give_back(HoldReason::ProposalDeposit, &proposal.client, deposit)?;
			Self::create_deal(hash, proposal)?;
		}
		Ok(())
	}

	pub(crate) fn do_cancel(who: &T::AccountId, hash: H256) -> DispatchResult {
		let pending = Proposals::<T>::take(hash).ok_or(Error::<T>::ProposalNotFound)?;
		let client = pending.proposal.client.clone();
		let expired = Self::now() > pending.proposal.start_by;
		ensure!(*who == client || expired, Error::<T>::NotClient);
		let refund = Self::refund_proposal(pending)?;
		Self::deposit_event(Event::ProposalCancelled {
			proposal_hash: hash,
			client,
			refund,
		});
		Ok(())
	}

	/// The calendar's part: a used proposal can be forgotten, since its time now rejects it.
	pub(crate) fn expire_proposal(hash: H256) -> DispatchResult {
		UsedProposals::<T>::remove(hash);
		if let Some(pending) = Proposals::<T>::take(hash) {
			let client = pending.proposal.client.clone();
			let refund = Self::refund_proposal(pending)?;
			Self::deposit_event(Event::ProposalExpired {
				proposal_hash: hash,
				client,
				refund,
			});
		}
		Ok(())
	}

	/// Returns the price to the client's escrow, where it came from, and the deposit to the client.
	fn refund_proposal(pending: PendingProposal<T::AccountId>) -> Result<Balance, DispatchError> {
		let PendingProposal { proposal, deposit } = pending;
		let total = proposal.total_price().ok_or(Error::<T>::PriceOverflow)?;
		Self::rehold(
			HoldReason::DealPayment,
			HoldReason::Escrow,
			&proposal.client,
			total,
		)?;
		Self::give_back(HoldReason::ProposalDeposit, &proposal.client, deposit)?;
		Ok(total)
	}
}
