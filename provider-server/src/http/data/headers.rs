//! What request headers say about the data that follows.

use crate::data::uploads::Terms;
use axum::http::{header, HeaderMap};
use cairn_provider_api::{ErrorKind, Problem};
use percent_encoding::percent_decode_str;

/// Where in the data a request's body belongs.
pub(super) const UPLOAD_OFFSET: &str = "upload-offset";
/// Whether the data ends with a request's body.
pub(super) const UPLOAD_COMPLETE: &str = "upload-complete";
/// Bytes of the data.
pub(super) const UPLOAD_LENGTH: &str = "upload-length";
/// What the server allows.
pub(super) const UPLOAD_LIMIT: &str = "upload-limit";

/// Longest file name, in bytes, of most file systems.
const MAX_FILENAME: usize = 255;
/// Longest media type that is kept.
const MAX_MEDIA_TYPE: usize = 255;

/// How much of a media type must be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaTypes {
	/// Well-formed is enough.
	Any,
	/// It must be one that files have, as Codex wants it.
	Known,
}

/// Name and type of the data that a request brings.
///
/// # Errors
/// [`ErrorKind::Unprocessable`].
pub(super) fn terms(headers: &HeaderMap, types: MediaTypes) -> Result<Terms, Problem> {
	let filename = match headers.get(header::CONTENT_DISPOSITION) {
		None => None,
		Some(value) => content_disposition(value.as_bytes()).ok_or_else(|| {
			unprocessable(
				"content-disposition cannot be read",
				"write `attachment; filename=\"name\"`",
			)
		})?,
	};
	if let Some(name) = &filename {
		if !is_filename(name) {
			return Err(unprocessable(
				"The filename is not valid.",
				"leave out the folder, and characters that no file can have in its name on some system",
			));
		}
	}
	let mimetype = match headers.get(header::CONTENT_TYPE) {
		None => None,
		Some(value) if value.is_empty() => None,
		Some(value) => {
			let text = value.to_str().unwrap_or("?");
			let essence = media_type(text).filter(|essence| {
				types == MediaTypes::Any || mime_guess::get_mime_extensions_str(essence).is_some()
			});
			if essence.is_none() {
				let shown: String = text.chars().take(80).collect();
				return Err(unprocessable(
					&format!("The MIME type '{shown}' is not valid."),
					"name the data's media type, such as application/octet-stream, or leave content-type out",
				));
			}
			Some(text.to_owned())
		}
	};
	Ok(Terms {
		filename,
		mimetype,
		..Terms::default()
	})
}

fn unprocessable(message: &str, hint: &str) -> Problem {
	Problem::new(ErrorKind::Unprocessable, message).hint(hint)
}

/// The essence (`type/subtype`, in lower case) of a media type, if the text is a well-formed one.
pub fn media_type(text: &str) -> Option<String> {
	if text.len() > MAX_MEDIA_TYPE {
		return None;
	}
	let parsed: mime::Mime = text.parse().ok()?;
	// `*` is for what a client takes, not for what it gives; the library lets an empty subtype pass.
	let named = |part: mime::Name<'_>| part != mime::STAR && !part.as_str().is_empty();
	(named(parsed.type_()) && named(parsed.subtype())).then(|| parsed.essence_str().to_owned())
}

/// The file name in a `content-disposition` (RFC 6266): `None` if the text is malformed, `Some(None)` if it names
/// none. `filename*` goes before `filename`.
pub fn content_disposition(value: &[u8]) -> Option<Option<String>> {
	let text = std::str::from_utf8(value).ok()?;
	let (kind, mut rest) = match text.split_once(';') {
		Some((kind, rest)) => (kind, rest.trim()),
		None => (text, ""),
	};
	if !is_token(kind.trim()) {
		return None;
	}
	let (mut plain, mut extended) = (None, None);
	while !rest.is_empty() {
		let (name, value) = rest.split_once('=')?;
		let name = name.trim();
		if !is_token(name) {
			return None;
		}
		let value = value.trim_start();
		let (parameter, after) = match value.strip_prefix('"') {
			Some(quoted) => unquote(quoted)?,
			None => {
				let end = value.find(';').unwrap_or(value.len());
				let (token, after) = value.split_at(end);
				if !is_token(token.trim()) {
					return None;
				}
				(token.trim().to_owned(), after)
			}
		};
		if name.eq_ignore_ascii_case("filename") {
			plain = plain.or(Some(parameter));
		} else if name.eq_ignore_ascii_case("filename*") {
			extended = extended.or(Some(decode_extended(&parameter)?));
		}
		let after = after.trim_start();
		rest = match after.strip_prefix(';') {
			Some(next) => next.trim(),
			None if after.is_empty() => "",
			None => return None,
		};
	}
	Some(extended.or(plain))
}

