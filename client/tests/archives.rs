//! `cairn car` and `cairn dag` as scripts use them: archives that are split, joined and salvaged, blocks inspected,
//! DAGs walked, standard input and output.

#![cfg(unix)]

mod user;

use cairn_car::{verify, CarReader, CarWriter, VerifyOptions};
use cairn_dag::{Block, Cid, Codec};
use serde_json::Value;
use std::{
	fs,
	io::Write,
	process::{Output, Stdio},
};
use user::{fields, User};

/// Runs a command with something on its standard input, which is a pipe.
fn with_input(user: &User, arguments: &[&str], input: &[u8]) -> Output {
	let mut child = user
		.command(arguments)
		.stdin(Stdio::piped())
		.stdout(Stdio::piped())
		.stderr(Stdio::piped())
		.spawn()
		.unwrap();
	let mut stdin = child.stdin.take().unwrap();
	std::thread::scope(|scope| {
		// A command that fails does not read to the end.
		scope.spawn(move || drop(stdin.write_all(input)));
		child.wait_with_output().unwrap()
	})
}

fn succeeded(output: Output) -> Vec<u8> {
	assert!(
		output.status.success(),
		"{}",
		String::from_utf8_lossy(&output.stderr)
	);
	assert_eq!(String::from_utf8_lossy(&output.stderr), "");
	output.stdout
}

fn lines(output: Output) -> Vec<Value> {
	let text = String::from_utf8(succeeded(output)).unwrap();
	text.lines()
		.map(|line| serde_json::from_str(line).unwrap())
		.collect()
}

fn content() -> Vec<u8> {
	(0..50_000u32)
		.flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
		.collect()
}

/// `photos.car`: a folder with a file of many blocks and a small one in a folder below.
fn archive(user: &User) -> Value {
	fs::create_dir_all(user.path("photos/sub")).unwrap();
	fs::write(user.path("photos/one.jpg"), content()).unwrap();
	fs::write(user.path("photos/sub/two.txt"), "two").unwrap();
	user.json(&[
		"dag",
		"import",
		"photos",
		"--chunk-size",
		"4KiB",
		"--max-links",
		"5",
	])
}

fn blocks(user: &User, name: &str) -> Vec<Block> {
	let bytes = fs::read(user.path(name)).unwrap();
	let reader = CarReader::new(&bytes[..]).unwrap();
	reader.map(Result::unwrap).collect()
}

