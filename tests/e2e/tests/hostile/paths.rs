//! URLs that lead elsewhere, and requests that are none.

use crate::target::{Target, DURATION};
use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files,
	http::{self, explains_itself, Answer},
	on_network,
};

/// What is in files that nobody may read: the provider's settings, keys and database, the system's users.
const SECRETS: [&str; 6] = ["version = 1", "encoding", "redb", "root:", "[server]", "PRIVATE"];

#[test]
fn paths_that_lead_elsewhere() -> Result<()> {
	on_network("hostile-paths", |network| {
		let target = Target::start(network, "")?;
		let file = files::write(network.folder().join("file"), 1000, 3)?;
		let (put, _) = target.user.put_with(&target, &file, "hot", DURATION)?;
		let before = files::names(target.folder())?;

		let (root, piece) = (&put.root, &put.piece);
		let hash = "ab".repeat(32);
		let absolute = target.folder().join("config.toml").display().to_string();
		for path in [
			// Up.
			"/piece/../../config.toml".to_owned(),
			"/piece/..%2f..%2fconfig.toml".into(),
			"/piece/%2e%2e/%2e%2e/config.toml".into(),
			"/piece/%2e%2e%2f%2e%2e%2fconfig.toml".into(),
			"/piece/....//config.toml".into(),
			"/piece/..\\..\\config.toml".into(),
			"/piece/..%5c..%5cconfig.toml".into(),
			"/ipfs/../provider.redb".into(),
			"/ipfs/..%2f..%2f..%2fetc%2fpasswd".into(),
			format!("/ipfs/{root}/../../../etc/passwd"),
			format!("/ipfs/{root}/../../../etc/passwd?format=raw"),
			format!("/ipfs/{root}/%2e%2e/%2e%2e/config.toml?format=raw"),
			format!("/ipfs/{root}/..%2f..%2fconfig.toml?format=car"),
			"/upload/..%2f..%2fconfig.toml".into(),
			"/upload/../config.toml".into(),
			format!("/upload/{hash}%2f..%2f..%2fconfig.toml"),
			format!("/piece/{piece}%2f..%2f..%2fconfig.toml"),
			"/..".into(),
			"/../../../../etc/passwd".into(),
			// Encoded twice, or longer than need be.
			"/piece/%252e%252e%252f%252e%252e%252fconfig.toml".into(),
			"/upload/%25%32%65%25%32%65%25%32%66config.toml".into(),
			"/piece/%c0%ae%c0%ae%c0%afconfig.toml".into(),
			"/piece/%u002e%u002e/config.toml".into(),
			// Ends and gaps.
			"/piece/%00".into(),
			format!("/piece/{piece}%00.txt"),
			format!("/ipfs/{root}%00?format=raw"),
			"/piece/%".into(),
			"/piece/%2".into(),
			"/piece/%zz".into(),
			"/piece/".into(),
			"/upload/".into(),
			"/upload/0x00".into(),
			// Absolute.
			"//etc/passwd".into(),
			"/config.toml".into(),
			format!("/piece/{absolute}"),
			format!("/piece/{}", absolute.replace('/', "%2f")),
			"file:///etc/passwd".into(),
			"http://example.com/config.toml".into(),
			"http://example.com/../../config.toml".into(),
			"*".into(),
			// Text that is none.
			"/piece/%ff%fe".into(),
			"/upload/%ff".into(),
			format!("/ipfs/{root}/%ff%fe?format=raw"),
			// Long, and deep.
			format!("/piece/{}", "a".repeat(60_000)),
			format!("/upload/0x{}", "a".repeat(100_000)),
			format!("/ipfs/{root}{}?format=raw", "/..".repeat(20_000)),
			format!("/ipfs/{root}{}?format=raw", "/a".repeat(20_000)),
			format!("/{}", "a".repeat(1_000_000)),
		] {
			for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"] {
				let request = format!(
					"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
				);
				let shown: String = path.chars().take(80).collect();
				refused(&target, request.as_bytes(), method == "HEAD")
					.with_context(|| format!("{method} {shown}"))?;
			}
		}
		// Bytes that are no text, as they are.
		for path in [
			&b"/piece/\xff\xfe"[..],
			b"/piece/\xc3\x28",
			b"/ipfs/\x80",
			b"/piece/\x00",
			b"/\x7f",
		] {
			let request = [
				b"GET ",
				path,
				b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
			]
			.concat();
			refused(&target, &request, false).with_context(|| format!("{path:?}"))?;
		}

		ensure!(
			files::names(target.folder())? == before,
			"files have come or gone"
		);
		target.survives()
	})
}

