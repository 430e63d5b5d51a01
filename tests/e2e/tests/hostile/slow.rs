//! Clients that send or read a byte now and then, to hold the server's places for ever.

use crate::{
	offer::Customer,
	target::{Target, DURATION},
};
use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files,
	http::{self, Answer},
	memory::open_files,
	on_network,
};
use std::{
	io::{ErrorKind, Read, Write},
	net::TcpStream,
	thread,
	time::{Duration, Instant},
};

/// Shorter than the defaults, so that the test need not wait for those.
const SETTINGS: &str = "
[server]
header_timeout_seconds = 2
body_timeout_seconds = 2
write_timeout_seconds = 2
[uploads]
idle_timeout_seconds = 2
";
/// Pause between two bytes.
const PAUSE: Duration = Duration::from_millis(100);
/// More than any of the limits above.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clients of each kind at the same time.
const CLIENTS: usize = 20;

#[test]
fn senders_and_readers_of_a_byte_at_a_time() -> Result<()> {
	on_network("hostile-slow", |network| {
		let target = Target::start(network, SETTINGS)?;
		let customer = Customer::new(network)?;
		let offer = customer.offer(&target, "file", 1_000_000)?;
		target.propose(&offer)?;
		let stored = files::write(network.folder().join("stored"), 7_000_000, 3)?;
		let (stored, _) = target.user.put_with(&target, &stored, "hot", DURATION)?;
		let before = open_files(target.process().context("the provider runs")?)?;

		let url = target.url();
		let upload = format!("/upload/{}", offer.hash());
		let unknown = format!("/upload/0x{}", "ab".repeat(32));
		let piece = format!("/piece/{}", stored.piece);
		let payload = offer.payload()?;
		thread::scope(|scope| -> Result<()> {
			let (url, upload, unknown, piece, payload) = (&url, &upload, &unknown, &piece, &payload);
			let mut clients = Vec::new();
			for _ in 0..CLIENTS {
				clients.push(scope.spawn(move || slow_head(url)));
				clients.push(scope.spawn(move || silent_after_a_request(url)));
				clients.push(scope.spawn(move || slow_request(url)));
				clients.push(scope.spawn(move || slow_upload_to_nobody(url, unknown)));
				clients.push(scope.spawn(move || slow_reader(url, piece)));
			}
			clients.push(scope.spawn(move || slow_upload(url, upload, payload)));
			clients.push(scope.spawn(move || stalled_after(url, upload, payload)));
			// All the while everybody else is served.
			while clients.iter().any(|client| !client.is_finished()) {
				target.is_prompt()?;
				thread::sleep(PAUSE);
			}
			clients
				.into_iter()
				.try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
		})?;

		// Nobody holds a connection any more.
		let deadline = Instant::now() + PATIENCE;
		loop {
			let now = open_files(target.process().context("the provider runs")?)?;
			if now <= before + 8 {
				break;
			}
			ensure!(Instant::now() < deadline, "{now} files are open, {before} were");
			thread::sleep(PAUSE);
		}
		// What arrived of the upload is kept for its client, who goes on from there.
		let held = target.held(&offer)?;
		ensure!(held < payload.len() as u64, "{held} bytes are held");
		let headers = [("upload-offset", held.to_string())];
		let rest = &payload[usize::try_from(held)?..];
		let answer = http::put(&target.upload_url(&offer), &[(headers[0].0, &headers[0].1)], rest)?;
		ensure!(answer.status == 201, "{} for the rest", answer.status);
		target.survives()
	})
}

/// Sends bytes one by one until the server closes. Returns what it said.
fn drip(mut stream: TcpStream, bytes: &[u8]) -> Result<Vec<u8>> {
	let started = Instant::now();
	let mut answer = Vec::new();
	stream.set_read_timeout(Some(PAUSE))?;
	// Whoever writes to a connection that is closed learns it with the second byte.
	for byte in bytes.iter().cycle() {
		ensure!(started.elapsed() < PATIENCE, "the server has not had enough");
		let mut buffer = [0; 4096];
		match stream.read(&mut buffer) {
			Ok(0) => break,
			Ok(read) => answer.extend_from_slice(&buffer[..read]),
			Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
			Err(_) => break,
		}
		if stream.write_all(&[*byte]).is_err() {
			break;
		}
	}
	answer.extend(http::rest(stream));
	Ok(answer)
}

/// A head without an end: HTTP knows no answer to half a request.
fn slow_head(url: &str) -> Result<()> {
	let mut stream = http::connect(url)?;
	stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ")?;
	let answer = drip(stream, b"a")?;
	ensure!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
	Ok(())
}

/// A connection that is kept after a request and says nothing more.
fn silent_after_a_request(url: &str) -> Result<()> {
	let started = Instant::now();
	let mut stream = http::connect(url)?;
	stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
	let answer = Answer::parse(&http::rest(stream))?;
	ensure!(answer.status == 200, "{}", answer.status);
	ensure!(started.elapsed() < PATIENCE, "the connection was kept");
	Ok(())
}

/// A JSON-RPC request without an end.
fn slow_request(url: &str) -> Result<()> {
	let mut stream = http::connect(url)?;
	stream.write_all(
		b"POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n[",
	)?;
	Answer::parse(&drip(stream, b" ")?)?.is_problem(408, "idle_timeout")
}

/// An upload of a deal that does not exist.
fn slow_upload_to_nobody(url: &str, path: &str) -> Result<()> {
	let mut stream = http::connect(url)?;
	write!(
		stream,
		"PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n"
	)?;
	Answer::parse(&drip(stream, b"x")?)?.is_problem(404, "not_found")
}

/// An upload that keeps coming, a byte at a time.
fn slow_upload(url: &str, path: &str, payload: &[u8]) -> Result<()> {
	cut_off_unless_the_other_runs(url, path, payload, |stream| drip(stream, payload))
}

/// An upload that comes quickly and then not at all.
fn stalled_after(url: &str, path: &str, payload: &[u8]) -> Result<()> {
	cut_off_unless_the_other_runs(url, path, payload, |mut stream| {
		stream.write_all(&payload[..payload.len() / 2])?;
		Ok(http::rest(stream))
	})
}

/// One upload of a deal runs at a time: the other one tries again until it may.
fn cut_off_unless_the_other_runs(
	url: &str,
	path: &str,
	payload: &[u8],
	send: impl Fn(TcpStream) -> Result<Vec<u8>>,
) -> Result<()> {
	let started = Instant::now();
	loop {
		let mut stream = http::connect(url)?;
		write!(
			stream,
			"PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
			payload.len()
		)?;
		let answer = Answer::parse(&send(stream)?)?;
		if answer.status != 409 {
			let offset = answer.header("upload-offset").context("no offset")?;
			ensure!(offset.parse::<usize>()? < payload.len(), "{offset} bytes");
			return answer.is_problem(408, "idle_timeout");
		}
		answer.is_problem(409, "upload_running")?;
		ensure!(
			started.elapsed() < 2 * PATIENCE,
			"an upload holds its deal for ever"
		);
	}
}

/// Asks for megabytes and reads none of them.
fn slow_reader(url: &str, path: &str) -> Result<()> {
	let mut stream = http::connect(url)?;
	write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
	// Long enough for the server to give up: what it sent before that is all there is.
	thread::sleep(PATIENCE / 3);
	let answer = Answer::parse(&http::rest(stream))?;
	let size: usize = answer.header("content-length").context("no length")?.parse()?;
	ensure!(
		answer.status == 200 && answer.body.len() < size,
		"{size} bytes were sent to nobody"
	);
	Ok(())
}
