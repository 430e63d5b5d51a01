//! The heads of HTTP requests to a provider: offsets of uploads, ranges, forms of response, who asks.

use crate::{input::Input, Seed};
use axum::{
	extract::Query,
	http::{header, HeaderMap, HeaderName, HeaderValue, Method, Uri},
};
use cairn_dag::walk::EntityBytes;
use cairn_provider_api::upload::OFFSET_HEADER;
use cairn_provider_server::{
	http::request_head::{
		by_content, choose, client, content_disposition, content_location, disposition, given, media_ranges,
		media_type, not_modified, parameter, range, start, Format, Requested,
	},
	ingest::Start,
};
use std::net::{IpAddr, Ipv4Addr};

/// Reads a request's head: after the object's size and the method, the target and the fields, each on a
/// line.
pub fn request_head(data: &[u8]) {
	let mut input = Input::new(data);
	let size = input.u64();
	let method = match input.below(3) {
		0 => Method::PUT,
		1 => Method::PATCH,
		_ => Method::GET,
	};
	let mut lines = input.rest().split(|byte| *byte == b'\n');
	let target = lines.next().unwrap_or_default();
	let mut headers = HeaderMap::new();
	for line in lines.take(64) {
		let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
		let (name, value) = line.split_at(colon);
		let value = value
			.strip_prefix(b": ")
			.or(value.strip_prefix(b":"))
			.unwrap_or_default();
		if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
			headers.append(name, value);
		}
	}
	upload(&headers, &method, size);
	piece(&headers, size);
	sender(&headers);
	for media_range in media_ranges(&headers) {
		assert!(media_range.quality <= 1000);
	}
	content(&headers);
	let kind = by_content(target, size.is_multiple_of(2));
	assert!(HeaderValue::from_str(&kind).is_ok());
	if let Ok(uri) = Uri::try_from(target) {
		gateway(&headers, &uri, size);
	}
}

/// Name and type of what is uploaded.
fn content(headers: &HeaderMap) {
	if let Some(value) = headers.get(header::CONTENT_DISPOSITION) {
		if let Some(Some(name)) = content_disposition(value.as_bytes()) {
			// It can be given back.
			let said = disposition(true, Some(&name));
			assert!(HeaderValue::from_str(&said).is_ok());
			assert!(name.len() <= value.len());
		}
	}
	let kind = headers
		.get(header::CONTENT_TYPE)
		.and_then(|value| value.to_str().ok());
	if let Some(essence) = kind.and_then(media_type) {
		assert_eq!(media_type(&essence), Some(essence));
	}
}

/// Where an upload starts.
fn upload(headers: &HeaderMap, method: &Method, size: u64) {
	let by_offset = headers.contains_key(OFFSET_HEADER);
	let by_range = !by_offset && headers.contains_key(header::CONTENT_RANGE);
	match start(headers, method, size) {
		Ok((Start::At(offset), len)) => {
			assert!(by_offset || by_range);
			if by_range {
				let len = len.expect("a range has a length");
				let end = offset.checked_add(len);
				assert!(
					len > 0 && end.is_some_and(|end| end <= size),
					"a range beyond the payload"
				);
			}
		}
		Ok((Start::Fresh, _)) => assert!(!by_offset && !by_range && *method != Method::PATCH),
		Err(problem) => assert_eq!(problem.kind.http_status() / 100, 4),
	}
}

/// What part of a piece is asked for.
fn piece(headers: &HeaderMap, size: u64) {
	let etag = "\"baga.100\"";
	match range(headers, etag, size) {
		Requested::Part(part) => {
			assert!(
				part.start < part.end && part.end <= size,
				"a range beyond the object"
			);
			assert!(headers.contains_key(header::RANGE));
		}
		Requested::Nowhere => assert!(headers.contains_key(header::RANGE)),
		Requested::Whole => {}
	}
	assert!(!not_modified(headers, etag) || headers.contains_key(header::IF_NONE_MATCH));
}

/// Who asks, and under what id.
fn sender(headers: &HeaderMap) {
	let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
	assert_eq!(
		client(proxy, headers, &[]),
		Some(proxy),
		"nobody was to be trusted"
	);
	assert_ne!(client(proxy, headers, &[proxy]), Some(proxy));
	if let Some(id) = given(headers) {
		assert!(id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic()));
	}
}

