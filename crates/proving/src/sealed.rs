//! The sealed tier's prover: activation (PoRep) and windowed proofs (PoSt).

use crate::{
	data::{check_leaves, open_rows, SectorData},
	error::{DataFault, ProveError},
	opening::{OpenError, Opening, PartialTree},
	seal::{
		columns::{self, LayerFiles},
		layers::Layers,
		replica::{self, ReplicaFile},
	},
};
use cairn_primitives::{
	challenge::porep_challenge,
	hash::NativeSha256,
	sdr::{self, Graph, DEGREE},
	sealed::{self, activation_part_len, ActivationInputs},
	Commitment, ProofError, ProofSpec, SectorNumber,
};
use std::path::PathBuf;

/// A sealed sector that can be proven.
#[derive(Clone, Debug)]
pub struct SealedSector {
	pub(crate) sector: SectorNumber,
	pub(crate) prover_id: [u8; 32],
	pub(crate) ticket: [u8; 32],
	pub(crate) comm_c: Commitment,
	pub(crate) comm_r_last: Commitment,
	pub(crate) activation_finished: bool,
	pub(crate) folder: PathBuf,
	pub(crate) data: SectorData,
}

impl SealedSector {
	/// The sector's number.
	pub fn sector(&self) -> SectorNumber {
		self.sector
	}

	/// The proof type.
	pub fn spec(&self) -> ProofSpec {
		self.data.layout.spec()
	}

	/// Root over the data.
	pub fn comm_d(&self) -> Commitment {
		self.data.layout.comm_d()
	}

	/// Root over the columns.
	pub fn comm_c(&self) -> Commitment {
		self.comm_c
	}

	/// Root over the replica.
	pub fn comm_r_last(&self) -> Commitment {
		self.comm_r_last
	}

	/// Commitment to the replica.
	pub fn comm_r(&self) -> Commitment {
		sdr::comm_r::<NativeSha256>(&self.comm_c, &self.comm_r_last)
	}

	/// The replica's file.
	pub fn replica_path(&self) -> PathBuf {
		self.folder.join("replica")
	}

	/// Opens `leaves` of the replica, in this order: [`sealed::verify_window`]'s layout.
	///
	/// # Errors
	/// See [`ProveError`].
	pub fn window_proof(&self, leaves: &[u64]) -> Result<Vec<u8>, ProveError> {
		let spec = self.spec();
		let mut proof = Vec::with_capacity(sealed::window_len(&spec, leaves.len()));
		self.write_roots(&mut proof);
		for opening in self.open_replica(leaves)? {
			opening.write_to(&mut proof);
		}
		sealed::verify_window::<NativeSha256>(&spec, &self.comm_r(), leaves, &proof)?;
		Ok(proof)
	}

