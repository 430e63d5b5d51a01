//! The sealed tier: replica against its definition, proofs, resuming, unsealing, damage.

mod fixture;

use cairn_primitives::{
	hash::NativeSha256,
	merkle::MerkleTree,
	sdr::{self, Graph, DEGREE},
	sealed::{verify_activation_part, verify_window, ActivationInputs},
	PieceInfo, ProofError, ProofSpec,
};
use cairn_proving::{
	DataFault, ProveError, SealError, SealStage, SealedSector, SectorProver, SectorStage, StoreError,
};
use fixture::*;
use std::{fs, io::Read, ops::ControlFlow, sync::mpsc, thread, time::Duration};

const SEED: [u8; 32] = [6; 32];

/// The definition, one node at a time: all layers, from the last.
fn reference_layers(spec: &ProofSpec, replica_id: &[u8; 32]) -> Vec<Vec<[u8; 32]>> {
	let graph = Graph::new::<NativeSha256>(spec.leaves(), &spec.porep_id()).unwrap();
	let mut layers: Vec<Vec<[u8; 32]>> = Vec::new();
	for layer in 1..=u32::from(spec.layers) {
		let mut labels = vec![[0; 32]; spec.leaves() as usize];
		for node in 0..labels.len() {
			let mut parents = [0; DEGREE];
			graph.parents(node as u32, &mut parents);
			let drg = std::array::from_fn(|i| labels[parents[i] as usize]);
			let expander = std::array::from_fn(|i| match layers.last() {
				Some(below) => below[parents[6 + i] as usize],
				None => [0; 32],
			});
			labels[node] = sdr::label::<NativeSha256>(replica_id, layer, node as u64, &drg, &expander);
		}
		layers.push(labels);
	}
	layers
}

fn padded_sector(spec: &ProofSpec, pieces: &[(PieceInfo, Vec<u8>)]) -> Vec<u8> {
	let infos: Vec<_> = pieces.iter().map(|(info, _)| *info).collect();
	let mut sector = vec![0; spec.sector_size() as usize];
	let offsets = cairn_primitives::piece::layout(&infos, spec.sector_size_log2).unwrap();
	for (offset, (_, payload)) in offsets.into_iter().zip(pieces) {
		let len = payload.len().div_ceil(127) * 128;
		cairn_primitives::fr32::pad(payload, &mut sector[offset as usize * 32..][..len]).unwrap();
	}
	sector
}

fn inputs(sealed: &SealedSector) -> ActivationInputs {
	ActivationInputs {
		prover_id: PROVER_ID,
		sector: sealed.sector(),
		ticket: TICKET,
		seed: SEED,
		comm_d: sealed.comm_d(),
		comm_r: sealed.comm_r(),
	}
}

fn check_activation(sealed: &SealedSector, first: u16, count: u16) {
	let proof = sealed.activation_proof(&SEED, first, count).unwrap();
	verify_activation_part::<NativeSha256>(&sealed.spec(), &inputs(sealed), first, count, &proof).unwrap();
}

fn check_window(sealed: &SealedSector) {
	let leaves: Vec<u64> = (0..20)
		.map(|i| i * 0x9e37_79b9 % sealed.spec().leaves())
		.collect();
	let proof = sealed.window_proof(&leaves).unwrap();
	verify_window::<NativeSha256>(&sealed.spec(), &sealed.comm_r(), &leaves, &proof).unwrap();
}

