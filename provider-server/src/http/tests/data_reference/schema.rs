//! JSON schemas as text: the part of the language that the documents use. A keyword that would be left out of the
//! page is a panic, and so a failed test.

use serde_json::Value;
use std::fmt::Write;

/// Panics unless every key of `value` is known: what is not known would be missing on the page.
pub fn only(value: &Value, known: &[&str]) {
	for key in value.as_object().expect("an object").keys() {
		assert!(known.contains(&key.as_str()), "`{key}` is not written: {value}");
	}
}

/// A field that has a text.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
	value[key].as_str().unwrap_or_default()
}

/// A text as it stands in a table's cell: one line, no columns, and no full stop after the only sentence.
pub fn cell(text: &str) -> String {
	let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
	let line = line.replace('|', "\\|");
	match line.strip_suffix('.') {
		Some(sentence) if !sentence.contains(". ") => sentence.into(),
		_ => line,
	}
}

/// What is said about a field. Where it may also be null, that stands with the other choice.
fn description(schema: &Value) -> &str {
	let mut choices = list(&schema["oneOf"]).map(|choice| text(choice, "description"));
	match text(schema, "description") {
		"" => choices.find(|text| !text.is_empty()).unwrap_or_default(),
		text => text,
	}
}

/// The elements of an array; none if there is no array.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
	value.as_array().into_iter().flatten()
}

/// The type of a value in a few words, with links to the schemas it names.
pub fn type_of(schema: &Value) -> String {
	only(
		schema,
		&[
			"$ref",
			"additionalProperties",
			"description",
			"example",
			"format",
			"items",
			"maximum",
			"minimum",
			"oneOf",
			"propertyNames",
			"type",
		],
	);
	if let Some(name) = reference(schema) {
		return link(name);
	}
	if schema["oneOf"].is_array() {
		return list(&schema["oneOf"])
			.map(type_of)
			.collect::<Vec<_>>()
			.join(" or ");
	}
	let kinds: Vec<&str> = match &schema["type"] {
		Value::String(kind) => vec![kind.as_str()],
		// Null is last, however the document has it.
		kinds => {
			let mut kinds: Vec<&str> = list(kinds).filter_map(Value::as_str).collect();
			kinds.sort_by_key(|kind| *kind == "null");
			kinds
		}
	};
	assert!(!kinds.is_empty(), "a schema without a type: {schema}");
	let kinds = kinds.into_iter().map(|kind| one_type(kind, schema));
	kinds.collect::<Vec<_>>().join(" or ")
}

fn one_type(kind: &str, schema: &Value) -> String {
	match kind {
		"string" if schema["format"] == "binary" => "bytes".into(),
		"integer" => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
			(Some(least), Some(most)) => format!("integer from {least} to {most}"),
			(Some(0.0), None) => "unsigned integer".into(),
			(Some(least), None) => format!("integer from {least} on"),
			(None, Some(most)) => format!("integer up to {most}"),
			(None, None) => "integer".into(),
		},
		"array" => format!("array of {}", type_of(&schema["items"])),
		"object" => match &schema["additionalProperties"] {
			Value::Null => panic!("an object within an object: give it a name: {schema}"),
			values => format!("object, each value a {}", type_of(values)),
		},
		kind => kind.into(),
	}
}

/// The schema that is referred to.
fn reference(schema: &Value) -> Option<&str> {
	schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn link(name: &str) -> String {
	format!("[{name}](#{})", name.to_lowercase())
}

/// A named schema: what it is, and its fields.
pub fn write(out: &mut String, name: &str, schema: &Value) {
	_ = writeln!(out, "\n### {name}");
	if let Some(description) = schema["description"].as_str() {
		_ = writeln!(out, "\n{description}");
	}
	if schema["oneOf"].is_array() {
		for choice in list(&schema["oneOf"]) {
			let meaning = cell(text(choice, "description"));
			_ = write!(out, "\n- {}: {meaning}", type_of(choice));
		}
		out.push('\n');
		return;
	}
	// What is flattened into an object is a schema beside its own fields.
	let parts: Vec<&Value> = match &schema["allOf"] {
		Value::Array(parts) => parts.iter().collect(),
		_ => vec![schema],
	};
	for part in &parts {
		if let Some(name) = reference(part) {
			_ = writeln!(out, "\nHas the fields of {}.", link(name));
		}
	}
	_ = writeln!(out, "\n| field | type | required | |\n|---|---|---|---|");
	for part in parts.iter().filter(|part| reference(part).is_none()) {
		only(
			part,
			&[
				"additionalProperties",
				"description",
				"example",
				"properties",
				"required",
				"type",
			],
		);
		for (field, of) in part["properties"].as_object().expect("fields") {
			let required = list(&part["required"]).any(|name| name == field);
			_ = writeln!(
				out,
				"| `{field}` | {} | {} | {} |",
				type_of(of),
				if required { "yes" } else { "no" },
				cell(description(of)),
			);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use serde_json::json;

	#[test]
	fn types() {
		for (schema, expected) in [
			(json!({"type": "string"}), "string"),
			(json!({"type": "string", "format": "binary"}), "bytes"),
			(json!({"type": ["null", "string"]}), "string or null"),
			(
				json!({"type": ["integer", "null"], "minimum": 0}),
				"unsigned integer or null",
			),
			(
				json!({"type": "integer", "minimum": 1, "maximum": 9}),
				"integer from 1 to 9",
			),
			(json!({"$ref": "#/components/schemas/Space"}), "[Space](#space)"),
			(
				json!({"type": "array", "items": {"$ref": "#/components/schemas/Space"}}),
				"array of [Space](#space)",
			),
			(
				json!({"oneOf": [{"type": "boolean"}, {"type": "null"}]}),
				"boolean or null",
			),
			(
				json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
				"object, each value a boolean",
			),
		] {
			assert_eq!(type_of(&schema), expected);
		}
	}

	#[test]
	#[should_panic(expected = "`pattern` is not written")]
	fn what_would_be_left_out_is_noticed() {
		type_of(&json!({"type": "string", "pattern": "a+"}));
	}

	#[test]
	fn cells_hold_no_lines_and_columns() {
		assert_eq!(cell("a\n b | c."), "a b \\| c");
		assert_eq!(cell("One. Two."), "One. Two.");
	}
}
