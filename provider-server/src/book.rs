//! The book says what this program's settings and defaults are, quotes its texts and names its metrics: all of it is
//! compared with the program. The reference of the data API's routes is compared in `http/tests/data_reference.rs`.

use crate::config::Config;
use serde_json::Value;
use std::{
	collections::BTreeMap,
	fs,
	path::{Path, PathBuf},
};

fn workspace() -> PathBuf {
	Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn chapter(name: &str) -> String {
	let path = workspace().join("docs/src").join(name);
	fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first two cells of a table's row.
fn cells(line: &str) -> Option<(&str, &str)> {
	let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
	Some((cells.next()?, cells.next()?))
}

/// Settings with their defaults, `section.key`.
fn settings() -> BTreeMap<String, Value> {
	let config = serde_json::to_value(Config::default()).unwrap();
	let mut settings = BTreeMap::new();
	for (section, value) in config.as_object().unwrap() {
		match value {
			Value::Object(section_of) => {
				for (key, value) in section_of {
					settings.insert(format!("{section}.{key}"), value.clone());
				}
			}
			value => {
				settings.insert(section.clone(), value.clone());
			}
		}
	}
	settings
}

/// A default as the chapter writes it; `None` if it is described in words.
fn written(default: &Value) -> Option<String> {
	match default {
		Value::Null => None,
		Value::Array(values) if values.is_empty() => Some("none".into()),
		Value::Array(values) => Some(values.iter().filter_map(written).collect::<Vec<_>>().join(", ")),
		Value::String(text) => Some(format!("`{text}`")),
		value => Some(format!("`{value}`")),
	}
}

#[test]
fn settings_and_defaults_are_those_of_the_chapter_on_tuning() {
	let chapter = chapter("guides/tuning.md");
	let described: BTreeMap<&str, &str> = chapter
		.lines()
		.filter_map(cells)
		.filter_map(|(key, default)| Some((key.strip_prefix('`')?.strip_suffix('`')?, default)))
		.collect();
	let settings = settings();
	for (key, default) in &settings {
		let found = described
			.get(&**key)
			.unwrap_or_else(|| panic!("guides/tuning.md has no row `{key}`"));
		if let Some(expected) = written(default) {
			assert_eq!(*found, expected, "guides/tuning.md: the default of `{key}`");
		}
	}
	let sections: Vec<&str> = settings
		.keys()
		.filter_map(|key| key.split_once('.'))
		.map(|(section, _)| section)
		.collect();
	for key in described.keys() {
		let is_setting = key
			.split_once('.')
			.is_some_and(|(section, _)| sections.contains(&section));
		assert!(
			!is_setting || settings.contains_key(*key),
			"guides/tuning.md: there is no setting `{key}`"
		);
	}
}

/// Adds the text of all Rust files below `folder`.
fn read_sources(folder: &Path, sources: &mut String) {
	for entry in fs::read_dir(folder).unwrap() {
		let path = entry.unwrap().path();
		if path.is_dir() {
			read_sources(&path, sources);
		} else if path.extension().is_some_and(|extension| extension == "rs") {
			sources.push_str(&fs::read_to_string(path).unwrap());
		}
	}
}

fn sources() -> String {
	let mut sources = String::new();
	for package in [
		"provider-server",
		"crates/blockstore",
		"crates/network",
		"crates/proving",
		"crates/chain-client",
	] {
		read_sources(&workspace().join(package).join("src"), &mut sources);
	}
	sources
}

/// What a chapter shows as code within its text.
fn code(chapter: &str) -> impl Iterator<Item = String> + '_ {
	assert_eq!(
		chapter.matches('`').count() % 2,
		0,
		"a backtick without its other"
	);
	let spans = chapter.split('`').skip(1).step_by(2);
	spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn texts_quoted_in_the_chapter_on_failures_are_those_of_the_program() {
	let sources = sources();
	let mut quoted = 0;
	for text in code(&chapter("guides/failures.md")) {
		// Names of settings, metrics and files have no spaces; commands and requests are no texts.
		if !text.contains(' ') || text.starts_with("cairn-provider ") || text.starts_with("GET ") {
			continue;
		}
		quoted += 1;
		// What differs stands between the parts, and so do the errors that others cause.
		for part in text.split('…').flat_map(|part| part.split(": ")) {
			let part = part.trim_matches([' ', ':', ',']);
			assert!(
				sources.contains(part),
				"guides/failures.md quotes `{text}`, and no text of the program has `{part}`"
			);
		}
	}
	assert!(quoted > 50, "only {quoted} texts were found");
}

#[test]
fn metrics_named_in_the_book_are_those_of_the_program() {
	let sources = sources();
	let mut named = 0;
	for page in [
		"guides/failures.md",
		"guides/providers.md",
		"guides/tuning.md",
		"network.md",
	] {
		for span in code(&chapter(page)) {
			let (name, labels) = match span.split_once('{') {
				Some((name, _)) => (name, true),
				None => (&*span, false),
			};
			let name = name.strip_prefix("cairn_provider_").unwrap_or(name);
			let is_name =
				!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
			if is_name && (labels || name.ends_with("_total") || name.starts_with("network_")) {
				named += 1;
				assert!(
					sources.contains(&format!("\"{name}\"")),
					"{page} names the metric `{name}`, which the program does not have"
				);
			}
		}
	}
	assert!(named > 40, "only {named} metrics were found");
}
