//! Programs and tests must build on the same dependencies.

use std::collections::{BTreeMap, BTreeSet};
use xtask::{
	step,
	workspace::{Workspace, SELECTION},
};

/// The feature sets of each package: those for build scripts may differ from the others.
type Features = BTreeMap<String, BTreeSet<String>>;

fn features(workspace: &Workspace, edges: &str) -> Features {
	let mut cargo = workspace.cargo_without_wasm();
	cargo.args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{f}"]);
	let tree = step::output(cargo.args(SELECTION).args(["--edges", edges])).unwrap();
	let mut features = Features::new();
	for line in tree.lines() {
		let line = line.trim_end_matches(" (*)");
		if let Some((package, set)) = line.split_once('|') {
			features
				.entry(package.to_owned())
				.or_default()
				.insert(set.to_owned());
		}
	}
	features
}

/// A development dependency that turns on a feature of a crate below the node has the node's thousand crates
/// built once for the programs and once for the tests. The cure is to name that dependency in
/// `tests/e2e/Cargo.toml`, whose dependencies count in both builds.
#[test]
fn development_dependencies_turn_on_nothing_in_the_programs() {
	let workspace = Workspace::locate().unwrap();
	let (programs, tests) = (
		features(&workspace, "normal,build"),
		features(&workspace, "normal,build,dev"),
	);
	assert!(programs.len() > 500, "{}", programs.len());
	let changed: Vec<_> = programs
		.iter()
		// The project's own crates: their features are few, and the same.
		.filter(|(package, _)| !package.contains('('))
		.filter_map(|(package, sets)| {
			let with_tests = tests.get(package)?;
			(with_tests != sets).then(|| format!("{package}: {sets:?}, with tests {with_tests:?}"))
		})
		.collect();
	assert!(changed.is_empty(), "{}", changed.join("\n"));
}
