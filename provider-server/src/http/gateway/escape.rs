//! Names out of DAGs in HTML, URLs and header fields.

use axum::http::Uri;
use percent_encoding::{percent_encode, AsciiSet, PercentEncode, CONTROLS, NON_ALPHANUMERIC};
use std::fmt::{self, Write};

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
	.remove(b'-')
	.remove(b'.')
	.remove(b'_')
	.remove(b'~');

/// A text in HTML, within or without quotation marks.
pub(super) struct Html<'a>(pub &'a str);

impl fmt::Display for Html<'_> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		for character in self.0.chars() {
			match character {
				'&' => f.write_str("&amp;")?,
				'<' => f.write_str("&lt;")?,
				'>' => f.write_str("&gt;")?,
				'"' => f.write_str("&quot;")?,
				'\'' => f.write_str("&#39;")?,
				// No text in HTML can hold it.
				'\0' => f.write_char(char::REPLACEMENT_CHARACTER)?,
				_ => f.write_char(character)?,
			}
		}
		Ok(())
	}
}

/// A name as a segment of a URL's path, or as a value in its query.
pub(super) fn segment(name: &str) -> PercentEncode<'_> {
	percent_encode(name.as_bytes(), SEGMENT)
}

/// The path of a URL in ASCII. The HTTP library lets UTF-8 through; header fields do not.
pub(super) fn uri_path(uri: &Uri) -> String {
	percent_encode(uri.path().as_bytes(), CONTROLS).to_string()
}

/// Longest file name that is suggested to a client, in bytes: what file systems take.
const MAX_FILE_NAME: usize = 255;

/// The value of `Content-Disposition`. A name that is not ASCII is there twice, for old clients with `_` in the
/// place of other characters ([RFC 6266](https://www.rfc-editor.org/rfc/rfc6266)).
pub fn disposition(attachment: bool, file_name: Option<&str>) -> String {
	let kind = if attachment { "attachment" } else { "inline" };
	let Some(name) = file_name else {
		return kind.to_owned();
	};
	let name = &name[..name.floor_char_boundary(MAX_FILE_NAME)];
	// What separates folders somewhere is no part of a name.
	let plain = |character: char| match character {
		'/' | '\\' => '_',
		character if character.is_control() => '_',
		character => character,
	};
	let name: String = name.chars().map(plain).collect();
	let ascii = |character: char| match character {
		'"' => '_',
		character if character.is_ascii() => character,
		_ => '_',
	};
	let fallback: String = name.chars().map(ascii).collect();
	if fallback == name {
		format!("{kind}; filename=\"{name}\"")
	} else {
		format!(
			"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{}",
			segment(&name)
		)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn html() {
		let hostile = "<script>alert('&\"')</script>\0";
		let escaped = Html(hostile).to_string();
		assert_eq!(
			escaped,
			"&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;\u{fffd}"
		);
	}

	#[test]
	fn segments() {
		assert_eq!(
			segment("a b/..?#%\"'<\u{105}").to_string(),
			"a%20b%2F..%3F%23%25%22%27%3C%C4%85"
		);
		assert_eq!(segment("a-b._~9").to_string(), "a-b._~9");
	}

	#[test]
	fn dispositions() {
		assert_eq!(disposition(true, None), "attachment");
		assert_eq!(
			disposition(false, Some("a b.txt")),
			"inline; filename=\"a b.txt\""
		);
		// The specification's example.
		assert_eq!(
			disposition(false, Some("testтест.pdf")),
			"inline; filename=\"test____.pdf\"; filename*=UTF-8''test%D1%82%D0%B5%D1%81%D1%82.pdf"
		);
		assert_eq!(
			disposition(true, Some("../../a\"b\r\nset-cookie: x")),
			"attachment; filename=\".._.._a_b__set-cookie: x\"; filename*=UTF-8''.._.._a%22b__set-cookie%3A%20x"
		);
		let long = disposition(true, Some(&"ą".repeat(1000)));
		assert!(long.len() < 1200, "{}", long.len());
		for text in ["\u{7f}", "\u{85}", "\u{2028}", "\u{202e}", "\0"] {
			let value = disposition(true, Some(text));
			assert!(
				value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
				"{value:?}"
			);
		}
	}
}
