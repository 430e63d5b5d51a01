//! Reading choices out of a fuzzer's bytes.

/// Takes values from the front of the bytes. Where they end, everything is zero, so that a short input is a
/// valid one and a fuzzer loses nothing by cutting.
pub struct Input<'a> {
	rest: &'a [u8],
}

impl<'a> Input<'a> {
	/// All of `data`.
	pub fn new(data: &'a [u8]) -> Self {
		Input { rest: data }
	}

	/// The next byte.
	pub fn byte(&mut self) -> u8 {
		let [byte] = self.array();
		byte
	}

	/// A number below `end`, which is at most 256 and not zero.
	pub fn below(&mut self, end: usize) -> usize {
		usize::from(self.byte()) % end
	}

	/// Two bytes, little-endian.
	pub fn u16(&mut self) -> u16 {
		u16::from_le_bytes(self.array())
	}

	/// Four bytes, little-endian.
	pub fn u32(&mut self) -> u32 {
		u32::from_le_bytes(self.array())
	}

	/// Eight bytes, little-endian.
	pub fn u64(&mut self) -> u64 {
		u64::from_le_bytes(self.array())
	}

	/// The next `N` bytes.
	pub fn array<const N: usize>(&mut self) -> [u8; N] {
		let taken = self.bytes(N);
		let mut array = [0; N];
		array[..taken.len()].copy_from_slice(taken);
		array
	}

	/// At most `len` bytes: fewer where the input ends.
	pub fn bytes(&mut self, len: usize) -> &'a [u8] {
		let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
		self.rest = rest;
		taken
	}

	/// Everything that is left.
	pub fn rest(self) -> &'a [u8] {
		self.rest
	}

	/// Whether nothing is left.
	pub fn is_empty(&self) -> bool {
		self.rest.is_empty()
	}
}

/// Changes `original` as `input` says: first how many bytes are cut off (or appended, if negative), then
/// triples of a position (two bytes) and what is added to the byte there by exclusive or.
pub fn edited(original: &[u8], input: Input) -> Vec<u8> {
	let mut input = input;
	let mut bytes = original.to_vec();
	let cut = input.byte() as i8;
	match usize::try_from(cut) {
		Ok(cut) => bytes.truncate(bytes.len().saturating_sub(cut)),
		Err(_) => bytes.resize(bytes.len() + usize::from(cut.unsigned_abs()), 0),
	}
	while !input.is_empty() {
		let (position, change) = (usize::from(input.u16()), input.byte());
		// Positions beyond the end are taken round, so that most edits count.
		let len = bytes.len().max(1);
		if let Some(byte) = bytes.get_mut(position % len) {
			*byte ^= change;
		}
	}
	bytes
}
