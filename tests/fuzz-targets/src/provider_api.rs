//! JSON between a provider's server and its clients.

use crate::{deal::proposal, Seed};
use cairn_provider_api::{
	deal::{DealList, ListDeals, TierName, LIST_SCHEMA, PROPOSED_SCHEMA, STATUS_SCHEMA},
	info::{AskInfo, ChainInfo, UploadLimits, SCHEMA as INFO_SCHEMA},
	sector::{SectorList, SectorStatus, SECTORS_SCHEMA},
	upload::{UploadReport, SCHEMA as UPLOAD_SCHEMA},
	Amount, DealProgress, DealStatus, ErrorKind, Hash32, HexBytes, Info, Problem, ProposeDeal, ProposedDeal,
};
use codec::Encode;
use serde::{de::DeserializeOwned, Serialize};
use std::{fmt::Debug, str::FromStr};

/// Reads `T`, which then has a JSON form that reads as the same. `settle` removes what JSON does not keep.
fn stable<T>(json: &[u8], settle: impl Fn(&mut T)) -> Option<T>
where
	T: Serialize + DeserializeOwned + PartialEq + Debug,
{
	let mut value: T = serde_json::from_slice(json).ok()?;
	let written = serde_json::to_vec(&value).expect("what was read can be written");
	let mut again: T = serde_json::from_slice(&written).expect("what was written can be read");
	settle(&mut value);
	settle(&mut again);
	assert_eq!(again, value, "JSON changes a value");
	Some(value)
}

/// Text that reads as `T` reads as the same again.
fn text<T: FromStr + ToString + PartialEq + Debug>(text: &str) {
	if let Ok(value) = text.parse::<T>() {
		assert_eq!(
			value.to_string().parse::<T>().ok(),
			Some(value),
			"text changes a value"
		);
	}
}

/// Reads the parameters that clients send.
pub fn rpc_parameters(data: &[u8]) {
	if let Some(request) = stable::<ProposeDeal>(data, |_| ()) {
		match (&request, request.decode_proposal()) {
			(ProposeDeal::OnChain { .. }, decoded) => assert_eq!(decoded, Ok(None)),
			(ProposeDeal::Signed { proposal, .. }, Ok(decoded)) => {
				let encoded = decoded.expect("a signed proposal is one").encode();
				assert_eq!(encoded, proposal.0, "a proposal has two encodings");
			}
			(ProposeDeal::Signed { .. }, Err(_)) => {}
		}
	}
	stable::<ListDeals>(data, |_| ());
	stable::<Hash32>(data, |_| ());
	stable::<HexBytes>(data, |_| ());
	stable::<Amount>(data, |_| ());
	if let Ok(data) = std::str::from_utf8(data) {
		text::<Hash32>(data);
		text::<HexBytes>(data);
	}
}

/// Fractions may lose their last bit in JSON.
fn without_fraction(progress: &mut DealProgress) {
	if let DealProgress::Sealing { progress, .. } = progress {
		*progress = 0.0;
	}
}

/// Reads the answers that servers give.
pub fn rpc_answers(data: &[u8]) {
	stable::<Info>(data, |_| ());
	stable::<ProposedDeal>(data, |deal| without_fraction(&mut deal.progress));
	stable::<DealStatus>(data, |deal| without_fraction(&mut deal.progress)).inspect(|deal| {
		assert!(!(deal.progress.is_final() && deal.progress.awaits_data()));
	});
	stable::<DealList>(data, |list| {
		list.deals
			.iter_mut()
			.for_each(|deal| without_fraction(&mut deal.progress));
	});
	stable::<SectorList>(data, |list| {
		list.sectors.iter_mut().for_each(|sector| {
			sector.seal_progress = sector.seal_progress.map(|_| 0.0);
		});
	});
	stable::<UploadReport>(data, |_| ());
	stable::<Problem>(data, |_| ()).inspect(|problem| {
		assert!((400..600).contains(&problem.kind.http_status()));
	});
}

fn json(value: &impl Serialize) -> Vec<u8> {
	serde_json::to_vec(value).expect("the types have JSON forms")
}

