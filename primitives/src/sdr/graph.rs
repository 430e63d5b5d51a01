//! The graph: six parents from the same layer, eight from the layer before.

use super::feistel::Feistel;
use crate::hash::Sha256;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// Parents within a layer: the predecessor and five by bucket sampling.
pub const DRG_DEGREE: usize = 6;
/// Parents in the layer before.
pub const EXPANDER_DEGREE: usize = 8;
/// All parents of a node: the DRG parents, then the expander parents.
pub const DEGREE: usize = DRG_DEGREE + EXPANDER_DEGREE;
/// Most nodes per layer; node numbers fit 32 bits.
pub const MAX_GRAPH_LEAVES: u64 = 1 << 32;

/// The number of nodes is below 2 or above [`MAX_GRAPH_LEAVES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a graph has 2 to 2^32 nodes")]
pub struct GraphSize;

/// The graph of one porep_id and sector size. A few machine words; parents are computed on demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Graph {
	leaves: u64,
	drg_seed: [u8; 28],
	expander: Feistel,
}

impl Graph {
	/// The graph over layers of `leaves` nodes, keyed by `porep_id`.
	///
	/// # Errors
	/// [`GraphSize`].
	pub fn new<H: Sha256>(leaves: u64, porep_id: &[u8; 32]) -> Result<Self, GraphSize> {
		if !(2..=MAX_GRAPH_LEAVES).contains(&leaves) {
			return Err(GraphSize);
		}
		let mut drg_seed = [0u8; 28];
		drg_seed.copy_from_slice(&domain_seed::<H, 49>(b"Filecoin_DRSample", porep_id)[..28]);
		let expander_seed = domain_seed::<H, 48>(b"Filecoin_Feistel", porep_id);
		let expander = Feistel::new(leaves * EXPANDER_DEGREE as u64, &expander_seed);
		Ok(Graph {
			leaves,
			drg_seed,
			expander,
		})
	}

	/// Nodes per layer.
	pub const fn leaves(&self) -> u64 {
		self.leaves
	}

	/// The parents of `node`: six DRG parents, the predecessor first, then eight expander parents.
	/// Duplicates stay. Node 0 lists itself; its labels have no parents.
	pub fn parents(&self, node: u32, parents: &mut [u32; DEGREE]) {
		let (drg, expander) = parents.split_at_mut(DRG_DEGREE);
		self.drg_parents_into(node, drg);
		self.expander_parents_into(node, expander);
	}

	/// The first six of [`Self::parents`]: all that layer 1 uses.
	pub fn drg_parents(&self, node: u32) -> [u32; DRG_DEGREE] {
		let mut parents = [0; DRG_DEGREE];
		self.drg_parents_into(node, &mut parents);
		parents
	}

	/// The last eight of [`Self::parents`].
	pub fn expander_parents(&self, node: u32) -> [u32; EXPANDER_DEGREE] {
		let mut parents = [0; EXPANDER_DEGREE];
		self.expander_parents_into(node, &mut parents);
		parents
	}

	/// Bucket sampling (Alwen, Blocki, Harsha: "Practical Graphs for Optimal Side-Channel Resistant
	/// Memory-Hard Functions", DRSample) on a metagraph of five nodes per node, mapped back.
	fn drg_parents_into(&self, node: u32, parents: &mut [u32]) {
		if node < 2 {
			parents.fill(0);
			return;
		}
		let mut seed = [0u8; 32];
		seed[..28].copy_from_slice(&self.drg_seed);
		seed[28..].copy_from_slice(&node.to_le_bytes());
		let mut rng = ChaCha8Rng::from_seed(seed);

		const META: u64 = DRG_DEGREE as u64 - 1;
		let meta_node = u64::from(node) * META;
		// ⌈log₂ meta_node⌉; meta_node is at least 10.
		let buckets = u64::from(u64::BITS - (meta_node - 1).leading_zeros());

		parents[0] = node - 1;
		for parent in &mut parents[1..] {
			let bucket = rng.next_u64() % buckets + 1;
			let longest = meta_node.min(1 << bucket);
			let shortest = (longest >> 1).max(2);
			let distance = shortest + rng.next_u64() % (longest - shortest + 1);
			// At most meta_node / 5, which is a node number.
			let sampled = ((meta_node - distance) / META) as u32;
			*parent = if sampled == node { node - 1 } else { sampled };
		}
	}

	/// Chung's construction: edge i of a node is a number, permuted; the place's node is the parent.
	fn expander_parents_into(&self, node: u32, parents: &mut [u32]) {
		let first = u64::from(node) * EXPANDER_DEGREE as u64;
		let mut edges: [u64; EXPANDER_DEGREE] = core::array::from_fn(|edge| first + edge as u64);
		self.expander.permute_many(&mut edges);
		for (place, parent) in edges.into_iter().zip(parents) {
			// Below `leaves`, which is at most 2^32.
			*parent = (place / EXPANDER_DEGREE as u64) as u32;
		}
	}
}