#[test]
fn the_replica_is_that_of_the_definition() {
	for (spec, lengths) in [
		(sealed_spec(11, 2, 2), vec![500usize, 900]),
		(sealed_spec(11, 1, 2), vec![]),
		(sealed_spec(17, 3, 4), vec![60_000, 127, 20_000]),
	] {
		let fixture = Fixture::new();
		let pieces: Vec<_> = lengths
			.iter()
			.zip(0..)
			.map(|(len, seed)| (fixture.piece(*len, seed), payload(*len, seed)))
			.collect();
		let infos: Vec<_> = pieces.iter().map(|(info, _)| *info).collect();
		let sealed = fixture
			.store
			.seal(&seal_request(spec, &infos), &mut go_on)
			.unwrap();

		let data = padded_sector(&spec, &pieces);
		assert_eq!(
			MerkleTree::from_bytes::<NativeSha256>(&data).unwrap().root(),
			sealed.comm_d()
		);
		let replica_id = inputs(&sealed).replica_id::<NativeSha256>(&spec);
		let layers = reference_layers(&spec, &replica_id);
		let replica: Vec<[u8; 32]> = data
			.as_chunks::<32>()
			.0
			.iter()
			.zip(layers.last().unwrap())
			.map(|(data, key)| sdr::encode(data, key).unwrap())
			.collect();
		assert_eq!(fs::read(sealed.replica_path()).unwrap(), replica.as_flattened());
		let columns = (0..spec.leaves() as usize)
			.map(|node| layers.iter().map(|layer| layer[node]).collect::<Vec<_>>())
			.map(|column| sdr::column_leaf::<NativeSha256>(&column))
			.collect();
		assert_eq!(
			MerkleTree::build::<NativeSha256>(columns).unwrap().root(),
			sealed.comm_c()
		);
		assert_eq!(
			MerkleTree::build::<NativeSha256>(replica).unwrap().root(),
			sealed.comm_r_last()
		);
		check_activation(&sealed, 0, spec.activation_challenges);
		check_activation(&sealed, 1, 1);
		check_window(&sealed);
	}
}

#[test]
fn eight_mebibytes_from_upload_to_unsealing() {
	let fixture = Fixture::new();
	let lengths = [4_000_000usize, 40_000, 2_000_000];
	let pieces: Vec<_> = lengths
		.iter()
		.zip(0..)
		.map(|(len, seed)| fixture.piece(*len, seed))
		.collect();
	let spec = sealed_spec(23, 11, 12);
	let request = seal_request(spec, &pieces);
	let mut stages = Vec::new();
	let mut last = 0.0;
	fixture
		.store
		.seal(&request, &mut |progress| {
			assert!(
				progress.fraction >= last && progress.fraction <= 1.0,
				"{progress:?} after {last}"
			);
			last = progress.fraction;
			if stages.last() != Some(&progress.stage) {
				stages.push(progress.stage);
			}
			ControlFlow::Continue(())
		})
		.unwrap();
	assert_eq!(last, 1.0);
	assert_eq!(stages.len(), 1 + 11 + 3);
	assert_eq!(stages[3], SealStage::Labels { layer: 3, layers: 11 });

	let fixture = fixture.reopen();
	let sealed = fixture.store.seal(&request, &mut go_on).unwrap();
	let prover = fixture.store.prover(5).unwrap();
	assert_eq!(prover.comm_r(), sealed.comm_r());
	assert_eq!(fixture.store.sector(5).unwrap().comm_r(), Some(sealed.comm_r()));
	check_activation(&sealed, 0, 12);
	check_activation(&sealed, 11, 1);

	fixture.store.finish_activation(5).unwrap();
	fixture.store.finish_activation(5).unwrap();
	let SectorProver::Sealed(sealed) = fixture.store.prover(5).unwrap() else {
		panic!("a sealed sector")
	};
	assert!(matches!(
		sealed.activation_proof(&SEED, 0, 1),
		Err(ProveError::ActivationFinished { sector: 5 })
	));
	check_window(&sealed);
	let folder = fixture.store.root().join("sectors/0000000005");
	let mut names: Vec<_> = fs::read_dir(&folder)
		.unwrap()
		.map(|e| e.unwrap().file_name().into_string().unwrap())
		.collect();
	names.sort();
	assert_eq!(names, ["replica", "replica.rows", "sector.json"]);

	// Payload files are no longer needed for proofs, and come back from the replica.
	for piece in &pieces {
		fixture.store.remove_piece(piece).unwrap();
	}
	check_window(&sealed);
	let keyed = fixture.store.make_key(5, &mut go_on).unwrap();
	let mut unsealed = fixture.store.restore_piece(&keyed, 1).unwrap();
	fixture.store.check_piece(&pieces[1]).unwrap();
	assert_eq!(
		fs::read(fixture.store.piece_path(&pieces[1])).unwrap(),
		payload(40_000, 1)
	);
	// It can be read to its end, whatever becomes of its name.
	fixture.store.remove_piece(&pieces[1]).unwrap();
	let mut bytes = Vec::new();
	unsealed.read_to_end(&mut bytes).unwrap();
	assert_eq!(bytes, payload(40_000, 1));
	fixture.store.remove_key(5).unwrap();
	fixture.store.remove_key(5).unwrap();
	let listed = fs::read_dir(&folder).unwrap().count();
	assert_eq!(listed, 3, "the work's files are gone");

	// And by ranges, without a file. Who has the sector open needs none of their names.
	let whole = payload(4_000_000, 0);
	for range in [0..1, 126..128, 1_000_000..1_070_000, 3_999_990..4_000_000] {
		let mut read = vec![0; range.len()];
		let before = keyed.decoded();
		keyed.read_payload_at(0, &mut read, range.start as u64).unwrap();
		assert_eq!(read, whole[range.clone()], "{range:?}");
		let groups = (range.end.div_ceil(127) - range.start / 127) as u64;
		assert_eq!(keyed.decoded() - before, groups * 128, "{range:?}");
	}
	assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
	assert_eq!(fixture.store.pieces().unwrap(), []);
}

