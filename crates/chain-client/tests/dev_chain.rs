//! Against a real node of a development chain: `CAIRN_NODE_URL=ws://127.0.0.1:9944 cargo nextest run
//! -p cairn-chain-client --run-ignored only`. Start it with `cairn-node --dev`.

use cairn_chain_client::{
	calls, AccountId, Ask, ChainClient, ChainEvent, ConnectError, ConnectOptions, DealState, DispatchFailure,
	FaucetEvent, MarketEvent, MultiSignature, Proposal, ProviderContact, SignedProposal, Signer,
	StorageProviderEvent, SubmitError, Submitter,
};
use cairn_primitives::{
	deal::{proposal_hash, DealPayload, PayloadKind},
	PieceInfo, ProofTypeId, Tier,
};
use futures::future::join_all;
use subxt_signer::{sr25519::Keypair, SecretUri};

const UNIT: u128 = 1_000_000_000_000;
const HOT_2K: ProofTypeId = ProofTypeId(0x0011);

struct Key(Keypair);

impl Key {
	fn new(uri: &str) -> Self {
		Key(Keypair::from_uri(&uri.parse::<SecretUri>().expect("a valid URI")).expect("a valid key"))
	}
}

impl Signer for Key {
	fn account(&self) -> AccountId {
		self.0.public_key().0
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		self.0.sign(message).0
	}
}

fn url() -> String {
	std::env::var("CAIRN_NODE_URL").unwrap_or_else(|_| "ws://127.0.0.1:9944".to_owned())
}

async fn connect() -> ChainClient {
	ChainClient::connect(&url()).await.expect("a Cairn node answers")
}

/// A fresh account with funds, so that tests can be repeated on the same chain.
async fn funded(client: &ChainClient, name: &str) -> Submitter {
	let mut bytes = [0u8; 8];
	rand_core::RngCore::fill_bytes(&mut rand_core::OsRng, &mut bytes);
	let key = Key::new(&format!("//{name}//{}", u64::from_le_bytes(bytes)));
	let account = key.account();
	let included = client.drip(account).await.expect("the faucet gives");
	assert!(included.events.iter().any(
		|event| matches!(event, ChainEvent::Faucet(FaucetEvent::Dripped { who, .. }) if *who == account)
	));
	assert_eq!(included.fee, 0);
	Submitter::new(client, key)
}

#[tokio::test]
#[ignore = "needs a node"]
async fn connecting() {
	let client = connect().await;
	let info = client.info();
	assert_eq!(info.spec_name, "cairn");
	assert!(info.development);
	assert_eq!(info.token_decimals, 12);
	let wrong = ConnectOptions {
		expected_genesis: Some([0; 32]),
		..Default::default()
	};
	let refused = ChainClient::connect_with(&url(), wrong).await.map(|_| ());
	assert!(
		matches!(refused, Err(ConnectError::WrongChain { .. })),
		"{refused:?}"
	);
	assert!(matches!(
		ChainClient::connect("http://x").await.map(|_| ()),
		Err(ConnectError::InvalidUrl { .. })
	));
	let unreachable = ConnectOptions {
		connect_timeout: std::time::Duration::from_secs(1),
		..Default::default()
	};
	let refused = ChainClient::connect_with("ws://127.0.0.1:1", unreachable)
		.await
		.map(|_| ());
	assert!(
		matches!(refused, Err(ConnectError::Unreachable { .. })),
		"{refused:?}"
	);
}

#[tokio::test]
#[ignore = "needs a node"]
async fn blocks_and_events() {
	let client = connect().await;
	let finalized = client.finalized().await.expect("readable");
	let mut blocks = client.finalized_blocks_from(finalized.number.saturating_sub(2));
	for offset in 0..4 {
		let block = blocks.next().await.expect("no error");
		assert_eq!(block.number, finalized.number.saturating_sub(2) + offset);
		client.events(block.hash).await.expect("events decode");
	}
}

