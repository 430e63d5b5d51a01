use super::*;
use axum::http::header;

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
	query
		.iter()
		.map(|(name, value)| (name.to_string(), value.to_string()))
		.collect()
}

fn accepting(accept: Option<&str>) -> HeaderMap {
	let mut headers = HeaderMap::new();
	if let Some(accept) = accept {
		headers.insert(header::ACCEPT, accept.parse().unwrap());
	}
	headers
}

fn chosen(query: &[(&str, &str)], accept: Option<&str>) -> Result<Format, ErrorKind> {
	choose(&pairs(query), &accepting(accept), true)
		.map(|choice| choice.format)
		.map_err(|problem| problem.kind)
}

fn trustless(query: &[(&str, &str)], accept: Option<&str>) -> Result<Format, ErrorKind> {
	choose(&pairs(query), &accepting(accept), false)
		.map(|choice| choice.format)
		.map_err(|problem| problem.kind)
}

const RAW: &str = crate::http::gateway::RAW;
const CAR: &str = crate::http::gateway::CAR;
const WHOLE: Car = Car {
	scope: Scope::All,
	range: None,
	duplicates: false,
};
const REPEATING: Car = Car {
	duplicates: true,
	..WHOLE
};

#[test]
fn formats_by_query() {
	for (text, format) in [
		("raw", Format::Raw),
		("car", Format::Car(WHOLE)),
		("tar", Format::Tar),
		("dag-json", Format::DagJson),
		("dag-cbor", Format::DagCbor),
		("json", Format::Json),
		("cbor", Format::Cbor),
	] {
		// The query wins over the header.
		for accept in [None, Some("text/html"), Some(RAW), Some("*/*;q=0")] {
			assert_eq!(
				chosen(&[("format", text)], accept),
				Ok(format),
				"{text} {accept:?}"
			);
		}
	}
	assert_eq!(chosen(&[], None), Ok(Format::Deserialized));
	assert_eq!(chosen(&[("format", "zip")], None), Err(ErrorKind::NotAcceptable));
	assert_eq!(chosen(&[("format", "")], None), Err(ErrorKind::NotAcceptable));
	assert_eq!(
		chosen(&[("format", "ipns-record")], None),
		Err(ErrorKind::Malformed)
	);
	let twice = [("format", "raw"), ("format", "car")];
	assert_eq!(chosen(&twice, None), Ok(Format::Raw), "the first counts");
}

#[test]
fn formats_by_accept() {
	for (accept, format) in [
		(RAW, Format::Raw),
		(CAR, Format::Car(WHOLE)),
		("application/x-tar", Format::Tar),
		("application/vnd.ipld.dag-json", Format::DagJson),
		("application/vnd.ipld.dag-cbor", Format::DagCbor),
		("application/json", Format::Json),
		("application/cbor", Format::Cbor),
		("APPLICATION/VND.IPLD.RAW", Format::Raw),
		("*/*", Format::Deserialized),
		(
			"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
			Format::Deserialized,
		),
		("image/avif,image/webp,*/*", Format::Deserialized),
		// A named form is meant where one is named.
		("text/html, application/vnd.ipld.raw", Format::Raw),
		("foo, application/vnd.ipld.dag-json,bar", Format::DagJson),
		("text/html, application/vnd.ipld.raw;q=0.9", Format::Deserialized),
		("text/html;q=0.5, application/vnd.ipld.raw;q=0.9", Format::Raw),
		(
			"application/vnd.ipld.raw;q=0.5, application/vnd.ipld.car;q=0.6",
			Format::Car(WHOLE),
		),
		("application/vnd.ipld.raw, application/vnd.ipld.car", Format::Raw),
		("application/vnd.ipld.raw;q=0, */*", Format::Deserialized),
		(
			"text/html, application/vnd.ipld.car; version=1; order=dfs; dups=y",
			Format::Car(REPEATING),
		),
		// The specification's example: the first choice is not on offer.
		(
			"application/vnd.ipld.car;order=foo, application/vnd.ipld.car;order=dfs;dups=y;q=0.5",
			Format::Car(REPEATING),
		),
	] {
		assert_eq!(chosen(&[], Some(accept)), Ok(format), "{accept}");
	}
	assert_eq!(chosen(&[], Some("*/*;q=0")), Err(ErrorKind::NotAcceptable));
	for variant in ["order=foo", "version=2", "dups=maybe"] {
		let accept = format!("{CAR};{variant}");
		assert_eq!(
			chosen(&[], Some(&accept)),
			Err(ErrorKind::NotAcceptable),
			"{variant}"
		);
	}
	assert_eq!(
		chosen(&[], Some("application/vnd.ipfs.ipns-record")),
		Err(ErrorKind::Malformed)
	);
}

