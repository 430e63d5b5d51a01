//! A scripted node behind subxt-rpcs' mock client: blocks, forks, a pool and a connection that tests
//! break at will. It checks nonces and eras like the real one, not signatures.

use crate::{
	client::ConnectOptions,
	rpc::{blake2_256, Header, Rpc},
	runtime::checked_in_metadata,
	AccountId, ChainClient, Hash, Signer,
};
use codec::{Compact, Decode, Encode};
use serde_json::{json, value::RawValue, Value};
use std::{
	collections::{BTreeMap, HashMap, HashSet, VecDeque},
	sync::{Arc, Mutex, MutexGuard, OnceLock},
	time::Duration,
};
use subxt::{config::substrate::Digest, metadata::Metadata};
use subxt_rpcs::{
	client::{mock_rpc_client::MockRpcClient, RpcClient},
	Error as RpcError, UserError,
};
use tokio::sync::mpsc;

/// What happens to the next transactions that are handed in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SubmitFault {
	/// The connection breaks before the pool sees it.
	LostBefore,
	/// The pool takes it, then the connection breaks.
	LostAfter,
	/// The pool is full.
	Full,
	/// The account cannot pay.
	Unfunded,
	/// Validation refuses the call.
	Refused,
}

type Notice = Result<Value, RpcError>;

struct Block {
	header: Header,
	body: Vec<Vec<u8>>,
	nonces: BTreeMap<AccountId, u32>,
	events: Vec<u8>,
}

#[derive(Clone)]
struct Pooled {
	bytes: Vec<u8>,
	hash: Hash,
	/// Who and under which nonce; none for general transactions.
	signer: Option<(AccountId, u32)>,
	death: u32,
	watchers: Vec<mpsc::UnboundedSender<Notice>>,
}

pub(crate) struct State {
	metadata: Arc<Metadata>,
	blocks: HashMap<Hash, Block>,
	chain: Vec<Hash>,
	finalized: usize,
	salt: u64,
	pool: Vec<Pooled>,
	/// Transactions included in a block that is not final, with their block.
	included: Vec<(Hash, Pooled)>,
	head_watchers: Vec<mpsc::UnboundedSender<Notice>>,
	/// Watchers of transactions that were forgotten: they hear nothing more.
	forgotten: Vec<mpsc::UnboundedSender<Notice>>,
	online: bool,
	/// Whether the pool tells its watchers anything.
	pub mute: bool,
	pub faults: VecDeque<SubmitFault>,
	/// Hashes of every transaction handed in.
	seen: HashSet<Hash>,
}

/// The checked-in metadata, decoded once.
pub(crate) fn metadata() -> Arc<Metadata> {
	static METADATA: OnceLock<Arc<Metadata>> = OnceLock::new();
	METADATA
		.get_or_init(|| Arc::new(checked_in_metadata().expect("metadata.scale decodes")))
		.clone()
}

/// The node.
#[derive(Clone)]
pub(crate) struct FakeNode(Arc<Mutex<State>>);

fn hex_string(bytes: &[u8]) -> String {
	format!("0x{}", hex::encode(bytes))
}

fn user_error(code: i32, message: &str, data: Option<&str>) -> RpcError {
	let data = data.map(|data| RawValue::from_string(format!("{data:?}")).expect("a JSON string"));
	RpcError::User(UserError {
		code,
		message: message.to_owned(),
		data,
	})
}

fn lost() -> RpcError {
	RpcError::DisconnectedWillReconnect("the test broke it".to_owned())
}

/// A transaction taken apart.
struct Parsed {
	/// Account, nonce, and the hash of the era's first block (see [`FakeSigner`]); none for general
	/// transactions.
	signer: Option<(AccountId, u32, Hash)>,
	period: u32,
	phase: u32,
	call: Vec<u8>,
}

