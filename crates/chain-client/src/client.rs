//! The connection to a chain.

use crate::{
	blocks::FinalizedBlocks,
	events::{self, EventRecord},
	interface, query,
	rpc::Rpc,
	runtime::{self, Runtime, Runtimes},
	AccountId, BlockRef, Call, ChainError, ConnectError, Hash, Query,
};
use cairn_primitives::{Balance, BlockNumber};
use codec::{Compact, Decode, Encode};
use std::{sync::Arc, time::Duration};

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
	/// How long to try the first connection. Later ones are tried for ever.
	pub connect_timeout: Duration,
	/// How long a read may take, repetitions included.
	pub request_timeout: Duration,
	/// Refuse any other chain.
	pub expected_genesis: Option<Hash>,
	/// Connect even to a runtime with other types than this program's. What differs then fails where
	/// it is used, or is misread; for diagnosis only.
	pub accept_incompatible: bool,
}

impl Default for ConnectOptions {
	fn default() -> Self {
		ConnectOptions {
			connect_timeout: Duration::from_secs(30),
			request_timeout: Duration::from_secs(60),
			expected_genesis: None,
			accept_incompatible: false,
		}
	}
}

/// Particulars of a chain, read when the connection was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainInfo {
	/// Hash of the genesis block: the chain's identity.
	pub genesis_hash: Hash,
	/// Name in the chain specification.
	pub chain_name: String,
	/// Whether it is a development chain, on which well-known keys hold funds.
	pub development: bool,
	/// Name of the runtime.
	pub spec_name: String,
	/// Version of the runtime.
	pub spec_version: u32,
	/// Version of the transaction format.
	pub transaction_version: u32,
	/// Symbol of the token.
	pub token_symbol: String,
	/// Decimals of the token: one token is 10^decimals plancks.
	pub token_decimals: u8,
	/// Prefix of SS58 addresses.
	pub ss58_prefix: u16,
}

/// A connection to a node of one chain. Clones share it.
#[derive(Clone)]
pub struct ChainClient {
	inner: Arc<Inner>,
}

struct Inner {
	rpc: Rpc,
	runtimes: Runtimes,
	info: ChainInfo,
}

impl ChainClient {
	/// Connects to the node at `url` (`ws://` or `wss://`) with the default options.
	///
	/// # Errors
	/// See [`ConnectError`].
	pub async fn connect(url: &str) -> Result<Self, ConnectError> {
		Self::connect_with(url, ConnectOptions::default()).await
	}

	/// Connects to the node at `url`.
	///
	/// # Errors
	/// See [`ConnectError`].
	pub async fn connect_with(url: &str, options: ConnectOptions) -> Result<Self, ConnectError> {
		let rpc = Rpc::connect(url, options.connect_timeout, options.request_timeout).await?;
		Self::over(rpc, options).await
	}

	/// Takes over a connection.
	pub(crate) async fn over(rpc: Rpc, options: ConnectOptions) -> Result<Self, ConnectError> {
		let genesis_hash = rpc.genesis_hash().await?;
		if let Some(expected) = options
			.expected_genesis
			.filter(|expected| *expected != genesis_hash)
		{
			return Err(ConnectError::WrongChain {
				expected,
				found: genesis_hash,
			});
		}
		let finalized = rpc.finalized().await?;
		let version = rpc.runtime_version(finalized.hash).await?;
		let runtimes = Runtimes::new(options.accept_incompatible);
		if let Err(e) = runtimes.at(&rpc, finalized.hash).await {
			// Another kind of chain differs in everything; say that instead.
			if let ChainError::Incompatible(incompatible) = e {
				let metadata = runtime::fetch_metadata(&rpc, finalized.hash).await?;
				return Err(match interface::is_cairn(&metadata) {
					true => ConnectError::Incompatible(incompatible),
					false => ConnectError::NotCairn {
						spec_name: version.spec_name,
					},
				});
			}
			return Err(e.into());
		}
		let chain_name = rpc.describe("system_chain").await?;
		let chain_type = rpc.describe("system_chainType").await?;
		let properties = rpc.describe("system_properties").await?;
		let number = |key: &str| properties.get(key).and_then(serde_json::Value::as_u64);
		let info = ChainInfo {
			genesis_hash,
			chain_name: chain_name.as_str().unwrap_or_default().to_owned(),
			development: chain_type.as_str() == Some("Development"),
			spec_name: version.spec_name,
			spec_version: version.spec_version,
			transaction_version: version.transaction_version,
			token_symbol: properties
				.get("tokenSymbol")
				.and_then(serde_json::Value::as_str)
				.unwrap_or("UNIT")
				.to_owned(),
			token_decimals: number("tokenDecimals")
				.and_then(|n| n.try_into().ok())
				.unwrap_or(12),
			ss58_prefix: number("ss58Format").and_then(|n| n.try_into().ok()).unwrap_or(42),
		};
		Ok(ChainClient {
			inner: Arc::new(Inner { rpc, runtimes, info }),
		})
	}

