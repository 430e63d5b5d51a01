//! How long a block takes, to turn `30d` into blocks and blocks into times that people can read.
//!
//! The runtime declares it (the slot duration of Aura). On a development chain, whose blocks come as
//! its node was told, human time therefore means the chain's own time; blocks are exact everywhere.

use serde_json::{json, Value};
use std::time::Duration;
use url::Url;

/// Assumed if the node does not say.
const FALLBACK: Duration = Duration::from_secs(6);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Block times beyond a day are nonsense.
const LONGEST: u64 = 86_400_000;

/// Time between two blocks of the chain that the node at `node` (a websocket address) serves.
pub async fn block_time(http: &reqwest::Client, node: &str) -> Duration {
	declared(http, node).await.unwrap_or(FALLBACK)
}

/// Nodes answer JSON-RPC over HTTP on the port of their websocket.
async fn declared(http: &reqwest::Client, node: &str) -> Option<Duration> {
	let url: Url = node.replacen("ws", "http", 1).parse().ok()?;
	let request = json!({
		"jsonrpc": "2.0", "id": 1, "method": "state_call", "params": ["AuraApi_slot_duration", "0x"],
	});
	let response = http.post(url).json(&request).timeout(TIMEOUT).send().await.ok()?;
	let answer: Value = response.json().await.ok()?;
	decode(answer.get("result")?.as_str()?)
}

/// SCALE of a `u64` of milliseconds, in hex.
fn decode(text: &str) -> Option<Duration> {
	let bytes: [u8; 8] = hex::decode(text.strip_prefix("0x")?).ok()?.try_into().ok()?;
	let milliseconds = u64::from_le_bytes(bytes);
	(1..=LONGEST)
		.contains(&milliseconds)
		.then(|| Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn slot_durations() {
		assert_eq!(decode("0x7017000000000000"), Some(Duration::from_secs(6)));
		for bad in [
			"0x",
			"7017000000000000",
			"0x7017",
			"0x0000000000000000",
			"0xffffffffffffffff",
			"0xzz",
		] {
			assert_eq!(decode(bad), None, "{bad}");
		}
	}
}
