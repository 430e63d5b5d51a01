//! A deal and its object, as the tests of several modules take them.

use crate::{
	record::{DealRecord, ObjectRecord, Packing, Proposal, Wanted},
	settings::TierName,
};
use cairn_primitives::{
	deal::{DealPayload, PayloadKind},
	PieceInfo, Tier,
};
use cairn_provider_api::Hash32;

/// Terms in which every field has a value of its own.
pub fn proposal() -> Proposal {
	Proposal {
		piece: PieceInfo {
			commitment: [1; 32],
			size_log2: 11,
			payload_size: 2000,
		},
		payload: DealPayload::V1 {
			kind: PayloadKind::Public,
			root: vec![1, 0x55].try_into().unwrap(),
		},
		client: [2; 32],
		provider: [3; 32],
		tier: Tier::Hot,
		start_by: 100,
		duration: 30,
		price_per_block: 7,
		provider_collateral: 9,
		nonce: u64::MAX,
		label: b"label".to_vec().try_into().unwrap(),
	}
}

/// The deal of [`proposal`], just signed, under the hash of 32 times `hash`.
pub fn deal(hash: u8) -> DealRecord {
	let (proposal, signature) = (proposal(), vec![1; 65]);
	let total = proposal.total_price().unwrap();
	DealRecord::signed(&proposal, Hash32([hash; 32]), signature, "http://p".into(), total)
}

/// An object of which one copy is wanted, still without deals, on the chain whose genesis hash is 32 ones.
pub fn object(id: u8) -> ObjectRecord {
	let wanted = Wanted {
		copies: 1,
		tier: TierName::Hot,
		duration: 30,
		providers: vec![],
		packing: Packing::default(),
	};
	ObjectRecord::new(
		[id; 8],
		Hash32([1; 32]),
		Hash32([2; 32]),
		vec!["/tmp/a.txt".into()],
		Hash32([3; 32]),
		wanted,
	)
}
