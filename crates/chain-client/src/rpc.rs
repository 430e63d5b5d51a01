//! The node's JSON-RPC methods that this crate uses, with repetition after lost connections.

use crate::{
	config::CairnConfig, error::decode_all, pool::Refusal, AccountId, BlockRef, ChainError, ConnectError,
	Hash,
};
use cairn_primitives::BlockNumber;
use codec::Encode;
use std::{
	future::Future,
	sync::OnceLock,
	time::{Duration, Instant},
};
use subxt::config::{
	substrate::{BlakeTwo256, SubstrateHeader, H256},
	Hasher, RpcConfigFor,
};
use subxt_rpcs::{
	client::{
		reconnecting_rpc_client::{ExponentialBackoff, RpcClient as ReconnectingClient},
		rpc_params, RpcClient, RpcSubscription,
	},
	methods::legacy::{LegacyRpcMethods, TransactionStatus},
	Error as RpcError,
};

/// Pause before a request is repeated.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause between two attempts to reconnect.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(5);

pub(crate) type Header = SubstrateHeader<H256>;
/// Pool events of one transaction.
pub(crate) type PoolWatch = RpcSubscription<TransactionStatus<H256>>;

/// Runtime version at a block.
pub(crate) struct RuntimeVersion {
	pub spec_name: String,
	pub spec_version: u32,
	pub transaction_version: u32,
}

/// A connection.
pub(crate) struct Rpc {
	client: RpcClient,
	methods: LegacyRpcMethods<RpcConfigFor<CairnConfig>>,
	request_timeout: Duration,
	genesis: OnceLock<Hash>,
	/// Set once the node was found to serve another chain; every request fails from then on.
	replaced: OnceLock<(Hash, Hash)>,
}

impl Rpc {
	/// Connects, within `connect_timeout`; reconnects for ever afterwards.
	pub async fn connect(
		url: &str,
		connect_timeout: Duration,
		request_timeout: Duration,
	) -> Result<Self, ConnectError> {
		if !(url.starts_with("ws://") || url.starts_with("wss://")) {
			return Err(ConnectError::InvalidUrl { url: url.to_owned() });
		}
		let client = ReconnectingClient::builder()
			.retry_policy(ExponentialBackoff::from_millis(50).max_delay(MAX_RECONNECT_PAUSE))
			.request_timeout(request_timeout)
			.connection_timeout(connect_timeout)
			.build(url);
		match tokio::time::timeout(connect_timeout, client).await {
			Ok(Ok(client)) => Ok(Self::over(RpcClient::new(client), request_timeout)),
			Ok(Err(e)) => Err(ConnectError::Unreachable {
				url: url.to_owned(),
				reason: e.to_string(),
			}),
			Err(_) => Err(ConnectError::Unreachable {
				url: url.to_owned(),
				reason: format!("no connection within {} s", connect_timeout.as_secs()),
			}),
		}
	}

	/// Uses an existing connection.
	pub fn over(client: RpcClient, request_timeout: Duration) -> Self {
		Rpc {
			methods: LegacyRpcMethods::new(client.clone()),
			client,
			request_timeout,
			genesis: OnceLock::new(),
			replaced: OnceLock::new(),
		}
	}

	/// Sends a request that changes nothing, again after lost connections.
	async fn read<T, F, Fut>(&self, request: F) -> Result<T, ChainError>
	where
		F: Fn() -> Fut,
		Fut: Future<Output = Result<T, RpcError>>,
	{
		let deadline = Instant::now() + self.request_timeout;
		loop {
			if let Some((expected, found)) = self.replaced.get() {
				return Err(ChainError::ChainReplaced {
					expected: *expected,
					found: *found,
				});
			}
			match tokio::time::timeout_at(deadline.into(), request()).await {
				Err(_) => return Err(ChainError::RequestTimeout),
				Ok(Ok(value)) => return Ok(value),
				Ok(Err(e)) if e.is_disconnected_will_reconnect() => {
					if Instant::now() + PAUSE >= deadline {
						return Err(ChainError::Disconnected);
					}
					tokio::time::sleep(PAUSE).await;
				}
				Ok(Err(e)) => return Err(chain_error(e)),
			}
		}
	}

	/// Genesis hash, read once.
	pub async fn genesis_hash(&self) -> Result<Hash, ChainError> {
		if let Some(hash) = self.genesis.get() {
			return Ok(*hash);
		}
		let hash = self.read(|| self.methods.genesis_hash()).await?;
		Ok(*self.genesis.get_or_init(|| hash.0))
	}

	/// Checks after a reconnect that the node still serves the same chain.
	pub async fn verify_genesis(&self) -> Result<(), ChainError> {
		let expected = self.genesis_hash().await?;
		let found = self.read(|| self.methods.genesis_hash()).await?.0;
		if found != expected {
			return Err(self.replaced(expected, found));
		}
		Ok(())
	}

	/// Records that the chain was replaced.
	pub fn replaced(&self, expected: Hash, found: Hash) -> ChainError {
		let (expected, found) = *self.replaced.get_or_init(|| (expected, found));
		ChainError::ChainReplaced { expected, found }
	}

	/// Latest finalized block.
	pub async fn finalized(&self) -> Result<BlockRef, ChainError> {
		let hash = self.read(|| self.methods.chain_get_finalized_head()).await?;
		self.block(hash.0).await
	}

	/// Best block.
	pub async fn best(&self) -> Result<BlockRef, ChainError> {
		let header = self.read(|| self.methods.chain_get_header(None)).await?;
		let header = header.ok_or_else(|| ChainError::BlockNotFound("best".to_owned()))?;
		block_ref(&header)
	}