fn parse(bytes: &[u8]) -> Parsed {
	let mut input = bytes;
	Compact::<u32>::decode(&mut input).expect("a length");
	let account = match u8::decode(&mut input).expect("a version") {
		0x84 => {
			assert_eq!(u8::decode(&mut input), Ok(0), "an account id");
			let account = AccountId::decode(&mut input).expect("an account");
			assert_eq!(u8::decode(&mut input), Ok(1), "an sr25519 signature");
			let (_, birth) = <(Hash, Hash)>::decode(&mut input).expect("a signature");
			Some((account, birth))
		}
		0x45 => {
			assert_eq!(u8::decode(&mut input), Ok(0), "extensions of version 0");
			None
		}
		other => panic!("transaction version {other:#x}"),
	};
	let era = u16::decode(&mut input).expect("a mortal era");
	let period = 2u32 << (era % 16);
	let phase = u32::from(era >> 4);
	let nonce = Compact::<u32>::decode(&mut input).expect("a nonce").0;
	Compact::<u128>::decode(&mut input).expect("a tip");
	assert_eq!(u8::decode(&mut input), Ok(0), "no metadata hash");
	let signer = account.map(|(account, birth)| (account, nonce, birth));
	Parsed {
		signer,
		period,
		phase,
		call: input.to_vec(),
	}
}

impl State {
	fn head(&self) -> &Block {
		&self.blocks[self.chain.last().expect("genesis is there")]
	}

	fn nonce(&self, account: &AccountId) -> u32 {
		self.head().nonces.get(account).copied().unwrap_or(0)
	}

	/// The nonce that follows the pool's ready transactions.
	fn next_nonce(&self, account: &AccountId) -> u32 {
		let mut nonce = self.nonce(account);
		while self.pool.iter().any(|tx| tx.signer == Some((*account, nonce))) {
			nonce += 1;
		}
		nonce
	}

	fn tell(&self, watchers: &[mpsc::UnboundedSender<Notice>], status: Value) {
		if !self.mute {
			for watcher in watchers {
				// A watcher that is gone has dropped its end.
				let _ = watcher.send(Ok(status.clone()));
			}
		}
	}

	fn push(&mut self, body: Vec<Vec<u8>>, nonces: BTreeMap<AccountId, u32>) -> Hash {
		self.salt += 1;
		let number = self.chain.len() as u64;
		let parent = self.chain.last().copied().unwrap_or_default();
		let header = Header {
			parent_hash: parent.into(),
			number,
			state_root: blake2_256(&self.salt.to_le_bytes()).into(),
			extrinsics_root: blake2_256(&body.encode()).into(),
			digest: Digest::default(),
		};
		let hash = blake2_256(&header.encode());
		let events = self.events(&body);
		self.blocks.insert(
			hash,
			Block {
				header,
				body,
				nonces,
				events,
			},
		);
		self.chain.push(hash);
		hash
	}

	/// `System.Events` of a block: fee and result of each transaction. Calls that contain `fail` fail
	/// with `Market.ZeroAmount`.
	fn events(&self, body: &[Vec<u8>]) -> Vec<u8> {
		let index = |pallet: &str, event: &str| {
			let pallet = self.metadata.pallet_by_name(pallet).expect("the pallet exists");
			let events = pallet.event_variants().expect("it has events");
			let variant = events
				.iter()
				.find(|variant| variant.name == event)
				.expect("the event exists");
			[pallet.event_index(), variant.index]
		};
		let mut events = Compact(body.len() as u32 * 2).encode();
		for (position, extrinsic) in body.iter().enumerate() {
			let Parsed { signer, call, .. } = parse(extrinsic);
			let phase = [&[0u8][..], &(position as u32).to_le_bytes()].concat();
			events.extend(&phase);
			events.extend(index("TransactionPayment", "TransactionFeePaid"));
			events.extend(
				(
					signer.map(|(account, ..)| account).unwrap_or_default(),
					7u128,
					0u128,
					0u8,
				)
					.encode(),
			);
			events.extend(&phase);
			if call.windows(4).any(|window| window == b"fail") {
				events.extend(index("System", "ExtrinsicFailed"));
				let market = self.metadata.pallet_by_name("Market").expect("the market exists");
				let errors = market.error_variants().expect("it has errors");
				let error = errors
					.iter()
					.find(|error| error.name == "ZeroAmount")
					.expect("it exists");
				events.extend([3, market.error_index(), error.index, 0, 0, 0]);
			} else {
				events.extend(index("System", "ExtrinsicSuccess"));
			}
			// Dispatch info: weight, class, whether it pays; then no topics.
			events.extend([0, 0, 0, 0, 0]);
		}
		events
	}

