//! Input that no honest client sends: each a clear error, nothing half-written, the provider alive.

use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal, Random},
	http::{self, Answer},
	on_network, Network, User,
};
use serde_json::{json, Value};
use std::{
	fs,
	io::Write,
	path::{Path, PathBuf},
	thread,
	time::{Duration, Instant},
};
use xtask::network::Provider;

const DURATION: u32 = 60;
/// Connections at the same time.
const CONNECTIONS: usize = 200;
/// Most memory that the provider may take, in KiB.
const MEMORY: u64 = 300 << 10;
/// How long the provider may take to notice a broken connection.
const NOTICE: Duration = Duration::from_secs(60);

#[test]
fn uploads_that_are_not_what_was_proposed() -> Result<()> {
	on_network("hostile-uploads", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		user.json(["wallet", "add-balance", "1000 CAIRN"])?;
		let offer = Offered::new(network, &user, &provider, "file", 2_000_000)?;
		offer.propose(&provider)?;
		let payload = fs::read(&offer.archive)?;
		let url = offer.upload_url(&provider);

		let larger = [payload.as_slice(), b"and more"].concat();
		expect(&http::put(&url, &[], &larger)?, 413, "too_large")?;
		expect(
			&http::put(&url, &[], &payload[..payload.len() - 1])?,
			400,
			"too_small",
		)?;
		expect(&http::put(&url, &[], b"")?, 400, "too_small")?;
		let mut other = payload.clone();
		other[payload.len() / 2] ^= 1;
		expect(&http::put(&url, &[], &other)?, 422, "commitment_mismatch")?;
		expect(
			&http::put(&url, &[("upload-offset", "17")], &payload[17..])?,
			409,
			"offset_mismatch",
		)?;
		expect(
			&http::put(&url, &[("upload-offset", "-1")], &payload)?,
			400,
			"malformed",
		)?;
		let unknown = format!("{}/upload/0x{}", provider.url(), "ab".repeat(32));
		expect(&http::put(&unknown, &[], &payload)?, 404, "not_found")?;
		ensure!(held(&url)? == 0, "refused data is kept");
		nothing_half_written(&provider)?;

		resumed_after_it_broke_off(&url, &payload)?;
		// Once it is there, sending it again changes nothing.
		ensure!(http::put(&url, &[], &payload)?.status == 201);
		let about = ["--provider", provider.account()];
		user.wait_for("deal-activated", &about, 0)?;
		let copy = network.folder().join("copy");
		user.json(["get", &offer.root, "--output", &copy.display().to_string()])?;
		ensure_equal(&offer.file, &copy)?;
		alive(network, &user, &provider)
	})
}

#[test]
fn archives_that_are_none() -> Result<()> {
	on_network("hostile-archives", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		user.json(["wallet", "add-balance", "1000 CAIRN"])?;
		let honest = Offered::new(network, &user, &provider, "honest", 100_000)?;
		let bytes = fs::read(&honest.archive)?;
		let mut damaged = bytes.clone();
		let middle = damaged.len() / 2;
		damaged[middle] ^= 1;
		let mut huge_header = vec![0xff; 9];
		huge_header.push(1);
		huge_header.extend_from_slice(&bytes);
		let cases = [
			("noise", Random::new(7).bytes(50_000)),
			("one-byte", vec![0]),
			("damaged", damaged),
			("cut", bytes[..middle].to_vec()),
			("huge-header", huge_header),
		];
		for (name, payload) in cases {
			let archive = network.folder().join(name);
			fs::write(&archive, &payload)?;
			let offer = Offered::of(&user, &provider, archive, &honest.root)?;
			offer.propose(&provider)?;
			let answer = http::put(&offer.upload_url(&provider), &[], &payload)?;
			ensure!(
				answer.status == 422 && ["invalid_car", "root_missing"].contains(&answer.problem()?.as_str()),
				"{name}: {} {}",
				answer.status,
				answer.problem()?
			);
			ensure!(held(&offer.upload_url(&provider))? == 0, "{name} is kept");
		}
		nothing_half_written(&provider)?;
		alive(network, &user, &provider)
	})
}

