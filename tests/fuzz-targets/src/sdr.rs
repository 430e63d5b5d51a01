//! What a verifier of sealed sectors computes of numbers that others choose: challenges, the graph, the
//! encoding.

use crate::{input::Input, Seed};
use cairn_primitives::{
	challenge::{live_leaf, porep_challenge, replica_leaf, window_challenge},
	hash::{trunc, NativeSha256},
	sdr::{
		decode, encode, is_canonical, Feistel, Graph, DEGREE, DRG_DEGREE, EXPANDER_DEGREE, MAX_GRAPH_LEAVES,
	},
};

/// Derives challenges, parents and replica leaves from arbitrary numbers.
pub fn sdr(data: &[u8]) {
	let mut input = Input::new(data);
	let (seed, other) = (input.array::<32>(), input.array::<32>());
	let (numbers, leaves_log2) = ([input.u64(), input.u64(), input.u64()], input.byte() % 34);
	challenges(&seed, &other, numbers);
	graph(&seed, numbers, leaves_log2);
	encoding(&seed, &other);
}

fn challenges(seed: &[u8; 32], other: &[u8; 32], numbers: [u64; 3]) {
	let [a, b, c] = numbers;
	let challenge = window_challenge(seed, other, a as u32, b, c as u32, (c >> 32) as u32);
	assert!(b == 0 || replica_leaf(challenge, b) < b);
	// Pieces as a sector has them, and as none does.
	let live = [(a % (1 << 31), b % (1 << 31)), (b, c), (c, a)];
	for pieces in [&live[..1], &live[1..], &live[..]] {
		let leaf = live_leaf(pieces.iter().copied(), challenge);
		if let Some(leaf) = leaf {
			let hit = |(start, len): &(u64, u64)| leaf >= *start && leaf - start < *len;
			assert!(pieces.iter().any(hit), "a challenge hits no piece");
		}
	}
	assert_eq!(
		live_leaf(live[..1].iter().copied(), challenge).is_none(),
		live[0].1 == 0
	);
	let node = porep_challenge::<NativeSha256>(seed, other, a as u32, b);
	assert!(
		node >= 1 && node < b.clamp(2, MAX_GRAPH_LEAVES),
		"a challenged node outside the graph"
	);
}

fn graph(seed: &[u8; 32], [a, b, c]: [u64; 3], leaves_log2: u8) {
	let leaves = 1u64 << leaves_log2;
	let Ok(graph) = Graph::new::<NativeSha256>(leaves, seed) else {
		assert!(!(2..=MAX_GRAPH_LEAVES).contains(&leaves));
		return;
	};
	// Below 2^32, since a graph has no more nodes.
	let node = (a % leaves) as u32;
	let mut parents = [0; DEGREE];
	graph.parents(node, &mut parents);
	assert_eq!(parents[..DRG_DEGREE], graph.drg_parents(node));
	assert_eq!(parents[DRG_DEGREE..], graph.expander_parents(node));
	assert!(node == 0 || parents[..DRG_DEGREE].iter().all(|parent| *parent < node));
	assert!(parents.iter().all(|parent| u64::from(*parent) < leaves));

	let elements = leaves * EXPANDER_DEGREE as u64;
	let permutation = Feistel::new(elements, seed);
	let indices = [a % elements, b % elements, c % elements];
	let mut places = indices;
	permutation.permute_many(&mut places);
	for (index, place) in indices.into_iter().zip(places) {
		assert_eq!(permutation.permute(index), place, "two places of one edge");
		assert_eq!(permutation.invert(place), index);
		assert!(place < elements);
	}
}

fn encoding(data: &[u8; 32], key: &[u8; 32]) {
	match encode(data, key) {
		Ok(replica) => {
			assert!(is_canonical(&replica) && is_canonical(data) && is_canonical(key));
			assert_eq!(
				decode(&replica, key),
				Ok(*data),
				"decoding does not reverse encoding"
			);
			assert_eq!(encode(key, data), Ok(replica));
		}
		Err(_) => assert!(!is_canonical(data) || !is_canonical(key)),
	}
	// Data and labels have 254 bits, and these are always canonical.
	assert!(encode(&trunc(*data), &trunc(*key)).is_ok());
}

/// Seeds of [`sdr`].
pub(crate) fn seeds() -> Vec<Seed> {
	let seed = |fill: u8, numbers: [u64; 3], leaves_log2: u8| {
		let mut bytes = vec![fill; 64];
		numbers
			.iter()
			.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
		bytes.push(leaves_log2);
		bytes
	};
	vec![
		("smallest", seed(1, [1, 2, 3], 1)),
		("sector", seed(2, [63, 1 << 30, 5], 6)),
		("largest", seed(0x3f, [u64::MAX, u64::MAX, u64::MAX], 32)),
		("not-canonical", seed(0xff, [0, 0, 0], 30)),
	]
}
