//! Data that is not what was proposed, is no archive, or does not end.

use crate::{
	offer::Customer,
	target::{Target, PROMPT},
};
use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::Random,
	http::{self, Answer},
	on_network,
};
use cairn_primitives::{commitment, hash::NativeSha256};
use std::{
	io::Write,
	net::TcpStream,
	thread,
	time::{Duration, Instant},
};

/// How long the provider may take to notice a broken connection.
const NOTICE: Duration = Duration::from_secs(60);

#[test]
fn data_that_is_not_what_was_proposed() -> Result<()> {
	on_network("hostile-uploads", |network| {
		let target = Target::start(network, "")?;
		let customer = Customer::new(network)?;
		let offer = customer.offer(&target, "file", 2_000_000)?;
		target.propose(&offer)?;
		let payload = offer.payload()?;
		let url = target.upload_url(&offer);

		let larger = [payload.as_slice(), b"and more"].concat();
		http::put(&url, &[], &larger)?.is_problem(413, "too_large")?;
		chunked(&url, &larger)?.is_problem(413, "too_large")?;
		let smaller = &payload[..payload.len() - 1];
		http::put(&url, &[], smaller)?.is_problem(400, "too_small")?;
		http::put(&url, &[], b"")?.is_problem(400, "too_small")?;
		let total = format!("bytes 0-{}/{}", larger.len() - 1, larger.len());
		http::put(&url, &[("content-range", &total)], &larger)?.is_problem(413, "too_large")?;
		let total = format!("bytes 0-{}/{}", smaller.len() - 1, smaller.len());
		http::put(&url, &[("content-range", &total)], smaller)?.is_problem(400, "too_small")?;
		http::put(&url, &[("upload-offset", "17")], &payload[17..])?.is_problem(409, "offset_mismatch")?;
		for offset in ["-1", "1e3", "99999999999999999999", ""] {
			http::put(&url, &[("upload-offset", offset)], &payload)?.is_problem(400, "malformed")?;
		}
		let unknown = format!("{}/upload/0x{}", target.url(), "ab".repeat(32));
		http::put(&unknown, &[], &payload)?.is_problem(404, "not_found")?;
		target.knows_nothing_of(&offer)?;
		target.keeps_no_data()?;

		// Other data of the same size: one bit, everything, and another archive's.
		let mut flipped = payload.clone();
		flipped[payload.len() / 2] ^= 1;
		let noise = Random::seeded().bytes(payload.len());
		for other in [flipped, vec![0; payload.len()], vec![0xff; payload.len()], noise] {
			http::put(&url, &[], &other)?.is_problem(422, "commitment_mismatch")?;
			target.knows_nothing_of(&offer)?;
			target.keeps_no_data()?;
		}

		// A body that ends too early by itself is an upload to go on with, or to discard.
		chunked(&url, smaller)?.is_problem(400, "too_small")?;
		ensure!(target.held(&offer)? == smaller.len() as u64);
		discard(&url)?;
		target.knows_nothing_of(&offer)?;
		target.keeps_no_data()?;

		resumed_after_it_broke_off(&target, &url, &payload)?;
		// Once it is there, sending it again changes nothing.
		ensure!(http::put(&url, &[], &payload)?.status == 201);
		target.survives()
	})
}