#[test]
fn splitting_and_joining() {
	let user = User::new();
	let created = archive(&user);
	for strategy in ["treewalk", "simple"] {
		let split = user.json(&[
			"car",
			"split",
			"photos.car",
			"--size",
			"20kB",
			"--strategy",
			strategy,
			"-o",
			strategy,
		]);
		assert_eq!(split["schema"], "cairn.car-split/1");
		assert_eq!(
			fields(&split),
			["output", "parts", "repeated", "schema", "unreachable"]
		);
		let parts: Vec<&str> = split["parts"]
			.as_array()
			.unwrap()
			.iter()
			.map(|part| {
				let file = part["file"].as_str().unwrap();
				let size = fs::metadata(user.path(file)).unwrap().len();
				assert!(size <= 20_000 && part["size"] == size, "{part}");
				file
			})
			.collect();
		assert!(parts.len() > 10);
		assert_eq!(parts[0], format!("{strategy}/photos-00000.car"));
		let joined = user.json(&[&["car", "join", "--force", "-o", "joined.car"][..], &parts].concat());
		assert_eq!(
			(&joined["blocks"], &joined["roots"][0], &joined["parts"]),
			(&created["blocks"], &created["root"], &parts.len().into())
		);
		let verified = user.json(&["car", "verify", "joined.car"]);
		assert_eq!(verified["index"], "matches");
		if strategy == "simple" {
			let (old, new) = (
				fs::read(user.path("photos.car")),
				fs::read(user.path("joined.car")),
			);
			assert!(old.unwrap() == new.unwrap());
		} else {
			// Every part is an archive of its own.
			user.json(&["car", "verify", parts[3], "--partial"]);
		}
		// Without its last part.
		let fewer = &parts[..parts.len() - 1];
		let join = [&["car", "join", "-o", "fewer.car"][..], fewer].concat();
		let (code, error) = user.failure(&join);
		assert_eq!((code, error["kind"].as_str()), (11, Some("verification")));
		assert!(error["hint"].as_str().unwrap().contains("--partial"), "{error}");
		assert!(!user.path("fewer.car").exists());
		user.json(&[&join[..], &["--partial"]].concat());
		fs::remove_file(user.path("fewer.car")).unwrap();
	}
	// Parts of different archives, in the wrong order, and none.
	let (code, error) = user.failure(&["car", "join", "simple/photos-00001.car", "-o", "x.car"]);
	assert_eq!((code, error["kind"].as_str()), (2, Some("usage")));
	fs::write(user.path("other"), "other").unwrap();
	user.json(&["car", "create", "other"]);
	let (code, error) = user.failure(&["car", "join", "photos.car", "other.car", "-o", "x.car"]);
	assert_eq!(code, 11);
	assert!(
		error["message"].as_str().unwrap().contains("other.car"),
		"{error}"
	);
	assert_eq!(
		user.failure(&["car", "join", "photos.car", "absent.car", "-o", "x.car"])
			.0,
		5
	);
	// A folder that exists, sizes that make no sense or too small parts.
	let (code, error) = user.failure(&["car", "split", "photos.car", "--size", "1MB", "-o", "simple"]);
	assert_eq!((code, error["kind"].as_str()), (5, Some("file")));
	for size in ["0", "3 bananas", "1000"] {
		let (code, _) = user.failure(&["car", "split", "photos.car", "--size", size, "-o", "x"]);
		assert_eq!(code, 2, "{size}");
	}
	assert!(!user.path("x").exists() && !user.path("x.car").exists());
	let left = fs::read_dir(user.home())
		.unwrap()
		.map(|entry| entry.unwrap().file_name());
	assert!(left
		.into_iter()
		.all(|name| !name.to_string_lossy().starts_with(".cairn")));
}

#[test]
fn salvaging() {
	let user = User::new();
	let created = archive(&user);
	let all = blocks(&user, "photos.car");
	let sound = fs::read(user.path("photos.car")).unwrap();
	let mut damaged = sound.clone();
	damaged[50_000] ^= 1;
	damaged.truncate(sound.len() / 2);
	fs::write(user.path("damaged.car"), &damaged).unwrap();
	assert_eq!(user.failure(&["car", "verify", "damaged.car"]).0, 11);
	let (code, error) = user.failure(&["car", "ls", "damaged.car"]);
	assert_eq!(code, 11);
	assert!(error["hint"].as_str().unwrap().contains("car salvage"), "{error}");

	let salvaged = user.json(&["car", "salvage", "damaged.car", "-o", "saved.car"]);
	assert_eq!(salvaged["schema"], "cairn.car-salvaged/1");
	assert_eq!(
		fields(&salvaged),
		[
			"blocks",
			"complete",
			"gave_up",
			"lost",
			"lost_bytes",
			"lost_ranges",
			"missing",
			"missing_blocks",
			"output",
			"roots",
			"roots_from",
			"schema",
			"size"
		]
	);
	assert_eq!(
		(&salvaged["roots"][0], salvaged["roots_from"].as_str()),
		(&created["root"], Some("header"))
	);
	assert_eq!(
		(&salvaged["lost_ranges"], &salvaged["complete"]),
		(&2.into(), &false.into())
	);
	let saved = blocks(&user, "saved.car");
	assert!(saved.len() > 20 && saved.iter().all(|block| all.contains(block)));
	// The root stands last: it is what is missing.
	assert_eq!(salvaged["missing"], serde_json::json!([created["root"]]));
	user.json(&["car", "verify", "saved.car", "--partial"]);

	let mut headless = sound;
	headless[..110].fill(0);
	fs::write(user.path("headless.car"), &headless).unwrap();
	let salvaged = user.json(&["car", "salvage", "headless.car", "-o", "whole.car"]);
	assert_eq!(
		(salvaged["roots_from"].as_str(), &salvaged["complete"]),
		(Some("guess"), &true.into())
	);
	assert_eq!(salvaged["roots"][0], created["root"]);
	assert_eq!(
		user.json(&["car", "verify", "whole.car"])["blocks"],
		created["blocks"]
	);
	let root = all[3].cid().to_string();
	let salvaged = user.json(&[
		"car",
		"salvage",
		"headless.car",
		"-o",
		"named.car",
		"--root",
		&root,
	]);
	assert_eq!(
		(salvaged["roots_from"].as_str(), &salvaged["roots"][0]),
		(Some("command line"), &root.as_str().into())
	);

	fs::write(user.path("noise.car"), vec![0x5a; 100_000]).unwrap();
	let (code, error) = user.failure(&["car", "salvage", "noise.car", "-o", "noise-saved.car"]);
	assert_eq!((code, error["kind"].as_str()), (11, Some("verification")));
	assert_eq!(
		user.failure(&["car", "salvage", "headless.car", "-o", "whole.car"])
			.0,
		5
	);
	assert_eq!(user.failure(&["car", "salvage", "headless.car", "-o", "-"]).0, 2);
	assert!(!user.path("noise-saved.car").exists());
	let shown = succeeded(user.run(&["car", "salvage", "damaged.car", "-o", "saved.car", "--force"]));
	let shown = String::from_utf8(shown).unwrap();
	assert!(
		shown.contains("lost: ") && shown.contains("1 blocks below the roots are missing"),
		"{shown}"
	);
}