	/// The block with a hash.
	pub async fn block(&self, hash: Hash) -> Result<BlockRef, ChainError> {
		let header = self
			.read(|| self.methods.chain_get_header(Some(hash.into())))
			.await?;
		let header = header.ok_or_else(|| unknown_block(hash))?;
		let number = BlockNumber::try_from(header.number).map_err(|e| ChainError::decode("header", e))?;
		Ok(BlockRef { number, hash })
	}

	/// Hash of the block with a number on the node's best chain.
	pub async fn block_hash(&self, number: BlockNumber) -> Result<Option<Hash>, ChainError> {
		let hash = self
			.read(|| self.methods.chain_get_block_hash(Some(number.into())))
			.await?;
		Ok(hash.map(|hash| hash.0))
	}

	/// Extrinsics of a block, each SCALE-encoded with its length prefix.
	pub async fn body(&self, hash: Hash) -> Result<Vec<Vec<u8>>, ChainError> {
		let block = self
			.read(|| self.methods.chain_get_block(Some(hash.into())))
			.await?;
		let block = block.ok_or_else(|| unknown_block(hash))?;
		Ok(block
			.block
			.extrinsics
			.into_iter()
			.map(|extrinsic| extrinsic.0)
			.collect())
	}

	/// A storage value.
	pub async fn storage(&self, key: &[u8], at: Hash) -> Result<Option<Vec<u8>>, ChainError> {
		self.read(|| self.methods.state_get_storage(key, Some(at.into())))
			.await
	}

	/// Result of a runtime API.
	pub async fn call(&self, method: &str, arguments: &[u8], at: Hash) -> Result<Vec<u8>, ChainError> {
		self.read(|| self.methods.state_call(method, Some(arguments), Some(at.into())))
			.await
	}

	/// Runtime version at a block.
	pub async fn runtime_version(&self, at: Hash) -> Result<RuntimeVersion, ChainError> {
		let version = self
			.read(|| self.methods.state_get_runtime_version(Some(at.into())))
			.await?;
		let spec_name = version
			.other
			.get("specName")
			.and_then(|name| name.as_str())
			.unwrap_or_default();
		Ok(RuntimeVersion {
			spec_name: spec_name.to_owned(),
			spec_version: version.spec_version,
			transaction_version: version.transaction_version,
		})
	}

	/// The account's next nonce, counting what the node's pool holds ready.
	pub async fn next_nonce(&self, account: AccountId) -> Result<u32, ChainError> {
		let account = account.into();
		let nonce = self
			.read(|| self.methods.system_account_next_index(&account))
			.await?;
		u32::try_from(nonce).map_err(|e| ChainError::decode("nonce", e))
	}

	/// The account's nonce after a block.
	pub async fn nonce_at(&self, account: AccountId, at: Hash) -> Result<u32, ChainError> {
		decode_all(
			"nonce",
			&self.call("AccountNonceApi_account_nonce", &account, at).await?,
		)
	}

	/// Any method without parameters.
	pub async fn describe(&self, method: &str) -> Result<serde_json::Value, ChainError> {
		self.read(|| self.client.request(method, rpc_params![])).await
	}

	/// Subscribes to the headers of finalized blocks; some may be left out.
	pub async fn finalized_headers(&self) -> Result<RpcSubscription<Header>, ChainError> {
		self.read(|| self.methods.chain_subscribe_finalized_heads()).await
	}

	/// Hands a transaction to the node's pool. Sent once: whether it arrived is unknown after
	/// [`Refusal::Unclear`].
	pub async fn submit(&self, transaction: &[u8]) -> Result<PoolWatch, Refusal> {
		let request = self.methods.author_submit_and_watch_extrinsic(transaction);
		match tokio::time::timeout(self.request_timeout, request).await {
			Ok(Ok(watch)) => Ok(watch),
			Ok(Err(e)) => Err(Refusal::from_rpc(e)),
			Err(_) => Err(Refusal::Unclear("no answer in time".to_owned())),
		}
	}
}

/// Number and hash of a header.
pub(crate) fn block_ref(header: &Header) -> Result<BlockRef, ChainError> {
	let number = BlockNumber::try_from(header.number).map_err(|e| ChainError::decode("header", e))?;
	Ok(BlockRef {
		number,
		hash: blake2_256(&header.encode()),
	})
}

/// BLAKE2b-256, the hash of headers and extrinsics.
pub(crate) fn blake2_256(bytes: &[u8]) -> Hash {
	BlakeTwo256.hash(bytes).0
}

fn unknown_block(hash: Hash) -> ChainError {
	ChainError::BlockNotFound(format!("0x{}", hex::encode(hash)))
}

/// Translates what the node or the connection reports.
fn chain_error(error: RpcError) -> ChainError {
	match error {
		RpcError::DisconnectedWillReconnect(_) => ChainError::Disconnected,
		RpcError::Deserialization(e) => ChainError::decode("the node's answer", e),
		RpcError::Decode(e) => ChainError::decode("the node's answer", e),
		RpcError::User(e) => {
			let detail = e.data.as_ref().map(|data| data.get()).unwrap_or_default();
			let text = format!("{} {detail}", e.message);
			let block = || {
				let digits = text.split("0x").nth(1).unwrap_or_default();
				let digits: String = digits.chars().take_while(char::is_ascii_hexdigit).collect();
				format!("0x{digits}")
			};
			if text.contains("State already discarded") || text.contains("state discarded") {
				ChainError::StatePruned { block: block() }
			} else if text.contains("UnknownBlock")
				|| text.contains("unknown Block")
				|| text.contains("not found")
			{
				ChainError::BlockNotFound(block())
			} else {
				ChainError::Rpc(text.trim().to_owned())
			}
		}
		other => ChainError::Rpc(other.to_string()),
	}
}
