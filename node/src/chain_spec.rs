//! Cairn's chain specs.

use cairn_runtime::{Runtime, RuntimeGenesisConfig};
use polkadot_omni_node_lib::{
	chain_spec::{ChainSpec, DiskChainSpecLoader, Extensions, GenericChainSpec, LoadSpec},
	runtime::{
		AuraConsensusId, BlockNumber, Consensus, DefaultRuntimeResolver, Runtime as Kind, RuntimeResolver,
	},
};
use sc_chain_spec::{json_merge, ChainType, Properties};
use sp_genesis_builder::{
	runtime_decl_for_genesis_builder::GenesisBuilder, PresetId, DEV_RUNTIME_PRESET,
	LOCAL_TESTNET_RUNTIME_PRESET,
};
use sp_runtime::BuildStorage;
use sp_storage::{well_known_keys::CODE, Storage};

/// Ids of the built-in chains.
const DEVELOPMENT: &str = "cairn-dev";
const LOCAL_TESTNET: &str = "cairn-local";

/// Finds a chain spec by its id, else by its path.
pub(crate) struct Loader;

impl LoadSpec for Loader {
	fn load_spec(&self, id: &str) -> Result<Box<dyn ChainSpec>, String> {
		match id {
			"" | "dev" => development().map(|spec| Box::new(spec) as _),
			"local" => local_testnet().map(|spec| Box::new(spec) as _),
			path => DiskChainSpecLoader.load_spec(path).map_err(|error| {
				format!("'{path}' is neither a built-in chain (dev, local) nor a chain spec file: {error}")
			}),
		}
	}
}

/// Says what runs a chain: what is known of the built-in ones is not looked up in their metadata, which would
/// take compiling the runtime.
pub(crate) struct Resolver;

impl RuntimeResolver for Resolver {
	fn runtime(&self, spec: &dyn ChainSpec) -> sc_cli::Result<Kind> {
		match spec.id() {
			DEVELOPMENT | LOCAL_TESTNET => Ok(Kind::Omni(
				BlockNumber::U32,
				Consensus::Aura(AuraConsensusId::Sr25519),
			)),
			_ => DefaultRuntimeResolver.runtime(spec),
		}
	}
}

/// The development chain starts from a state made by the runtime's native build: for its Wasm to make it, it
/// would have to be compiled first, which is half the time to the first block.
fn development() -> Result<GenericChainSpec, String> {
	let mut spec = development_from_wasm()?;
	spec.set_storage(genesis(DEV_RUNTIME_PRESET)?);
	Ok(spec)
}

fn development_from_wasm() -> Result<GenericChainSpec, String> {
	Ok(builder()?
		.with_name("Cairn Development")
		.with_id(DEVELOPMENT)
		.with_chain_type(ChainType::Development)
		.with_genesis_config_preset_name(DEV_RUNTIME_PRESET)
		.with_properties(properties("UNIT"))
		.build())
}

/// The state that a preset begins with.
fn genesis(preset: &str) -> Result<Storage, String> {
	let config = |id: Option<PresetId>| {
		let json = Runtime::get_preset(&id).ok_or_else(|| format!("the runtime has no preset {id:?}"))?;
		serde_json::from_slice(&json).map_err(|error| error.to_string())
	};
	let mut merged = config(None)?;
	json_merge(&mut merged, config(Some(preset.into()))?);
	let config: RuntimeGenesisConfig = serde_json::from_value(merged).map_err(|error| error.to_string())?;
	let mut storage = config.build_storage()?;
	storage.top.insert(CODE.to_vec(), wasm()?.to_vec());
	Ok(storage)
}

fn local_testnet() -> Result<GenericChainSpec, String> {
	Ok(builder()?
		.with_name("Cairn Local Testnet")
		.with_id(LOCAL_TESTNET)
		.with_chain_type(ChainType::Local)
		.with_genesis_config_preset_name(LOCAL_TESTNET_RUNTIME_PRESET)
		.with_properties(properties("UNIT"))
		.build())
}

fn builder() -> Result<sc_chain_spec::ChainSpecBuilder<Extensions>, String> {
	let extensions = Extensions::new("rococo-local".into(), cairn_runtime::PARACHAIN_ID);
	Ok(GenericChainSpec::builder(wasm()?, extensions).with_protocol_id("cairn"))
}

fn wasm() -> Result<&'static [u8], String> {
	cairn_runtime::WASM_BINARY.ok_or_else(|| {
		"this node was built without its runtime (SKIP_WASM_BUILD); build it again without it".into()
	})
}

fn properties(symbol: &str) -> Properties {
	let mut properties = Properties::new();
	properties.insert("tokenSymbol".into(), symbol.into());
	properties.insert("tokenDecimals".into(), 12.into());
	properties.insert("ss58Format".into(), 42.into());
	properties
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn native_and_wasm_genesis_are_the_same() {
		let native = development().unwrap().build_storage().unwrap();
		let wasm = development_from_wasm().unwrap().build_storage().unwrap();
		assert!(native.top.contains_key(CODE));
		assert_eq!(native.top, wasm.top);
		assert!(native.children_default.is_empty() && wasm.children_default.is_empty());
	}

	#[test]
	fn built_in_chains_run_as_their_metadata_says() {
		for id in ["dev", "local"] {
			let spec = Loader.load_spec(id).unwrap();
			let known = Resolver.runtime(&*spec).unwrap();
			assert!(known == DefaultRuntimeResolver.runtime(&*spec).unwrap());
		}
	}

	#[test]
	fn an_unknown_chain_is_a_clear_error() {
		let error = Loader.load_spec("no/such/file").map(|_| ()).unwrap_err();
		assert!(
			error.contains("neither a built-in chain (dev, local) nor a chain spec file"),
			"{error}"
		);
	}
}