	/// Authors a block of what is ready in the pool.
	pub fn author(&mut self) -> Hash {
		let number = self.chain.len() as u32;
		let mut nonces = self.head().nonces.clone();
		let mut taken = Vec::new();
		loop {
			let ready = self.pool.iter().position(|tx| match tx.signer {
				Some((account, nonce)) => {
					nonces.get(&account).copied().unwrap_or(0) == nonce && number < tx.death
				}
				None => number < tx.death,
			});
			let Some(position) = ready else { break };
			let tx = self.pool.remove(position);
			if let Some((account, nonce)) = tx.signer {
				nonces.insert(account, nonce + 1);
			}
			taken.push(tx);
		}
		// What can never be included any more leaves the pool.
		let (kept, invalid): (Vec<_>, Vec<_>) = self.pool.drain(..).partition(|tx| {
			number < tx.death
				&& tx
					.signer
					.is_none_or(|(account, nonce)| nonces.get(&account).copied().unwrap_or(0) <= nonce)
		});
		self.pool = kept;
		for tx in invalid {
			self.tell(&tx.watchers, json!("invalid"));
		}
		let block = self.push(taken.iter().map(|tx| tx.bytes.clone()).collect(), nonces);
		for tx in taken {
			self.tell(&tx.watchers, json!({ "inBlock": hex_string(&block) }));
			self.included.push((block, tx));
		}
		block
	}

	/// Finalizes the best chain up to `behind` blocks from its head.
	pub fn finalize(&mut self, behind: usize) {
		let target = self.chain.len().saturating_sub(1 + behind);
		if target <= self.finalized {
			return;
		}
		self.finalized = target;
		let final_blocks: HashSet<Hash> = self.chain[..=target].iter().copied().collect();
		let (done, pending): (Vec<_>, Vec<_>) = self
			.included
			.drain(..)
			.partition(|(block, _)| final_blocks.contains(block));
		self.included = pending;
		for (block, tx) in done {
			self.tell(&tx.watchers, json!({ "finalized": hex_string(&block) }));
		}
		let header = json!(self.blocks[&self.chain[target]].header);
		self.head_watchers
			.retain(|watcher| watcher.send(Ok(header.clone())).is_ok());
	}

	/// Takes back the last `blocks` blocks that are not final. Their transactions return to the pool,
	/// or are forgotten.
	pub fn retract(&mut self, blocks: usize, forget: bool) {
		for _ in 0..blocks {
			if self.chain.len() - 1 <= self.finalized {
				break;
			}
			let block = self.chain.pop().expect("longer than the finalized part");
			let (returned, kept): (Vec<_>, Vec<_>) = self
				.included
				.drain(..)
				.partition(|(included_in, _)| *included_in == block);
			self.included = kept;
			for (_, tx) in returned {
				self.tell(&tx.watchers, json!({ "retracted": hex_string(&block) }));
				if forget {
					self.forgotten.extend(tx.watchers);
				} else {
					self.pool.push(tx);
				}
			}
		}
	}

	/// Empties the pool; its watchers hear `status`, or nothing.
	pub fn clear_pool(&mut self, status: Option<Value>) {
		for tx in std::mem::take(&mut self.pool) {
			match &status {
				Some(status) => self.tell(&tx.watchers, status.clone()),
				None => self.forgotten.extend(tx.watchers),
			}
		}
	}

