//! Answers of a hostile node: views, events, metadata.

use crate::{deal::proposal, input::Input, Seed};
use cairn_chain_client::{
	fuzzing::{DescribedRuntime, METADATA},
	Ask, Deal, DealState, DealView, MarketEvent, Proposal, ProviderContact, ProviderView,
	RegisteredProofType, StorageProviderEvent, Ticket,
};
use cairn_primitives::{
	params::ProtocolParameters,
	proof_type::BUILTIN,
	sector::{ActivationChallenge, DeadlineChallenge, DeadlineWindow, SectorView},
	DealId, ProofTypeId, Tier,
};
use cairn_provider_api::endpoint;
use codec::{Decode, DecodeAll, Encode};
use std::{fmt::Debug, sync::OnceLock};

/// What a runtime API returns has one encoding.
fn canonical<T: Decode + Encode + Debug>(bytes: &[u8]) {
	if let Ok(value) = T::decode_all(&mut &bytes[..]) {
		assert_eq!(value.encode(), bytes, "a view has two encodings");
		// Views are shown to users and written to logs.
		assert!(!format!("{value:?}").is_empty());
	}
}

/// Decodes the bytes as the result of each runtime API.
pub fn chain_views(data: &[u8]) {
	canonical::<Option<DealView>>(data);
	canonical::<Vec<DealView>>(data);
	canonical::<Option<Proposal>>(data);
	canonical::<Vec<([u8; 32], Proposal)>>(data);
	canonical::<Option<DealId>>(data);
	canonical::<Option<ProviderView>>(data);
	canonical::<Vec<ProviderView>>(data);
	canonical::<Vec<(ProofTypeId, Ask)>>(data);
	canonical::<Option<ProtocolParameters>>(data);
	canonical::<Vec<RegisteredProofType>>(data);
	canonical::<Option<DeadlineWindow>>(data);
	canonical::<Option<DeadlineChallenge>>(data);
	canonical::<Option<SectorView>>(data);
	canonical::<Vec<SectorView>>(data);
	canonical::<Option<ActivationChallenge>>(data);
	canonical::<Option<Ticket>>(data);
	canonical::<Vec<(u8, u8, u128)>>(data);
}

/// Decodes events by the metadata that this program was built with.
pub fn chain_events(data: &[u8]) {
	static RUNTIME: OnceLock<DescribedRuntime> = OnceLock::new();
	let runtime =
		RUNTIME.get_or_init(|| DescribedRuntime::decode(METADATA).expect("the checked-in metadata decodes"));
	if let Ok(events) = runtime.events(data.to_vec()) {
		// An event has a phase, two indices and a list of topics.
		assert!(events.len() * 4 <= data.len(), "events out of nothing");
		assert!(!format!("{events:?}").is_empty());
	}
}

/// Decodes metadata, and events by it. The metadata is that of this program with some bytes changed: the
/// input begins with their number, their places (four bytes) and what is added to each by exclusive or.
pub fn chain_metadata(data: &[u8]) {
	let mut input = Input::new(data);
	let mut metadata = METADATA.to_vec();
	for _ in 0..input.byte() {
		let (at, change) = (input.u32() as usize % metadata.len(), input.byte());
		metadata[at] ^= change;
	}
	let Ok(runtime) = DescribedRuntime::decode(&metadata) else {
		return;
	};
	let differences = runtime.differences();
	assert!(metadata != METADATA || differences.is_empty(), "{differences:?}");
	let (pallet, reason) = (input.byte(), input.byte());
	// Whatever they are: looking for them ends.
	let _ = runtime.hold_reason(pallet, reason);
	let _ = runtime.events(input.rest().to_vec());
}

/// An event of the extrinsic at index 1, without topics. `pallet` is its index in the runtime.
fn event(pallet: u8, event: impl Encode) -> Vec<u8> {
	[&[0, 1, 0, 0, 0, pallet][..], &event.encode(), &[0]].concat()
}

/// Indices of pallets in the runtime.
const SYSTEM: u8 = 0;
const STORAGE_PROVIDER: u8 = 50;
const MARKET: u8 = 51;