#[tokio::test]
#[ignore = "needs a node"]
async fn concurrent_transfers() {
	let client = connect().await;
	let from = funded(&client, "from").await;
	let to = [7; 32];
	let before = client.query().balance(&to).await.expect("readable").free;
	let fee = from
		.estimate_fee(&calls::balances::transfer_keep_alive(to, UNIT))
		.await
		.expect("estimated");
	assert!(fee > 0);
	let results =
		join_all((0..25).map(|_| from.submit(calls::balances::transfer_keep_alive(to, UNIT)))).await;
	let mut fees = 0;
	for result in results {
		let included = result.expect("it succeeds");
		fees += included.fee;
		assert!(included
			.events
			.iter()
			.any(|event| matches!(event, ChainEvent::Transfer { amount: UNIT, .. })));
	}
	assert!(fees >= 20 * fee, "{fees} {fee}");
	assert_eq!(
		client.query().balance(&to).await.expect("readable").free,
		before + 25 * UNIT
	);
	assert_eq!(
		client
			.query()
			.balance(&from.account())
			.await
			.expect("readable")
			.nonce,
		25
	);
}

#[tokio::test]
#[ignore = "needs a node"]
async fn failures_are_explained() {
	let client = connect().await;
	let somebody = funded(&client, "somebody").await;
	let error = somebody
		.submit(calls::market::cancel_proposal([1; 32]))
		.await
		.expect_err("no such proposal");
	assert_eq!(error.module_error(), Some(("Market", "ProposalNotFound")));
	let SubmitError::Dispatch {
		failure: DispatchFailure::Module { docs, .. },
		included,
	} = &error
	else {
		panic!("{error:?}")
	};
	assert!(!docs.is_empty() && included.fee > 0);
	let parameters = client.query().parameters().await.expect("readable");
	let error = somebody
		.submit(calls::storage_provider::set_parameters(&parameters))
		.await
		.expect_err("only root may");
	assert_eq!(error.dispatch_failure(), Some(&DispatchFailure::BadOrigin));
	let poor = Submitter::new(&client, Key::new("//nobody ever funded this"));
	assert_eq!(
		poor.submit(calls::system::remark(b"x")).await,
		Err(SubmitError::Unfunded)
	);
	let again = client.drip(somebody.account()).await;
	assert!(matches!(again, Err(SubmitError::Rejected { .. })), "{again:?}");
}

#[tokio::test]
#[ignore = "needs a node"]
async fn root_calls_and_batches() {
	let client = connect().await;
	let alice = Submitter::new(&client, Key::new("//Alice"));
	let parameters = client.query().parameters().await.expect("readable");
	let set = calls::storage_provider::set_parameters(&parameters);
	let batch = calls::utility::batch_all(vec![calls::system::remark(b"one"), calls::sudo::sudo(set)]);
	let included = alice.submit(batch).await.expect("Alice holds the sudo key");
	assert!(
		included.events.contains(&ChainEvent::Sudo(Ok(()))),
		"{:?}",
		included.events
	);
	assert!(included.events.contains(&ChainEvent::StorageProvider(
		StorageProviderEvent::ParametersSet { parameters }
	)));
}

