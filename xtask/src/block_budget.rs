//! How full the blocks were.

use crate::{
	network::Node,
	scale::{compact, unhex},
};
use anyhow::{Context, Result};
use serde_json::{json, Value};

/// Storage key of `System::BlockWeight`: twox128 of pallet and item.
const BLOCK_WEIGHT_KEY: &str = "0x26aa394eea5630e07c48ae0c9558cef734abf5cb34d6244378cddbf18e849d96";
/// What a block may use, as `runtime/src/configs.rs` sets it: compute in picoseconds, proof size in bytes, body in
/// bytes.
const LIMITS: Usage = Usage {
	ref_time: 2_000_000_000_000,
	proof_size: 10 * 1024 * 1024,
	length: 4 * 1024 * 1024,
};

/// What one block used, all classes of transactions together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usage {
	ref_time: u64,
	proof_size: u64,
	length: u64,
}

/// Use of a range of blocks.
#[derive(Debug)]
pub struct BlockBudget {
	blocks: Vec<(u64, Usage)>,
}

impl BlockBudget {
	/// Reads the weights of the blocks from `first` to the best one.
	///
	/// # Errors
	/// When the node does not answer, or not as a Substrate node does.
	pub fn read(node: &Node, first: u64) -> Result<Self> {
		let mut blocks = Vec::new();
		for number in first..=node.best_block()? {
			let hash = node.rpc("chain_getBlockHash", json!([number]))?;
			let weight = node.rpc("state_getStorage", json!([BLOCK_WEIGHT_KEY, hash]))?;
			let block = node.rpc("chain_getBlock", json!([hash]))?;
			let (ref_time, proof_size) = match weight.as_str() {
				Some(text) => block_weight(text).with_context(|| format!("block {number} has no weight"))?,
				None => (0, 0),
			};
			blocks.push((
				number,
				Usage {
					ref_time,
					proof_size,
					length: body_length(&block),
				},
			));
		}
		Ok(Self { blocks })
	}

	/// Prints the busiest block of each kind, and the average, in parts of what a block may use.
	pub fn print(&self) {
		println!("Block budget ({} blocks)", self.blocks.len());
		println!("  {:12} {:>10} {:>10}  busiest", "", "average", "most");
		let rows: [(&str, fn(&Usage) -> u64); 3] = [
			("compute", |usage| usage.ref_time),
			("proof size", |usage| usage.proof_size),
			("body", |usage| usage.length),
		];
		for (name, of) in rows {
			let limit = of(&LIMITS) as f64;
			let sum: f64 = self.blocks.iter().map(|(_, usage)| of(usage) as f64).sum();
			let average = sum / self.blocks.len().max(1) as f64;
			if let Some((number, most)) = self.blocks.iter().max_by_key(|(_, usage)| of(usage)) {
				let percent = |value: f64| format!("{:.2} %", 100.0 * value / limit);
				println!(
					"  {name:12} {:>10} {:>10}  #{number}",
					percent(average),
					percent(of(most) as f64)
				);
			}
		}
	}
}

/// Length of a block's extrinsics in bytes, from their hexadecimal forms.
fn body_length(block: &Value) -> u64 {
	let extrinsics = block["block"]["extrinsics"].as_array();
	extrinsics
		.into_iter()
		.flatten()
		.filter_map(Value::as_str)
		.map(|text| text.len() as u64 / 2 - 1)
		.sum()
}

/// Sum over the three classes of a SCALE-encoded `PerDispatchClass<Weight>`: compute and proof size.
fn block_weight(text: &str) -> Option<(u64, u64)> {
	let bytes = unhex(text)?;
	let mut rest = bytes.as_slice();
	let (mut ref_time, mut proof_size) = (0, 0);
	for _ in 0..3 {
		ref_time += compact(&mut rest)?;
		proof_size += compact(&mut rest)?;
	}
	rest.is_empty().then_some((ref_time, proof_size))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn classes_are_added_up() {
		assert_eq!(block_weight("0x040804080408"), Some((3, 6)));
		assert_eq!(block_weight("0x0408"), None);
		assert_eq!(block_weight("0x04080408040804"), None);
	}

	#[test]
	fn bodies_are_measured() {
		let block = json!({ "block": { "extrinsics": ["0x0011", "0xff"] } });
		assert_eq!(body_length(&block), 3);
	}
}