/// A quoted string after its opening quote, and what follows the closing one.
fn unquote(text: &str) -> Option<(String, &str)> {
	let mut value = String::new();
	let mut characters = text.char_indices();
	while let Some((at, character)) = characters.next() {
		match character {
			'"' => return Some((value, &text[at + 1..])),
			'\\' => value.push(characters.next()?.1),
			character => value.push(character),
		}
	}
	None
}

/// `UTF-8'language'percent-encoded` (RFC 8187).
fn decode_extended(text: &str) -> Option<String> {
	let mut parts = text.splitn(3, '\'');
	let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
	if !charset.eq_ignore_ascii_case("utf-8") {
		return None;
	}
	let decoded = percent_decode_str(encoded).decode_utf8().ok()?;
	Some(decoded.into_owned())
}

/// A token of RFC 9110, with the `'` and `%` of extended values.
fn is_token(text: &str) -> bool {
	let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
	!text.is_empty() && text.bytes().all(is_tchar)
}

/// Whether a file can have this name on every system: as Codex decides it.
fn is_filename(name: &str) -> bool {
	let forbidden = |character: char| character.is_control() || "/\\:*?\"<>|^".contains(character);
	!name.is_empty()
		&& name.len() <= MAX_FILENAME
		&& name.trim() == name
		&& !name.ends_with('.')
		&& !name.chars().any(forbidden)
		&& !is_device(name)
}

/// Names that Windows keeps for devices, with any extension.
fn is_device(name: &str) -> bool {
	let stem = name.split('.').next().unwrap_or(name).to_ascii_uppercase();
	let numbered = |kind: &str| {
		stem.strip_prefix(kind)
			.is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'9']))
	};
	matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// A non-negative integer in a header; `None` if the header is absent.
///
/// # Errors
/// [`ErrorKind::Malformed`].
pub(super) fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, Problem> {
	let Some(value) = headers.get(name) else {
		return Ok(None);
	};
	let digits = value
		.to_str()
		.ok()
		.map(str::trim)
		.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
	digits
		.and_then(|text| text.parse().ok())
		.map(Some)
		.ok_or_else(|| malformed(name, "a number of bytes"))
}

/// A boolean structured field (`?1`, `?0`); `None` if the header is absent.
///
/// # Errors
/// [`ErrorKind::Malformed`].
pub(super) fn boolean(headers: &HeaderMap, name: &'static str) -> Result<Option<bool>, Problem> {
	match headers.get(name).map(|value| value.to_str().unwrap_or("").trim()) {
		None => Ok(None),
		Some("?1") => Ok(Some(true)),
		Some("?0") => Ok(Some(false)),
		Some(_) => Err(malformed(name, "?1 or ?0")),
	}
}

fn malformed(name: &str, form: &str) -> Problem {
	Problem::new(ErrorKind::Malformed, format!("{name} is malformed")).hint(format!("write it as {form}"))
}

#[cfg(test)]
mod tests {
	use super::*;

	fn parse(name: &'static str, value: &str, types: MediaTypes) -> Result<Terms, ErrorKind> {
		let mut headers = HeaderMap::new();
		headers.insert(
			name,
			axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
		);
		terms(&headers, types).map_err(|problem| problem.kind)
	}

