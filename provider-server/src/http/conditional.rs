//! Conditional and range requests ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110), 13 and 14).

use super::problem::Failure;
use axum::http::{header, HeaderMap, Method, StatusCode};
use cairn_provider_api::{ErrorKind, Problem};
use std::ops::Range;

/// Whether the client has the object of `etag` already, by `If-None-Match`.
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
	let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
	headers
		.get_all(header::IF_NONE_MATCH)
		.iter()
		.filter_map(|value| value.to_str().ok())
		.flat_map(|value| value.split(','))
		.any(|tag| tag.trim() == "*" || weak(tag) == weak(etag))
}

/// What part of an object is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requested {
	/// All of it.
	Whole,
	/// These bytes.
	Part(Range<u64>),
	/// A range behind the object's end.
	Nowhere,
}

/// Reads `Range`, unless `If-Range` names another object. Several ranges, and what is no range of
/// bytes, are answered with the whole, as the standard allows.
pub fn range(headers: &HeaderMap, etag: &str, size: u64) -> Requested {
	let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
	let Some(spec) = text(header::RANGE).and_then(|value| value.trim().strip_prefix("bytes=")) else {
		return Requested::Whole;
	};
	// Weak tags never match here: parts of objects that are merely equivalent do not fit together. Neither
	// do dates, because nothing served here has one.
	if headers.contains_key(header::IF_RANGE)
		&& (etag.starts_with("W/") || text(header::IF_RANGE).map(str::trim) != Some(etag))
	{
		return Requested::Whole;
	}
	let Some((first, last)) = spec.trim().split_once('-') else {
		return Requested::Whole;
	};
	let (first, last) = (first.trim(), last.trim());
	// `parse` would take a sign.
	let number = |text: &str| {
		let digits = text.bytes().all(|byte| byte.is_ascii_digit());
		digits.then(|| text.parse::<u64>().ok()).flatten()
	};
	let part = match (number(first), number(last)) {
		(None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
		(Some(first), None) if last.is_empty() => first..size,
		(Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
		_ => return Requested::Whole,
	};
	if part.start < part.end {
		Requested::Part(part)
	} else {
		Requested::Nowhere
	}
}

/// The bytes of an object that a response carries, and what it says about them.
pub(super) struct Selected {
	pub status: StatusCode,
	pub bytes: Range<u64>,
	/// `accept-ranges`, `content-length` and, for a part, `content-range`.
	pub headers: Vec<(&'static str, String)>,
}

/// Chooses the bytes to answer a request with. `Range` means something for GET alone.
///
/// # Errors
/// [`ErrorKind::RangeNotSatisfiable`].
pub(super) fn select(
	method: &Method,
	headers: &HeaderMap,
	etag: &str,
	size: u64,
) -> Result<Selected, Failure> {
	let requested = if method == Method::GET {
		range(headers, etag, size)
	} else {
		Requested::Whole
	};
	let mut answer = vec![("accept-ranges", "bytes".to_owned())];
	let (status, bytes) = match requested {
		Requested::Whole => (StatusCode::OK, 0..size),
		Requested::Part(part) => {
			answer.push((
				"content-range",
				format!("bytes {}-{}/{size}", part.start, part.end - 1),
			));
			(StatusCode::PARTIAL_CONTENT, part)
		}
		Requested::Nowhere => {
			let problem = Problem::new(
				ErrorKind::RangeNotSatisfiable,
				format!("the object has {size} bytes"),
			)
			.hint("ask for a range that begins within them");
			return Err(Failure::from(problem).header("content-range", format!("bytes */{size}")));
		}
	};
	answer.push(("content-length", (bytes.end - bytes.start).to_string()));
	Ok(Selected {
		status,
		bytes,
		headers: answer,
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	fn asked(range_text: &str, if_range: Option<&str>) -> Requested {
		let mut headers = HeaderMap::new();
		headers.insert(header::RANGE, range_text.parse().unwrap());
		if let Some(tag) = if_range {
			headers.insert(header::IF_RANGE, tag.parse().unwrap());
		}
		range(&headers, "\"tag\"", 100)
	}

	#[test]
	fn ranges() {
		assert_eq!(asked("bytes=0-9", None), Requested::Part(0..10));
		assert_eq!(asked("bytes=90-", None), Requested::Part(90..100));
		assert_eq!(asked("bytes=-10", None), Requested::Part(90..100));
		assert_eq!(asked("bytes=-1000", None), Requested::Part(0..100));
		assert_eq!(asked("bytes=90-1000", None), Requested::Part(90..100));
		assert_eq!(
			asked("bytes=0-18446744073709551615", None),
			Requested::Part(0..100)
		);
		assert_eq!(asked("bytes=100-", None), Requested::Nowhere);
		assert_eq!(asked("bytes=-0", None), Requested::Nowhere);
		for whole in [
			"bytes=5-1",
			"bytes=a-b",
			"bytes=0-1,5-9",
			"items=0-1",
			"bytes=-",
			"bytes",
			"bytes=+1-5",
			"bytes=1-+5",
		] {
			assert_eq!(asked(whole, None), Requested::Whole, "{whole}");
		}
	}

	#[test]
	fn a_range_of_another_object_is_ignored() {
		assert_eq!(asked("bytes=0-9", Some("\"tag\"")), Requested::Part(0..10));
		for other in ["\"other\"", "W/\"tag\"", "Thu, 26 Nov 2026 16:00:00 GMT"] {
			assert_eq!(asked("bytes=0-9", Some(other)), Requested::Whole, "{other}");
		}
		let mut headers = HeaderMap::new();
		headers.insert(header::RANGE, "bytes=0-9".parse().unwrap());
		headers.insert(header::IF_RANGE, "W/\"tag\"".parse().unwrap());
		assert_eq!(range(&headers, "W/\"tag\"", 100), Requested::Whole);
	}

	#[test]
	fn ranges_are_for_get() {
		let mut headers = HeaderMap::new();
		headers.insert(header::RANGE, "bytes=10-19".parse().unwrap());
		let part = select(&Method::GET, &headers, "\"tag\"", 100).unwrap();
		assert_eq!((part.status, part.bytes), (StatusCode::PARTIAL_CONTENT, 10..20));
		let whole = select(&Method::HEAD, &headers, "\"tag\"", 100).unwrap();
		assert_eq!((whole.status, whole.bytes), (StatusCode::OK, 0..100));
		headers.insert(header::RANGE, "bytes=100-".parse().unwrap());
		let Err(failure) = select(&Method::GET, &headers, "\"tag\"", 100) else {
			panic!("beyond the end");
		};
		assert_eq!(failure.kind(), ErrorKind::RangeNotSatisfiable);
	}

	#[test]
	fn conditional_requests() {
		let mut headers = HeaderMap::new();
		assert!(!not_modified(&headers, "\"a\""));
		headers.insert(header::IF_NONE_MATCH, "\"b\", W/\"a\"".parse().unwrap());
		assert!(not_modified(&headers, "\"a\""));
		assert!(not_modified(&headers, "W/\"b\""));
		assert!(!not_modified(&headers, "\"c\""));
		headers.insert(header::IF_NONE_MATCH, "*".parse().unwrap());
		assert!(not_modified(&headers, "\"c\""));
	}
}