#[test]
fn proposals_that_cannot_be_kept() -> Result<()> {
	on_network("hostile-proposals", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;

		// Without money.
		let poor = network.poor_user("poor")?;
		let file = files::write(network.folder().join("of the poor"), 1000, 3)?;
		let (code, error) = poor.failure(User::put_arguments(&file, "hot", 1, DURATION))?;
		ensure!(code == 8 && error["hint"].is_string(), "{code}: {error}");
		let offer = Offered::new(network, &poor, &provider, "unpaid", 1000)?;
		refused(&offer.send(&provider)?, "client_funds")?;

		// With money that is not in the escrow, then with a signature that is somebody else's.
		let offer = Offered::new(network, &user, &provider, "not in escrow", 1000)?;
		refused(&offer.send(&provider)?, "client_funds")?;
		user.json(["wallet", "add-balance", "100 CAIRN"])?;
		let other = Offered::new(network, &user, &provider, "other", 2000)?;
		let mut forged = offer.parameter.clone();
		forged["signature"] = other.parameter["signature"].clone();
		refused(
			&http::rpc(&provider.url(), "cairn_v1_proposeDeal", &forged)?,
			"bad_signature",
		)?;

		// Too late: signed with the least time to start, and sent when it has become shorter.
		let late = Offered::with(network, &user, &provider, "late", 1000, "1 blocks")?;
		network.pass(8)?;
		refused(&late.send(&provider)?, "start_by")?;

		// What is no proposal at all.
		let scale = offer.parameter["proposal"].as_str().context("no proposal")?;
		for proposal in [
			"0x",
			"0x00",
			&scale[..scale.len() - 2],
			&format!("{scale}00"),
			"0xff",
		] {
			let mut malformed = offer.parameter.clone();
			malformed["proposal"] = json!(proposal);
			refused(
				&http::rpc(&provider.url(), "cairn_v1_proposeDeal", &malformed)?,
				"malformed",
			)?;
		}
		for body in [
			"",
			"{",
			"[]",
			"null",
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rm\"}",
		] {
			let answer = http::post(&format!("{}/rpc", provider.url()), body)?;
			ensure!(
				answer.status >= 400 || answer.json()?["error"].is_object(),
				"{body}: {} {}",
				answer.status,
				String::from_utf8_lossy(&answer.body)
			);
		}
		let huge = format!("[{}]", "0,".repeat(8 << 20));
		let answer = http::post(&format!("{}/rpc", provider.url()), &huge);
		// Refused by an answer, or by a closed connection.
		ensure!(
			answer.map_or(true, |answer| answer.status >= 400),
			"a huge request was taken"
		);

		// The honest one goes through after all that.
		offer.propose(&provider)?;
		nothing_half_written(&provider)?;
		alive(network, &user, &provider)
	})
}

#[test]
fn paths_that_lead_elsewhere() -> Result<()> {
	on_network("hostile-paths", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		let file = files::write(network.folder().join("file"), 1000, 3)?;
		let root = user.put(&file, "hot", 1, DURATION)?.root;
		let long = format!("/piece/{}", "a".repeat(100_000));
		for path in [
			"/piece/../../config.toml",
			"/piece/..%2f..%2fconfig.toml",
			"/piece/%2e%2e/%2e%2e/config.toml",
			"/piece/....//config.toml",
			"/piece/%00",
			"/piece/%ff%fe",
			"/piece/",
			"/ipfs/../provider.redb",
			"/ipfs/..%2f..%2f..%2fetc%2fpasswd",
			&format!("/ipfs/{root}/../../../etc/passwd"),
			&format!("/ipfs/{root}/%2e%2e/%2e%2e/config.toml"),
			"/upload/..%2f..%2fconfig.toml",
			"/upload/../config.toml",
			"/upload/0x00",
			"//etc/passwd",
			"/config.toml",
			"/..",
			"*",
			"http://example.com/config.toml",
			&long,
		] {
			for method in ["GET", "PUT", "DELETE"] {
				let request = format!(
					"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
				);
				let answer =
					String::from_utf8_lossy(&http::raw(&provider.url(), request.as_bytes())?).into_owned();
				let shown = &path[..path.len().min(80)];
				// A server may also hang up on what is no request at all.
				let is_no_request = path == "*" && answer.is_empty();
				ensure!(
					is_no_request || answer.starts_with("HTTP/1.1 4"),
					"{method} {shown}: {}",
					answer.lines().next().unwrap_or("no answer")
				);
				for secret in ["version = 1", "root:", "[server]", "redb"] {
					ensure!(!answer.contains(secret), "{method} {shown} gives {secret}");
				}
			}
		}
		for noise in [
			&b"\0\0\0\0\r\n\r\n"[..],
			b"GET / HTTP/9.9\r\n\r\n",
			&[0xff; 10_000],
			b"\r\n\r\n\r\n",
		] {
			http::raw(&provider.url(), noise)?;
		}
		let header = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
		let answer = http::raw(&provider.url(), header.as_bytes())?;
		ensure!(
			!answer.starts_with(b"HTTP/1.1 200"),
			"a header of a MiB was taken"
		);
		alive(network, &user, &provider)
	})
}

