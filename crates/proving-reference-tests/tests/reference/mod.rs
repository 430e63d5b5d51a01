//! The reference, set up for the proof types of the tests.
#![allow(dead_code)]

use cairn_primitives::{PieceInfo, ProofSpec, Tier};
use cairn_proving::{SealRequest, SealedSector, SectorStore};
use filecoin_hashers::sha256::Sha256Hasher;
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use std::{
	io::Write,
	ops::ControlFlow,
	path::{Path, PathBuf},
	sync::Once,
};
use storage_proofs_core::{
	api_version::ApiVersion, drgraph::BASE_DEGREE, merkle::DiskTree, proof::ProofScheme,
};
use storage_proofs_porep::stacked::{
	Challenges, PublicParams, SetupParams, StackedBucketGraph, StackedDrg, EXP_DEGREE,
};
use typenum::{U0, U2};

/// Binary trees of SHA-256: the reference is generic over them, and labels do not depend on them.
pub type Tree = DiskTree<Sha256Hasher, U2, U0, U0>;
pub type Drg<'a> = StackedDrg<'a, Tree, Sha256Hasher>;

pub const PROVER_ID: [u8; 32] = [7; 32];
pub const TICKET: [u8; 32] = [8; 32];
pub const SECTOR: u32 = 5;

/// Has the reference keep its files in the target folder.
pub fn init() {
	static ONCE: Once = Once::new();
	ONCE.call_once(|| {
		let cache = format!("{}/filecoin-", env!("CARGO_TARGET_TMPDIR"));
		std::env::set_var("FIL_PROOFS_CACHE_DIR", cache);
	});
}

pub fn spec(sector_size_log2: u8, layers: u8) -> ProofSpec {
	ProofSpec {
		tier: Tier::Sealed,
		version: 1,
		sector_size_log2,
		layers,
		activation_challenges: 2,
	}
}

pub fn graph(spec: &ProofSpec) -> StackedBucketGraph<Sha256Hasher> {
	init();
	StackedBucketGraph::new_stacked(
		spec.leaves() as usize,
		BASE_DEGREE,
		EXP_DEGREE,
		spec.porep_id(),
		ApiVersion::V1_2_0,
	)
	.unwrap()
}

pub fn parameters(spec: &ProofSpec) -> PublicParams<Tree> {
	init();
	Drg::setup(&SetupParams {
		nodes: spec.leaves() as usize,
		degree: BASE_DEGREE,
		expansion_degree: EXP_DEGREE,
		porep_id: spec.porep_id(),
		challenges: Challenges::new_interactive(1),
		num_layers: spec.layers.into(),
		api_version: ApiVersion::V1_2_0,
		api_features: vec![],
	})
	.unwrap()
}

pub fn payload(len: usize, seed: u64) -> Vec<u8> {
	let mut bytes = vec![0; len];
	ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
	bytes
}

/// Seals a sector with one piece that fills it, and returns its padded data.
pub fn seal(store: &SectorStore, spec: ProofSpec) -> (SealedSector, PieceInfo, Vec<u8>) {
	let payload = payload(spec.sector_size() as usize / 128 * 127, 1);
	let mut padded = vec![0; spec.sector_size() as usize];
	cairn_primitives::fr32::pad(&payload, &mut padded).unwrap();
	let mut writer = store.begin_piece().unwrap();
	writer.write_all(&payload).unwrap();
	let piece = writer.finish(None).unwrap();
	let request = SealRequest {
		sector: SECTOR,
		prover_id: PROVER_ID,
		spec,
		ticket: TICKET,
		pieces: vec![piece],
	};
	let sealed = store.seal(&request, &mut |_| ControlFlow::Continue(())).unwrap();
	(sealed, piece, padded)
}

pub fn layer_file(store: &Path, layer: u8) -> PathBuf {
	store.join(format!("sectors/{SECTOR:010}/layers/layer-{layer:02}"))
}

pub fn replica_id(spec: &ProofSpec, comm_d: &[u8; 32]) -> [u8; 32] {
	cairn_primitives::sdr::replica_id::<cairn_primitives::hash::NativeSha256>(
		&PROVER_ID,
		SECTOR,
		&TICKET,
		comm_d,
		&spec.porep_id(),
	)
}