/// A provider registers, a client proposes both ways, deals are made: every read answers.
#[tokio::test]
#[ignore = "needs a node"]
async fn a_provider_and_its_deals() {
	let client = connect().await;
	let (owner, worker, customer_key) = (
		funded(&client, "owner").await,
		funded(&client, "worker").await,
		Key::new(&format!("//customer//{}", std::process::id())),
	);
	let query = client.query();
	client
		.drip(customer_key.account())
		.await
		.expect("the faucet gives");
	let contact = ProviderContact::V1 {
		peer_id: Default::default(),
		addresses: vec![vec![4, 127, 0, 0, 1].try_into().expect("short")]
			.try_into()
			.expect("short"),
	};
	let included = owner
		.submit(calls::storage_provider::register_storage_provider(
			worker.account(),
			owner.account(),
			&contact,
		))
		.await
		.expect("it registers");
	let registered = StorageProviderEvent::ProviderRegistered {
		provider: owner.account(),
	};
	assert!(included.events.contains(&ChainEvent::StorageProvider(registered)));
	let view = query
		.provider(&owner.account())
		.await
		.expect("readable")
		.expect("registered");
	assert_eq!(
		(view.worker, &view.contact, view.live_sectors),
		(worker.account(), &contact, 0)
	);
	assert_eq!(
		query.provider_of(&worker.account()).await,
		Ok(Some(owner.account()))
	);
	assert!(query
		.providers(None, 256)
		.await
		.expect("readable")
		.contains(&view));
	let holds = query.holds(&owner.account()).await.expect("readable");
	assert_eq!(holds.len(), 1);
	assert_eq!(
		(holds[0].pallet.as_str(), holds[0].reason.as_str()),
		("StorageProvider", "RegistrationBond")
	);

	let ask = Ask::V1 {
		price_per_gib: UNIT,
		min_piece_log2: 7,
		max_piece_log2: 11,
		min_duration: 20,
		max_duration: 1000,
		accepting: true,
	};
	worker
		.submit(calls::storage_provider::set_ask(HOT_2K, Some(&ask)))
		.await
		.expect("the worker may");
	assert_eq!(query.asks(&owner.account()).await, Ok(vec![(HOT_2K, ask)]));
	assert!(query
		.proof_types()
		.await
		.expect("readable")
		.iter()
		.any(|proof_type| proof_type.id == HOT_2K));

	let genesis = client.genesis_hash();
	let now = client.finalized().await.expect("readable").number;
	let customer = customer_key.account();
	let proposal = |commitment: u8| Proposal {
		piece: PieceInfo {
			commitment: [commitment; 32],
			size_log2: 11,
			payload_size: 2000,
		},
		payload: DealPayload::V1 {
			kind: PayloadKind::Public,
			root: vec![1, 0x55, 0x12, 0x20].try_into().expect("short"),
		},
		client: customer,
		provider: owner.account(),
		tier: Tier::Hot,
		start_by: now + 500,
		duration: 100,
		price_per_block: 1_000_000,
		provider_collateral: UNIT,
		nonce: u64::from(commitment),
		label: Default::default(),
	};
	let signed = SignedProposal {
		proposal: proposal(1),
		client_signature: MultiSignature::Sr25519(customer_key.sign(&proposal(1).signing_bytes(&genesis))),
	};
	let customer = Submitter::new(&client, customer_key);
	let (one, two) = tokio::join!(
		customer.submit(calls::market::add_balance(10 * UNIT)),
		owner.submit(calls::market::add_balance(10 * UNIT)),
	);
	one.expect("the customer has funds");
	two.expect("the owner has funds");
	assert_eq!(query.escrow(&customer.account()).await, Ok(10 * UNIT));

	// With a signature.
	let included = worker
		.submit(calls::market::publish_storage_deals(&[signed]))
		.await
		.expect("it is published");
	let published = included.events.iter().find_map(|event| match event {
		ChainEvent::Market(MarketEvent::DealPublished {
			deal, proposal_hash, ..
		}) => Some((*deal, *proposal_hash)),
		_ => None,
	});
	let hash_one = proposal_hash(&proposal(1).signing_bytes(&genesis));
	let (first, hash) = published.expect("there is an event");
	assert_eq!(hash, hash_one);
	assert_eq!(query.deal_of_proposal(&hash_one).await, Ok(Some(first)));
	let deal = query.deal(first).await.expect("readable").expect("it exists");
	assert_eq!(deal.deal.state, DealState::Published { sector: None });
	assert_eq!(deal.deal.piece, proposal(1).piece);

	// Without one.
	customer
		.submit(calls::market::propose_deal(&proposal(2)))
		.await
		.expect("it is proposed");
	let hash_two = proposal_hash(&proposal(2).signing_bytes(&genesis));
	assert_eq!(query.proposal(&hash_two).await, Ok(Some(proposal(2))));
	assert_eq!(
		query.proposals_for(&owner.account(), 10).await,
		Ok(vec![(hash_two, proposal(2))])
	);
	worker
		.submit(calls::market::accept_deals(&[hash_two]))
		.await
		.expect("it is accepted");
	let deals = query
		.deals_of(&customer.account(), None, 10)
		.await
		.expect("readable");
	assert_eq!(deals.len(), 2);
	assert_eq!(
		query
			.deals_of(&owner.account(), Some(first), 10)
			.await
			.expect("readable"),
		deals[1..]
	);

	// Reads for the prover.
	let window = query
		.current_deadline(&owner.account())
		.await
		.expect("readable")
		.expect("registered");
	assert!(window.open < window.close);
	let challenge = query
		.deadline_challenge(&owner.account())
		.await
		.expect("readable");
	assert!(challenge.is_none_or(|challenge| challenge.partitions.is_empty()));
	assert_eq!(query.sector(&owner.account(), 0).await, Ok(None));
	assert_eq!(query.sectors(&owner.account(), None, 10).await, Ok(vec![]));
	assert_eq!(query.is_sector_allocated(&owner.account(), 0).await, Ok(false));
	assert_eq!(query.activation_challenge(&owner.account(), 0).await, Ok(None));
	assert!(query.ticket(&owner.account()).await.expect("readable").is_some());
}
