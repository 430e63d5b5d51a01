//! Random inputs: changes of known ones that parsers are prone to stumble over, and noise.

use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;

/// Numbers at the edges of types and of their encodings.
const EDGES: [u64; 14] = [
	0,
	1,
	0x7f,
	0x80,
	0xff,
	0xffff,
	1 << 20,
	1 << 30,
	0x7fff_ffff,
	0xffff_ffff,
	1 << 36,
	1 << 62,
	i64::MAX as u64,
	u64::MAX,
];

/// An endless sequence of inputs, always the same for one `CAIRN_TEST_SEED`.
pub struct Mutations {
	rng: ChaCha8Rng,
	seeds: Vec<Vec<u8>>,
}

impl Mutations {
	/// Inputs like `seeds`. Prints what repeats them.
	pub fn new(seeds: Vec<Vec<u8>>) -> Self {
		Mutations {
			rng: cairn_test_random::rng(),
			seeds,
		}
	}

	/// The next input.
	pub fn next_input(&mut self) -> Vec<u8> {
		if self.seeds.is_empty() || self.below(50) == 0 {
			let len = self.below(300);
			return self.noise(len);
		}
		let mut bytes = self.any_seed();
		for _ in 0..=self.below(4) {
			self.change(&mut bytes);
		}
		bytes
	}

	fn below(&mut self, end: usize) -> usize {
		(self.rng.next_u64() % end.max(1) as u64) as usize
	}

	fn noise(&mut self, len: usize) -> Vec<u8> {
		let mut bytes = vec![0; len];
		self.rng.fill_bytes(&mut bytes);
		bytes
	}

	fn any_seed(&mut self) -> Vec<u8> {
		let at = self.below(self.seeds.len());
		self.seeds[at].clone()
	}

	/// A range of at most `max` bytes.
	fn range(&mut self, bytes: &[u8], max: usize) -> std::ops::Range<usize> {
		let start = self.below(bytes.len() + 1);
		let len = self.below((bytes.len() - start).min(max) + 1);
		start..start + len
	}

	/// An edge as a fixed-width number, a varint, a SCALE compact number or decimal digits.
	fn edge(&mut self) -> Vec<u8> {
		let near = [0, 1, u64::MAX][self.below(3)];
		let number = EDGES[self.below(EDGES.len())].wrapping_add(near);
		match self.below(6) {
			0 => number.to_le_bytes()[..4].to_vec(),
			1 => number.to_le_bytes().to_vec(),
			2 => number.to_be_bytes().to_vec(),
			3 => number.to_string().into_bytes(),
			4 => {
				let mut compact = vec![0x13];
				compact.extend_from_slice(&number.to_le_bytes());
				compact
			}
			_ => {
				let (mut varint, mut rest) = (Vec::new(), number);
				while rest >= 0x80 {
					varint.push(rest as u8 | 0x80);
					rest >>= 7;
				}
				varint.push(rest as u8);
				varint
			}
		}
	}

	fn change(&mut self, bytes: &mut Vec<u8>) {
		let at = self.below(bytes.len());
		match self.below(9) {
			0 => {
				if let Some(byte) = bytes.get_mut(at) {
					*byte ^= 1 << (self.rng.next_u32() % 8);
				}
			}
			1 => {
				if let Some(byte) = bytes.get_mut(at) {
					*byte = self.rng.next_u32() as u8;
				}
			}
			2 => bytes.truncate(at),
			3 => {
				let range = self.range(bytes, 16);
				bytes.drain(range);
			}
			4 => {
				let range = self.range(bytes, 64);
				let copy = bytes[range].to_vec();
				bytes.splice(at..at, copy);
			}
			5 => {
				let edge = self.edge();
				bytes.splice(at..at, edge);
			}
			6 => {
				let edge = self.edge();
				let end = (at + edge.len()).min(bytes.len());
				bytes.splice(at..end, edge);
			}
			7 => {
				let len = self.below(40);
				let noise = self.noise(len);
				bytes.extend_from_slice(&noise);
			}
			_ => {
				let other = self.any_seed();
				let range = self.range(&other, 200);
				bytes.splice(at..at, other[range].iter().copied());
			}
		}
	}
}
