//! HTTP requests to programs on this machine.

use anyhow::{anyhow, bail, Context, Result};
use serde_json::{json, Value};
use std::{fs::File, path::Path, time::Duration};
use ureq::{Agent, SendBody};

/// Generous for a program on the same machine, even a busy one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Enough for gigabytes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

fn agent(timeout: Duration) -> Agent {
	// A proxy is of no use for this machine's own addresses.
	Agent::config_builder()
		.timeout_global(Some(timeout))
		.proxy(None)
		.build()
		.into()
}

/// Whether a GET of `url` succeeds.
pub fn responds(url: &str) -> bool {
	agent(Duration::from_secs(2)).get(url).call().is_ok()
}

/// Calls a JSON-RPC method over HTTP and returns its result.
///
/// # Errors
/// When the request fails, and with the message of the method's error.
pub fn json_rpc(url: &str, method: &str, params: Value) -> Result<Value> {
	let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
	let mut answer: Value = agent(TIMEOUT)
		.post(url)
		.send_json(request)
		.and_then(|response| response.into_body().read_json())
		.with_context(|| format!("cannot call {method} at {url}"))?;
	if let Some(error) = answer.get("error") {
		bail!("{method}: {error}");
	}
	answer
		.get_mut("result")
		.map(Value::take)
		.ok_or_else(|| anyhow!("{method}: neither a result nor an error"))
}

/// Uploads a file with PUT.
///
/// # Errors
/// When it cannot be read, and when the server does not take it.
pub fn put_file(url: &str, path: &Path) -> Result<()> {
	let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
	let length = file.metadata()?.len();
	agent(UPLOAD_TIMEOUT)
		.put(url)
		.header("content-length", length.to_string())
		.send(SendBody::from_owned_reader(file))
		.with_context(|| format!("cannot upload {} to {url}", path.display()))?;
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::{
		io::{BufRead, BufReader, Read, Write},
		net::TcpListener,
		thread,
	};

	/// Answers one request with a status and a body, and returns the request's body.
	fn serve(status: &'static str, body: &'static str) -> (String, thread::JoinHandle<String>) {
		let listener = TcpListener::bind("127.0.0.1:0").unwrap();
		let url = format!("http://{}", listener.local_addr().unwrap());
		let server = thread::spawn(move || {
			let (stream, _) = listener.accept().unwrap();
			let mut reader = BufReader::new(stream);
			let mut length = 0;
			loop {
				let mut line = String::new();
				reader.read_line(&mut line).unwrap();
				if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
					length = value.trim().parse().unwrap();
				}
				if line.trim().is_empty() {
					break;
				}
			}
			let mut request = vec![0; length];
			reader.read_exact(&mut request).unwrap();
			let size = body.len();
			write!(
				reader.get_mut(),
				"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{body}"
			)
			.unwrap();
			String::from_utf8(request).unwrap()
		});
		(url, server)
	}

	#[test]
	fn a_success_is_a_response() {
		let (url, server) = serve("200 OK", "fine");
		assert!(responds(&url));
		server.join().unwrap();
		let (url, server) = serve("503 Service Unavailable", "");
		assert!(!responds(&url));
		server.join().unwrap();
		// Nobody listens there any more.
		assert!(!responds(&url));
	}

	#[test]
	fn calls_methods() {
		let (url, server) = serve("200 OK", r#"{"jsonrpc":"2.0","id":1,"result":{"number":"0x10"}}"#);
		assert_eq!(
			json_rpc(&url, "chain_getHeader", json!([])).unwrap(),
			json!({ "number": "0x10" })
		);
		let request: Value = serde_json::from_str(&server.join().unwrap()).unwrap();
		assert_eq!(request["method"], "chain_getHeader");

		let (url, server) = serve(
			"200 OK",
			r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no such block"}}"#,
		);
		assert!(json_rpc(&url, "m", json!([]))
			.unwrap_err()
			.to_string()
			.contains("no such block"));
		server.join().unwrap();
	}
}