/// A piece is an archive and zeros, up to a power of two.
#[test]
fn reading_a_padded_piece() {
	let user = User::new();
	archive(&user);
	let name = "photos.car";
	let mut piece = fs::read(user.path(name)).unwrap();
	let payload = user.json(&["car", "verify", name]);
	piece.resize(piece.len().next_power_of_two(), 0);
	fs::write(user.path("piece"), &piece).unwrap();
	let verified = user.json(&["car", "verify", "piece"]);
	assert_eq!(verified["blocks"], payload["blocks"]);
	assert_eq!(verified["payload_size"], payload["payload_size"]);
	assert_eq!(
		user.json(&["car", "ls", "piece"])["entries"],
		user.json(&["car", "ls", name])["entries"]
	);
	user.json(&["car", "index", "piece", "--output", "indexed.car"]);
	assert_eq!(
		user.json(&["car", "verify", "indexed.car"])["blocks"],
		payload["blocks"]
	);
	// What follows the zeros is no padding.
	piece.push(1);
	fs::write(user.path("more"), &piece).unwrap();
	assert_eq!(user.failure(&["car", "verify", "more"]).0, 11);
}

#[test]
fn walking() {
	let user = User::new();
	let created = archive(&user);
	let walk =
		|options: &[&str]| lines(user.run(&[&["--json", "dag", "walk", "photos.car"], options].concat()));
	let all = walk(&[]);
	assert_eq!(created["blocks"], all.len());
	assert_eq!(fields(&all[0]), ["cid", "codec", "schema", "size"]);
	assert_eq!(
		(&all[0]["cid"], all[0]["codec"].as_str()),
		(&created["root"], Some("dag-pb"))
	);
	let wide = walk(&["--order", "breadth-first"]);
	assert_eq!(wide.len(), all.len());
	assert_ne!(wide, all);
	assert_eq!(walk(&["--scope", "block"]).len(), 1);
	let small = walk(&["sub/two.txt"]);
	assert_eq!((small.len(), &small[0]["size"]), (1, &3.into()));
	let root = created["root"].as_str().unwrap();
	assert_eq!(walk(&[&format!("{root}/sub/two.txt")]), small);
	assert_eq!(walk(&["sub"]).len(), 2);

	for (options, kind, code) in [
		(&["--max-blocks", "3"][..], "other", 1),
		(&["--max-depth", "1"], "other", 1),
		(&["--max-bytes", "5kB"], "other", 1),
		(&["no/such"], "not-found", 10),
		(&["--order", "sideways"], "usage", 2),
	] {
		let output = user.run(&[&["--json", "dag", "walk", "photos.car"], options].concat());
		let error: Value = serde_json::from_slice(&output.stderr).unwrap();
		assert_eq!(
			(error["kind"].as_str(), output.status.code()),
			(Some(kind), Some(code)),
			"{options:?}"
		);
	}
	let limited = user.run(&["dag", "walk", "photos.car", "--max-blocks", "3"]);
	assert_eq!(String::from_utf8(limited.stdout).unwrap().lines().count(), 3);
	let quiet = succeeded(user.run(&["--quiet", "dag", "walk", "photos.car", "sub/two.txt"]));
	assert_eq!(
		String::from_utf8(quiet).unwrap().trim(),
		small[0]["cid"].as_str().unwrap()
	);
}