/// Where a piece can be unsealed from, at every moment of its sector's life.
#[test]
fn replicas_are_found_once_they_are_complete() {
	let fixture = Fixture::new();
	let piece = fixture.piece(500, 1);
	let request = seal_request(sealed_spec(15, 2, 2), &[piece]);
	let replicas = |fixture: &Fixture| fixture.store.replicas_of(&piece).unwrap();
	let stopped = fixture.store.seal(&request, &mut |_| ControlFlow::Break(()));
	assert!(matches!(stopped, Err(SealError::Cancelled)));
	assert_eq!(replicas(&fixture), []);
	fixture.store.seal(&request, &mut go_on).unwrap();
	assert_eq!(replicas(&fixture), [(5, 0)]);
	fixture.store.finish_activation(5).unwrap();
	assert_eq!(replicas(&fixture), [(5, 0)]);
	assert_eq!(fixture.store.replicas_of(&fixture.piece(501, 1)).unwrap(), []);
	let path = fixture.store.root().join("sectors/0000000005/replica");
	fs::File::options()
		.write(true)
		.open(&path)
		.unwrap()
		.set_len(100)
		.unwrap();
	assert_eq!(replicas(&fixture), []);
	fixture.store.remove_sector(5).unwrap();
	assert_eq!(replicas(&fixture), []);
}

/// A kill after the layers were given up, and before they were removed.
#[test]
fn finishing_an_activation_is_completed_by_doing_it_again() {
	let fixture = Fixture::new();
	let request = seal_request(sealed_spec(15, 2, 2), &[fixture.piece(500, 1)]);
	fixture.store.seal(&request, &mut go_on).unwrap();
	let folder = fixture.store.root().join("sectors/0000000005");
	let (layers, kept) = (folder.join("layers"), fixture.store.root().join("kept"));
	let columns = fs::read(folder.join("columns.rows")).unwrap();
	fs::create_dir(&kept).unwrap();
	for entry in fs::read_dir(&layers).unwrap() {
		let entry = entry.unwrap();
		fs::copy(entry.path(), kept.join(entry.file_name())).unwrap();
	}
	fixture.store.finish_activation(5).unwrap();
	fs::rename(&kept, &layers).unwrap();
	fs::write(folder.join("columns.rows"), columns).unwrap();
	let fixture = fixture.reopen();
	fixture.store.finish_activation(5).unwrap();
	assert!(!layers.exists() && !folder.join("columns.rows").exists());
	assert_eq!(fixture.store.replicas_of(&request.pieces[0]).unwrap(), [(5, 0)]);
}

