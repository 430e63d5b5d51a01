//! The program as scripts use it: exit codes, JSON on standard output, errors on standard error. No chain is
//! needed: what talks to one is tested end to end.

#![cfg(unix)]

mod user;

use cairn_car::CarWriter;
use cairn_dag::{
	codec::dag_pb::{PbLink, PbNode},
	Block, Cid, Codec,
};
use serde_json::Value;
use std::{
	fs,
	os::unix::fs::{symlink, PermissionsExt},
	path::Path,
};
use user::{fields, User};

const PASSWORD: &str = "correct horse battery";
/// A phrase that nobody should see on a screen.
const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

fn origin_of<'a>(config: &'a Value, key: &str) -> (&'a str, &'a str) {
	let rows = config["settings"].as_array().unwrap();
	let row = rows.iter().find(|row| row["key"] == key).unwrap();
	(
		row["value"].as_str().unwrap_or_default(),
		row["origin"].as_str().unwrap(),
	)
}

#[test]
fn settings_say_where_they_come_from() {
	let user = User::new();
	let config = user.json(&["config", "show"]);
	assert_eq!(config["schema"], "cairn.config/1");
	assert_eq!(
		origin_of(&config, "config"),
		(
			user.text(".config/cairn/config.toml").as_str(),
			"default; there is no such file"
		)
	);
	assert_eq!(
		origin_of(&config, "keystore"),
		(user.text(".local/share/cairn/keys").as_str(), "default")
	);
	assert_eq!(
		origin_of(&config, "state-dir"),
		(user.text(".local/state/cairn").as_str(), "default")
	);

	fs::create_dir_all(user.path("xdg/cairn")).unwrap();
	let file = user.path("xdg/cairn/config.toml");
	fs::write(
		&file,
		"version = 1\nnode = \"ws://file\"\naccount = \"file\"\n[put]\ncopies = 5\n",
	)
	.unwrap();
	let output = user
		.command(&["--json", "--node", "ws://flag", "config", "show"])
		.env("XDG_CONFIG_HOME", user.path("xdg"))
		.env("CAIRN_NODE", "ws://environment")
		.env("CAIRN_ACCOUNT", "environment")
		.output()
		.unwrap();
	let config: Value = serde_json::from_slice(&output.stdout).unwrap();
	let from_file = format!("file ({})", file.display());
	assert_eq!(origin_of(&config, "node"), ("ws://flag", "command line"));
	assert_eq!(
		origin_of(&config, "account"),
		("environment", "environment (CAIRN_ACCOUNT)")
	);
	assert_eq!(origin_of(&config, "put.copies"), ("5", from_file.as_str()));
	assert_eq!(origin_of(&config, "config"), (file.to_str().unwrap(), "default"));
}

#[test]
fn configuration_files_are_strict() {
	let user = User::new();
	let file = user.text("config.toml");
	for wrong in [
		"version = 1\nnod = \"ws://x\"",
		"version = 2",
		"node = \"ws://x\"",
		"version = 1\n[put]\ncopies = 0",
		"version = 1\n[put]\nmax-price = \"5\"",
		"version =",
	] {
		fs::write(&file, wrong).unwrap();
		let (code, error) = user.failure(&["--config", &file, "config", "show"]);
		assert_eq!(
			(code, error["kind"].as_str()),
			(3, Some("configuration")),
			"{wrong}"
		);
		assert!(error["hint"].is_string(), "{error}");
	}
	assert_eq!(
		user.failure(&["--config", &user.text("absent"), "config", "show"])
			.0,
		3
	);
}

#[test]
fn mistakes_on_the_command_line() {
	let user = User::new();
	for wrong in [
		&["put"][..],
		&["no-such-command"],
		&["get", "not-a-cid"],
		&["put", "x", "--copies", "0"],
		&["put", "--resume", "--copies", "3"],
		&["put", "x", "--duration", "30"],
		&["--account", "me", "--dev", "//Alice", "wallet", "address"],
	] {
		let (code, error) = user.failure(wrong);
		assert_eq!((code, error["kind"].as_str()), (2, Some("usage")), "{wrong:?}");
	}
	// People get clap's own text.
	let output = user.run(&["put"]);
	assert_eq!(output.status.code(), Some(2));
	assert!(String::from_utf8(output.stderr)
		.unwrap()
		.contains("Usage: cairn put"));
	// The help is no error.
	assert!(user.run(&["--json", "put", "--help"]).status.success());
}

