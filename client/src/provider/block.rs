//! Storing blocks in the block store of a node: a part of its data API.

use super::{ProviderClient, ProviderError, IDLE_TIMEOUT};
use crate::error::{CliError, ErrorKind};
use cairn_dag::{Block, Cid};
use reqwest::{
	header::{HeaderValue, AUTHORIZATION},
	StatusCode,
};
use serde::Deserialize;
use std::{fs::File, io::Read, path::Path};

/// Largest file that is read for a token.
const MAX_TOKEN: u64 = 4096;

/// What a node asks of those who change its block store from elsewhere.
pub struct Token(HeaderValue);

impl Token {
	/// Reads a token: the one line of a file.
	///
	/// # Errors
	/// If the file cannot be read, or holds no such line.
	pub fn read(path: &Path) -> Result<Self, CliError> {
		let mut text = String::new();
		File::open(path)
			.and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text))
			.map_err(|error| CliError::from(error).during(path.display()))?;
		let token = text.trim_end_matches(['\r', '\n']);
		let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
		let header = is_token.then(|| HeaderValue::from_str(&format!("Bearer {token}")));
		let Some(Ok(mut header)) = header else {
			return Err(CliError::new(
				ErrorKind::Key,
				format!(
					"{} holds no token: one line of visible ASCII characters",
					path.display()
				),
			));
		};
		// Not to be logged.
		header.set_sensitive(true);
		Ok(Token(header))
	}
}

/// A block that a node stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlock {
	/// Whether it did not have it as a dataset of its own before.
	pub is_new: bool,
	/// When it expires, in seconds since the Unix epoch, if it does.
	pub expires_at: Option<u64>,
}

/// The part of the answer that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataItem {
	cid: String,
	expires_at: Option<u64>,
}

impl ProviderClient {
	/// Stores a block in the node's block store, as a dataset of its own. `ttl` is `never` or a number of seconds.
	///
	/// # Errors
	/// See [`ProviderError`].
	pub async fn put_block(
		&self,
		block: &Block,
		ttl: Option<&str>,
		token: Option<&Token>,
	) -> Result<StoredBlock, ProviderError> {
		let mut url = self.resource(&format!("api/cairn/v1/blocks/{}", block.cid()));
		if let Some(ttl) = ttl {
			url.query_pairs_mut().append_pair("ttl", ttl);
		}
		let mut request = self
			.http
			.put(url)
			.header("content-type", "application/vnd.ipld.raw")
			.body(block.bytes().clone());
		if let Some(Token(header)) = token {
			request = request.header(AUTHORIZATION, header);
		}
		let exchange = async {
			let response = request.send().await.map_err(|error| self.unreachable(error))?;
			let response = self.check(response).await?;
			let is_new = response.status() == StatusCode::CREATED;
			Ok::<_, ProviderError>((is_new, self.bounded(response).await?))
		};
		let (is_new, body) = tokio::time::timeout(IDLE_TIMEOUT, exchange)
			.await
			.map_err(|_| self.silent(IDLE_TIMEOUT))??;
		let item: DataItem =
			serde_json::from_slice(&body).map_err(|error| self.malformed(error.to_string()))?;
		if item.cid.parse::<Cid>().ok() != Some(*block.cid()) {
			return Err(self.malformed("it stored another block"));
		}
		Ok(StoredBlock {
			is_new,
			expires_at: item.expires_at,
		})
	}
}