/// A reader does not fail because something else is done to the sector.
#[test]
fn computing_a_key_waits_for_its_turn() {
	let fixture = Fixture::new();
	let request = seal_request(sealed_spec(11, 2, 2), &[fixture.piece(500, 1)]);
	fixture.store.seal(&request, &mut go_on).unwrap();
	fixture.store.finish_activation(5).unwrap();
	let (inside, is_inside) = mpsc::channel();
	let (go, may_go) = mpsc::channel::<()>();
	let (done, is_done) = mpsc::channel();
	thread::scope(|scope| {
		let store = &fixture.store;
		scope.spawn(move || {
			let mut inside = Some(inside);
			let mut gate = |_| {
				if let Some(inside) = inside.take() {
					inside.send(()).unwrap();
					may_go.recv().unwrap();
				}
				ControlFlow::Continue(())
			};
			store.make_key(5, &mut gate).unwrap()
		});
		is_inside.recv().unwrap();
		assert!(matches!(store.finish_activation(5), Err(StoreError::Busy(5))));
		assert!(matches!(store.remove_key(5), Err(StoreError::Busy(5))));
		scope.spawn(move || done.send(store.make_key(5, &mut go_on)));
		assert!(
			is_done.recv_timeout(Duration::from_millis(200)).is_err(),
			"it waits"
		);
		go.send(()).unwrap();
		let keyed = is_done.recv().unwrap().unwrap();
		let mut read = vec![0; 500];
		keyed.read_payload_at(0, &mut read, 0).unwrap();
		assert_eq!(read, payload(500, 1));
	});
}

#[test]
fn any_range_unseals() {
	let mut fixture = Fixture::new();
	let pieces: Vec<_> = [60_000usize, 500]
		.iter()
		.zip(0..)
		.map(|(len, seed)| (fixture.piece(*len, seed), payload(*len, seed)))
		.collect();
	let spec = sealed_spec(17, 3, 2);
	let infos: Vec<_> = pieces.iter().map(|(info, _)| *info).collect();
	fixture
		.store
		.seal(&seal_request(spec, &infos), &mut go_on)
		.unwrap();
	assert!(matches!(
		fixture.store.make_key(6, &mut go_on),
		Err(SealError::Store(StoreError::NoSuchSector(6)))
	));
	for finished in [false, true, true] {
		let keyed = fixture.store.make_key(5, &mut go_on).unwrap();
		assert_eq!(fixture.store.open_unfinished(5).unwrap().is_some(), !finished);
		assert_eq!(fixture.store.keys().unwrap().len(), usize::from(finished));
		for (info, expected) in &pieces {
			let index = keyed.index_of(info).unwrap();
			assert_eq!(keyed.piece(index), Some(info));
			let size = expected.len();
			for range in [
				0..1,
				0..size,
				126..size.min(20_000),
				127..254,
				size - 1..size,
				size..size,
				7..7,
			] {
				let mut out = vec![0xee; range.len()];
				keyed
					.read_payload_at(index, &mut out, range.start as u64)
					.unwrap();
				assert_eq!(out, expected[range.clone()], "{range:?} finished {finished}");
			}
			for (offset, len) in [(0, size + 1), (size as u64, 1), (u64::MAX, 1), (u64::MAX, 0)] {
				let refused = keyed.read_payload_at(index, &mut vec![0; len], offset);
				assert!(matches!(refused, Err(SealError::Range)), "{offset} {len}");
			}
		}
		assert!(matches!(
			keyed.read_payload_at(2, &mut [], 0),
			Err(SealError::Range)
		));
		assert!(matches!(
			fixture.store.restore_piece(&keyed, 2),
			Err(SealError::Range)
		));
		drop(keyed);
		fixture.store.finish_activation(5).unwrap();
		fixture = fixture.reopen();
	}
	fixture.store.remove_key(5).unwrap();
	assert_eq!(fixture.store.keys().unwrap(), []);
}

