//! Checksums of large files, on all cores.

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 1 << 20;

/// SHA-256 over the SHA-256 of each 1 MiB.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 32] {
	let digests: Vec<[u8; 32]> = bytes
		.par_chunks(CHUNK)
		.map(|chunk| Sha256::digest(chunk).into())
		.collect();
	Sha256::digest(digests.as_flattened()).into()
}

/// The same over the first `len` bytes of a file.
pub(crate) fn checksum_of_file(file: &File, len: u64) -> io::Result<[u8; 32]> {
	let digests = (0..len.div_ceil(CHUNK as u64))
		.into_par_iter()
		.map_init(
			|| vec![0u8; CHUNK],
			|buffer, i| {
				let from = i * CHUNK as u64;
				let chunk = &mut buffer[..(len - from).min(CHUNK as u64) as usize];
				file.read_exact_at(chunk, from)?;
				Ok(Sha256::digest(chunk).into())
			},
		)
		.collect::<io::Result<Vec<[u8; 32]>>>()?;
	Ok(Sha256::digest(digests.as_flattened()).into())
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::io::Write;

	#[test]
	fn memory_and_file_agree() {
		for len in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK - 1] {
			let bytes: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
			let mut file = tempfile::tempfile().unwrap();
			file.write_all(&bytes).unwrap();
			assert_eq!(checksum_of_file(&file, len as u64).unwrap(), checksum(&bytes));
		}
	}
}