fn events() -> Vec<u8> {
	let published = MarketEvent::DealPublished {
		deal: 1,
		proposal_hash: [1; 32],
		client: [2; 32],
		provider: [3; 32],
	};
	let activated = StorageProviderEvent::SectorActivated {
		provider: [3; 32],
		sector: 5,
		deadline: 1,
		partition: 0,
		deals: vec![1, 2],
	};
	// `ExtrinsicFailed`: a pallet's error, then weight, class and whether the fee is paid.
	let failed = (
		1u8,
		[3u8, MARKET, 2, 0, 0, 0],
		codec::Compact(7u32),
		codec::Compact(8u32),
		0u8,
		0u8,
	);
	let all = [
		event(MARKET, published),
		event(STORAGE_PROVIDER, activated),
		event(SYSTEM, failed),
	];
	[codec::Compact(all.len() as u32).encode(), all.concat()].concat()
}

fn deal_view() -> DealView {
	let proposal = proposal();
	DealView {
		id: 1,
		deal: Deal {
			proposal_hash: [1; 32],
			client: proposal.client,
			provider: proposal.provider,
			piece: proposal.piece,
			payload: proposal.payload,
			tier: Tier::Hot,
			start_by: 100,
			duration: 30,
			price_per_block: 7,
			provider_collateral: 9,
			state: DealState::Active {
				sector: 5,
				activated_at: 10,
				paid_blocks: 3,
				settle_at: 50,
			},
		},
		ends: Some(40),
		proven_blocks: 5,
		due: 14,
	}
}

/// A provider with one address.
pub(crate) fn provider_view() -> ProviderView {
	let address = endpoint::parse("/dns/provider.example/tcp/443/tls/http");
	let address = address
		.expect("an HTTP endpoint's address")
		.try_into()
		.expect("it is short");
	ProviderView {
		owner: [3; 32],
		worker: [4; 32],
		beneficiary: [3; 32],
		contact: ProviderContact::V1 {
			peer_id: Default::default(),
			addresses: vec![address].try_into().expect("one address fits"),
		},
		period_offset: 7,
		live_sectors: 2,
		registered_at: 3,
	}
}

/// Seeds of [`chain_views`].
pub(crate) fn view_seeds() -> Vec<Seed> {
	let types = BUILTIN.map(|(id, spec)| RegisteredProofType {
		id,
		spec,
		accepts_new_sectors: true,
	});
	let ask = Ask::V1 {
		price_per_gib: 5,
		min_piece_log2: 7,
		max_piece_log2: 30,
		min_duration: 30,
		max_duration: 1000,
		accepting: true,
	};
	let window = DeadlineWindow {
		deadline: 1,
		period: 2,
		open: 30,
		close: 35,
	};
	vec![
		("deal", Some(deal_view()).encode()),
		("deals", vec![deal_view()].encode()),
		("provider", Some(provider_view()).encode()),
		("proposals", vec![([1u8; 32], proposal())].encode()),
		("proof-types", types.to_vec().encode()),
		("asks", vec![(ProofTypeId(0x11), ask)].encode()),
		("window", Some(window).encode()),
		("parameters", Some(ProtocolParameters::development()).encode()),
		("claims-a-million", vec![0x02, 0x09, 0x3d, 0x00, 0x01]),
	]
}

/// Seeds of [`chain_events`].
pub(crate) fn event_seeds() -> Vec<Seed> {
	vec![
		("three", events()),
		("none", vec![0]),
		("claims-a-million", vec![0x02, 0x09, 0x3d, 0x00]),
	]
}

/// Seeds of [`chain_metadata`].
pub(crate) fn metadata_seeds() -> Vec<Seed> {
	let seed = |edits: &[(u32, u8)]| {
		let mut bytes = vec![edits.len() as u8];
		for (at, change) in edits {
			bytes.extend_from_slice(&at.to_le_bytes());
			bytes.push(*change);
		}
		bytes.extend_from_slice(&[51, 0]);
		bytes.extend_from_slice(&events());
		bytes
	};
	vec![
		("unchanged", seed(&[])),
		("magic", seed(&[(0, 1)])),
		("version", seed(&[(4, 1)])),
		("number-of-types", seed(&[(5, 4)])),
		("types", seed(&[(1000, 4), (2000, 1), (30_000, 8)])),
	]
}