#[test]
fn inspecting() {
	let user = User::new();
	let created = archive(&user);
	let root = user.json(&["dag", "inspect", "photos.car"]);
	assert_eq!(root["schema"], "cairn.dag-inspected/1");
	assert_eq!(
		fields(&root),
		[
			"cid",
			"codec",
			"codec_code",
			"decoded",
			"digest",
			"hash",
			"hash_code",
			"links",
			"note",
			"schema",
			"size",
			"unixfs"
		]
	);
	assert_eq!(
		(&root["cid"], root["hash"].as_str()),
		(&created["root"], Some("sha2-256"))
	);
	assert_eq!(
		root["unixfs"],
		serde_json::json!({ "kind": "directory", "size": null })
	);
	let paths: Vec<&str> = root["links"]
		.as_array()
		.unwrap()
		.iter()
		.map(|link| link["path"].as_str().unwrap())
		.collect();
	assert_eq!(paths, ["one.jpg", "sub"]);
	assert_eq!(root["decoded"]["Links"][1]["Hash"]["/"], root["links"][1]["cid"]);
	let two = user.json(&["dag", "inspect", "photos.car", "sub/two.txt"]);
	assert_eq!(two["decoded"], serde_json::json!({ "/": { "bytes": "dHdv" } }));
	let one = user.json(&["dag", "inspect", "photos.car", "one.jpg"]);
	assert_eq!(
		one["unixfs"],
		serde_json::json!({ "kind": "file", "size": 200_000 })
	);

	// {"a": {"b": [link]}} over a git blob.
	let blob = Block::encode(Codec::GitRaw, &b"blob 3\0abc"[..]);
	let map = [&b"\xa1aa\xa1ab\x81\xd8\x2a\x58\x25\0"[..], &blob.cid().to_bytes()].concat();
	let map = Block::encode(Codec::DagCbor, map);
	let broken = Block::encode(Codec::DagCbor, &b"\xff"[..]);
	let strange = Block::assume_verified(Cid::new_v1(0x9999, *blob.cid().hash()), blob.bytes().clone());
	let mut writer = CarWriter::new(Vec::new(), &[*map.cid(), *broken.cid()]).unwrap();
	for block in [&map, &blob, &broken] {
		writer.put(block).unwrap();
	}
	fs::write(user.path("mixed.car"), writer.finish().unwrap().0).unwrap();
	let of = |cid: &Cid, path: &str| user.json(&["dag", "inspect", "mixed.car", &format!("{cid}{path}")]);
	let shown = of(map.cid(), "");
	assert_eq!(
		shown["links"],
		serde_json::json!([{ "path": "a/b/0", "cid": blob.cid().to_string() }])
	);
	assert_eq!(
		shown["decoded"],
		serde_json::json!({ "a": { "b": [{ "/": blob.cid().to_string() }] } })
	);
	let git = of(map.cid(), "/a/b/0");
	assert_eq!(git["codec"], "git-raw");
	assert_eq!(
		git["decoded"],
		serde_json::json!({ "/": { "bytes": "YmxvYiAzAGFiYw" } })
	);
	assert!(of(broken.cid(), "")["note"]
		.as_str()
		.unwrap()
		.contains("malformed"));
	// The same bytes under a codec that nobody knows: found by their hash.
	let unknown = of(strange.cid(), "");
	assert_eq!(
		(unknown["codec"].as_str(), &unknown["codec_code"]),
		(Some("unknown"), &0x9999.into())
	);

	let (code, error) = user.failure(&["dag", "inspect", "mixed.car"]);
	assert_eq!((code, error["kind"].as_str()), (2, Some("usage")));
	assert!(
		error["hint"].as_str().unwrap().contains(&map.cid().to_string()),
		"{error}"
	);
	let absent = Block::encode(Codec::Raw, &b"absent"[..]).cid().to_string();
	assert_eq!(user.failure(&["dag", "inspect", "photos.car", &absent]).0, 10);
	let text = String::from_utf8(succeeded(user.run(&["dag", "inspect", "photos.car"]))).unwrap();
	assert!(
		text.contains("dag-pb (0x70)") && text.contains("unixfs  directory"),
		"{text}"
	);
}

