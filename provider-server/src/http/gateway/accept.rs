//! The `Accept` header ([RFC 9110, 12.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1)).

use axum::http::{header, HeaderMap};

/// A media range of an `Accept` header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaRange<'a> {
	/// `type/subtype`, as it was sent.
	kind: &'a str,
	/// Names and values, without `q` and what follows it.
	parameters: Vec<(&'a str, &'a str)>,
	/// How much it is wanted, in thousandths.
	pub quality: u16,
}

impl<'a> MediaRange<'a> {
	/// Whether it is this very type, without regard to case.
	pub fn is(&self, kind: &str) -> bool {
		self.kind.eq_ignore_ascii_case(kind)
	}

	/// A parameter's value.
	pub fn parameter(&self, name: &str) -> Option<&'a str> {
		self.parameters
			.iter()
			.find(|(found, _)| found.eq_ignore_ascii_case(name))
			.map(|(_, value)| *value)
	}

	/// Reads one range; `None` if there is no type, or a weight that is none.
	fn parse(text: &'a str) -> Option<Self> {
		let mut parts = split_unquoted(text, ';');
		let kind = parts.next()?.trim();
		if kind.is_empty() {
			return None;
		}
		let mut range = MediaRange {
			kind,
			parameters: Vec::new(),
			quality: 1000,
		};
		for part in parts {
			let Some((name, value)) = part.split_once('=') else {
				continue;
			};
			let (name, value) = (name.trim(), value.trim());
			if name.eq_ignore_ascii_case("q") {
				range.quality = quality(value)?;
				break;
			}
			// None of the parameters that matter here has a value with escapes.
			let unquoted = value
				.strip_prefix('"')
				.and_then(|value| value.strip_suffix('"'))
				.unwrap_or(value);
			range.parameters.push((name, unquoted));
		}
		Some(range)
	}
}

/// The media ranges that a request accepts, in their order.
pub fn media_ranges(headers: &HeaderMap) -> impl Iterator<Item = MediaRange<'_>> {
	headers
		.get_all(header::ACCEPT)
		.iter()
		.filter_map(|value| value.to_str().ok())
		.flat_map(|value| split_unquoted(value, ','))
		.filter_map(MediaRange::parse)
}

/// A weight from 0 to 1 with up to three decimals, in thousandths.
fn quality(text: &str) -> Option<u16> {
	let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
	if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
		return None;
	}
	let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
	match (whole, thousandths) {
		("0", thousandths) => Some(thousandths),
		("1", 0) => Some(1000),
		_ => None,
	}
}

/// The parts of `text` between `separator`s, those within quotation marks left alone.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
	let (mut quoted, mut escaped) = (false, false);
	text.split(move |character| {
		let separates = character == separator && !quoted;
		match character {
			_ if escaped => escaped = false,
			'\\' if quoted => escaped = true,
			'"' => quoted = !quoted,
			_ => {}
		}
		separates
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	fn ranges(accept: &str) -> Vec<(String, Vec<(String, String)>, u16)> {
		let mut headers = HeaderMap::new();
		headers.insert(header::ACCEPT, accept.parse().unwrap());
		let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
		media_ranges(&headers)
			.map(|range| {
				let parameters = range.parameters.iter().map(owned).collect();
				(range.kind.to_owned(), parameters, range.quality)
			})
			.collect()
	}

	#[test]
	fn lists_parameters_and_weights() {
		let read =
			ranges("text/html, application/vnd.ipld.car ; Version=1;order=\"dfs\" ;q=0.5;x=y,*/*;q=0.01");
		let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
		assert_eq!(
			read,
			[
				("text/html".to_owned(), vec![], 1000),
				(
					"application/vnd.ipld.car".to_owned(),
					vec![parameter("Version", "1"), parameter("order", "dfs")],
					500
				),
				("*/*".to_owned(), vec![], 10),
			]
		);
	}

	#[test]
	fn quotation_marks_hide_separators() {
		let read = ranges(r#"a/b;x="1,2;q=0\",c/d", e/f;q=0"#);
		let kinds: Vec<_> = read
			.iter()
			.map(|(kind, _, quality)| (&**kind, *quality))
			.collect();
		assert_eq!(kinds, [("a/b", 1000), ("e/f", 0)]);
	}

	#[test]
	fn what_is_no_range_is_passed_over() {
		assert!(ranges("").is_empty());
		assert!(ranges(" , ;q=1, ").is_empty());
		for weight in ["2", "1.001", "0.1234", "-1", "x", "0.+1", ".5", ""] {
			assert!(ranges(&format!("a/b;q={weight}")).is_empty(), "{weight}");
		}
		for (weight, thousandths) in [("1", 1000), ("1.000", 1000), ("0", 0), ("0.", 0), ("0.25", 250)] {
			assert_eq!(ranges(&format!("a/b;q={weight}"))[0].2, thousandths, "{weight}");
		}
	}

	#[test]
	fn types_and_names_have_no_case() {
		let mut headers = HeaderMap::new();
		headers.insert(header::ACCEPT, "Text/HTML;Level=1".parse().unwrap());
		let range = media_ranges(&headers).next().unwrap();
		assert!(range.is("text/html"));
		assert_eq!(range.parameter("level"), Some("1"));
	}
}
