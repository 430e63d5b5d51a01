//! Who may change the block store and list what is in it, and ban peers of the network.
//!
//! With a token (`[api] token_file`), whoever bears it: `authorization: Bearer TOKEN`, or as the password of
//! `Basic`, which is what Codex's clients can send. Without one, programs on this machine. A program on this
//! machine is a connection from a loopback address that
//!
//! - no proxy handed on (`forwarded`, `x-forwarded-for` and their like are absent);
//! - names a loopback address or `localhost` as its `host`: a page whose name its owner points at 127.0.0.1
//!   names something else;
//! - comes from no page in a browser (`origin` is absent) but one of this server's own or of an origin in
//!   `[api] cors_origins`: any page can send requests to this machine, also where it cannot read the answers.
//!
//! A proxy on this machine that adds none of the headers looks like a program on this machine: set a token.

use axum::http::{header, HeaderMap, Uri};
use base64::{engine::general_purpose::STANDARD, Engine};
use cairn_dag::HashFunction;
use cairn_provider_api::{ErrorKind, Problem};
use std::{
	fs, io,
	net::IpAddr,
	os::unix::fs::PermissionsExt,
	path::{Path, PathBuf},
};

/// Shortest token: one that is not guessed at the pace of requests.
const MIN_TOKEN: usize = 16;
/// Largest file that is read for one.
const MAX_TOKEN: u64 = 4096;

/// Headers by which proxies say whom they speak for.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
	/// The file cannot be read.
	#[error("cannot read the token in {}", path.display())]
	Read {
		/// The file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
	/// Others on this machine can read the file.
	#[error("{} can be read by other users: chmod 600 it", path.display())]
	Readable {
		/// The file.
		path: PathBuf,
	},
	/// The file holds no token.
	#[error("{} must hold a token: one line of at least {MIN_TOKEN} visible ASCII characters", path.display())]
	Invalid {
		/// The file.
		path: PathBuf,
	},
}

/// Who may change what the operator's programs may.
pub struct WriteAccess {
	/// SHA-256 of the token: comparing digests takes the same time wherever they differ, as far as a client
	/// can choose.
	token: Option<Vec<u8>>,
	origins: Vec<String>,
}

impl WriteAccess {
	/// With the token in a file, if there is to be one, and the origins whose pages count as programs on this
	/// machine.
	///
	/// # Errors
	/// See [`TokenError`].
	pub fn load(token_file: Option<&Path>, origins: &[String]) -> Result<Self, TokenError> {
		Ok(WriteAccess {
			token: token_file
				.map(|path| read_token(path).map(|token| digest(token.as_bytes())))
				.transpose()?,
			origins: origins.to_vec(),
		})
	}

	/// Whether a token is asked for.
	pub fn needs_token(&self) -> bool {
		self.token.is_some()
	}

