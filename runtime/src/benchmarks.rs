//! The pallets that the benchmark API measures. Session, collator selection and transaction payment keep
//! their stock weights.

frame_benchmarking::define_benchmarks!(
	[frame_system, SystemBench::<Runtime>]
	[frame_system_extensions, SystemExtensionsBench::<Runtime>]
	[cumulus_pallet_parachain_system, ParachainSystem]
	[cumulus_pallet_weight_reclaim, WeightReclaim]
	[pallet_timestamp, Timestamp]
	[pallet_balances, Balances]
	[pallet_utility, Utility]
	[pallet_multisig, Multisig]
	[pallet_proxy, Proxy]
	[pallet_sudo, Sudo]
	[pallet_storage_provider, StorageProvider]
	[pallet_market, Market]
	[pallet_proofs, Proofs]
	[pallet_randomness, Randomness]
	[pallet_faucet, Faucet]
);
