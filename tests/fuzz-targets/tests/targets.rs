//! Runs every target on its seeds and on random changes of them, and keeps `seeds/` up to date.
//!
//! `CAIRN_FUZZ_INPUTS` sets the number of random inputs of a quick target, `CAIRN_TEST_SEED` repeats a run,
//! `CAIRN_BLESS=1` writes the seeds anew.

mod memory;
mod mutation;

use cairn_fuzz_targets::{Target, MAX_INPUT, TARGETS};
use mutation::Mutations;
use std::{
	collections::BTreeMap,
	fs,
	path::{Path, PathBuf},
	sync::{Mutex, PoisonError},
};

/// Random inputs of a quick target, unless `CAIRN_FUZZ_INPUTS` says otherwise.
const INPUTS: u32 = 20_000;

fn folder(target: &Target) -> PathBuf {
	Path::new(env!("CARGO_MANIFEST_DIR"))
		.join("seeds")
		.join(target.name)
}

/// The checked-in inputs of a target by name: generated ones, and those that once made it fail.
fn checked_in(target: &Target) -> BTreeMap<String, Vec<u8>> {
	let entries = match fs::read_dir(folder(target)) {
		Ok(entries) => entries,
		Err(error) => panic!(
			"{}: {error}; CAIRN_BLESS=1 writes the seeds",
			folder(target).display()
		),
	};
	entries
		.map(|entry| {
			let path = entry.unwrap().path();
			let name = path.file_name().unwrap().to_str().unwrap().to_owned();
			(name, fs::read(path).unwrap())
		})
		.collect()
}

/// Shows the input of a run that panics.
struct Shown<'a> {
	target: &'a Target,
	input: &'a [u8],
}

impl Drop for Shown<'_> {
	fn drop(&mut self) {
		if std::thread::panicking() {
			eprintln!(
				"{} failed on these bytes: {}",
				self.target.name,
				hex::encode(self.input)
			);
		}
	}
}

/// Runs a target; gives the bytes of memory that it took.
fn run(target: &Target, input: &[u8]) -> usize {
	let _shown = Shown { target, input };
	let taken = memory::peak_of(|| (target.run)(input));
	assert!(
		taken <= target.memory,
		"{} takes {taken} bytes of memory for {} of input, more than {}",
		target.name,
		input.len(),
		target.memory
	);
	taken
}

/// Held by what allocates: memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a target on its seeds, and on changes of them and on noise.
fn check(name: &str) {
	let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
	let target = TARGETS
		.iter()
		.find(|target| target.name == name)
		.expect("the target is listed");
	let seeds: Vec<Vec<u8>> = checked_in(target).into_values().collect();
	// What is made once and kept does not count.
	seeds.iter().for_each(|seed| (target.run)(seed));
	let mut most = seeds
		.iter()
		.map(|seed| run(target, seed))
		.max()
		.unwrap_or_default();
	let inputs = match std::env::var("CAIRN_FUZZ_INPUTS") {
		Ok(inputs) => inputs.parse().expect("the number of inputs is a number"),
		Err(_) => INPUTS,
	};
	let mut mutations = Mutations::new(seeds);
	for _ in 0..inputs.div_ceil(target.cost) {
		let mut input = mutations.next_input();
		input.truncate(MAX_INPUT);
		most = most.max(run(target, &input));
	}
	println!("{name}: at most {most} of {} bytes of memory", target.memory);
}

/// One test per target, and one that none is left out.
macro_rules! tests {
	($($name:ident)*) => {
		$(
			#[test]
			fn $name() {
				check(stringify!($name));
			}
		)*

		#[test]
		fn every_target_has_a_test() {
			let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
			let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
			assert_eq!(names, [$(stringify!($name)),*]);
		}
	};
}

tests! {
	account_address
	activation_proof
	bitswap_message
	block_codec
	car_archive
	car_index
	car_salvage
	car_split
	chain_events
	chain_metadata
	chain_views
	cid
	codex_dataset
	dag_export
	dag_pb
	dag_walk
	deal_signature
	exchange_frame
	fr32_padding
	hot_proof
	key_file
	piece_layout
	provider_config
	provider_contact
	request_head
	retrieved_car
	rpc_answers
	rpc_parameters
	scale
	sdr
	secret_uri
	unixfs_node
	upload_requests
	uploaded_car
	window_proof
}

/// The generated seeds are checked in, so that libFuzzer finds them and a change of format is noticed.
#[test]
fn seeds_are_current() {
	let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
	for target in TARGETS {
		let generated = (target.seeds)();
		if std::env::var_os("CAIRN_BLESS").is_some() {
			fs::create_dir_all(folder(target)).unwrap();
			for (name, bytes) in &generated {
				fs::write(folder(target).join(name), bytes).unwrap();
			}
		}
		let found = checked_in(target);
		for (name, bytes) in &generated {
			assert!(
				found.get(*name) == Some(bytes),
				"{}/{name} has changed; run with CAIRN_BLESS=1 and look at the difference",
				target.name
			);
		}
		// Whatever else is there once made the target fail.
		for name in found.keys() {
			let is_known =
				generated.iter().any(|(generated, _)| generated == name) || name.starts_with("failed-");
			assert!(
				is_known,
				"{}/{name} is neither generated nor named failed-…",
				target.name
			);
		}
		assert!(
			found.values().map(Vec::len).sum::<usize>() <= 4 * MAX_INPUT,
			"{}: large seeds",
			target.name
		);
	}
}

/// Each target has a libFuzzer program, which does nothing but call it.
#[test]
fn every_target_has_a_libfuzzer_program() {
	let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
	let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
	let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
	for target in TARGETS {
		let name = target.name;
		let program = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
		assert!(program.contains(&format!("::{name}(data)")), "{name}: {program}");
		assert!(
			manifest.contains(&format!("name = \"{name}\"")),
			"{name} is not in fuzz/Cargo.toml"
		);
	}
}