	/// Answers activation challenges `first..first + count`: [`sealed::verify_activation_part`]'s
	/// layout.
	///
	/// # Errors
	/// See [`ProveError`].
	pub fn activation_proof(&self, seed: &[u8; 32], first: u16, count: u16) -> Result<Vec<u8>, ProveError> {
		let spec = self.spec();
		let challenges = spec.activation_challenges;
		let end = match first.checked_add(count) {
			Some(end) if count > 0 && end <= challenges => end,
			_ => {
				return Err(ProveError::ChallengeRange {
					first,
					count,
					challenges,
				})
			}
		};
		if self.activation_finished {
			return Err(ProveError::ActivationFinished { sector: self.sector });
		}
		let inputs = ActivationInputs {
			prover_id: self.prover_id,
			sector: self.sector,
			ticket: self.ticket,
			seed: *seed,
			comm_d: self.comm_d(),
			comm_r: self.comm_r(),
		};
		let replica_id = inputs.replica_id::<NativeSha256>(&spec);
		let nodes: Vec<u64> = (first..end)
			.map(|j| porep_challenge::<NativeSha256>(&replica_id, seed, j.into(), spec.leaves()))
			.collect();

		// For each challenge its own column and its parents'.
		let graph = Graph::new::<NativeSha256>(spec.leaves(), &spec.porep_id())
			.map_err(|_| ProofError::WrongProofType)?;
		let mut columns = Vec::with_capacity(nodes.len() * (1 + DEGREE));
		for node in &nodes {
			columns.push(*node);
			let mut parents = [0u32; DEGREE];
			// A sector has at most 2^31 leaves.
			graph.parents(*node as u32, &mut parents);
			columns.extend(parents.map(u64::from));
		}
		let layers = self.open_layers()?;
		let column_openings = self.open_columns(&layers, &columns)?;
		let layer_fault = |fault| ProveError::Layer {
			path: self.layers_folder(),
			fault,
		};

		let mut proof = Vec::with_capacity(activation_part_len(&spec, count));
		self.write_roots(&mut proof);
		let data = self.data.open(&nodes)?;
		let replica = self.open_replica(&nodes)?;
		let per_challenge = columns.chunks(1 + DEGREE).zip(column_openings.chunks(1 + DEGREE));
		for ((data, replica), (columns, openings)) in data.iter().zip(&replica).zip(per_challenge) {
			data.write_to(&mut proof);
			replica.write_siblings(&mut proof);
			openings[0].write_siblings(&mut proof);
			for (parent, opening) in columns.iter().zip(openings).skip(1) {
				for label in layers.column(*parent).map_err(layer_fault)? {
					proof.extend_from_slice(&label);
				}
				opening.write_siblings(&mut proof);
			}
		}
		sealed::verify_activation_part::<NativeSha256>(&spec, &inputs, first, count, &proof)?;
		Ok(proof)
	}

	fn write_roots(&self, proof: &mut Vec<u8>) {
		proof.extend_from_slice(&self.comm_c);
		proof.extend_from_slice(&self.comm_r_last);
	}

	fn open_replica(&self, leaves: &[u64]) -> Result<Vec<Opening>, ProveError> {
		let spec = self.spec();
		check_leaves(leaves, spec.leaves())?;
		let shape = replica::shape(&spec);
		let path = self.replica_path();
		let rows_path = self.folder.join("replica.rows");
		let file = ReplicaFile::open(&path, &spec)?;
		let rows = open_rows(&rows_path, shape)?;
		let tree = PartialTree {
			leaves: &file,
			rows: Some(&rows),
			shape,
			root: self.comm_r_last,
		};
		tree.open(leaves).map_err(|error| match error {
			OpenError::Data(fault) => ProveError::Replica { path, fault },
			OpenError::Rows(fault) => ProveError::Rows {
				path: rows_path,
				fault,
			},
		})
	}

	fn layers_folder(&self) -> PathBuf {
		self.folder.join("layers")
	}

	fn open_layers(&self) -> Result<LayerFiles, ProveError> {
		let spec = self.spec();
		let files = (1..=spec.layers)
			.map(|layer| {
				let path = Layers::path(&self.layers_folder(), layer);
				DataFault::open(&path, spec.sector_size()).map_err(|fault| ProveError::Layer { path, fault })
			})
			.collect::<Result<_, _>>()?;
		Ok(LayerFiles { files })
	}

	fn open_columns(&self, layers: &LayerFiles, nodes: &[u64]) -> Result<Vec<Opening>, ProveError> {
		let shape = columns::shape(&self.spec());
		let rows_path = self.folder.join("columns.rows");
		let rows = open_rows(&rows_path, shape)?;
		let tree = PartialTree {
			leaves: layers,
			rows: Some(&rows),
			shape,
			root: self.comm_c,
		};
		tree.open(nodes).map_err(|error| match error {
			OpenError::Data(fault) => ProveError::Layer {
				path: self.layers_folder(),
				fault,
			},
			OpenError::Rows(fault) => ProveError::Rows {
				path: rows_path,
				fault,
			},
		})
	}
}