#[test]
fn completions_for_every_shell() {
	let user = User::new();
	for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
		let output = user.run(&["completions", shell]);
		assert!(output.status.success());
		assert!(
			String::from_utf8(output.stdout).unwrap().contains("add-balance"),
			"{shell}"
		);
	}
}

#[test]
fn development_accounts_beat_the_configured_one() {
	let user = User::new();
	let output = user
		.command(&["--json", "--dev", "//Alice", "wallet", "address"])
		.env("CAIRN_ACCOUNT", "somebody")
		.output()
		.unwrap();
	let address: Value = serde_json::from_slice(&output.stdout).unwrap();
	assert_eq!(
		address["address"],
		"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
	);
}

/// The account that signs is not the one that a command is about.
#[test]
fn the_configured_account_is_no_argument() {
	let user = User::new();
	let output = user
		.command(&["--json", "wallet", "address", "//Bob"])
		.env("CAIRN_ACCOUNT", "//Alice")
		.output()
		.unwrap();
	let address: Value = serde_json::from_slice(&output.stdout).unwrap();
	assert_eq!(
		address["address"],
		"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
	);
	let missing = user
		.command(&["--json", "chain", "provider"])
		.env("CAIRN_ACCOUNT", "//Alice")
		.output()
		.unwrap();
	assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn secrets_stay_secret() {
	let user = User::new();
	let (code, error) = user.failure(&["--dev", PHRASE, "wallet", "address"]);
	assert_eq!(code, 4);
	assert!(!error.to_string().contains("sausage"), "{error}");

	let verbose = |arguments: &[&str]| {
		let output = user
			.command(&[&["--verbose", "--json"], arguments].concat())
			.env("CAIRN_PASSWORD", PASSWORD)
			.env("RUST_LOG", "trace")
			.output()
			.unwrap();
		assert!(output.status.success(), "{output:?}");
		let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
		assert!(!said.contains(PASSWORD), "{said}");
		said
	};
	assert!(!verbose(&["wallet", "new", "me", "--no-phrase"]).contains("\"phrase\":\""));
	verbose(&["wallet", "list"]);
	let mode = |path: &str| fs::metadata(user.path(path)).unwrap().permissions().mode() & 0o777;
	assert_eq!(mode(".local/share/cairn/keys"), 0o700);
	assert_eq!(mode(".local/share/cairn/keys/me.json"), 0o600);
	let key = fs::read_to_string(user.path(".local/share/cairn/keys/me.json")).unwrap();
	assert!(!key.contains(PASSWORD));

	let list = user.json(&["wallet", "list"]);
	assert_eq!(list["accounts"][0]["name"], "me");
	assert_eq!(
		list["accounts"][0]["address"],
		user.json(&["wallet", "address"])["address"]
	);
	let again = user
		.command(&["--json", "wallet", "new", "me"])
		.env("CAIRN_PASSWORD", PASSWORD)
		.output()
		.unwrap();
	assert_eq!(again.status.code(), Some(4));
	assert_eq!(user.failure(&["wallet", "new", "../up"]).0, 4);
}

/// A folder, as `car create` takes it.
fn photos(user: &User) -> String {
	let folder = user.path("photos");
	fs::create_dir_all(folder.join("sub")).unwrap();
	fs::write(folder.join("one.jpg"), vec![7; 600_000]).unwrap();
	fs::write(folder.join("sub/two.txt"), "two").unwrap();
	folder.display().to_string()
}

#[test]
fn archives_from_end_to_end() {
	let user = User::new();
	let folder = photos(&user);
	let created = user.json(&["car", "create", &folder]);
	assert_eq!(created["schema"], "cairn.car-created/1");
	assert_eq!(
		fields(&created),
		[
			"archive",
			"archive_size",
			"blocks",
			"content_size",
			"directories",
			"duplicates",
			"files",
			"root",
			"schema"
		]
	);
	assert_eq!(
		(&created["files"], &created["content_size"]),
		(&2.into(), &600_003.into())
	);
	let archive = created["archive"].as_str().unwrap();
	assert_eq!(archive, "photos.car");
	let (code, error) = user.failure(&["car", "create", &folder]);
	assert_eq!((code, error["hint"].as_str()), (5, Some("--force replaces it")));
	assert_eq!(user.json(&["car", "create", &folder, "--force"]), created);

	let files = user.json(&["car", "ls", archive]);
	assert_eq!(files["schema"], "cairn.car-files/1");
	let kinds: Vec<&str> = files["entries"]
		.as_array()
		.unwrap()
		.iter()
		.map(|entry| entry["kind"].as_str().unwrap())
		.collect();
	assert_eq!(kinds, ["folder", "file", "folder", "file"]);

	let verified = user.json(&["car", "verify", archive]);
	assert_eq!(
		(&verified["version"], verified["index"].as_str()),
		(&2.into(), Some("matches"))
	);
	assert_eq!(verified["blocks"], created["blocks"]);

	let indexed = user.json(&["car", "index", archive, "--output", "again.car"]);
	assert_eq!(indexed["roots"][0], created["root"]);
	let piece = user.json(&["car", "commp", archive]);
	assert_eq!(
		fs::read(user.path("again.car")).unwrap(),
		fs::read(user.path(archive)).unwrap()
	);
	assert_eq!(piece["payload_size"], created["archive_size"]);
	assert!(piece["piece_cid"].as_str().unwrap().starts_with("bafkzcib"));

	let extracted = user.json(&["car", "extract", archive, "--output", "copy"]);
	assert_eq!(
		(&extracted["files"], &extracted["bytes"]),
		(&2.into(), &600_003.into())
	);
	assert_eq!(fs::read(user.path("copy/sub/two.txt")).unwrap(), b"two");
	assert_eq!(
		user.failure(&["car", "extract", archive, "--output", "copy"]).0,
		5
	);
	assert_eq!(
		user.failure(&["car", "extract", archive, "--path", "no/such"]).0,
		10
	);
	let one = user.json(&[
		"car",
		"extract",
		archive,
		"--path",
		"sub/two.txt",
		"--output",
		"two",
	]);
	assert_eq!(one["bytes"], 3);

	let mut bytes = fs::read(user.path(archive)).unwrap();
	bytes[300_000] ^= 1;
	fs::write(user.path("damaged.car"), &bytes).unwrap();
	assert_eq!(user.failure(&["car", "verify", "damaged.car"]).0, 11);
	assert_eq!(
		user.failure(&["car", "extract", "damaged.car", "--output", "x"])
			.0,
		11
	);
	assert!(!user.path("x").exists());
	for command in ["ls", "verify", "extract", "commp"] {
		assert_eq!(user.failure(&["car", command, "absent.car"]).0, 5, "{command}");
	}

	// One line for scripts, and nothing else.
	let output = user.run(&["--quiet", "car", "create", &folder, "--output", "quiet.car"]);
	assert_eq!(
		String::from_utf8(output.stdout).unwrap().trim(),
		created["root"].as_str().unwrap()
	);
	assert_eq!(output.stderr, b"");
	let left: Vec<_> = fs::read_dir(user.home())
		.unwrap()
		.map(|entry| entry.unwrap().file_name().into_string().unwrap())
		.filter(|name| name.starts_with(".cairn"))
		.collect();
	assert_eq!(left, [""; 0]);
}

#[test]
fn the_archive_is_not_packed_into_itself() {
	let user = User::new();
	photos(&user);
	let created = user.json(&["car", "create", ".", "--output", "photos/out.car"]);
	assert_eq!(created["files"], 2);
	assert_eq!(
		user.json(&["car", "create", ".", "--output", "photos/out.car", "--force"])["root"],
		created["root"]
	);
}

#[test]
fn links_and_special_files() {
	let user = User::new();
	let folder = photos(&user);
	symlink("one.jpg", user.path("photos/inside")).unwrap();
	user.json(&["car", "create", &folder, "--output", "inside.car"]);
	let extracted = user.json(&["car", "extract", "inside.car", "--output", "inside"]);
	assert_eq!(extracted["symlinks"], 1);

	symlink("/etc/passwd", user.path("photos/outside")).unwrap();
	user.json(&["car", "create", &folder, "--output", "outside.car"]);
	let (code, error) = user.failure(&["car", "extract", "outside.car", "--output", "outside"]);
	assert_eq!(code, 11);
	assert!(error["hint"].as_str().unwrap().contains("--symlinks skip"));
	assert!(!user.path("outside").exists());
	let skipped = user.json(&[
		"car",
		"extract",
		"outside.car",
		"--output",
		"outside",
		"--symlinks",
		"skip",
	]);
	assert_eq!(skipped["symlinks"], 0);
	assert!(!user.path("outside/outside").exists());

	fs::remove_file(user.path("photos/outside")).unwrap();
	let _socket = std::os::unix::net::UnixListener::bind(user.path("photos/socket")).unwrap();
	let (code, error) = user.failure(&["car", "create", &folder, "--output", "socket.car"]);
	assert_eq!(code, 5);
	assert!(error["message"].as_str().unwrap().contains("socket"), "{error}");
	assert!(!user.path("socket.car").exists());
}

fn folder_block(entries: &[(&str, Cid)]) -> Block {
	let links = entries
		.iter()
		.map(|(name, cid)| PbLink {
			cid: *cid,
			name: Some((*name).into()),
			tsize: None,
		})
		.collect();
	let data = Some((&b"\x08\x01"[..]).into());
	Block::encode(Codec::DagPb, PbNode { links, data }.encode())
}

fn write_archive(path: &Path, blocks: &[&Block]) {
	let root = *blocks.last().unwrap().cid();
	let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
	for block in blocks {
		writer.put(block).unwrap();
	}
	fs::write(path, writer.finish().unwrap().0).unwrap();
}

#[test]
fn hostile_archives() {
	let user = User::new();
	let file = Block::encode(Codec::Raw, &b"evil"[..]);
	for name in ["../evil", "..", "/tmp/evil", "a\0b", "", "."] {
		let folder = folder_block(&[("fine", *file.cid()), (name, *file.cid())]);
		write_archive(&user.path("hostile.car"), &[&file, &folder]);
		let (code, error) = user.failure(&["car", "extract", "hostile.car", "--output", "out"]);
		assert_eq!(
			(code, error["kind"].as_str()),
			(11, Some("verification")),
			"{name:?}"
		);
		assert_eq!(fs::read_dir(user.home()).unwrap().count(), 1, "{name:?}");
	}
	// Two entries that would be one file.
	let twice = folder_block(&[("a", *file.cid()), ("a", *file.cid())]);
	write_archive(&user.path("hostile.car"), &[&file, &twice]);
	assert_eq!(
		user.failure(&["car", "extract", "hostile.car", "--output", "out"])
			.0,
		5
	);
	assert!(!user.path("out").exists());

	// Names that would steer a terminal.
	let colours = folder_block(&[("\x1b[31mred\u{202e}\n", *file.cid())]);
	write_archive(&user.path("hostile.car"), &[&file, &colours]);
	let output = user.run(&["car", "ls", "hostile.car"]);
	assert!(output.status.success());
	let shown = String::from_utf8(output.stdout).unwrap();
	assert!(shown.contains("?[31mred"), "{shown:?}");
	assert!(!shown.contains(['\x1b', '\u{202e}']), "{shown:?}");

	// A header that claims 2^60 bytes.
	let mut huge = vec![0x80; 8];
	huge.push(0x10);
	fs::write(user.path("huge.car"), huge).unwrap();
	for command in [&["car", "ls", "huge.car"][..], &["car", "verify", "huge.car"]] {
		assert_eq!(user.failure(command).0, 11, "{command:?}");
	}
	fs::write(user.path("empty.car"), "").unwrap();
	assert_eq!(user.failure(&["car", "verify", "empty.car"]).0, 11);
}

/// The record is a convenience: whoever knows the CID gets the data without it.
#[test]
fn a_damaged_record_does_not_keep_anybody_from_reading() {
	let user = User::new();
	let objects = user.path(".local/state/cairn/objects");
	fs::create_dir_all(&objects).unwrap();
	fs::write(objects.join("0101010101010101.json"), "{").unwrap();
	let (code, error) = user.failure(&["ls"]);
	assert_eq!((code, error["kind"].as_str()), (3, Some("configuration")));

	let cid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
	let arguments = [
		"--json",
		"get",
		cid,
		"--only",
		"--provider-url",
		"http://127.0.0.1:1/",
	];
	let output = user.run(&arguments);
	assert_eq!(output.status.code(), Some(10), "nobody listens there");
	let stderr = String::from_utf8(output.stderr).unwrap();
	let lines: Vec<Value> = stderr
		.lines()
		.map(|line| serde_json::from_str(line).unwrap())
		.collect();
	assert_eq!(lines[0]["schema"], "cairn.warning/1");
	assert_eq!(lines[1]["schema"], "cairn.error/1");
	assert!(!user.path(cid).exists());
}

#[test]
fn a_place_that_cannot_be_written_to_is_found_before_anything_is_fetched() {
	let user = User::new();
	fs::write(user.path("taken"), "mine").unwrap();
	let cid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
	for place in ["taken", "no/such/folder/file", "taken/file"] {
		let (code, error) = user.failure(&[
			"get",
			cid,
			"--only",
			"--provider-url",
			"http://127.0.0.1:1/",
			"--output",
			place,
		]);
		assert_eq!((code, error["kind"].as_str()), (5, Some("file")), "{place}");
		assert!(error["hint"].is_string(), "{error}");
	}
	assert_eq!(fs::read(user.path("taken")).unwrap(), b"mine");
}
