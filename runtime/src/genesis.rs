//! Genesis presets.

use crate::*;
use alloc::{vec, vec::Vec};
use cairn_primitives::params::ProtocolParameters;
use frame_support::build_struct_json_patch;
use sp_consensus_aura::sr25519::AuthorityId as AuraId;
use sp_genesis_builder::PresetId;
use sp_keyring::Sr25519Keyring;

/// Parachain id of the presets.
pub const PARACHAIN_ID: u32 = 2000;

/// Funds of each well-known account.
const ENDOWMENT: Balance = 1_000_000 * UNIT;

fn genesis(collators: Vec<Sr25519Keyring>, parameters: ProtocolParameters) -> serde_json::Value {
	let keys: Vec<(AccountId, AuraId)> = collators
		.into_iter()
		.map(|key| (key.to_account_id(), key.public().into()))
		.collect();
	build_struct_json_patch!(RuntimeGenesisConfig {
		balances: BalancesConfig {
			balances: Sr25519Keyring::well_known()
				.map(|key| (key.to_account_id(), ENDOWMENT))
				.collect::<Vec<_>>(),
		},
		parachain_info: ParachainInfoConfig {
			parachain_id: PARACHAIN_ID.into()
		},
		collator_selection: CollatorSelectionConfig {
			invulnerables: keys
				.iter()
				.map(|(account, _)| account.clone())
				.collect::<Vec<_>>(),
			candidacy_bond: 16 * UNIT,
		},
		session: SessionConfig {
			keys: keys
				.into_iter()
				.map(|(account, aura)| (account.clone(), account, SessionKeys { aura }))
				.collect::<Vec<_>>(),
		},
		sudo: SudoConfig {
			key: Some(Sr25519Keyring::Alice.to_account_id())
		},
		storage_provider: StorageProviderConfig {
			parameters: Some(parameters)
		},
	})
}

/// JSON patch of a preset.
pub(crate) fn preset(id: &PresetId) -> Option<Vec<u8>> {
	let patch = match id.as_ref() {
		sp_genesis_builder::DEV_RUNTIME_PRESET => {
			genesis(vec![Sr25519Keyring::Alice], ProtocolParameters::development())
		}
		// A relay chain of one's own: real beacons, the development chain's times.
		sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET => genesis(
			vec![Sr25519Keyring::Alice, Sr25519Keyring::Bob],
			ProtocolParameters {
				accept_weak_beacons: false,
				..ProtocolParameters::development()
			},
		),
		_ => return None,
	};
	serde_json::to_vec(&patch).ok()
}

/// Names of the presets.
pub(crate) fn preset_names() -> Vec<PresetId> {
	vec![
		PresetId::from(sp_genesis_builder::DEV_RUNTIME_PRESET),
		PresetId::from(sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET),
	]
}