/// Stops computing a key at every point, restarts, and sees that no layer is computed twice.
#[test]
fn a_key_is_computed_once_however_often_it_is_stopped() {
	let mut fixture = Fixture::new();
	let spec = sealed_spec(15, 4, 3);
	let request = seal_request(spec, &[fixture.piece(20_000, 1)]);
	fixture.store.seal(&request, &mut go_on).unwrap();
	fixture.store.finish_activation(5).unwrap();
	let peak = fixture.store.key_space(5).unwrap();
	assert!(peak >= 2 * spec.sector_size());
	let mut finished = Vec::new();
	let mut stops = 0;
	for stop_at in 0.. {
		let mut calls = 0;
		let mut progress = |progress: cairn_proving::SealProgress| {
			calls += 1;
			if calls > stop_at {
				return ControlFlow::Break(());
			}
			// The last report of a layer that was computed.
			if let SealStage::Labels { layer, .. } = progress.stage {
				if finished.last() != Some(&layer) {
					finished.push(layer);
				}
			}
			ControlFlow::Continue(())
		};
		match fixture.store.make_key(5, &mut progress) {
			Err(SealError::Cancelled) => stops += 1,
			Ok(keyed) => {
				let mut read = vec![0; 20_000];
				keyed.read_payload_at(0, &mut read, 0).unwrap();
				assert_eq!(read, payload(20_000, 1));
				break;
			}
			Err(error) => panic!("{error}"),
		}
		fixture = fixture.reopen();
	}
	assert!(stops > 5, "{stops}");
	assert_eq!(finished, [1, 2, 3, 4], "no layer twice, none left out");
	let keys = fixture.store.keys().unwrap();
	assert_eq!(keys.len(), 1);
	assert!(
		keys[0].1 >= spec.sector_size() && keys[0].1 < spec.sector_size() + 4096,
		"the layers below are gone: {keys:?}"
	);
	assert!(fixture.store.key_space(5).unwrap() < peak);

	// A sound key is taken over, a damaged one is made again.
	let mut labels = 0;
	let mut count = |progress: cairn_proving::SealProgress| {
		labels += u32::from(matches!(progress.stage, SealStage::Labels { .. }));
		ControlFlow::Continue(())
	};
	let fixture = fixture.reopen();
	fixture.store.make_key(5, &mut count).unwrap();
	let key = fixture.store.root().join("sectors/0000000005/unsealing/layer-04");
	let intact = fs::read(&key).unwrap();
	let mut bytes = intact.clone();
	bytes[777] ^= 1;
	fs::write(&key, &bytes).unwrap();
	fixture.store.make_key(5, &mut count).unwrap();
	assert!(labels > 0);
	assert_eq!(fs::read(&key).unwrap(), intact);
}

/// Stops sealing at every stage, restarts, and compares with a sector sealed in one go.
#[test]
fn sealing_resumes_from_any_point() {
	let whole = Fixture::new();
	let spec = sealed_spec(15, 4, 3);
	let piece = whole.piece(20_000, 1);
	let expected = whole
		.store
		.seal(&seal_request(spec, &[piece]), &mut go_on)
		.unwrap();

	let mut fixture = Fixture::new();
	assert_eq!(fixture.piece(20_000, 1), piece);
	let request = seal_request(spec, &[piece]);
	let mut stops = 0;
	for stop_at in 0.. {
		let mut calls = 0;
		let result = fixture.store.seal(&request, &mut |_| {
			calls += 1;
			if calls > stop_at {
				ControlFlow::Break(())
			} else {
				ControlFlow::Continue(())
			}
		});
		match result {
			Err(SealError::Cancelled) => stops += 1,
			other => {
				assert_eq!(other.unwrap().comm_r(), expected.comm_r());
				break;
			}
		}
		assert_eq!(fixture.store.sector(5).unwrap().stage, SectorStage::Sealing);
		assert!(matches!(fixture.store.prover(5), Err(StoreError::NotSealed(5))));
		fixture = fixture.reopen();
	}
	assert!(stops > 5, "{stops}");
	let read = |fixture: &Fixture| fs::read(fixture.store.root().join("sectors/0000000005/replica")).unwrap();
	assert_eq!(read(&fixture), read(&whole));
}