#[test]
fn pieces_that_are_not_fr32() -> Result<()> {
	on_network("hostile-pieces", |network| {
		let target = Target::start(network, "")?;
		let customer = Customer::new(network)?;
		let offer = customer.offer(&target, "file", 100_000)?;
		let payload = offer.payload()?;
		let log2 = offer.proposal.piece.size_log2;

		// Sizes that Fr32 padding cannot give: it takes 1/128 of the piece.
		for (size_log2, payload_size) in [
			(log2, 0),
			(log2, 1 << log2),
			(log2, (1 << log2) / 128 * 127 + 1),
			(log2 - 1, payload.len() as u64),
			(0, 1),
			(6, 60),
			(u8::MAX, 1000),
			(40, u64::MAX),
		] {
			let impossible = offer.with(|proposal| {
				proposal.piece.size_log2 = size_log2;
				proposal.piece.payload_size = payload_size;
			});
			target
				.refuses(&impossible, "piece_size")
				.with_context(|| format!("{payload_size} bytes in 2^{size_log2}"))?;
		}

		// A commitment to the payload as it is, without the two bits that Fr32 leaves free in each leaf, and
		// commitments that no tree has.
		let mut unpadded = payload.clone();
		unpadded.resize(1 << log2, 0);
		let unpadded = commitment::comm_p::<NativeSha256>(&unpadded)?;
		for commitment in [unpadded, [0xff; 32], [0; 32]] {
			let other = offer.with(|proposal| proposal.piece.commitment = commitment);
			target.propose(&other)?;
			let answer = http::put(&target.upload_url(&other), &[], &payload)?;
			answer.is_problem(422, "commitment_mismatch")?;
			target.knows_nothing_of(&other)?;
		}
		target.keeps_no_data()?;
		target.survives()
	})
}

#[test]
fn archives_that_are_none() -> Result<()> {
	on_network("hostile-archives", |network| {
		let target = Target::start(network, "")?;
		let customer = Customer::new(network)?;
		let honest = customer.offer(&target, "honest", 100_000)?;
		let bytes = honest.payload()?;
		let middle = bytes.len() / 2;
		let mut damaged = bytes.clone();
		damaged[middle] ^= 1;
		// A header of 2^63 bytes.
		let mut huge_header = vec![0xff; 9];
		huge_header.push(1);
		huge_header.extend_from_slice(&bytes);
		// A section of 2^40 bytes behind the header.
		let mut huge_section = bytes[..bytes.len() - 60_000].to_vec();
		huge_section.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
		huge_section.extend_from_slice(&bytes[bytes.len() - 60_000..]);
		let cases = [
			("noise", Random::seeded().bytes(50_000)),
			("one-byte", vec![0]),
			("zeros", vec![0; 200_000]),
			("ones", vec![0xff; 200_000]),
			("text", b"This is no archive. ".repeat(500)),
			("damaged", damaged),
			("cut", bytes[..middle].to_vec()),
			("huge-header", huge_header),
			("huge-section", huge_section),
		];
		for (name, payload) in cases {
			let offer = customer.offer_bytes(&target, name, &payload, &honest.root)?;
			target.propose(&offer)?;
			let answer = http::put(&target.upload_url(&offer), &[], &payload)?;
			answer.is_problem(422, "invalid_car").context(name)?;
			target.knows_nothing_of(&offer).context(name)?;
		}
		// A sound archive of something else.
		let other = customer.offer(&target, "other", 90_000)?;
		let payload = other.payload()?;
		let offer = customer.offer_bytes(&target, "of another root", &payload, &honest.root)?;
		target.propose(&offer)?;
		http::put(&target.upload_url(&offer), &[], &payload)?.is_problem(422, "root_missing")?;
		target.knows_nothing_of(&offer)?;
		target.keeps_no_data()?;
		target.survives()
	})
}

