//! Configuration files: an operator's mistakes are errors, and what is accepted can be run.

use crate::Seed;
use cairn_provider_server::config::Config;
use std::{path::Path, time::Instant};

/// Reads a provider's configuration.
pub fn provider_config(data: &[u8]) {
	let Ok(text) = std::str::from_utf8(data) else {
		return;
	};
	let path = Path::new("config.toml");
	let Ok(config) = Config::parse(path, text) else {
		return;
	};
	let written = config.to_toml();
	let again = Config::parse(path, &written).expect("what was written can be read");
	assert_eq!(again, config, "TOML changes a configuration");
	// Beyond these, semaphores and clocks panic.
	for count in [
		config.server.max_connections,
		config.server.max_connections_per_client,
		config.server.max_retrievals,
		config.server.max_retrievals_per_client,
		config.uploads.max_concurrent,
	] {
		assert!(count <= usize::MAX >> 3, "a count that cannot be run with");
	}
	assert!(Instant::now().checked_add(config.idle_timeout()).is_some());
}

/// Seeds of [`provider_config`].
pub(crate) fn seeds() -> Vec<Seed> {
	let changed = "version = 1\nnode = \"wss://node\"\n[server]\nlisten = \"[::1]:7600\"\ntrusted_proxies = [\"10.0.0.1\", \"::1\"]\nrequests_per_second = 5\naddresses = [\"/dns/a/tcp/1/http\"]\n[storage]\npath = \"disk\"\nkeep_free = \"2 GiB\"\n[gateway]\ndeserialized = false\n[uploads]\nmax_payload = 1000\n[sealing]\nassumed_seconds_per_byte = 1e-7\n[log]\nformat = \"json\"\n";
	vec![
		("default", Config::default().to_toml().into()),
		("changed", changed.into()),
		("other-version", b"version = 2\nfuture = 1\n".to_vec()),
	]
}