/// A finished layer is taken over only if it is intact.
#[test]
fn damaged_layers_are_made_again() {
	let fixture = Fixture::new();
	let spec = sealed_spec(15, 4, 3);
	let piece = fixture.piece(20_000, 1);
	let request = seal_request(spec, &[piece]);
	let stop_after_layers = |progress: cairn_proving::SealProgress| match progress.stage {
		SealStage::Columns => ControlFlow::Break(()),
		_ => ControlFlow::Continue(()),
	};
	assert!(matches!(
		fixture.store.seal(&request, &mut { stop_after_layers }),
		Err(SealError::Cancelled)
	));
	let layer = fixture.store.root().join("sectors/0000000005/layers/layer-02");
	let mut bytes = fs::read(&layer).unwrap();
	let intact = bytes.clone();
	bytes[777] ^= 1;
	fs::write(&layer, &bytes).unwrap();
	let mut made = Vec::new();
	let mut progress = |progress: cairn_proving::SealProgress| {
		if let SealStage::Labels { layer, .. } = progress.stage {
			made.push(layer);
		}
		stop_after_layers(progress)
	};
	assert!(matches!(
		fixture.store.seal(&request, &mut progress),
		Err(SealError::Cancelled)
	));
	// One call per layer says that it is looked at; more say that it is computed.
	let counts = [1, 2, 3, 4].map(|layer| made.iter().filter(|made| **made == layer).count());
	assert!(
		counts[0] == 1 && counts[1] > 1 && counts[2] == 1 && counts[3] == 1,
		"{counts:?}"
	);
	assert_eq!(fs::read(&layer).unwrap(), intact);
}

#[test]
fn damage_is_named() {
	let fixture = Fixture::new();
	let spec = sealed_spec(17, 2, 3);
	let piece = fixture.piece(100_000, 1);
	let sealed = fixture
		.store
		.seal(&seal_request(spec, &[piece]), &mut go_on)
		.unwrap();
	let folder = fixture.store.root().join("sectors/0000000005");
	let flip = |name: &str, at: usize| {
		let path = folder.join(name);
		let mut bytes = fs::read(&path).unwrap();
		bytes[at] ^= 1;
		fs::write(path, bytes).unwrap();
	};
	flip("replica", 40_000);
	assert!(matches!(
		sealed.window_proof(&[0, 1250]),
		Err(ProveError::Replica {
			fault: DataFault::Corrupt { leaf: 1250 },
			..
		})
	));
	sealed.window_proof(&[0, 3000]).unwrap();
	let keyed = fixture.store.make_key(5, &mut go_on).unwrap();
	let mut out = vec![0; 100_000];
	assert!(matches!(
		keyed.read_payload_at(0, &mut out, 0),
		Err(SealError::Data(ProveError::Replica {
			fault: DataFault::Corrupt { leaf: 1024 },
			..
		}))
	));
	// What lies elsewhere can be read.
	keyed.read_payload_at(0, &mut out[..10_000], 80_000).unwrap();
	assert_eq!(out[..10_000], payload(100_000, 1)[80_000..90_000]);
	assert!(matches!(
		fixture.store.check_sector(5),
		Err(StoreError::Piece(ProveError::Replica {
			fault: DataFault::Corrupt { leaf: 1024 },
			..
		}))
	));
	flip("replica", 40_000);
	flip("replica.rows", 0);
	assert!(matches!(
		sealed.window_proof(&[1250]),
		Err(ProveError::Rows { .. })
	));
	fixture.store.check_sector(5).unwrap();
	sealed.window_proof(&[1250]).unwrap();

	// Every column of the first layer.
	let layer = folder.join("layers/layer-01");
	let bytes = fs::read(&layer).unwrap();
	fs::write(&layer, vec![0; bytes.len()]).unwrap();
	assert!(matches!(
		sealed.activation_proof(&SEED, 0, 3),
		Err(ProveError::Layer {
			fault: DataFault::Corrupt { .. },
			..
		})
	));
	fs::write(&layer, &bytes[..100]).unwrap();
	assert!(matches!(
		sealed.activation_proof(&SEED, 0, 3),
		Err(ProveError::Layer {
			fault: DataFault::Truncated { .. },
			..
		})
	));
	fs::remove_file(&layer).unwrap();
	let error = sealed.activation_proof(&SEED, 0, 3).unwrap_err();
	assert!(
		matches!(
			error,
			ProveError::Layer {
				fault: DataFault::Missing,
				..
			}
		) && error.is_data_fault()
	);
	fs::write(&layer, &bytes).unwrap();
	check_activation(&sealed, 0, 3);

	fs::remove_file(sealed.replica_path()).unwrap();
	assert!(matches!(
		sealed.window_proof(&[0]),
		Err(ProveError::Replica {
			fault: DataFault::Missing,
			..
		})
	));
}

