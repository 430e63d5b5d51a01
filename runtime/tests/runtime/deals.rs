//! Providers and deals of well-known accounts.

use crate::chain::{account, now, UNIT};
use cairn_primitives::{
	deal::{proposal_hash, wrapped_signing_bytes, DealPayload, DealProposal, PayloadKind},
	Balance, BlockNumber, DealId, PieceInfo, Tier,
};
use cairn_runtime::{AccountId, Hash, Runtime, Signature, System};
use pallet_market::{
	runtime_api::runtime_decl_for_market_api::MarketApi,
	types::{ClientDealProposal, ClientDealProposals},
	Call,
};
use pallet_storage_provider::types::ProviderContact;
use sp_keyring::Sr25519Keyring;

/// Plancks per block.
pub const PRICE: Balance = UNIT / 1000;

/// Registers a provider.
pub fn register(
	worker: Sr25519Keyring,
	beneficiary: Sr25519Keyring,
) -> pallet_storage_provider::Call<Runtime> {
	pallet_storage_provider::Call::register_storage_provider {
		worker: account(worker),
		beneficiary: account(beneficiary),
		contact: ProviderContact::V1 {
			peer_id: Default::default(),
			addresses: Default::default(),
		},
	}
}

/// A proposal with the smallest collateral that may start within 100 blocks.
pub fn proposal(
	client: Sr25519Keyring,
	provider: Sr25519Keyring,
	tier: Tier,
	piece: PieceInfo,
	duration: BlockNumber,
	nonce: u64,
) -> DealProposal<AccountId> {
	DealProposal {
		piece,
		payload: DealPayload::V1 {
			kind: PayloadKind::Public,
			root: vec![1, 0x55, 0x12, 0x20].try_into().expect("short"),
		},
		client: account(client),
		provider: account(provider),
		tier,
		start_by: now() + 100,
		duration,
		price_per_block: PRICE,
		provider_collateral: PRICE * Balance::from(duration) / 10,
		nonce,
		label: Default::default(),
	}
}

fn signing_bytes(proposal: &DealProposal<AccountId>) -> Vec<u8> {
	proposal.signing_bytes(&System::block_hash(0).0)
}

/// The name that the market gives a proposal.
pub fn hash_of(proposal: &DealProposal<AccountId>) -> Hash {
	proposal_hash(&signing_bytes(proposal)).into()
}

/// The deal that a proposal became.
pub fn deal_of(proposal: &DealProposal<AccountId>) -> DealId {
	Runtime::deal_of_proposal(hash_of(proposal)).expect("published")
}

/// The proposal signed by its client, as a browser wallet does if its nonce is odd.
pub fn signed(proposal: DealProposal<AccountId>) -> ClientDealProposal<AccountId, Signature> {
	let key = Sr25519Keyring::from_account_id(&proposal.client).expect("well known");
	let mut bytes = signing_bytes(&proposal);
	if proposal.nonce % 2 == 1 {
		bytes = wrapped_signing_bytes(&bytes);
	}
	ClientDealProposal {
		client_signature: key.sign(&bytes).into(),
		proposal,
	}
}

/// `publish_storage_deals` of signed proposals.
pub fn publish(proposals: impl IntoIterator<Item = DealProposal<AccountId>>) -> Call<Runtime> {
	let proposals: Vec<_> = proposals.into_iter().map(signed).collect();
	Call::publish_storage_deals {
		proposals: ClientDealProposals::try_from(proposals).expect("few"),
	}
}

/// `accept_deals` of proposals made on chain.
pub fn accept(proposals: &[&DealProposal<AccountId>]) -> Call<Runtime> {
	let proposals: Vec<_> = proposals.iter().map(|proposal| hash_of(proposal)).collect();
	Call::accept_deals {
		proposals: proposals.try_into().expect("few"),
	}
}

/// `settle_deal_payments`.
pub fn settle(deals: &[DealId]) -> Call<Runtime> {
	Call::settle_deal_payments {
		deals: deals.to_vec().try_into().expect("few"),
	}
}
