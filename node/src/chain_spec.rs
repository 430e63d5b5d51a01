//! Cairn's chain specs.

use polkadot_omni_node_lib::chain_spec::{
	ChainSpec, DiskChainSpecLoader, Extensions, GenericChainSpec, LoadSpec,
};
use sc_chain_spec::{ChainType, Properties};
use sp_genesis_builder::{DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET};

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

fn development() -> Result<GenericChainSpec, String> {
	Ok(builder()?
		.with_name("Cairn Development")
		.with_id("cairn-dev")
		.with_chain_type(ChainType::Development)
		.with_genesis_config_preset_name(DEV_RUNTIME_PRESET)
		.with_properties(properties("UNIT"))
		.build())
}

fn local_testnet() -> Result<GenericChainSpec, String> {
	Ok(builder()?
		.with_name("Cairn Local Testnet")
		.with_id("cairn-local")
		.with_chain_type(ChainType::Local)
		.with_genesis_config_preset_name(LOCAL_TESTNET_RUNTIME_PRESET)
		.with_properties(properties("UNIT"))
		.build())
}

fn builder() -> Result<sc_chain_spec::ChainSpecBuilder<Extensions>, String> {
	let wasm = cairn_runtime::WASM_BINARY
		.ok_or("this node was built without its runtime (SKIP_WASM_BUILD); build it again without it")?;
	let extensions = Extensions::new("rococo-local".into(), cairn_runtime::PARACHAIN_ID);
	Ok(GenericChainSpec::builder(wasm, extensions).with_protocol_id("cairn"))
}

fn properties(symbol: &str) -> Properties {
	let mut properties = Properties::new();
	properties.insert("tokenSymbol".into(), symbol.into());
	properties.insert("tokenDecimals".into(), 12.into());
	properties.insert("ss58Format".into(), 42.into());
	properties
}