#[test]
fn importing_and_exporting() {
	let user = User::new();
	fs::write(user.path("hello"), "hello world").unwrap();
	let import = |options: &[&str]| {
		let root = &user.json(&[&["dag", "import", "hello", "--force"], options].concat())["root"];
		root.as_str().unwrap().to_owned()
	};
	// CIDs that IPFS gives.
	assert_eq!(
		import(&[]),
		"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
	);
	assert_eq!(
		import(&["--profile", "unixfs-v0-2015"]),
		"Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
	);
	assert_eq!(
		import(&["--raw-leaves", "false", "--cid-version", "0"]),
		import(&["--profile", "unixfs-v0-2015"])
	);
	assert!(import(&["--hash", "blake3"]).starts_with("bafkr4i"));
	assert_ne!(
		import(&["--chunk-size", "2", "--layout", "trickle", "--max-links", "2"]),
		import(&["--chunk-size", "2", "--max-links", "2"])
	);
	user.json(&["dag", "import", "hello", "--index", "sorted", "--force"]);
	let bytes = fs::read(user.path("hello.car")).unwrap();
	let verified = verify(&bytes, &VerifyOptions::default()).unwrap();
	assert_eq!(
		verified.index,
		cairn_car::IndexCheck::Matches(cairn_car::IndexFormat::Sorted)
	);
	for wrong in [
		&["--chunk-size", "0"][..],
		&["--chunk-size", "3MiB"],
		&["--max-links", "1"],
		&["--cid-version", "2"],
		&["--cid-version", "0", "--hash", "blake3"],
		&["--hash", "md5"],
	] {
		let (code, error) = user.failure(&[&["dag", "import", "hello", "--force"], wrong].concat());
		assert_eq!((code, error["kind"].as_str()), (2, Some("usage")), "{wrong:?}");
	}

	archive(&user);
	let exported = user.json(&["dag", "export", "photos.car", "-o", "copy"]);
	assert_eq!(
		(&exported["files"], &exported["bytes"]),
		(&2.into(), &200_003.into())
	);
	assert_eq!(fs::read(user.path("copy/one.jpg")).unwrap(), content());
	let part = user.json(&["dag", "export", "photos.car", "one.jpg", "--range", "5000-100000"]);
	assert_eq!(
		(&part["bytes"], part["output"].as_str()),
		(&95_001.into(), Some("one.jpg"))
	);
	assert!(fs::read(user.path("one.jpg")).unwrap() == content()[5000..=100_000]);
	assert_eq!(
		user.failure(&["dag", "export", "photos.car", "one.jpg", "--range", "0-1"])
			.0,
		5
	);
	assert_eq!(user.failure(&["dag", "export", "photos.car", "no/such"]).0, 10);
	let to_stdout = succeeded(user.run(&[
		"dag",
		"export",
		"photos.car",
		"one.jpg",
		"--range",
		"7-9",
		"-o",
		"-",
	]));
	assert_eq!(to_stdout, content()[7..10]);
	// A folder has no bytes.
	assert_eq!(
		user.run(&["dag", "export", "photos.car", "sub", "-o", "-"])
			.status
			.code(),
		Some(11)
	);
}