/// In what form an object is asked for.
fn gateway(headers: &HeaderMap, uri: &Uri, size: u64) {
	let Ok(Query(parameters)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
		return;
	};
	for deserialized in [true, false] {
		match choose(&parameters, headers, deserialized) {
			Ok(choice) => {
				if let Format::Car(car) = choice.format {
					car.range.into_iter().for_each(|range| entity(range, size));
				} else {
					assert!(deserialized || choice.format == Format::Raw);
				}
				let location = content_location(uri, &parameters, &choice);
				if let Some(location) = location.filter(|location| location.starts_with('/')) {
					located(&location, choice.format, deserialized);
				}
			}
			Err(problem) => assert_eq!(problem.kind.http_status() / 100, 4),
		}
	}
	let name = disposition(true, parameter(&parameters, "filename"));
	assert!(name.len() < 2048 && name.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
	assert_eq!(name.bytes().filter(|byte| *byte == b'"').count() % 2, 0);
	for (_, value) in &parameters {
		if let Ok(range) = value.parse::<EntityBytes>() {
			entity(range, size);
		}
	}
}

/// The location of a response names its form without the help of a header.
fn located(location: &str, format: Format, deserialized: bool) {
	let uri: Uri = location.parse().expect("a location is a URL");
	let Query(parameters) = Query::<Vec<(String, String)>>::try_from_uri(&uri).expect("with a query");
	let again = choose(&parameters, &HeaderMap::new(), deserialized).expect("that is understood");
	assert_eq!(again.format, format);
	assert!(again.missing.is_empty());
}

/// A range of an entity lies within it, and reads back from its text.
fn entity(range: EntityBytes, size: u64) {
	assert_eq!(range.to_string().parse(), Ok(range));
	if let Some(within) = range.within(size) {
		assert!(within.end.is_some_and(|end| within.start < end && end <= size));
	}
}

/// Seeds of [`request_head`].
pub(crate) fn seeds() -> Vec<Seed> {
	let seed = |method: u8, target: &str, fields: &[&str]| {
		let mut bytes = 100u64.to_le_bytes().to_vec();
		bytes.push(method);
		bytes.extend_from_slice(target.as_bytes());
		for field in fields {
			bytes.push(b'\n');
			bytes.extend_from_slice(field.as_bytes());
		}
		bytes
	};
	let cid = "/ipfs/bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
	let car = format!("{cid}/a%20b?format=car&dag-scope=entity&entity-bytes=-10:*&car-dups=y&car-version=1");
	vec![
		("upload", seed(0, "/upload/0xab", &["content-length: 100"])),
		(
			"upload-offset",
			seed(1, "/upload/0xab", &["upload-offset: 40", "content-length: 60"]),
		),
		(
			"content-range",
			seed(0, "/upload/0xab", &["content-range: bytes 40-99/100"]),
		),
		(
			"content-range-any",
			seed(
				1,
				"/upload/0xab",
				&["content-range: bytes 0-9/*", "content-length: 10"],
			),
		),
		(
			"range",
			seed(2, "/piece/baga", &["range: bytes=0-9", "if-range: \"baga.100\""]),
		),
		(
			"suffix-range",
			seed(2, "/piece/baga", &["range: bytes=-18446744073709551615"]),
		),
		(
			"content",
			seed(
				0,
				"/api/codex/v1/data",
				&[
					"content-type: text/plain; charset=utf-8",
					"content-disposition: attachment; filename=\"a\\b\"; filename*=UTF-8'pl'%c5%bc",
				],
			),
		),
		("car", seed(2, &car, &["if-none-match: W/\"x\", *"])),
		("raw", seed(2, &format!("{cid}?format=raw"), &[])),
		(
			"accept",
			seed(
				2,
				cid,
				&["accept: text/html, application/vnd.ipld.car; version=1; order=dfs; dups=y"],
			),
		),
		(
			"accept-weights",
			seed(
				2,
				&format!("{cid}/a?filename=te%C5%BCst.pdf&download=true"),
				&["accept: application/vnd.ipld.car;order=\"a,b\", application/json;q=0.125,*/*;q=0.1"],
			),
		),
		(
			"forwarded",
			seed(
				2,
				cid,
				&[
					"x-forwarded-for: 1.2.3.4, [2001:db8::1]:80, 127.0.0.1",
					"x-request-id: a-1",
				],
			),
		),
	]
}