/// Seeds of [`rpc_parameters`].
pub(crate) fn parameter_seeds() -> Vec<Seed> {
	let hash = Hash32([0xab; 32]);
	let page = ListDeals {
		after: Some(hash),
		limit: Some(10),
	};
	let on_chain = ProposeDeal::OnChain { proposal_hash: hash };
	vec![
		("signed", json(&ProposeDeal::signed(&proposal(), vec![1; 65]))),
		("on-chain", json(&on_chain)),
		("page", json(&page)),
		("hash", json(&hash)),
		("hash-text", hash.to_string().into_bytes()),
		("amount", json(&Amount(u128::MAX))),
	]
}

/// Seeds of [`rpc_answers`].
pub(crate) fn answer_seeds() -> Vec<Seed> {
	let hash = Hash32([0xab; 32]);
	let status = |progress| DealStatus {
		schema: STATUS_SCHEMA.into(),
		proposal_hash: hash,
		progress,
		piece_cid: "bafk".into(),
		payload_cid: "bafy".into(),
		payload_size: 1900,
		client: "5Grw".into(),
		tier: TierName::Hot,
		start_by: 100,
		duration: 30,
		price_per_block: Amount(7),
		delayed_by: Some("the node".into()),
	};
	let sealing = DealProgress::Sealing {
		deal_id: 1,
		sector: 2,
		progress: 0.3,
	};
	let active = DealProgress::Active {
		deal_id: 1,
		sector: 2,
		since: 3,
		ends: 33,
		faulty: true,
	};
	let list = DealList {
		schema: LIST_SCHEMA.into(),
		deals: vec![
			status(active),
			status(DealProgress::Receiving { bytes: 1, of: 2 }),
		],
		more: true,
	};
	let info = Info {
		schema: INFO_SCHEMA.into(),
		version: "0.1.0".into(),
		chain: ChainInfo {
			name: "Cairn Development".into(),
			genesis_hash: hash,
			spec_version: 1,
			finalized: 2,
		},
		owner: "5Grw".into(),
		owner_key: hash,
		worker: "5Grw".into(),
		asks: vec![AskInfo {
			proof_type: 0x11,
			tier: TierName::Sealed,
			sector_size: 2048,
			price_per_gib: Amount(5),
			min_piece_size: 128,
			max_piece_size: 2048,
			min_duration: 30,
			max_duration: 1000,
			accepting: true,
			min_start_delay: 20,
			max_collateral_ppm: 1_000_000,
		}],
		limits: UploadLimits {
			max_payload_size: 1 << 30,
			max_concurrent: 16,
			idle_timeout_seconds: 30,
		},
		addresses: vec!["/ip4/127.0.0.1/tcp/7600/http".into()],
	};
	let sectors = SectorList {
		schema: SECTORS_SCHEMA.into(),
		sectors: vec![SectorStatus {
			sector: 2,
			proof_type: 0x111,
			tier: TierName::Sealed,
			size: 2048,
			used: 1024,
			state: "sealing".into(),
			seal_progress: Some(0.7),
			active_since: None,
			faulty: false,
			deals: vec![1, 5],
			failure: None,
			delayed_by: Some("the node".into()),
		}],
	};
	let proposed = ProposedDeal {
		schema: PROPOSED_SCHEMA.into(),
		proposal_hash: hash,
		upload: cairn_provider_api::upload::path(&hash),
		progress: DealProgress::Accepted,
	};
	let report = UploadReport {
		schema: UPLOAD_SCHEMA.into(),
		proposal_hash: hash,
		received: 1,
		of: 2,
		complete: false,
	};
	let problem = Problem::new(ErrorKind::PriceTooLow, "too cheap").hint("pay more");
	vec![
		("info", json(&info)),
		("proposed", json(&proposed)),
		("status", json(&status(sealing))),
		("list", json(&list)),
		("sectors", json(&sectors)),
		("upload", json(&report)),
		("problem", json(&problem)),
		(
			"unknown",
			br#"{"kind":"of_the_future","message":"m","extra":[1]}"#.to_vec(),
		),
	]
}