#[test]
fn many_connections_that_say_nothing() -> Result<()> {
	on_network("hostile-connections", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		let file = files::write(network.folder().join("file"), 2_000_000, 3)?;
		let put = user.put(&file, "hot", 1, DURATION)?;

		// Some say nothing, some half a request, some ask and never read.
		let mut connections = Vec::new();
		let piece = format!("GET /piece/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", put.piece);
		for index in 0..CONNECTIONS {
			let mut connection = http::connect(&provider.url())?;
			match index % 3 {
				0 => {}
				1 => connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: ")?,
				_ => connection.write_all(piece.as_bytes())?,
			}
			connections.push(connection);
		}
		let healthy = http::get(&format!("{}/healthz", provider.url()), &[])?;
		ensure!(healthy.status == 200, "{} in the middle of it", healthy.status);

		// As many at the same time that do want something.
		let url = format!("{}/ipfs/{}?format=car", provider.url(), put.root);
		let answers = thread::scope(|scope| {
			let readers: Vec<_> = (0..CONNECTIONS)
				.map(|_| scope.spawn(|| http::get(&url, &[]).map(|answer| answer.status)))
				.collect();
			readers
				.into_iter()
				.map(|reader| {
					reader
						.join()
						.unwrap_or_else(|_| Err(anyhow::anyhow!("the reader panicked")))
				})
				.collect::<Result<Vec<u16>>>()
		})?;
		let served = answers.iter().filter(|status| **status == 200).count();
		ensure!(
			served > 0 && answers.iter().all(|status| [200, 503].contains(status)),
			"answers: {answers:?}"
		);
		eprintln!("{served} of {CONNECTIONS} served, the others told to come back");
		let memory = resident(&provider)?;
		ensure!(memory < MEMORY, "the provider takes {memory} KiB");
		drop(connections);
		alive(network, &user, &provider)
	})
}

/// A proposal and the archive it is for.
struct Offered {
	file: PathBuf,
	archive: PathBuf,
	root: String,
	hash: String,
	/// Parameter of `cairn_v1_proposeDeal`.
	parameter: Value,
}

impl Offered {
	fn new(network: &Network, user: &User, provider: &Provider, name: &str, size: usize) -> Result<Self> {
		Self::with(network, user, provider, name, size, "600 blocks")
	}

	fn with(
		network: &Network,
		user: &User,
		provider: &Provider,
		name: &str,
		size: usize,
		start_within: &str,
	) -> Result<Self> {
		let file = files::write(network.folder().join(name), size, size as u64)?;
		let archive = network.folder().join(format!("{name}.car"));
		let paths = [file.display().to_string(), archive.display().to_string()];
		let created = user.json(["car", "create", &paths[0], "--output", &paths[1]])?;
		let root = created["root"]
			.as_str()
			.with_context(|| format!("no root: {created}"))?
			.to_owned();
		let offered = Self::signed(user, provider, archive, &root, start_within)?;
		Ok(Self { file, ..offered })
	}

	/// For any file, as if it were an archive.
	fn of(user: &User, provider: &Provider, archive: PathBuf, root: &str) -> Result<Self> {
		Self::signed(user, provider, archive, root, "600 blocks")
	}

	fn signed(
		user: &User,
		provider: &Provider,
		archive: PathBuf,
		root: &str,
		start_within: &str,
	) -> Result<Self> {
		let path = archive.display().to_string();
		let proposal = format!("{path}.proposal.json");
		let duration = format!("{DURATION} blocks");
		user.json([
			"deal",
			"propose",
			&path,
			"--provider",
			provider.account(),
			"--root",
			root,
			"--duration",
			&duration,
			"--start-within",
			start_within,
			"--output",
			&proposal,
		])?;
		user.json(["deal", "sign", &proposal])?;
		let signed: Value = serde_json::from_slice(&fs::read(&proposal)?)?;
		let hash = signed["proposal_hash"]
			.as_str()
			.context("no proposal_hash")?
			.to_owned();
		Ok(Self {
			file: archive.clone(),
			archive,
			root: root.to_owned(),
			hash,
			parameter: json!({
				"kind": "signed",
				"proposal": signed["proposal"],
				"signature": signed["signature"],
			}),
		})
	}