#[test]
fn data_without_an_end() -> Result<()> {
	const SENDERS: usize = 8;
	on_network("hostile-endless", |network| {
		let target = Target::start(network, "")?;
		let customer = Customer::new(network)?;
		let offer = customer.offer(&target, "file", 1_000_000)?;
		target.propose(&offer)?;
		let known = target.upload_url(&offer);
		let unknown = format!("{}/upload/0x{}", target.url(), "ab".repeat(32));
		let rpc = format!("{}/rpc", target.url());

		// Nobody says how much will come, and it does not stop coming.
		let (taken, answer) = endless(&known)?;
		answer.is_problem(413, "too_large")?;
		let limit = offer.proposal.piece.payload_size + (16 << 20);
		ensure!(taken < limit, "{taken} bytes were taken of a deal for 1 MB");
		target.knows_nothing_of(&offer)?;

		// Many at once, to a deal, to none, and to a method.
		let (known, unknown, rpc) = (&known, &unknown, &rpc);
		let outcomes = thread::scope(|scope| {
			let senders: Vec<_> = (0..SENDERS)
				.flat_map(|_| [known, unknown, rpc])
				.map(|url| scope.spawn(move || endless(url)))
				.collect();
			target.is_prompt()?;
			senders
				.into_iter()
				.map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
				.collect::<Result<Vec<_>>>()
		})?;
		for (index, (taken, answer)) in outcomes.into_iter().enumerate() {
			ensure!(taken < limit, "{taken} bytes were taken");
			match index % 3 {
				// One is received, the others come while it is.
				0 if answer.status == 409 => answer.is_problem(409, "upload_running")?,
				0 => answer.is_problem(413, "too_large")?,
				1 => answer.is_problem(404, "not_found")?,
				_ => answer.is_problem(413, "too_large")?,
			}
		}
		target.knows_nothing_of(&offer)?;
		target.keeps_no_data()?;

		let answer = http::put(known, &[], &offer.payload()?)?;
		ensure!(answer.status == 201, "{} for the honest upload", answer.status);
		target.survives()
	})
}

/// A connection for a request, and the request's path.
fn connect(url: &str) -> Result<(TcpStream, &str)> {
	let end = url.find("//").context("no URL")? + 2;
	let path = end + url[end..].find('/').context("no path")?;
	Ok((http::connect(&url[..path])?, &url[path..]))
}

/// PUT without saying beforehand how much will come.
fn chunked(url: &str, body: &[u8]) -> Result<Answer> {
	let (mut stream, path) = connect(url)?;
	write!(
		stream,
		"PUT {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
	)?;
	for part in body.chunks(64 << 10) {
		write!(stream, "{:x}\r\n", part.len())?;
		stream.write_all(part)?;
		stream.write_all(b"\r\n")?;
	}
	stream.write_all(b"0\r\n\r\n")?;
	Answer::parse(&http::rest(stream))
}

/// Sends as long as anything is taken. Returns how much was, and the answer.
fn endless(url: &str) -> Result<(u64, Answer)> {
	let (mut stream, path) = connect(url)?;
	let method = if path == "/rpc" { "POST" } else { "PUT" };
	write!(
		stream,
		"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
		 transfer-encoding: chunked\r\n\r\n"
	)?;
	// The answer is read while this still sends: what a reset leaves unread would be lost.
	let receiving = stream.try_clone()?;
	let answer = thread::spawn(move || http::rest(receiving));
	let part = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
	let started = Instant::now();
	let mut taken = 0;
	while stream.write_all(&part).is_ok() {
		taken += 0x10000;
		ensure!(started.elapsed() < 3 * PROMPT, "{taken} bytes and no end");
	}
	let answer = answer
		.join()
		.map_err(|_| anyhow::anyhow!("the reader panicked"))?;
	Ok((taken, Answer::parse(&answer)?))
}

/// DELETE of an upload.
fn discard(url: &str) -> Result<()> {
	let (mut stream, path) = connect(url)?;
	write!(
		stream,
		"DELETE {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
	)?;
	let answer = Answer::parse(&http::rest(stream))?;
	ensure!(answer.status == 204, "{} for DELETE", answer.status);
	Ok(())
}

/// An upload whose connection breaks is taken up where it stopped.
fn resumed_after_it_broke_off(target: &Target, url: &str, payload: &[u8]) -> Result<()> {
	let half = payload.len() / 2;
	let (mut stream, path) = connect(url)?;
	let size = payload.len();
	write!(
		stream,
		"PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n"
	)?;
	stream.write_all(&payload[..half])?;
	drop(stream);

	let deadline = Instant::now() + NOTICE;
	let resumed = loop {
		let offset: usize = http::head(url)?
			.header("upload-offset")
			.context("no offset")?
			.parse()?;
		ensure!(offset <= half, "{offset} bytes of {half} sent are held");
		let answer = http::put(url, &[("upload-offset", &offset.to_string())], &payload[offset..])?;
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
	target.is_prompt()
}