/// `SHA-256(tag ‖ porep_id)`; `N` is the tag's length plus 32.
fn domain_seed<H: Sha256, const N: usize>(tag: &[u8], porep_id: &[u8; 32]) -> [u8; 32] {
	let mut preimage = [0u8; N];
	let (tag_part, id_part) = preimage.split_at_mut(tag.len());
	tag_part.copy_from_slice(tag);
	id_part.copy_from_slice(porep_id);
	H::digest(&preimage)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::hash::NativeSha256;
	use alloc::vec;

	fn graph(leaves: u64) -> Graph {
		Graph::new::<NativeSha256>(leaves, &[5; 32]).unwrap()
	}

	#[test]
	fn parents_lie_in_the_graph_and_before_the_node() {
		for leaves in [2, 4, 64, 2048, 4096] {
			let graph = graph(leaves);
			let mut parents = [0; DEGREE];
			for node in 1..leaves as u32 {
				graph.parents(node, &mut parents);
				assert_eq!(parents[0], node - 1);
				assert!(parents[..DRG_DEGREE].iter().all(|parent| *parent < node));
				assert!(parents[DRG_DEGREE..]
					.iter()
					.all(|parent| u64::from(*parent) < leaves));
				assert_eq!(parents[..DRG_DEGREE], graph.drg_parents(node));
				assert_eq!(parents[DRG_DEGREE..], graph.expander_parents(node));
			}
			assert_eq!(graph.drg_parents(0), [0; 6]);
		}
	}

	/// Every node is an expander parent eight times.
	#[test]
	fn the_expander_is_regular() {
		let graph = graph(1024);
		let mut children = vec![0; 1024];
		for node in 0..1024 {
			for parent in graph.expander_parents(node) {
				children[parent as usize] += 1;
			}
		}
		assert!(children.iter().all(|count| *count == EXPANDER_DEGREE));
	}

	/// Parents in 32 and 64 GiB sectors, computed by an independent program.
	#[test]
	fn large_graphs() {
		let vectors: [(u32, u32, [u32; DEGREE]); 6] = [
			(
				30,
				2,
				[
					1, 0, 1, 1, 1, 1, 927924079, 695054262, 713420590, 174662294, 420347380, 323565986,
					228450649, 841876723,
				],
			),
			(
				30,
				1073741823,
				[
					1073741822, 1073700275, 1073741726, 1073738530, 1073741715, 1073741822, 485195833,
					382530177, 405213784, 475979440, 282399735, 402290438, 933736381, 864886340,
				],
			),
			(
				30,
				123456789,
				[
					123456788, 123451679, 123456788, 118167209, 123456788, 123456443, 784440562, 164659256,
					645503813, 491629290, 823370851, 872864111, 848735891, 335911683,
				],
			),
			(
				31,
				2,
				[
					1, 0, 1, 1, 1, 1, 927924079, 1729905268, 1907186435, 174662294, 1195807122, 1826914267,
					228450649, 1763869857,
				],
			),
			(
				31,
				2147483647,
				[
					2147483646, 2147483535, 2146671350, 1119552219, 2135820069, 2147483646, 1334376600,
					2000390411, 1916401761, 136128896, 941744388, 442957605, 1766999112, 713329217,
				],
			),
			(
				31,
				123456789,
				[
					123456788, 123451679, 123456788, 118167209, 123456788, 123456443, 784440562, 164659256,
					645503813, 491629290, 823370851, 872864111, 1199768555, 335911683,
				],
			),
		];
		for (leaves_log2, node, expected) in vectors {
			let mut parents = [0; DEGREE];
			graph(1 << leaves_log2).parents(node, &mut parents);
			assert_eq!(parents, expected, "{leaves_log2} {node}");
		}
	}

	#[test]
	fn sizes_out_of_range() {
		assert_eq!(Graph::new::<NativeSha256>(1, &[0; 32]), Err(GraphSize));
		assert_eq!(
			Graph::new::<NativeSha256>((1 << 32) + 1, &[0; 32]),
			Err(GraphSize)
		);
		assert!(Graph::new::<NativeSha256>(1 << 32, &[0; 32]).is_ok());
	}

	#[test]
	fn the_porep_id_keys_the_graph() {
		let other = Graph::new::<NativeSha256>(1024, &[6; 32]).unwrap();
		assert_ne!(graph(1024).drg_parents(1000), other.drg_parents(1000));
		assert_ne!(graph(1024).expander_parents(1000), other.expander_parents(1000));
	}
}