/// A piece that changes between recording and encoding does not become a sector.
#[test]
fn a_piece_that_changes_during_sealing_is_named() {
	let fixture = Fixture::new();
	let piece = fixture.piece(1000, 1);
	let path = fixture.store.piece_path(&piece);
	let result = fixture
		.store
		.seal(&seal_request(sealed_spec(11, 2, 2), &[piece]), &mut |progress| {
			if progress.stage == SealStage::Columns {
				fs::write(&path, vec![1; 1000]).unwrap();
			}
			ControlFlow::Continue(())
		});
	assert!(matches!(
		result,
		Err(SealError::Store(StoreError::Piece(ProveError::Piece {
			fault: DataFault::Corrupt { .. },
			..
		})))
	));
	assert_eq!(fixture.store.sector(5).unwrap().stage, SectorStage::Sealing);
}

#[test]
fn other_inputs_are_refused() {
	let fixture = Fixture::new();
	let piece = fixture.piece(1000, 1);
	let request = seal_request(sealed_spec(11, 2, 2), &[piece]);
	let sealed = fixture.store.seal(&request, &mut go_on).unwrap();
	let mut other = request.clone();
	other.ticket = [1; 32];
	assert!(matches!(
		fixture.store.seal(&other, &mut go_on),
		Err(SealError::Store(StoreError::OtherSector(5)))
	));
	other = request.clone();
	other.spec = hot_spec(11);
	assert!(matches!(
		fixture.store.seal(&other, &mut go_on),
		Err(SealError::WrongTier)
	));

	// Another prover's, sector's or ticket's replica differs, and its proof fails here.
	other = request.clone();
	other.sector = 6;
	let second = fixture.store.seal(&other, &mut go_on).unwrap();
	assert_ne!(second.comm_r(), sealed.comm_r());
	let proof = second.activation_proof(&SEED, 0, 2).unwrap();
	assert_eq!(
		verify_activation_part::<NativeSha256>(&sealed.spec(), &inputs(&sealed), 0, 2, &proof),
		Err(ProofError::CommRMismatch)
	);
	assert!(matches!(
		sealed.activation_proof(&SEED, 1, 2),
		Err(ProveError::ChallengeRange {
			first: 1,
			count: 2,
			challenges: 2
		})
	));
	assert!(matches!(sealed.window_proof(&[]), Err(ProveError::NoLeaves)));
	assert!(matches!(
		sealed.window_proof(&[64]),
		Err(ProveError::LeafOutOfRange { leaf: 64, leaves: 64 })
	));
}

/// While a sector is worked on, nothing else touches it.
#[test]
fn one_piece_of_work_at_a_time() {
	let fixture = Fixture::new();
	let piece = fixture.piece(1000, 1);
	let request = seal_request(sealed_spec(11, 2, 2), &[piece]);
	let store = fixture.store.clone();
	fixture
		.store
		.seal(&request, &mut |_| {
			assert!(matches!(store.remove_sector(5), Err(StoreError::Busy(5))));
			assert!(matches!(
				store.seal(&request, &mut go_on),
				Err(SealError::Store(StoreError::Busy(5)))
			));
			ControlFlow::Continue(())
		})
		.unwrap();
	fixture.store.remove_sector(5).unwrap();
}
