//! The page: the operations of each API, then the schemas of all of them.

use super::schema::{self, cell, list, only, text, type_of};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// Where the examples find a provider: its default address.
const SERVER: &str = "http://127.0.0.1:7600";

const HEAD: &str = "\
<!-- Written from the OpenAPI documents by provider-server/src/http/tests/data_reference.rs. Do not edit. -->

# Provider: routes of the data API

Each route with what it takes and answers, from the documents in OpenAPI 3.1 that a provider serves of itself. What the routes
are for, who may use them and how uploads are resumed is in [the chapter before](data-api.md).
";

/// Writes the page.
pub fn write(documents: &[Value]) -> String {
	let mut out = HEAD.to_owned();
	let mut schemas: BTreeMap<&str, &Value> = BTreeMap::new();
	for document in documents {
		api(&mut out, document);
		for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
			let known = schemas.insert(name, schema);
			assert!(
				known.is_none_or(|known| known == schema),
				"two schemas are named {name}"
			);
		}
	}
	out.push_str("\n## Schemas\n");
	for (name, schema) in schemas {
		schema::write(&mut out, name, schema);
	}
	out
}

fn api(out: &mut String, document: &Value) {
	let base = text(&document["servers"][0], "url");
	let description = text(&document["info"], "description");
	_ = write!(
		out,
		"\n## {base}\n\n{description}\n\nThe document: `{base}/openapi.json`.\n"
	);
	let paths = document["paths"].as_object().expect("paths");
	let mut written = 0;
	for tag in list(&document["tags"]) {
		_ = writeln!(out, "\n### {}", text(tag, "description"));
		for (path, item) in paths {
			for (method, operation) in item.as_object().expect("operations") {
				if operation["tags"][0] == tag["name"] {
					written += 1;
					self::operation(out, &Route { base, method, path }, operation);
				}
			}
		}
	}
	let operations: usize = paths
		.values()
		.filter_map(Value::as_object)
		.map(serde_json::Map::len)
		.sum();
	assert_eq!(
		written, operations,
		"an operation has a tag that is not described"
	);
}

struct Route<'a> {
	base: &'a str,
	method: &'a str,
	path: &'a str,
}

fn operation(out: &mut String, route: &Route, operation: &Value) {
	only(
		operation,
		&[
			"description",
			"operationId",
			"parameters",
			"requestBody",
			"responses",
			"security",
			"summary",
			"tags",
		],
	);
	_ = writeln!(
		out,
		"\n#### {} {}\n\n{}",
		route.method.to_uppercase(),
		route.path,
		text(operation, "summary")
	);
	if let Some(description) = operation["description"].as_str() {
		_ = writeln!(out, "\n{description}");
	}
	if operation["security"].is_array() {
		out.push_str("\nOnly for [who may change the block store](data-api.md#who-may-do-what).\n");
	}
	parameters(out, &operation["parameters"]);
	if operation["requestBody"].is_object() {
		request_body(out, &operation["requestBody"]);
	}
	responses(out, &operation["responses"]);
	_ = writeln!(out, "\n```console\n{}\n```", example(route, operation));
}

fn parameters(out: &mut String, parameters: &Value) {
	if !parameters.is_array() {
		return;
	}
	out.push_str("\n| parameter | in | type | required | |\n|---|---|---|---|---|\n");
	for parameter in list(parameters) {
		only(
			parameter,
			&["description", "example", "in", "name", "required", "schema"],
		);
		_ = writeln!(
			out,
			"| `{}` | {} | {} | {} | {} |",
			text(parameter, "name"),
			text(parameter, "in"),
			// That it may be left out is in the next column.
			type_of(&parameter["schema"]).replace(" or null", ""),
			if parameter["required"] == true {
				"yes"
			} else {
				"no"
			},
			cell(text(parameter, "description")),
		);
	}
}

fn request_body(out: &mut String, body: &Value) {
	only(body, &["content", "description", "required"]);
	_ = write!(out, "\nBody: {}", contents(&body["content"]));
	if body["required"] != true {
		out.push_str(", may be empty");
	}
	match body["description"].as_str() {
		Some(description) => _ = writeln!(out, ". {}.", cell(description)),
		None => out.push_str(".\n"),
	}
}

fn responses(out: &mut String, responses: &Value) {
	out.push_str("\n| status | body | headers | |\n|---|---|---|---|\n");
	for (status, response) in responses.as_object().expect("responses") {
		only(response, &["content", "description", "headers"]);
		let headers = response["headers"].as_object().into_iter().flatten();
		let headers: Vec<String> = headers.map(|(name, _)| format!("`{name}`")).collect();
		_ = writeln!(
			out,
			"| {status} | {} | {} | {} |",
			contents(&response["content"]),
			headers.join(", "),
			cell(text(response, "description")),
		);
	}
}

/// Media types, each with what is in it.
fn contents(contents: &Value) -> String {
	let contents = contents.as_object().into_iter().flatten();
	contents
		.map(|(media_type, content)| {
			only(content, &["example", "schema"]);
			match media_type.as_str() {
				"application/json" => type_of(&content["schema"]),
				media_type => format!("{} (`{media_type}`)", type_of(&content["schema"])),
			}
		})
		.collect::<Vec<_>>()
		.join(" or ")
}

/// A call with curl: what must be given, and no more.
fn example(route: &Route, operation: &Value) -> String {
	let mut command = "curl".to_owned();
	if route.method != "get" {
		_ = write!(command, " -X {}", route.method.to_uppercase());
	}
	let mut path = route.path.to_owned();
	for parameter in list(&operation["parameters"]).filter(|parameter| parameter["required"] == true) {
		let name = text(parameter, "name");
		match text(parameter, "in") {
			"path" => {
				let placeholder = format!("{{{name}}}");
				path = path.replace(&placeholder, &format!("${}", name.to_uppercase()));
			}
			"header" => _ = write!(command, " -H '{name}: {}'", parameter["example"]),
			place => panic!("no example has a parameter in {place}"),
		}
	}
	if let Some((media_type, content)) = operation["requestBody"]["content"]
		.as_object()
		.and_then(|contents| contents.iter().next())
	{
		_ = match media_type.as_str() {
			"application/json" => write!(command, " --json '{}'", content["example"]),
			// Without a type, curl says that the data is a form.
			media_type => write!(command, " -H 'content-type: {media_type}' -T FILE"),
		};
	}
	let is_file = list_of_media_types(&operation["responses"]["200"]).any(|name| name != "application/json");
	if is_file && route.method == "get" {
		command.push_str(" -o FILE");
	}
	_ = write!(command, " \"{SERVER}{}{path}\"", route.base);
	command
}

fn list_of_media_types(response: &Value) -> impl Iterator<Item = &str> {
	let contents = response["content"].as_object().into_iter();
	contents.flat_map(|contents| contents.keys().map(String::as_str))
}