	/// Breaks the connection: subscriptions end, requests fail until [`Self::reconnect`].
	pub fn disconnect(&mut self) {
		self.online = false;
		for watcher in self.head_watchers.drain(..) {
			let _ = watcher.send(Err(lost()));
		}
		let pooled = self
			.pool
			.iter_mut()
			.chain(self.included.iter_mut().map(|(_, tx)| tx));
		for watcher in pooled
			.flat_map(|tx| tx.watchers.drain(..))
			.chain(self.forgotten.drain(..))
		{
			let _ = watcher.send(Err(lost()));
		}
	}

	pub fn reconnect(&mut self) {
		self.online = true;
	}

	/// Another program uses the account's next nonce, in front of whatever has it in the pool.
	pub fn usurp(&mut self, account: AccountId) {
		let nonce = self.nonce(&account);
		let mut bytes = vec![0x84, 0];
		bytes.extend(account);
		bytes.extend([1; 65]);
		// A mortal era, the nonce, no tip, no metadata hash, some call.
		bytes.extend([4, 0]);
		bytes.extend(Compact(nonce).encode());
		bytes.extend([0, 0, 0xff, 0xff]);
		let bytes = bytes.encode();
		let hash = blake2_256(&bytes);
		let victims: Vec<_> = self
			.pool
			.iter()
			.filter(|tx| tx.signer == Some((account, nonce)))
			.cloned()
			.collect();
		self.pool.retain(|tx| tx.signer != Some((account, nonce)));
		for tx in victims {
			self.tell(&tx.watchers, json!({ "usurped": hex_string(&hash) }));
		}
		let signer = Some((account, nonce));
		self.pool.push(Pooled {
			bytes,
			hash,
			signer,
			death: u32::MAX,
			watchers: Vec::new(),
		});
	}

	/// Starts the chain anew, with the same or another genesis.
	pub fn replace_chain(&mut self, same_genesis: bool) {
		self.disconnect();
		let genesis = self.chain[0];
		self.finalized = 0;
		self.pool.clear();
		self.included.clear();
		self.chain.clear();
		if same_genesis {
			self.chain.push(genesis);
		} else {
			self.push(Vec::new(), BTreeMap::new());
		}
	}

	/// How often each call was executed on the finalized chain.
	pub fn effects(&self) -> HashMap<Vec<u8>, usize> {
		let mut effects = HashMap::new();
		for block in &self.chain[..=self.finalized] {
			for extrinsic in &self.blocks[block].body {
				*effects.entry(parse(extrinsic).call).or_default() += 1;
			}
		}
		effects
	}

	/// Different transactions handed in so far.
	pub fn handed_in(&self) -> usize {
		self.seen.len()
	}

	pub fn pool_len(&self) -> usize {
		self.pool.len()
	}

	fn submit(&mut self, bytes: Vec<u8>) -> Result<mpsc::UnboundedReceiver<Notice>, RpcError> {
		let fault = self.faults.pop_front();
		match fault {
			Some(SubmitFault::LostBefore) => return Err(lost()),
			Some(SubmitFault::Full) => return Err(user_error(1016, "Immediately Dropped", None)),
			Some(SubmitFault::Unfunded) => {
				let data = "Inability to pay some fees (e.g. account balance too low)";
				return Err(user_error(1010, "Invalid Transaction", Some(data)));
			}
			Some(SubmitFault::Refused) => {
				return Err(user_error(1010, "Invalid Transaction", Some("Custom error: 9")))
			}
			Some(SubmitFault::LostAfter) | None => {}
		}
		let hash = blake2_256(&bytes);
		let parsed = parse(&bytes);
		self.seen.insert(hash);
		let birth = match parsed.signer {
			Some((_, _, birth)) => self.chain.iter().position(|hash| *hash == birth),
			// Without a signature that could tell: the last block that fits the era.
			None => (0..=self.finalized)
				.rev()
				.find(|number| *number as u32 % parsed.period == parsed.phase),
		};
		let death = birth.map_or(0, |birth| birth as u32 + parsed.period);
		let signer = parsed.signer.map(|(account, nonce, _)| (account, nonce));
		if self.chain.len() as u32 >= death {
			return Err(user_error(
				1010,
				"Invalid Transaction",
				Some("Transaction has a bad signature"),
			));
		}
		let (sender, receiver) = mpsc::unbounded_channel();
		if self.pool.iter().any(|tx| tx.hash == hash) {
			return Err(user_error(1013, "Transaction Already Imported", None));
		}
		if let Some((account, nonce)) = signer {
			if nonce < self.nonce(&account) {
				return Err(user_error(
					1010,
					"Invalid Transaction",
					Some("Transaction is outdated"),
				));
			}
			if self.pool.iter().any(|tx| tx.signer == signer) {
				return Err(user_error(1014, "Priority is too low: (1 vs 1)", None));
			}
		}
		self.tell(std::slice::from_ref(&sender), json!("ready"));
		let mut pooled = Pooled {
			bytes,
			hash,
			signer,
			death,
			watchers: vec![sender],
		};
		if matches!(fault, Some(SubmitFault::LostAfter)) {
			pooled.watchers.clear();
			self.pool.push(pooled);
			return Err(lost());
		}
		self.pool.push(pooled);
		Ok(receiver)
	}

