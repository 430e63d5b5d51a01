//! Graph, labels and replica against `storage-proofs-porep`.

mod reference;

use cairn_primitives::{
	hash::NativeSha256,
	sdr::{Graph, DEGREE},
	ProofSpec,
};
use cairn_proving::SectorStore;
use filecoin_hashers::{sha256::Sha256Domain, Domain};
use merkletree::store::StoreConfig;
use reference::*;
use std::fs;
use storage_proofs_core::drgraph::Graph as _;

fn compare_parents(spec: &ProofSpec, nodes: impl Iterator<Item = u32>) {
	let theirs = graph(spec);
	let ours = Graph::new::<NativeSha256>(spec.leaves(), &spec.porep_id()).unwrap();
	for node in nodes {
		let (mut expected, mut found) = ([0; DEGREE], [0; DEGREE]);
		theirs.parents(node as usize, &mut expected).unwrap();
		ours.parents(node, &mut found);
		assert_eq!(found, expected, "node {node} of {spec:?}");
	}
}

#[test]
fn parents_of_every_node_of_small_sectors() {
	for sector_size_log2 in [11, 12, 14, 15] {
		let spec = spec(sector_size_log2, 2);
		compare_parents(&spec, 0..spec.leaves() as u32);
	}
}

#[test]
fn parents_of_some_nodes_of_every_size() {
	for sector_size_log2 in 16..=36 {
		let spec = spec(sector_size_log2, 11);
		let last = (spec.leaves() - 1) as u32;
		let spread = (0..60u64).map(|i| (i * 0x9e37_79b9_7f4a % spec.leaves()) as u32);
		compare_parents(&spec, spread.chain([0, 1, 2, 3, last / 2, last - 1, last]));
	}
}

#[test]
fn labels_of_every_layer_and_the_replica() {
	for (sector_size_log2, layers) in [(11, 1), (11, 2), (13, 11), (19, 3)] {
		let spec = spec(sector_size_log2, layers);
		let dir = tempfile::tempdir().unwrap();
		let store = SectorStore::open(dir.path().join("store")).unwrap();
		let (sealed, _, padded) = seal(&store, spec);

		let replica_id = Sha256Domain::try_from_bytes(&replica_id(&spec, &sealed.comm_d())).unwrap();
		let cache = dir.path().join("reference");
		fs::create_dir(&cache).unwrap();
		let parameters = parameters(&spec);
		let (_, states) = Drg::replicate_phase1(&parameters, &replica_id, &cache).unwrap();
		assert_eq!(states.len(), usize::from(layers));
		for (layer, state) in (1..).zip(&states) {
			let theirs = fs::read(StoreConfig::data_path(&state.config.path, &state.config.id)).unwrap();
			let ours = fs::read(layer_file(store.root(), layer)).unwrap();
			assert!(ours == theirs, "layer {layer} of {spec:?}");
		}

		// The reference decodes our replica to the data.
		let mut replica = fs::read(sealed.replica_path()).unwrap();
		assert_ne!(replica, padded);
		let decoding = dir.path().join("decoding");
		fs::create_dir(&decoding).unwrap();
		Drg::extract_and_invert_transform_layers(
			&parameters.graph,
			parameters.num_layers,
			&replica_id,
			&mut replica,
			StoreConfig::new(&decoding, "labels", 0),
		)
		.unwrap();
		assert!(replica == padded, "replica of {spec:?}");
	}
}

/// The reference's own encoder gives our replica, and its data tree our CommD.
#[test]
fn the_reference_encodes_the_same_replica() {
	let spec = spec(11, 2);
	let dir = tempfile::tempdir().unwrap();
	let store = SectorStore::open(dir.path().join("store")).unwrap();
	let (sealed, _, padded) = seal(&store, spec);
	let replica_id = Sha256Domain::try_from_bytes(&replica_id(&spec, &sealed.comm_d())).unwrap();
	let cache = dir.path().join("reference");
	fs::create_dir(&cache).unwrap();
	let parameters = parameters(&spec);
	let (labels, _) = Drg::replicate_phase1(&parameters, &replica_id, &cache).unwrap();
	let mut data = padded;
	let replica_path = cache.join("replica");
	fs::write(&replica_path, &data).unwrap();
	let (tau, _) = Drg::replicate_phase2(
		&parameters,
		labels,
		(&mut data[..]).into(),
		None,
		cache,
		replica_path,
	)
	.unwrap();
	assert_eq!(tau.comm_d.into_bytes(), sealed.comm_d());
	// It encodes in place.
	assert!(fs::read(sealed.replica_path()).unwrap() == data);
}