	/// Whether a request may go on. `peer` is the other end of its connection.
	///
	/// # Errors
	/// [`ErrorKind::Unauthorized`] and [`ErrorKind::Forbidden`].
	pub fn check(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Problem> {
		if let Some(expected) = &self.token {
			return match token_of(headers) {
				Some(token) if digest(token.as_bytes()) == *expected => Ok(()),
				Some(_) => Err(
					Problem::new(ErrorKind::Unauthorized, "the token is not this server's")
						.hint("send the token of `[api] token_file`"),
				),
				None => Err(
					Problem::new(ErrorKind::Unauthorized, "this request needs a token")
						.hint("send it as `authorization: Bearer TOKEN`, or as the password of Basic"),
				),
			};
		}
		let forbidden = |message: &str, hint: &str| Problem::new(ErrorKind::Forbidden, message).hint(hint);
		if !peer.is_some_and(|peer| peer.to_canonical().is_loopback())
			|| FORWARDED.iter().any(|name| headers.contains_key(*name))
			|| !host(headers).is_some_and(is_loopback_name)
		{
			return Err(forbidden(
				"only programs on the server's own machine may do this",
				"set `[api] token_file` in its configuration to allow whoever bears the token",
			));
		}
		if !self.is_own_page(headers) {
			return Err(forbidden(
				"pages of this origin may not do this",
				"add the origin to `[api] cors_origins` in the server's configuration",
			));
		}
		Ok(())
	}

	/// Whether the request comes from no page, or from one that may send it.
	fn is_own_page(&self, headers: &HeaderMap) -> bool {
		let Some(origin) = headers.get(header::ORIGIN) else {
			return true;
		};
		let Ok(origin) = origin.to_str() else { return false };
		let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
		own.is_some_and(|own| origin == format!("http://{own}"))
			|| self.origins.iter().any(|allowed| allowed == origin)
	}
}

/// The token in a file.
///
/// # Errors
/// See [`TokenError`].
pub fn read_token(path: &Path) -> Result<String, TokenError> {
	let failed = |source| TokenError::Read {
		path: path.to_owned(),
		source,
	};
	let invalid = || TokenError::Invalid {
		path: path.to_owned(),
	};
	let metadata = fs::metadata(path).map_err(failed)?;
	if metadata.permissions().mode() & 0o077 != 0 {
		return Err(TokenError::Readable {
			path: path.to_owned(),
		});
	}
	if metadata.len() > MAX_TOKEN {
		return Err(invalid());
	}
	let text = fs::read_to_string(path).map_err(failed)?;
	let token = text.trim_end_matches(['\r', '\n']);
	if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
		return Err(invalid());
	}
	Ok(token.to_owned())
}

fn digest(token: &[u8]) -> Vec<u8> {
	HashFunction::Sha2_256.digest(token).digest().to_vec()
}

/// The token that a request bears.
fn token_of(headers: &HeaderMap) -> Option<String> {
	let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
	let (scheme, credentials) = value.trim().split_once(' ')?;
	let credentials = credentials.trim();
	if scheme.eq_ignore_ascii_case("bearer") {
		return Some(credentials.to_owned());
	}
	if !scheme.eq_ignore_ascii_case("basic") {
		return None;
	}
	let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
	Some(decoded.split_once(':')?.1.to_owned())
}

/// The host's name that the request was sent to, without its port.
fn host(headers: &HeaderMap) -> Option<String> {
	let host = headers.get(header::HOST)?.to_str().ok()?;
	let uri: Uri = format!("http://{host}/").parse().ok()?;
	// Nothing but a host and a port.
	let authority = uri.authority()?;
	(authority.as_str() == host && !host.contains('@')).then(|| authority.host().to_owned())
}