	#[test]
	fn file_names() {
		for (value, name) in [
			("attachment; filename=\"example.txt\"", Some("example.txt")),
			("attachment;filename=example.txt", Some("example.txt")),
			("attachment; FileName = \"a b\" ; x=y", Some("a b")),
			("inline; filename=\"a\\bc;=d\"", Some("abc;=d")),
			(
				"attachment; filename=\"plain\"; filename*=UTF-8''%c5%bc.txt",
				Some("ż.txt"),
			),
			(
				"attachment; filename*=utf-8'pl'%c5%bc; filename=\"plain\"",
				Some("ż"),
			),
			("attachment; filename=\"żółw\"", Some("żółw")),
			("attachment; filename=\"console\"", Some("console")),
			("attachment; filename=\".hidden\"", Some(".hidden")),
			("attachment", None),
			("attachment; x=\"y\"", None),
		] {
			let parsed = parse("content-disposition", value, MediaTypes::Any).unwrap();
			assert_eq!(parsed.filename.as_deref(), name, "{value}");
		}
		let long = format!("attachment; filename=\"{}\"", "a".repeat(256));
		for value in [
			"attachment; filename=\"exam*ple.txt\"",
			"attachment; filename=\"\"",
			"attachment; filename=\"../etc/passwd\"",
			"attachment; filename=\"a\\\\b\"",
			"attachment; filename=\"..\"",
			"attachment; filename=\" a\"",
			"attachment; filename=\"con.txt\"",
			"attachment; filename=\"LPT1\"",
			"attachment; filename*=UTF-8''%0d%0aset-cookie",
			"attachment; filename*=UTF-8''%ff",
			"attachment; filename*=latin1''a",
			"attachment; filename=\"open",
			"attachment; filename=\"a\" b",
			"attachment; filename",
			"attachment; filename=a b",
			"",
			&long,
		] {
			let outcome = parse("content-disposition", value, MediaTypes::Any);
			assert_eq!(outcome, Err(ErrorKind::Unprocessable), "{value}");
		}
	}

	#[test]
	fn media_types() {
		for (value, any, known) in [
			("text/plain", true, true),
			("text/plain; charset=utf-8", true, true),
			("application/octet-stream", true, true),
			("image/PNG", true, true),
			("application/vnd.of.ours+json", true, false),
			("hello/world", true, false),
			("hello", false, false),
			("text/", false, false),
			("*/*", false, false),
			("text/*", false, false),
			("text/plain\u{e9}", false, false),
		] {
			for (types, accepted) in [(MediaTypes::Any, any), (MediaTypes::Known, known)] {
				let outcome = parse("content-type", value, types);
				match accepted {
					true => assert_eq!(outcome.unwrap().mimetype.as_deref(), Some(value)),
					false => assert_eq!(outcome, Err(ErrorKind::Unprocessable), "{value}"),
				}
			}
		}
		assert_eq!(
			parse("content-type", "", MediaTypes::Known).unwrap().mimetype,
			None
		);
	}

	#[test]
	fn numbers_and_booleans() {
		let of = |value: &str| {
			let mut headers = HeaderMap::new();
			headers.insert(UPLOAD_OFFSET, value.parse().unwrap());
			let kind = |problem: Problem| problem.kind;
			(
				number(&headers, UPLOAD_OFFSET).map_err(kind),
				boolean(&headers, UPLOAD_OFFSET).map_err(kind),
			)
		};
		let no = Err(ErrorKind::Malformed);
		assert_eq!(of("17"), (Ok(Some(17)), Err(ErrorKind::Malformed)));
		assert_eq!(of("?1"), (no, Ok(Some(true))));
		assert_eq!(of("?0").1, Ok(Some(false)));
		for wrong in ["", "-1", "+1", "1.0", "99999999999999999999", "?2", "true"] {
			assert_eq!(
				of(wrong),
				(Err(ErrorKind::Malformed), Err(ErrorKind::Malformed)),
				"{wrong}"
			);
		}
		assert_eq!(number(&HeaderMap::new(), UPLOAD_OFFSET).unwrap(), None);
	}
}
