//! A node of a Merkle-Patricia trie.
//!
//! Source: the yellow paper, appendix D. A node is a branch (17 items), or an extension or a leaf (2
//! items); what takes less than 32 bytes stands in its parent instead of a hash. The way to a link is
//! the nibbles of the key, one segment per node, then what the value's codec adds.

use super::{
	link, malformed,
	rlp::{self, Item, Items, Problem},
	BlockCodec, CodecError, LinkVisitor, Segment,
};

/// Children of a branch.
const BRANCH: usize = 16;

/// Nibbles as segments.
const NIBBLES: [&str; BRANCH] = [
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f",
];

/// Reads a node of a trie whose nodes are `T`'s and whose values are `V`'s.
pub(super) fn scan<'a, T: BlockCodec, V: BlockCodec>(
	data: &'a [u8],
	visit: &mut LinkVisitor<'_, 'a>,
) -> Result<(), CodecError> {
	let mut path = Vec::new();
	let scanned = match rlp::single(data) {
		// The empty trie.
		Ok(Item::String([])) => Ok(()),
		Ok(Item::String(_)) => Err("a node that is a string"),
		Ok(Item::List(items)) => node::<T, V>(items, &mut path, visit),
		Err(problem) => Err(problem),
	};
	scanned.map_err(malformed::<T>)
}

fn node<'a, T: BlockCodec, V: BlockCodec>(
	mut items: Items<'a>,
	path: &mut Vec<Segment<'a>>,
	visit: &mut LinkVisitor<'_, 'a>,
) -> Result<(), Problem> {
	let mut all = Vec::with_capacity(BRANCH + 1);
	while !items.is_empty() && all.len() <= BRANCH {
		all.push(items.next()?);
	}
	items.end()?;
	match all[..] {
		[Item::String(key), target] => short::<T, V>(key, target, path, visit),
		[Item::List(_), _] => Err("a key that is a list"),
		[ref children @ .., last] if children.len() == BRANCH => {
			for (nibble, item) in NIBBLES.into_iter().zip(children) {
				path.push(Segment::name(nibble));
				child::<T, V>(*item, path, visit)?;
				path.pop();
			}
			match last {
				Item::String([]) => Ok(()),
				last => value::<V>(last, path, visit),
			}
		}
		_ => Err("a node of neither 2 nor 17 items"),
	}
}

/// An extension or a leaf.
fn short<'a, T: BlockCodec, V: BlockCodec>(
	key: &'a [u8],
	target: Item<'a>,
	path: &mut Vec<Segment<'a>>,
	visit: &mut LinkVisitor<'_, 'a>,
) -> Result<(), Problem> {
	let (is_leaf, nibbles) = nibbles(key)?;
	let depth = path.len();
	if !nibbles.is_empty() {
		path.push(Segment::Name(nibbles.into()));
	} else if !is_leaf {
		return Err("an extension by nothing");
	}
	if is_leaf {
		value::<V>(target, path, visit)?;
	} else if !child::<T, V>(target, path, visit)? {
		return Err("an extension that leads nowhere");
	}
	path.truncate(depth);
	Ok(())
}

/// Returns whether there is a child.
fn child<'a, T: BlockCodec, V: BlockCodec>(
	item: Item<'a>,
	path: &mut Vec<Segment<'a>>,
	visit: &mut LinkVisitor<'_, 'a>,
) -> Result<bool, Problem> {
	match item {
		Item::String([]) => Ok(false),
		Item::String(hash) => {
			let hash = hash.try_into().map_err(|_| "a child that is not a hash")?;
			visit(path, link::<T>(hash));
			Ok(true)
		}
		// One byte of header and 30 of content. This also bounds the recursion.
		Item::List(items) if items.len() < 31 => {
			node::<T, V>(items, path, visit)?;
			Ok(true)
		}
		Item::List(_) => Err("a child too large to stand in its parent"),
	}
}

fn value<'a, V: BlockCodec>(
	item: Item<'a>,
	path: &[Segment<'a>],
	visit: &mut LinkVisitor<'_, 'a>,
) -> Result<(), Problem> {
	let Item::String(data) = item else {
		return Err("a value that is a list");
	};
	let scanned = V::scan(data, &mut |rest, cid| visit(&[path, rest].concat(), cid));
	scanned.map_err(|error| match error {
		CodecError::Malformed { reason, .. } => reason,
		CodecError::Unsupported { .. } => "a value of an unknown codec",
	})
}

/// A key's part in hex-prefix encoding: whether it ends at a leaf, and its nibbles as digits.
fn nibbles(encoded: &[u8]) -> Result<(bool, String), Problem> {
	let (first, rest) = encoded.split_first().ok_or("a key without a prefix")?;
	let mut digits = match first >> 4 {
		0 | 2 if first & 0xf != 0 => return Err("a key's prefix is not padded with zero"),
		0 | 2 => String::new(),
		1 | 3 => NIBBLES[usize::from(first & 0xf)].to_owned(),
		_ => return Err("a key's prefix is unknown"),
	};
	digits.push_str(&hex::encode(rest));
	Ok((first >> 5 == 1, digits))
}