#[test]
fn standard_input_and_output() {
	let user = User::new();
	let created = archive(&user);
	let root = created["root"].as_str().unwrap();
	let bytes = fs::read(user.path("photos.car")).unwrap();
	// As a pipe, and as a file.
	for arguments in [
		&["--json", "car", "verify", "-"][..],
		&["--json", "car", "ls", "-"],
		&["--json", "car", "commp", "-"],
		&["--json", "dag", "inspect", "-"],
	] {
		let piped = lines(with_input(&user, arguments, &bytes));
		let file = fs::File::open(user.path("photos.car")).unwrap();
		let redirected = lines(user.command(arguments).stdin(file).output().unwrap());
		assert_eq!(piped, redirected, "{arguments:?}");
		assert_eq!(piped.len(), 1);
	}
	let listed = lines(with_input(
		&user,
		&["--json", "car", "ls", "--blocks", "-"],
		&bytes,
	));
	assert_eq!(created["blocks"], listed.len());
	let two = succeeded(with_input(
		&user,
		&["car", "extract", "-", "--path", "sub/two.txt", "-o", "-"],
		&bytes,
	));
	assert_eq!(two, b"two");
	let indexed = succeeded(with_input(&user, &["car", "index", "-", "-o", "-"], &bytes));
	assert!(indexed == bytes);
	let sorted = succeeded(with_input(
		&user,
		&["car", "index", "-", "-o", "-", "--format", "sorted"],
		&bytes,
	));
	assert!(sorted != bytes);
	let packed = succeeded(with_input(&user, &["car", "create", "-", "-o", "-"], &content()));
	let verified = verify(&packed, &VerifyOptions::default()).unwrap();
	fs::write(user.path("content"), content()).unwrap();
	assert_eq!(
		user.json(&["car", "create", "content"])["root"],
		verified.roots[0].to_string()
	);
	let folder = succeeded(user.run(&["car", "create", "photos", "-o", "-"]));
	assert!(verify(&folder, &VerifyOptions::default()).is_ok());
	succeeded(with_input(
		&user,
		&["--quiet", "car", "split", "-", "--size", "50kB", "-o", "parts"],
		&bytes,
	));
	let joined = succeeded(user.run(&["car", "join", "parts/parts-00000.car", "--partial", "-o", "-"]));
	assert_eq!(CarReader::new(&joined[..]).unwrap().roots()[0].to_string(), root);

	let (code, _) = user.failure(&["car", "create", "-", "photos", "-o", "x.car"]);
	assert_eq!(code, 2);
	let (code, error) = user.failure(&["car", "create", "-"]);
	assert_eq!(code, 2);
	assert!(error["message"].as_str().unwrap().contains("--output"), "{error}");
	let nothing = with_input(&user, &["--json", "car", "verify", "-"], b"");
	assert_eq!(nothing.status.code(), Some(11));
}

#[test]
fn roots_are_chosen_where_there_are_several() {
	let user = User::new();
	let files = [&b"first"[..], b"second"].map(|data| Block::encode(Codec::Raw, data));
	let mut writer = CarWriter::new(Vec::new(), &files.each_ref().map(|file| *file.cid())).unwrap();
	for file in &files {
		writer.put(file).unwrap();
	}
	fs::write(user.path("two.car"), writer.finish().unwrap().0).unwrap();
	let (code, error) = user.failure(&["car", "extract", "two.car", "-o", "x"]);
	assert_eq!(code, 2);
	assert!(
		error["hint"]
			.as_str()
			.unwrap()
			.contains(&files[1].cid().to_string()),
		"{error}"
	);
	let root = files[1].cid().to_string();
	user.json(&["car", "extract", "two.car", "--root", &root, "-o", "x"]);
	assert_eq!(fs::read(user.path("x")).unwrap(), b"second");
	let indexed = user.json(&["car", "index", "two.car", "-o", "two-indexed.car"]);
	assert_eq!(indexed["roots"].as_array().unwrap().len(), 2);
	assert_eq!(user.json(&["car", "verify", "two-indexed.car"])["version"], 2);
}
