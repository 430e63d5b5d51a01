//! A thousand clients at once, and one of good will among them.

use crate::{
	offer::Customer,
	target::{Target, DURATION},
};
use anyhow::{anyhow, ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal},
	http::{self, Answer},
	memory::open_files,
	on_network, Network,
};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::{
	collections::BTreeMap,
	io::Write,
	net::TcpStream,
	path::PathBuf,
	sync::Barrier,
	thread,
	time::{Duration, Instant},
};

/// Connections at the same time.
const CONNECTIONS: usize = 1000;
/// Deals of one client that may wait for their sectors, of the 1,000 that a provider lets wait by default.
const SHARE: usize = 250;
/// Enough for a request.
const STACK: usize = 256 << 10;
/// Time in which a server that nobody wants anything of any more must have closed its connections.
const PATIENCE: Duration = Duration::from_secs(60);
/// Shorter than the defaults, so that the test need not wait for those.
const SETTINGS: &str = "
[server]
header_timeout_seconds = 2
write_timeout_seconds = 2
";

#[test]
fn a_thousand_that_want_nothing() -> Result<()> {
	on_network("hostile-idle", |network| {
		let (target, stored) = with_a_file(network, 7_000_000)?;
		let before = open_files(target.process().context("the provider runs")?)?;

		// Some say nothing, some half a request, some have asked and keep the connection.
		let idle = thousand(&target, |index, stream| {
			let request: &[u8] = match index % 3 {
				0 => b"",
				1 => b"GET /healthz HTTP/1.1\r\nhost: ",
				_ => b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
			};
			Ok(stream.write_all(request)?)
		})?;
		target.is_prompt()?;
		let copy = network.folder().join("copy");
		target.user.get(&stored.root, &copy)?;
		ensure_equal(&stored.file, &copy)?;
		// They are still there, and the server holds none of them any more.
		all_closed(&target, before)?;
		drop(idle);
		target.survives()
	})
}

#[test]
fn a_thousand_that_read_nothing() -> Result<()> {
	on_network("hostile-deaf", |network| {
		let (target, stored) = with_a_file(network, 7_000_000)?;
		let before = open_files(target.process().context("the provider runs")?)?;
		let piece = format!("GET /piece/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", stored.piece);
		let car = format!(
			"GET /ipfs/{}?format=car HTTP/1.1\r\nhost: localhost\r\n\r\n",
			stored.root
		);
		let deaf = thousand(&target, |index, stream| {
			let request = if index % 2 == 0 { &piece } else { &car };
			Ok(stream.write_all(request.as_bytes())?)
		})?;
		target.is_prompt()?;
		// Who wants the same is served as soon as the first of them are given up.
		let url = format!("{}/piece/{}", target.url(), stored.piece);
		let asked = Instant::now();
		loop {
			let answer = http::get(&url, &[])?;
			if answer.status == 200 {
				ensure!(answer.body.len() > 7_000_000, "{} bytes", answer.body.len());
				break;
			}
			answer.is_problem(503, "busy")?;
			ensure!(asked.elapsed() < PATIENCE, "nobody is served");
		}
		eprintln!("served after {} s", asked.elapsed().as_secs());
		all_closed(&target, before)?;
		drop(deaf);
		target.survives()
	})
}