#[test]
fn html_is_noticed() {
	let html = |accept| choose(&[], &accepting(Some(accept)), true).unwrap().html;
	assert!(html("text/html"));
	assert!(html("application/json;q=0.1, Text/HTML;q=0.2"));
	assert!(!html("*/*"));
	assert!(!html("text/html;q=0, */*"));
}

#[test]
fn a_trustless_gateway_serves_what_can_be_verified() {
	assert_eq!(trustless(&[("format", "raw")], None), Ok(Format::Raw));
	assert_eq!(trustless(&[], Some(CAR)), Ok(Format::Car(WHOLE)));
	assert_eq!(
		trustless(
			&[],
			Some("text/html, application/json, application/vnd.ipld.raw;q=0.1")
		),
		Ok(Format::Raw)
	);
	assert_eq!(trustless(&[], None), Err(ErrorKind::Malformed));
	for accept in ["*/*", "text/html", "application/json", "application/x-tar"] {
		assert_eq!(
			trustless(&[], Some(accept)),
			Err(ErrorKind::NotAcceptable),
			"{accept}"
		);
	}
	for format in ["tar", "json", "dag-cbor", "zip"] {
		assert_eq!(
			trustless(&[("format", format)], None),
			Err(ErrorKind::NotAcceptable),
			"{format}"
		);
	}
}

#[test]
fn car_parameters() {
	let car = |name: &str, value: &str| match chosen(&[("format", "car"), (name, value)], None) {
		Ok(Format::Car(car)) => Ok(car),
		Ok(other) => panic!("{other:?}"),
		Err(kind) => Err(kind),
	};
	for (text, scope) in [
		("block", Scope::Block),
		("entity", Scope::Entity),
		("all", Scope::All),
	] {
		assert_eq!(car("dag-scope", text), Ok(Car { scope, ..WHOLE }));
	}
	let range = Some(EntityBytes { from: -10, to: None });
	assert_eq!(car("entity-bytes", "-10:*"), Ok(Car { range, ..WHOLE }));
	assert_eq!(car("car-dups", "y"), Ok(REPEATING));
	for (name, value) in [
		("car-version", "1"),
		("car-order", "dfs"),
		("car-order", "unk"),
		("car-dups", "n"),
	] {
		assert_eq!(car(name, value), Ok(WHOLE), "{name}={value}");
	}
	for (name, value) in [
		("dag-scope", "everything"),
		("dag-scope", ""),
		("entity-bytes", "5"),
		("entity-bytes", "*:5"),
		("car-version", "2"),
		("car-order", "bfs"),
		("car-dups", "maybe"),
	] {
		assert_eq!(car(name, value), Err(ErrorKind::Malformed), "{name}={value}");
	}
	// The query wins over the media type, parameter by parameter.
	let accept = Some("application/vnd.ipld.car;dups=y;order=unk");
	assert_eq!(chosen(&[("format", "car")], accept), Ok(Format::Car(REPEATING)));
	assert_eq!(
		chosen(&[("format", "car"), ("car-dups", "n")], accept),
		Ok(Format::Car(WHOLE))
	);
	// Other forms know no such parameters.
	assert_eq!(
		chosen(&[("format", "raw"), ("dag-scope", "galaxy")], None),
		Ok(Format::Raw)
	);
}

#[test]
fn locations_say_what_the_header_said() {
	let location = |query: &str, accept: Option<&str>| {
		let uri: Uri = format!("/ipfs/bafkqaaa/a%20b{query}").parse().unwrap();
		let parameters: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
			.into_owned()
			.collect();
		let choice = choose(&parameters, &accepting(accept), true).unwrap();
		content_location(&uri, &parameters, &choice)
	};
	let some = |text: &str| Some(format!("/ipfs/bafkqaaa/a%20b{text}"));
	assert_eq!(location("", None), None);
	assert_eq!(location("", Some("text/html,*/*;q=0.8")), None);
	assert_eq!(location("?format=raw", None), None);
	assert_eq!(location("?format=raw", Some(RAW)), None);
	assert_eq!(location("?format=raw", Some("*/*")), None);
	assert_eq!(location("", Some(RAW)), some("?format=raw"));
	assert_eq!(location("?format=raw", Some(CAR)), some("?format=raw"));
	assert_eq!(
		location(
			"?dag-scope=block&filename=a%26b",
			Some("application/vnd.ipld.car;version=1;dups=y")
		),
		some("?dag-scope=block&filename=a%26b&format=car&car-version=1&car-dups=y")
	);
	assert_eq!(
		location("?format=car&car-dups=n", Some("application/vnd.ipld.car;dups=y")),
		None
	);
}