fn is_loopback_name(host: String) -> bool {
	let address = host.trim_start_matches('[').trim_end_matches(']');
	host.eq_ignore_ascii_case("localhost")
		|| address
			.parse::<IpAddr>()
			.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
	use super::*;

	fn access(token: Option<&str>) -> WriteAccess {
		WriteAccess {
			token: token.map(|token| digest(token.as_bytes())),
			origins: vec!["https://app.example".into()],
		}
	}

	fn check(access: &WriteAccess, peer: &str, headers: &[(&'static str, &str)]) -> Result<(), ErrorKind> {
		let mut map = HeaderMap::new();
		for (name, value) in headers {
			map.append(*name, value.parse().unwrap());
		}
		let peer = (!peer.is_empty()).then(|| peer.parse().unwrap());
		access.check(peer, &map).map_err(|problem| problem.kind)
	}

	#[test]
	fn programs_on_this_machine_need_no_token() {
		let access = access(None);
		for host in [
			"127.0.0.1:7600",
			"localhost",
			"LOCALHOST:7600",
			"[::1]:7600",
			"127.3.2.1",
		] {
			assert_eq!(check(&access, "127.0.0.1", &[("host", host)]), Ok(()), "{host}");
		}
		for peer in ["::1", "::ffff:127.0.0.1", "127.9.9.9"] {
			assert_eq!(check(&access, peer, &[("host", "localhost")]), Ok(()), "{peer}");
		}
	}

	#[test]
	fn nobody_else_looks_like_one() {
		let access = access(None);
		let host = ("host", "127.0.0.1:7600");
		for peer in ["", "10.0.0.1", "203.0.113.7", "::ffff:10.0.0.1", "fe80::1"] {
			assert_eq!(check(&access, peer, &[host]), Err(ErrorKind::Forbidden), "{peer}");
		}
		for header in FORWARDED {
			assert_eq!(
				check(&access, "127.0.0.1", &[host, (header, "127.0.0.1")]),
				Err(ErrorKind::Forbidden),
				"{header}"
			);
		}
		// A page that points its own name at this machine.
		for host in [
			"evil.example",
			"127.0.0.1.evil.example",
			"localhost@evil.example",
			"",
			"a b",
			"0.0.0.0",
		] {
			assert_eq!(
				check(&access, "127.0.0.1", &[("host", host)]),
				Err(ErrorKind::Forbidden),
				"{host}"
			);
		}
		assert_eq!(check(&access, "127.0.0.1", &[]), Err(ErrorKind::Forbidden));
	}

	#[test]
	fn pages_in_browsers_count_by_their_origin() {
		let access = access(None);
		let host = ("host", "127.0.0.1:7600");
		for (origin, allowed) in [
			("http://127.0.0.1:7600", true),
			("https://app.example", true),
			("https://evil.example", false),
			("http://127.0.0.1:8000", false),
			("https://127.0.0.1:7600", false),
			("null", false),
			("", false),
		] {
			let outcome = check(&access, "127.0.0.1", &[host, ("origin", origin)]);
			assert_eq!(outcome.is_ok(), allowed, "{origin}");
		}
	}

	#[test]
	fn a_token_is_asked_of_everybody() {
		let access = access(Some("0123456789abcdef"));
		assert_eq!(
			check(&access, "127.0.0.1", &[("host", "localhost")]),
			Err(ErrorKind::Unauthorized)
		);
		let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
		for (value, allowed) in [
			("Bearer 0123456789abcdef".to_owned(), true),
			("bearer   0123456789abcdef ".to_owned(), true),
			(basic("codex:0123456789abcdef"), true),
			(basic(":0123456789abcdef"), true),
			("Bearer 0123456789abcdee".to_owned(), false),
			("Bearer".to_owned(), false),
			("Bearer ".to_owned(), false),
			("Digest 0123456789abcdef".to_owned(), false),
			(basic("0123456789abcdef"), false),
			("Basic !!!".to_owned(), false),
		] {
			let outcome = check(&access, "203.0.113.7", &[("authorization", &value)]);
			assert_eq!(outcome.is_ok(), allowed, "{value}");
		}
	}

	#[test]
	fn token_files() {
		let dir = tempfile::tempdir().unwrap();
		let path = dir.path().join("token");
		let load = || WriteAccess::load(Some(&path), &[]);
		assert!(matches!(load(), Err(TokenError::Read { .. })));
		let write = |text: &str, mode: u32| {
			fs::write(&path, text).unwrap();
			fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
		};
		write("0123456789abcdef\n", 0o644);
		assert!(matches!(load(), Err(TokenError::Readable { .. })));
		for wrong in [
			"",
			"\n",
			"short\n",
			"0123456789 abcdef\n",
			"0123456789abcdef\nmore\n",
		] {
			write(wrong, 0o600);
			assert!(matches!(load(), Err(TokenError::Invalid { .. })), "{wrong:?}");
		}
		write("0123456789abcdef\n", 0o600);
		let access = load().unwrap();
		assert!(access.needs_token());
		assert_eq!(
			check(&access, "", &[("authorization", "Bearer 0123456789abcdef")]),
			Ok(())
		);
		assert!(!WriteAccess::load(None, &[]).unwrap().needs_token());
	}
}
