//! Writes the runtime's metadata (version 16, SCALE) to the path given: what `cargo xtask metadata`
//! runs to refresh the client's copy.

use std::{env, fs, io};

fn main() -> io::Result<()> {
	let path = env::args().nth(1).ok_or_else(|| io::Error::other("usage: metadata PATH"))?;
	let metadata = cairn_runtime::Runtime::metadata_at_version(16)
		.ok_or_else(|| io::Error::other("the runtime has no metadata version 16"))?;
	let bytes: Vec<u8> = metadata.into();
	fs::write(path, bytes)
}