	/// Particulars of the chain.
	pub fn info(&self) -> &ChainInfo {
		&self.inner.info
	}

	/// Hash of the genesis block.
	pub fn genesis_hash(&self) -> Hash {
		self.inner.info.genesis_hash
	}

	/// Latest finalized block.
	///
	/// # Errors
	/// See [`ChainError`].
	pub async fn finalized(&self) -> Result<BlockRef, ChainError> {
		self.rpc().finalized().await
	}

	/// Best block. It may be replaced by another until it is finalized.
	///
	/// # Errors
	/// See [`ChainError`].
	pub async fn best(&self) -> Result<BlockRef, ChainError> {
		self.rpc().best().await
	}

	/// The finalized block with a number. `None` if there is none yet.
	///
	/// # Errors
	/// See [`ChainError`].
	pub async fn block_at(&self, number: BlockNumber) -> Result<Option<BlockRef>, ChainError> {
		if self.finalized().await?.number < number {
			return Ok(None);
		}
		let hash = self.rpc().block_hash(number).await?;
		Ok(hash.map(|hash| BlockRef { number, hash }))
	}

	/// Finalized blocks from the latest one on.
	pub fn finalized_blocks(&self) -> FinalizedBlocks {
		FinalizedBlocks::new(self.clone(), None)
	}

	/// Finalized blocks from number `first` on, past ones included.
	pub fn finalized_blocks_from(&self, first: BlockNumber) -> FinalizedBlocks {
		FinalizedBlocks::new(self.clone(), Some(first))
	}

	/// Events of a block, in order.
	///
	/// # Errors
	/// See [`ChainError`]; [`ChainError::StatePruned`] for old blocks of nodes that do not keep states.
	pub async fn events(&self, block: Hash) -> Result<Vec<EventRecord>, ChainError> {
		let runtime = self.runtime_at(block).await?;
		let bytes = self.rpc().storage(&query::events_key(), block).await?;
		events::decode(&runtime, bytes.unwrap_or_default())
	}

	/// Reads of the latest finalized block.
	pub fn query(&self) -> Query {
		Query::new(self.clone(), None)
	}

	/// Reads of one block.
	pub fn query_at(&self, block: Hash) -> Query {
		Query::new(self.clone(), Some(block))
	}

	/// Plancks that a transaction of `call` by `account` would cost now, without a tip.
	///
	/// # Errors
	/// See [`SubmitError`](crate::SubmitError): the call may be unknown, or the chain unreadable.
	pub async fn estimate_fee(&self, account: AccountId, call: &Call) -> Result<Balance, crate::SubmitError> {
		let best = self.best().await?;
		let runtime = self.runtime_at(best.hash).await?;
		let mut request = crate::transaction::unsubmittable(&runtime, call, account)?;
		let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
		length.encode_to(&mut request);
		let answer = self
			.rpc()
			.call("TransactionPaymentApi_query_info", &request, best.hash)
			.await?;
		// `RuntimeDispatchInfo`: weight, class, fee.
		let (_, _, _, fee) = <(Compact<u64>, Compact<u64>, u8, Balance)>::decode(&mut &answer[..])
			.map_err(|e| ChainError::decode("the fee", e))?;
		Ok(fee)
	}

	pub(crate) fn rpc(&self) -> &Rpc {
		&self.inner.rpc
	}

	/// The runtime at a block.
	pub(crate) async fn runtime_at(&self, block: Hash) -> Result<Arc<Runtime>, ChainError> {
		self.inner.runtimes.at(&self.inner.rpc, block).await
	}
}