	/// Sends the proposal; the whole answer.
	fn send(&self, provider: &Provider) -> Result<Value> {
		http::rpc(&provider.url(), "cairn_v1_proposeDeal", &self.parameter)
	}

	/// Sends the proposal, which must be taken.
	fn propose(&self, provider: &Provider) -> Result<()> {
		let answer = self.send(provider)?;
		ensure!(
			answer["result"]["progress"]["state"] == "accepted",
			"not accepted: {answer}"
		);
		Ok(())
	}

	fn upload_url(&self, provider: &Provider) -> String {
		format!("{}/upload/{}", provider.url(), self.hash)
	}
}

/// An upload whose connection breaks is taken up where it stopped.
fn resumed_after_it_broke_off(url: &str, payload: &[u8]) -> Result<()> {
	let half = payload.len() / 2;
	let (server, path) = url.split_at(url.rfind("/upload").context("no upload URL")?);
	let mut connection = http::connect(server)?;
	let size = payload.len();
	write!(
		connection,
		"PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n"
	)?;
	connection.write_all(&payload[..half])?;
	drop(connection);

	let deadline = Instant::now() + NOTICE;
	let resumed = loop {
		let offset = held(url)?;
		ensure!(offset <= half, "{offset} bytes of {half} sent are held");
		let headers = [("upload-offset", offset.to_string())];
		let answer = http::put(url, &[(headers[0].0, &headers[0].1)], &payload[offset..])?;
		// Until the server has noticed that the connection is gone.
		let is_early = answer.status == 409 && Instant::now() < deadline;
		if !is_early {
			eprintln!("resumed at {offset} of {size}");
			break answer;
		}
		thread::sleep(Duration::from_millis(100));
	};
	ensure!(
		resumed.status == 201 && resumed.json()?["complete"] == true,
		"{} {}",
		resumed.status,
		String::from_utf8_lossy(&resumed.body)
	);
	Ok(())
}

/// Bytes of an upload that the provider holds.
fn held(url: &str) -> Result<usize> {
	let answer = http::head(url)?;
	let offset = answer
		.header("upload-offset")
		.with_context(|| format!("{} for {url}", answer.status))?;
	Ok(offset.parse()?)
}

fn expect(answer: &Answer, status: u16, problem: &str) -> Result<()> {
	let kind = answer.problem()?;
	ensure!(
		answer.status == status && kind == problem,
		"{} {kind} instead of {status} {problem}",
		answer.status
	);
	Ok(())
}

fn refused(answer: &Value, kind: &str) -> Result<()> {
	ensure!(
		answer["error"]["data"]["kind"] == kind,
		"not refused for {kind}: {answer}"
	);
	Ok(())
}

/// No upload, no temporary file and no piece is left of what was refused.
fn nothing_half_written(provider: &Provider) -> Result<()> {
	for (path, bytes) in files::contents(&provider.folder().join("storage"))? {
		let name = path.display().to_string();
		let is_data = [".part", ".car", ".rows", "incoming/"]
			.iter()
			.any(|mark| name.contains(mark));
		ensure!(!is_data, "{name} of {} bytes is left", bytes.len());
	}
	Ok(())
}

/// The same process as at the start serves as if nothing had been.
fn alive(network: &Network, user: &User, provider: &Provider) -> Result<()> {
	let process = provider.process().context("the provider runs")?;
	ensure!(process.exit_status().is_none(), "the provider has ended");
	let file: &Path = &files::write(network.folder().join("afterwards"), 50_000, 99)?;
	let put = user.put(file, "hot", 1, DURATION)?;
	let copy = network.folder().join("copy of afterwards");
	user.get(&put.root, &copy)?;
	ensure_equal(file, &copy)?;
	let memory = resident(provider)?;
	ensure!(memory < MEMORY, "the provider takes {memory} KiB");
	Ok(())
}

/// Memory of a provider in KiB.
fn resident(provider: &Provider) -> Result<u64> {
	let id = provider.process().context("the provider runs")?.id();
	let status = fs::read_to_string(format!("/proc/{id}/status"))?;
	let line = status
		.lines()
		.find_map(|line| line.strip_prefix("VmRSS:"))
		.context("no VmRSS")?;
	Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
