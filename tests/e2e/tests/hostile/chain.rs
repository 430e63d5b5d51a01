//! Malformed SCALE at the node: transactions and runtime calls that do not decode.

use crate::offer::{key, Customer};
use anyhow::{ensure, Context, Result};
use cairn_chain_client::{calls, AccountId, ChainClient, Signer, SubmitError, Submitter};
use cairn_e2e::{files::Random, http, memory::Memory, on_network, Network};
use cairn_keystore::Keypair;
use cairn_provider_api::HexBytes;
use serde_json::{json, Value};
use tokio::runtime::Runtime;

/// Transactions with a bit flipped.
const MUTATIONS: usize = 300;
/// Calls within calls: more than a runtime decodes.
const DEPTH: usize = 300;
/// How much more memory the node may take than before, in bytes.
const GROWTH: u64 = 256 << 20;

/// A key that signs transactions.
pub struct Key(pub Keypair);

impl Signer for Key {
	fn account(&self) -> AccountId {
		self.0.public()
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		self.0.sign(message)
	}
}

#[test]
fn transactions_that_are_none() -> Result<()> {
	on_network("hostile-chain", |network| {
		let customer = Customer::new(network)?;
		let signed = transaction_of(network, &customer)?;
		let account = customer.json(&["wallet", "balance"])?;
		let memory = Memory::of(network.node.process())?;

		for text in [
			json!(null),
			json!(7),
			json!({}),
			json!([]),
			json!(""),
			json!("0xz"),
			json!("0x0"),
			json!("text"),
		] {
			refused(network, "author_submitExtrinsic", &json!([text]))?;
		}
		let mut cases: Vec<Vec<u8>> = (0..signed.len()).map(|end| signed[..end].to_vec()).collect();
		// What is in the chain already, and more behind it.
		cases.push(signed.clone());
		cases.push([signed.as_slice(), &[0]].concat());
		cases.push([signed.as_slice(), &signed].concat());
		cases.push(vec![0; 1000]);
		cases.push(vec![0xff; 1000]);
		cases.push(vec![0; 3 << 20]);
		let (_, body) = signed.split_at(2);
		// Lengths that lie, and versions that do not exist.
		for length in [
			&[0x00][..],
			&[0x04],
			&[0xfd, 0xff],
			&[0xfe, 0xff, 0xff, 0xff],
			&[0x03, 0xff, 0xff, 0xff, 0xff],
			&[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
		] {
			cases.push([length, body].concat());
		}
		for version in [0x00, 0x04, 0x05, 0x44, 0x45, 0x83, 0x85, 0xff] {
			let mut other = signed.clone();
			other[2] = version;
			cases.push(other);
		}
		let mut random = Random::seeded();
		for _ in 0..MUTATIONS {
			let mut other = signed.clone();
			let at = random.below(other.len() as u64) as usize;
			other[at] ^= 1 << random.below(8);
			cases.push(other);
		}
		for case in &cases {
			let text = HexBytes(case.clone()).to_string();
			let shown: String = text.chars().take(400).collect();
			refused(network, "author_submitExtrinsic", &json!([text])).context(shown)?;
		}
		eprintln!("{} transactions refused", cases.len());
		// More than any message may have.
		let huge = json!({"jsonrpc": "2.0", "id": 1, "method": "author_submitExtrinsic", "params": ["00".repeat(9 << 20)]});
		if let Ok(answer) = http::post(&http_url(network), &huge.to_string()) {
			ensure!(answer.status >= 400, "{} for a huge message", answer.status);
		}
		nested_calls(network)?;
		runtime_calls(network)?;

		// Nothing of it had an effect, and the chain goes on.
		let after = customer.json(&["wallet", "balance"])?;
		ensure!(after == account, "{account} became {after}");
		let grown = Memory::of(network.node.process())?;
		eprintln!(
			"the node takes {} MiB, {} before",
			grown.resident >> 20,
			memory.resident >> 20
		);
		ensure!(
			grown.peak < memory.peak + GROWTH,
			"the node took {memory:?} and then {grown:?}"
		);
		ensure!(
			network.node.process().exit_status().is_none(),
			"the node has ended"
		);
		network.pass(2)?;
		customer.json(&["wallet", "add-balance", "1 CAIRN"])?;
		Ok(())
	})
}

/// Bytes of a transaction of the customer, as the chain has it.
fn transaction_of(network: &Network, customer: &Customer) -> Result<Vec<u8>> {
	let address = customer.address();
	let events = customer.json(&[
		"chain",
		"events",
		"--from",
		"0",
		"--event",
		"balance-added",
		"--about",
		&address,
	])?;
	let (block, index) = (&events["block_hash"], events["extrinsic"].as_u64());
	let block = network.node.rpc("chain_getBlock", json!([block]))?;
	let index = usize::try_from(index.context("no transaction")?)?;
	let bytes: HexBytes = serde_json::from_value(block["block"]["extrinsics"][index].clone())?;
	// A length of two bytes and the version of signed ones: what the cases below take apart.
	ensure!(
		bytes.0.len() > 100 && bytes.0[2] == 0x84,
		"not a signed transaction: {bytes}"
	);
	Ok(bytes.0)
}

/// Calls within calls within calls.
fn nested_calls(network: &Network) -> Result<()> {
	let call = (0..DEPTH).fold(calls::system::remark(b"deep"), |call, _| {
		calls::utility::batch_all(vec![call])
	});
	let outcome = Runtime::new()?.block_on(async {
		let client = ChainClient::connect(&network.node.url()).await?;
		let submitter = Submitter::new(&client, Key(key("//Eve")?));
		anyhow::Ok(submitter.submit(call).await)
	})?;
	ensure!(
		matches!(outcome, Err(SubmitError::Rejected { .. })),
		"calls {DEPTH} deep: {outcome:?}"
	);
	Ok(())
}

/// Arguments of the runtime's own interface that do not decode.
fn runtime_calls(network: &Network) -> Result<()> {
	for method in [
		"MarketApi_deal",
		"MarketApi_deals_of",
		"MarketApi_proposal",
		"StorageProviderApi_sector",
		"StorageProviderApi_sectors",
		"TransactionPaymentApi_query_info",
		"TaggedTransactionQueue_validate_transaction",
		"no_such_method",
	] {
		for arguments in ["0x", "0x00", "0xff"] {
			refused(network, "state_call", &json!([method, arguments]))
				.with_context(|| format!("{method} of {arguments}"))?;
		}
		// More than the arguments: a runtime reads what it needs and passes over the rest.
		let long = format!("0x{}", "ff".repeat(1000));
		answer(network, "state_call", &json!([method, long]))?;
	}
	Ok(())
}

fn http_url(network: &Network) -> String {
	network.node.url().replace("ws://", "http://")
}

/// What the node answers, error or not.
fn answer(network: &Network, method: &str, params: &Value) -> Result<Value> {
	let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
	http::post(&http_url(network), &request.to_string())?.json()
}

/// Fails unless the node answers with an error that says what is wrong.
fn refused(network: &Network, method: &str, params: &Value) -> Result<()> {
	let answer = answer(network, method, params)?;
	let error = &answer["error"];
	let message = error["message"].as_str().unwrap_or_default();
	ensure!(
		error["code"].is_i64() && message.len() > 5,
		"not refused: {answer}"
	);
	Ok(())
}
