//! What a file is, by its name or else by how it begins.

use serde::de::IgnoredAny;

/// Bytes of a file that are looked at.
pub const SNIFFED: u64 = 4096;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
const SVG: &str = "image/svg+xml";

/// The media type that goes with a name's extension.
pub fn by_name(name: &str) -> Option<String> {
	mime_guess::from_path(name).first_raw().map(with_charset)
}

/// The media type of a file that begins with `start`; `whole` says that this is all of it.
pub fn by_content(start: &[u8], whole: bool) -> String {
	let text = as_text(start, whole);
	if text.is_some_and(is_svg) {
		return SVG.to_owned();
	}
	if let Some(kind) = infer::get(start) {
		return with_charset(kind.mime_type());
	}
	match text {
		// Only what is whole can be seen to be JSON, and not to merely begin like it.
		Some(text) if whole && is_json(text) => "application/json".to_owned(),
		Some(text) if !text.is_empty() => TEXT.to_owned(),
		_ => BINARY.to_owned(),
	}
}

/// What is text on the web today is UTF-8, and guessing the encoding is what `nosniff` forbids.
fn with_charset(kind: &str) -> String {
	if kind.starts_with("text/") {
		format!("{kind}; charset=utf-8")
	} else {
		kind.to_owned()
	}
}

/// The bytes as text, if they are UTF-8 without control characters. The last character may be cut.
fn as_text(start: &[u8], whole: bool) -> Option<&str> {
	let text = match std::str::from_utf8(start) {
		Ok(text) => text,
		Err(error) if !whole && error.error_len().is_none() => {
			std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
		}
		Err(_) => return None,
	};
	let is_plain = |character: char| {
		!character.is_control() || matches!(character, '\t' | '\n' | '\r' | '\x0c' | '\x1b')
	};
	text.chars().all(is_plain).then_some(text)
}

fn is_svg(text: &str) -> bool {
	let text = text.trim_start_matches('\u{feff}').trim_start();
	text.starts_with("<svg")
		|| ((text.starts_with("<?xml") || text.starts_with("<!--") || text.starts_with("<!DOCTYPE svg"))
			&& text.contains("<svg"))
}

fn is_json(text: &str) -> bool {
	text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn names() {
		for (name, kind) in [
			("a.html", Some("text/html; charset=utf-8")),
			("A.HTML", Some("text/html; charset=utf-8")),
			("a.b.css", Some("text/css; charset=utf-8")),
			("a.js", Some("text/javascript; charset=utf-8")),
			("a.json", Some("application/json")),
			("a.svg", Some("image/svg+xml")),
			("a.png", Some("image/png")),
			("a.mp4", Some("video/mp4")),
			("a.wasm", Some("application/wasm")),
			("README", None),
			("", None),
			(".html", None),
			("a.", None),
			("a.unheard-of", None),
		] {
			assert_eq!(by_name(name).as_deref(), kind, "{name}");
		}
	}

	#[test]
	fn contents() {
		for (start, kind) in [
			(&b"\x89PNG\r\n\x1a\n\0\0"[..], "image/png"),
			(b"%PDF-1.7", "application/pdf"),
			(b"<!DOCTYPE html><title>x", "text/html; charset=utf-8"),
			(b"<?xml version=\"1.0\"?><a/>", "text/xml; charset=utf-8"),
			(b"<?xml version=\"1.0\"?>\n<svg xmlns=\"\"/>", "image/svg+xml"),
			(b"<svg xmlns=\"\"/>", "image/svg+xml"),
			(b"hello\n", TEXT),
			("zażółć".as_bytes(), TEXT),
			(b"{\"a\": [1]}", "application/json"),
			(b"{\"a\": [1]", TEXT),
			(b"1", TEXT),
			(b"", BINARY),
			(b"a\0b", BINARY),
			(b"\xff\xfe\x80", BINARY),
		] {
			assert_eq!(by_content(start, true), kind, "{start:?}");
		}
		// A cut character is no flaw where more follows, and JSON is not known before its end.
		assert_eq!(by_content(b"za\xc5", false), TEXT);
		assert_eq!(by_content(b"za\xc5", true), BINARY);
		assert_eq!(by_content(b"{}", false), TEXT);
	}
}