	fn request(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
		if !self.online {
			return Err(lost());
		}
		let bytes_at = |index: usize| -> Option<Vec<u8>> {
			hex::decode(params.get(index)?.as_str()?.trim_start_matches("0x")).ok()
		};
		let hash_at = |index: usize| -> Option<Hash> { bytes_at(index)?.try_into().ok() };
		let unknown = || user_error(4000, "Unknown block: UnknownBlock", None);
		Ok(match method {
			"chain_getBlockHash" => {
				let number = params[0].as_u64().expect("a number") as usize;
				self.chain.get(number).map(|hash| hex_string(hash)).into()
			}
			"chain_getFinalizedHead" => hex_string(&self.chain[self.finalized]).into(),
			"chain_getHeader" => match hash_at(0) {
				Some(hash) => json!(self.blocks.get(&hash).map(|block| &block.header)),
				None => json!(self.head().header),
			},
			"chain_getBlock" => match self.blocks.get(&hash_at(0).expect("a hash")) {
				Some(block) => {
					let extrinsics: Vec<_> = block.body.iter().map(|bytes| hex_string(bytes)).collect();
					let block = json!({ "header": block.header, "extrinsics": extrinsics });
					json!({ "block": block, "justifications": null })
				}
				None => Value::Null,
			},
			"state_getRuntimeVersion" => {
				json!({ "specName": "cairn", "specVersion": 1, "transactionVersion": 1 })
			}
			"state_getStorage" => {
				let block = self
					.blocks
					.get(&hash_at(1).expect("a hash"))
					.ok_or_else(unknown)?;
				hex_string(&block.events).into()
			}
			"state_call" => {
				let arguments = bytes_at(1).unwrap_or_default();
				let block = self
					.blocks
					.get(&hash_at(2).expect("a hash"))
					.ok_or_else(unknown)?;
				let answer = match params[0].as_str().expect("a name") {
					"AccountNonceApi_account_nonce" => {
						let account: AccountId = arguments.try_into().expect("an account");
						block.nonces.get(&account).copied().unwrap_or(0).encode()
					}
					"Metadata_metadata_at_version" => Some(crate::runtime::METADATA.to_vec()).encode(),
					"TransactionPaymentApi_query_info" => {
						(Compact(1u64), Compact(1u64), 0u8, arguments.len() as u128).encode()
					}
					other => return Err(user_error(4003, &format!("no method {other}"), None)),
				};
				hex_string(&answer).into()
			}
			"system_accountNextIndex" => {
				// The account comes as an SS58 address: prefix, 32 bytes, checksum.
				let address = params[0].as_str().expect("an address");
				let account: subxt::utils::AccountId32 = address.parse().expect("a valid address");
				self.next_nonce(&account.0).into()
			}
			"system_chain" => "Test".into(),
			"system_chainType" => "Development".into(),
			"system_properties" => {
				json!({ "tokenSymbol": "UNIT", "tokenDecimals": 12, "ss58Format": 42 })
			}
			other => return Err(user_error(-32601, &format!("no method {other}"), None)),
		})
	}