#[test]
fn a_thousand_requests_at_once() -> Result<()> {
	on_network("hostile-requests", |network| {
		let (target, stored) = with_a_file(network, 200_000)?;
		let customer = Customer::new(network)?;
		let url = target.url();

		// Health is always told.
		let answers = at_once(&url, |_| get("/healthz"))?;
		ensure!(count(&answers, 200) == CONNECTIONS, "{:?}", statuses(&answers));

		// Data is served to as many as can be, and the others are told to come back.
		let path = format!("/ipfs/{}?format=car", stored.root);
		let answers = at_once(&url, |_| get(&path))?;
		for answer in answers.iter().filter(|answer| answer.status != 200) {
			answer.is_problem(503, "busy")?;
			ensure!(answer.header("retry-after").is_some(), "when may it come back?");
		}
		ensure!(count(&answers, 200) >= 64, "{:?}", statuses(&answers));
		eprintln!("reads: {:?}", statuses(&answers));

		// Proposals, each another one: as many are decided as can be, and the others told to come back.
		let offer = customer.offer(&target, "file", 10_000)?;
		let another = |index: usize| {
			offer.with(|proposal| {
				proposal.nonce = index as u64;
				// A piece of its own: nobody stores the same twice.
				proposal.piece.commitment[..8].copy_from_slice(&index.to_le_bytes());
			})
		};
		let answers = at_once(&url, |index| {
			let other = another(index);
			let call = format!(
				r#"{{"jsonrpc":"2.0","id":1,"method":"cairn_v1_proposeDeal","params":[{}]}}"#,
				other.parameter()
			);
			request(
				"POST",
				"/rpc",
				&[("content-type", "application/json")],
				call.as_bytes(),
			)
		})?;
		let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
		for answer in &answers {
			let json = answer.json()?;
			let outcome = match json["error"]["data"]["kind"].as_str() {
				None => json["result"]["progress"]["state"]
					.as_str()
					.context("neither")?
					.to_owned(),
				Some(kind) => kind.to_owned(),
			};
			*outcomes.entry(outcome).or_insert(0) += 1;
		}
		eprintln!("proposals: {outcomes:?}");
		ensure!(
			outcomes
				.keys()
				.all(|outcome| ["accepted", "busy"].contains(&outcome.as_str())),
			"{outcomes:?}"
		);
		// Then no more of them, one by one, than one client's share of what may wait.
		let taken = outcomes.get("accepted").copied().unwrap_or(0);
		ensure!((1..=SHARE).contains(&taken), "{outcomes:?}");
		for index in CONNECTIONS..CONNECTIONS + SHARE - taken {
			target.propose(&another(index))?;
		}
		target.refuses(&another(2 * CONNECTIONS), "busy")?;

		// Uploads of one deal: it is received once.
		let customer = Customer::with_escrow(network, "//Eve", "1000 CAIRN")?;
		let offer = customer.offer(&target, "another", 12_000)?;
		target.propose(&offer)?;
		let (payload, path) = (offer.payload()?, format!("/upload/{}", offer.hash()));
		let answers = at_once(&url, |_| request("PUT", &path, &[], &payload))?;
		for answer in answers.iter().filter(|answer| answer.status != 201) {
			match answer.status {
				409 => answer.is_problem(409, "upload_running")?,
				_ => answer.is_problem(503, "busy")?,
			}
		}
		eprintln!("uploads: {:?}", statuses(&answers));
		ensure!(count(&answers, 201) >= 1, "{:?}", statuses(&answers));
		target.survives()
	})
}

/// An object that the provider stores.
struct Stored {
	file: PathBuf,
	root: String,
	piece: String,
}

fn with_a_file(network: &Network, size: usize) -> Result<(Target<'_>, Stored)> {
	raise_open_files()?;
	let target = Target::start(network, SETTINGS)?;
	let file = files::write(network.folder().join("stored"), size, 3)?;
	let (put, _) = target.user.put_with(&target, &file, "hot", DURATION)?;
	let stored = Stored {
		file,
		root: put.root,
		piece: put.piece,
	};
	Ok((target, stored))
}

/// Lets this process have a thousand connections open, which the usual limit does not.
fn raise_open_files() -> Result<()> {
	let limit = getrlimit(Resource::Nofile);
	let needed = 2 * CONNECTIONS as u64;
	if limit.current.is_some_and(|current| current < needed) {
		let raised = Rlimit {
			current: Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed))),
			maximum: limit.maximum,
		};
		setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")?;
	}
	Ok(())
}

/// Opens a thousand connections and says something on each.
fn thousand(
	target: &Target,
	mut speak: impl FnMut(usize, &mut TcpStream) -> Result<()>,
) -> Result<Vec<TcpStream>> {
	(0..CONNECTIONS)
		.map(|index| {
			let mut stream = http::connect(&target.url())?;
			speak(index, &mut stream)?;
			Ok(stream)
		})
		.collect()
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
	let mut bytes = format!(
		"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
		body.len()
	)
	.into_bytes();
	for (name, value) in headers {
		bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
	}
	bytes.extend_from_slice(b"\r\n");
	bytes.extend_from_slice(body);
	bytes
}

fn get(path: &str) -> Vec<u8> {
	request("GET", path, &[], b"")
}

/// Sends a thousand requests at the same moment, each on a connection of its own; every one is answered.
fn at_once(url: &str, request: impl Fn(usize) -> Vec<u8> + Sync) -> Result<Vec<Answer>> {
	let start = Barrier::new(CONNECTIONS);
	thread::scope(|scope| {
		let (start, request) = (&start, &request);
		let clients = (0..CONNECTIONS)
			.map(|index| {
				thread::Builder::new()
					.stack_size(STACK)
					.spawn_scoped(scope, move || {
						let bytes = request(index);
						start.wait();
						Answer::parse(&http::raw(url, &bytes)?)
					})
			})
			.collect::<Result<Vec<_>, _>>()?;
		clients
			.into_iter()
			.map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
			.collect()
	})
}

fn count(answers: &[Answer], status: u16) -> usize {
	answers.iter().filter(|answer| answer.status == status).count()
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
	let mut statuses = BTreeMap::new();
	for answer in answers {
		*statuses.entry(answer.status).or_insert(0) += 1;
	}
	statuses
}

/// Waits until the server has closed its connections but a few.
fn all_closed(target: &Target, before: usize) -> Result<()> {
	let deadline = Instant::now() + PATIENCE;
	loop {
		let now = open_files(target.process().context("the provider runs")?)?;
		if now <= before + 8 {
			return Ok(());
		}
		ensure!(
			Instant::now() < deadline,
			"{now} files are open, {before} were before the connections"
		);
		thread::sleep(Duration::from_millis(200));
	}
}
