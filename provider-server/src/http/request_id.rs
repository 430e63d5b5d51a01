//! Names of requests, which log, response and error body share.

use axum::http::HeaderMap;
use rand_core::{OsRng, RngCore};
use std::sync::{
	atomic::{AtomicU64, Ordering},
	LazyLock,
};

/// The header that carries it, in either direction.
pub(super) const HEADER: &str = "x-request-id";

/// Longest id that is taken from a client.
const MAX_LEN: usize = 64;

/// The client's own id if it sent one that is fit for a log (up to 64 of `A-Z a-z 0-9 . _ -`), so that a request
/// can be followed through several servers; else `None`.
pub fn given(headers: &HeaderMap) -> Option<&str> {
	let id = headers.get(HEADER)?.to_str().ok()?;
	let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
	(!id.is_empty() && id.len() <= MAX_LEN && id.bytes().all(fit)).then_some(id)
}

/// An id that no other request has, of this process or, most likely, of any other.
pub(super) fn fresh() -> String {
	static PROCESS: LazyLock<String> = LazyLock::new(process_name);
	static NEXT: AtomicU64 = AtomicU64::new(1);
	format!("{}-{}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Part of a process's ids. Drawn: in a container every process has the same number.
fn process_name() -> String {
	format!("{:016x}", OsRng.next_u64())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn ids_that_would_spoil_a_log_are_not_taken() {
		let longest = "a".repeat(MAX_LEN);
		for (id, taken) in [
			("7f3e-12.A_b", true),
			(&*longest, true),
			("", false),
			("a b", false),
			("a\tb", false),
			("<script>", false),
			(&*format!("{longest}a"), false),
		] {
			let mut headers = HeaderMap::new();
			headers.insert(HEADER, id.parse().unwrap());
			assert_eq!(given(&headers), taken.then_some(id), "{id}");
		}
		assert_eq!(given(&HeaderMap::new()), None);
	}

	#[test]
	fn ids_are_made_once() {
		let (one, other) = (fresh(), fresh());
		assert_ne!(one, other);
		let process = |id: &str| id.split_once('-').unwrap().0.to_owned();
		assert_eq!(process(&one), process(&other));
		assert_eq!(process(&one).len(), 16);
		// Of two processes, whatever their numbers.
		assert_ne!(process_name(), process_name());
		let mut headers = HeaderMap::new();
		headers.insert(HEADER, one.parse().unwrap());
		assert_eq!(given(&headers), Some(&*one), "other servers take it");
	}
}