	fn subscribe(
		&mut self,
		method: &str,
		params: Value,
	) -> Result<mpsc::UnboundedReceiver<Notice>, RpcError> {
		if !self.online {
			return Err(lost());
		}
		match method {
			"chain_subscribeFinalizedHeads" => {
				let (sender, receiver) = mpsc::unbounded_channel();
				let header = json!(self.blocks[&self.chain[self.finalized]].header);
				sender.send(Ok(header)).expect("the receiver is here");
				self.head_watchers.push(sender);
				Ok(receiver)
			}
			"author_submitAndWatchExtrinsic" => {
				let bytes = params[0].as_str().expect("bytes").trim_start_matches("0x");
				self.submit(hex::decode(bytes).expect("hex"))
			}
			other => Err(user_error(-32601, &format!("no subscription {other}"), None)),
		}
	}
}

fn parameters(params: Option<Box<RawValue>>) -> Value {
	params
		.map(|params| serde_json::from_str(params.get()).expect("valid JSON"))
		.unwrap_or(json!([]))
}

impl FakeNode {
	/// A node at block 3, all final.
	pub fn new() -> Self {
		let mut state = State {
			metadata: metadata(),
			blocks: HashMap::new(),
			chain: Vec::new(),
			finalized: 0,
			salt: 0,
			pool: Vec::new(),
			included: Vec::new(),
			head_watchers: Vec::new(),
			forgotten: Vec::new(),
			online: true,
			mute: false,
			faults: VecDeque::new(),
			seen: HashSet::new(),
		};
		state.push(Vec::new(), BTreeMap::new());
		for _ in 0..3 {
			state.author();
		}
		state.finalize(0);
		FakeNode(Arc::new(Mutex::new(state)))
	}

	pub fn state(&self) -> MutexGuard<'_, State> {
		self.0.lock().expect("no test panics while holding it")
	}

	/// Authors and finalizes a block.
	pub fn step(&self) {
		let mut state = self.state();
		state.author();
		state.finalize(0);
	}

	/// Authors and finalizes a block every six seconds, for ever.
	pub fn run(&self) -> tokio::task::JoinHandle<()> {
		let node = self.clone();
		tokio::spawn(async move {
			loop {
				tokio::time::sleep(Duration::from_secs(6)).await;
				node.step();
			}
		})
	}

	/// A client that is connected to it.
	pub async fn client(&self) -> ChainClient {
		let (requests, subscriptions) = (self.clone(), self.clone());
		let mock = MockRpcClient::builder()
			.method_fallback(move |method, params| {
				let answer = requests.state().request(&method, parameters(params));
				async move { answer }
			})
			.subscription_fallback(move |method, params, _| {
				let answer = subscriptions.state().subscribe(&method, parameters(params));
				async move { answer }
			})
			.build();
		let rpc = Rpc::over(RpcClient::new(mock), Duration::from_secs(60));
		ChainClient::over(rpc, ConnectOptions::default())
			.await
			.expect("the fake node answers")
	}
}

/// A signer with a fixed account. Its signatures differ each time, as sr25519's do, and end with the
/// hash of the era's first block, by which the node tells a transaction whose era is over.
pub(crate) struct FakeSigner(pub AccountId);

impl Signer for FakeSigner {
	fn account(&self) -> AccountId {
		self.0
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		use std::sync::atomic::{AtomicU64, Ordering};
		static COUNTER: AtomicU64 = AtomicU64::new(0);
		let salt = COUNTER.fetch_add(1, Ordering::Relaxed);
		assert!(
			message.len() > 33 && message.len() <= 256,
			"longer messages are hashed"
		);
		// What is signed ends with the era's block and an empty metadata hash.
		let birth = &message[message.len() - 33..message.len() - 1];
		let mut signature = [0; 64];
		signature[..32].copy_from_slice(&blake2_256(&(message, salt).encode()));
		signature[32..].copy_from_slice(birth);
		signature
	}
}