#[test]
fn requests_that_are_none() -> Result<()> {
	on_network("hostile-requests-none", |network| {
		let target = Target::start(network, "")?;
		let many_headers: String = (0..10_000).map(|n| format!("h{n}: x\r\n")).collect();
		let head =
			|rest: &str| format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{rest}\r\n").into_bytes();
		let upload = |rest: &str| {
			let hash = "ab".repeat(32);
			format!("PUT /upload/{hash} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{rest}")
				.into_bytes()
		};
		for (name, request) in [
			("zeros", vec![0; 100]),
			("noise", files::Random::seeded().bytes(100_000)),
			("ones", vec![0xff; 100_000]),
			("line ends", b"\r\n".repeat(100_000)),
			("a version of the future", b"GET / HTTP/9.9\r\n\r\n".to_vec()),
			("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
			("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(50)),
			("no version", b"GET /healthz\r\n\r\n".to_vec()),
			("a long method", [b"G".repeat(100_000), head("")].concat()),
			("a long header", head(&format!("x: {}\r\n", "a".repeat(1 << 20)))),
			("many headers", head(&many_headers)),
			("a folded header", head("x: a\r\n b\r\n")),
			("a header without a name", head(": a\r\n")),
			(
				"two lengths",
				upload("content-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
			),
			("no number", upload("content-length: five\r\n\r\nhello")),
			("a negative length", upload("content-length: -1\r\n\r\nhello")),
			(
				"a length beyond all",
				upload("content-length: 99999999999999999999999\r\n\r\nhello"),
			),
			(
				"length and chunks",
				upload("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
			),
			(
				"chunks of no size",
				upload("transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n"),
			),
			(
				"chunks beyond all",
				upload("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n"),
			),
			(
				"an unknown coding",
				upload("transfer-encoding: gzip\r\n\r\nhello"),
			),
		] {
			let answer = http::raw(&target.url(), &request)?;
			// What cannot be read as a request gets a status or a closed connection, and no data.
			ensure!(
				answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
				"{name}: {}",
				String::from_utf8_lossy(&answer[..answer.len().min(200)])
			);
			eprintln!(
				"{name}: {}",
				String::from_utf8_lossy(answer.split(|byte| *byte == b'\r').next().unwrap_or_default())
			);
			target.is_prompt()?;
		}
		target.keeps_no_data()?;
		target.survives()
	})
}

/// Fails unless the request is refused without giving anything away. Who refuses says why: the server's own
/// refusals are problems; below them, of what cannot be a request, there is only the status.
fn refused(target: &Target, request: &[u8], has_no_body: bool) -> Result<()> {
	let bytes = http::raw(&target.url(), request)?;
	if bytes.is_empty() {
		// A head beyond all limits may be cut off while it is still being sent.
		ensure!(request.len() > 100_000 || request.contains(&b'*'), "no answer");
		return Ok(());
	}
	let answer = Answer::parse(&bytes)?;
	ensure!((400..500).contains(&answer.status), "{}", answer.status);
	let text = String::from_utf8_lossy(&bytes).into_owned();
	for secret in SECRETS {
		ensure!(!text.contains(secret), "it gives {secret} away");
	}
	let is_no_request = [400, 414, 431].contains(&answer.status) && answer.body.is_empty();
	if !has_no_body && !is_no_request {
		explains_itself(&answer.json()?)?;
	}
	Ok(())
}
