//! From padded data back to payload.

use cairn_primitives::fr32::{unpad_group, GROUP_PADDED, GROUP_PAYLOAD};
use std::io::{self, Write};

/// Takes padded data and passes on its payload, up to a length.
pub(crate) struct PayloadWriter<W> {
	inner: W,
	/// Payload bytes still to come.
	left: u64,
	/// An incomplete group.
	pending: Vec<u8>,
}

impl<W: Write> PayloadWriter<W> {
	pub fn new(inner: W, payload_size: u64) -> Self {
		PayloadWriter {
			inner,
			left: payload_size,
			pending: Vec::new(),
		}
	}

	pub fn into_inner(self) -> W {
		self.inner
	}
}

impl<W: Write> Write for PayloadWriter<W> {
	fn write(&mut self, padded: &[u8]) -> io::Result<usize> {
		self.pending.extend_from_slice(padded);
		let (groups, rest) = self.pending.as_chunks::<GROUP_PADDED>();
		let mut payload = vec![0u8; groups.len() * GROUP_PAYLOAD];
		for (group, out) in groups.iter().zip(payload.as_chunks_mut::<GROUP_PAYLOAD>().0) {
			unpad_group(group, out);
		}
		let rest = rest.to_vec();
		self.pending = rest;
		payload.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
		self.left -= payload.len() as u64;
		self.inner.write_all(&payload)?;
		Ok(padded.len())
	}

	fn flush(&mut self) -> io::Result<()> {
		self.inner.flush()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::commp::pad_zero_filled;

	#[test]
	fn payload_comes_back_however_it_is_cut() {
		for len in [1usize, 127, 128, 1000] {
			let payload: Vec<u8> = (0..len).map(|i| (i * 3) as u8).collect();
			let mut padded = vec![0; len.div_ceil(127) * 128 + 256];
			pad_zero_filled(&payload, &mut padded);
			for cut in [1, 50, 128, 4096] {
				let mut writer = PayloadWriter::new(Vec::new(), len as u64);
				for part in padded.chunks(cut) {
					writer.write_all(part).unwrap();
				}
				assert_eq!(writer.into_inner(), payload);
			}
		}
	}
}
