//! Reading at a position without moving a cursor.

use bytes::Bytes;
use std::{
	fs::File,
	io::{self, Read, Seek, SeekFrom},
	sync::{Arc, Mutex, PoisonError},
};

/// Bytes that can be read at any position, from several threads at once.
pub trait ReadAt {
	/// Fills `out` from `offset`.
	///
	/// # Errors
	/// [`io::ErrorKind::UnexpectedEof`] if the bytes end before `out` is full.
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()>;

	/// Number of bytes.
	///
	/// # Errors
	/// Whatever keeps the size from being known.
	fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
	#[cfg(unix)]
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		std::os::unix::fs::FileExt::read_exact_at(self, out, offset)
	}

	#[cfg(windows)]
	fn read_exact_at(&self, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
		while !out.is_empty() {
			match std::os::windows::fs::FileExt::seek_read(self, out, offset) {
				Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
				Ok(read) => {
					out = &mut out[read..];
					offset += read as u64;
				}
				Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
				Err(error) => return Err(error),
			}
		}
		Ok(())
	}

	fn size(&self) -> io::Result<u64> {
		Ok(self.metadata()?.len())
	}
}

impl ReadAt for [u8] {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		let found = usize::try_from(offset)
			.ok()
			.and_then(|start| self.get(start..))
			.and_then(|rest| rest.get(..out.len()))
			.ok_or(io::ErrorKind::UnexpectedEof)?;
		out.copy_from_slice(found);
		Ok(())
	}

	fn size(&self) -> io::Result<u64> {
		Ok(self.len() as u64)
	}
}

impl ReadAt for Vec<u8> {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		self[..].read_exact_at(out, offset)
	}
	fn size(&self) -> io::Result<u64> {
		self[..].size()
	}
}

impl ReadAt for Bytes {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		self[..].read_exact_at(out, offset)
	}
	fn size(&self) -> io::Result<u64> {
		self[..].size()
	}
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		(**self).read_exact_at(out, offset)
	}
	fn size(&self) -> io::Result<u64> {
		(**self).size()
	}
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		(**self).read_exact_at(out, offset)
	}
	fn size(&self) -> io::Result<u64> {
		(**self).size()
	}
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		(**self).read_exact_at(out, offset)
	}
	fn size(&self) -> io::Result<u64> {
		(**self).size()
	}
}

/// Anything that reads and seeks, one reader at a time.
#[derive(Debug)]
pub struct Seekable<T>(Mutex<T>);

impl<T: Read + Seek> Seekable<T> {
	/// Wraps a reader.
	pub fn new(inner: T) -> Self {
		Self(Mutex::new(inner))
	}
}

impl<T: Read + Seek> ReadAt for Seekable<T> {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		// A reader left anywhere by a panic elsewhere is of no concern: each use seeks first.
		let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
		inner.seek(SeekFrom::Start(offset))?;
		inner.read_exact(out)
	}

	fn size(&self) -> io::Result<u64> {
		self.0
			.lock()
			.unwrap_or_else(PoisonError::into_inner)
			.seek(SeekFrom::End(0))
	}
}

/// A part of something larger, as if it were alone.
#[derive(Clone, Copy, Debug)]
pub struct Window<T> {
	inner: T,
	offset: u64,
	len: u64,
}

impl<T: ReadAt> Window<T> {
	/// The `len` bytes from `offset`.
	///
	/// # Errors
	/// [`io::ErrorKind::UnexpectedEof`] if `inner` has fewer.
	pub fn new(inner: T, offset: u64, len: u64) -> io::Result<Self> {
		match offset.checked_add(len) {
			Some(end) if end <= inner.size()? => Ok(Self { inner, offset, len }),
			_ => Err(io::ErrorKind::UnexpectedEof.into()),
		}
	}

	/// Where it starts in the larger thing.
	pub fn offset(&self) -> u64 {
		self.offset
	}

	/// The larger thing.
	pub fn inner(&self) -> &T {
		&self.inner
	}
}

impl<T: ReadAt> ReadAt for Window<T> {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		match offset.checked_add(out.len() as u64) {
			// Cannot overflow: the window's end does not.
			Some(end) if end <= self.len => self.inner.read_exact_at(out, self.offset + offset),
			_ => Err(io::ErrorKind::UnexpectedEof.into()),
		}
	}

	fn size(&self) -> io::Result<u64> {
		Ok(self.len)
	}
}

/// Reads from front to back.
#[derive(Debug)]
pub(crate) struct Cursor<'a, T: ?Sized> {
	inner: &'a T,
	position: u64,
	end: u64,
}

impl<'a, T: ReadAt + ?Sized> Cursor<'a, T> {
	/// From `start` to `end`, which must not lie beyond the size.
	pub(crate) fn new(inner: &'a T, start: u64, end: u64) -> Self {
		Self {
			inner,
			position: start.min(end),
			end,
		}
	}
}

impl<T: ReadAt + ?Sized> Read for Cursor<'_, T> {
	fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
		let left = self.end - self.position;
		let len = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
		self.inner.read_exact_at(&mut out[..len], self.position)?;
		self.position += len as u64;
		Ok(len)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn every_kind_reads_alike() {
		let data: Vec<u8> = (0..100).collect();
		let mut file = tempfile::tempfile().unwrap();
		io::Write::write_all(&mut file, &data).unwrap();
		let window = Window::new([&[9; 7], &data[..], &[9; 3]].concat(), 7, 100).unwrap();
		let kinds: [Box<dyn ReadAt>; 5] = [
			Box::new(file),
			Box::new(data.clone()),
			Box::new(Bytes::from(data.clone())),
			Box::new(Seekable::new(io::Cursor::new(data.clone()))),
			Box::new(window),
		];
		for kind in kinds {
			assert_eq!(kind.size().unwrap(), 100);
			let mut out = [0; 10];
			kind.read_exact_at(&mut out, 90).unwrap();
			assert_eq!(out, data[90..]);
			kind.read_exact_at(&mut [], 100).unwrap();
			for offset in [91, 100, 101, u64::MAX] {
				let error = kind.read_exact_at(&mut out, offset).map_err(|error| error.kind());
				// A file refuses offsets that do not fit the system's signed type.
				assert!(matches!(
					error,
					Err(io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput)
				));
			}
			let mut all = Vec::new();
			Cursor::new(&kind, 5, 95).read_to_end(&mut all).unwrap();
			assert_eq!(all, data[5..95]);
		}
	}

	#[test]
	fn windows_do_not_reach_out() {
		assert!(Window::new(vec![0; 10], 5, 6).is_err());
		assert!(Window::new(vec![0; 10], u64::MAX, 2).is_err());
		assert_eq!(Window::new(vec![0; 10], 10, 0).unwrap().size().unwrap(), 0);
	}
}
