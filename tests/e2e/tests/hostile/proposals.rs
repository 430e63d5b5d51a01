//! Deals that cannot be kept or paid, and proposals that are none.

use crate::{
	offer::{Customer, Offer},
	target::{refused, Target, DURATION},
};
use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, Random},
	http, on_network, User,
};
use cairn_primitives::deal::DealPayload;
use serde_json::{json, Value};

/// Plancks of a coin.
const CAIRN: u128 = 1_000_000_000_000;
/// Proposals with a bit flipped.
const MUTATIONS: usize = 300;

#[test]
fn deals_that_start_too_soon() -> Result<()> {
	on_network("hostile-start", |network| {
		// Sealing takes its time: 2000 s of it per sector, as far as this provider knows.
		let target = Target::start(network, "[sealing]\nassumed_seconds_per_byte = 2.4e-4")?;
		target.json(["ask", "set", "sealed-8MiB", "--price", "1 CAIRN"])?;
		let customer = Customer::new(network)?;
		let hot = customer.offer(&target, "file", 10_000)?;
		let sealed = hot.with(|proposal| proposal.tier = cairn_primitives::Tier::Sealed);
		let info = target.ask("cairn_v1_info", &json!([]))?;
		let now = u32::try_from(target.user.block()?)?;

		for start_by in [0, now, now + 1, now + 5] {
			let soon = hot.with(|proposal| proposal.start_by = start_by);
			target.refuses(&soon, "start_by")?;
		}
		// What is enough for the hot tier is not for a sector that must be sealed.
		for start_by in [now + 40, now + 300] {
			let soon = sealed.with(|proposal| proposal.start_by = start_by);
			let answer = target.send(&soon)?;
			refused(&answer, "start_by")?;
			// It says from when on.
			let hint = answer["error"]["data"]["hint"].as_str().context("no hint")?;
			let earliest = hint
				.split(|c: char| !c.is_ascii_digit())
				.find_map(|word| word.parse::<u32>().ok());
			let earliest = earliest.with_context(|| format!("no block in: {hint}"))?;
			ensure!(earliest > start_by, "{hint}");
			// Twice that, because the provider still learns how fast this chain's first blocks come.
			target.propose(&sealed.with(|proposal| {
				proposal.start_by = 2 * earliest;
				proposal.nonce = u64::from(start_by);
			}))?;
		}
		target.refuses(&hot.with(|proposal| proposal.start_by = u32::MAX), "start_by")?;

		// In time when it is proposed, and not any more when its data comes.
		let asks = info["asks"].as_array().context("no asks")?;
		let ask = asks
			.iter()
			.find(|ask| ask["tier"] == "hot")
			.context("no hot tier")?;
		let delay = ask["min_start_delay"].as_u64().context("no delay")?;
		let start_by = u32::try_from(target.user.block()? + delay)? + 8;
		let late = hot.with(|proposal| proposal.start_by = start_by);
		target.propose(&late)?;
		let escrow = || -> Result<Value> { Ok(customer.json(&["wallet", "balance"])?["escrow"].clone()) };
		let before = escrow()?;
		network.node.wait_for_block(u64::from(start_by) + 1)?;
		let status = target.wait_for_state(&late, "failed")?;
		let reason = status["progress"]["reason"].as_str().context("no reason")?;
		ensure!(reason.contains("did not arrive in time"), "{reason}");
		http::put(&target.upload_url(&late), &[], &late.payload()?)?.is_problem(409, "wrong_state")?;
		ensure!(escrow()? == before, "a deal that never was took money");
		let published = target.user.events("deal-published", 0, &[])?;
		ensure!(published.is_empty(), "it was published: {published:?}");
		target.keeps_no_data()?;
		target.survives()
	})
}

#[test]
fn clients_without_money() -> Result<()> {
	on_network("hostile-funds", |network| {
		let target = Target::start(network, "")?;
		let customer = Customer::new(network)?;

		// By the command line: nothing on the account, or less than the deal costs.
		let poor = network.poor_user("poor")?;
		let file = files::write(network.folder().join("of the poor"), 1000, 3)?;
		let arguments = User::put_arguments(&file, "hot", 1, DURATION);
		let (code, error) = poor.failure(arguments)?;
		ensure!(
			code == 8 && error["message"].is_string() && error["hint"].is_string(),
			"{code}: {error}"
		);

		// Without the command line, which looks after the escrow.
		let offer = customer.offer(&target, "file", 10_000)?;
		target.refuses(&offer.by("//One")?, "client_funds")?;
		target.refuses(&offer.by("//nobody//at//all")?, "client_funds")?;
		target.refuses(
			&offer.with(|proposal| proposal.price_per_block = u128::MAX),
			"client_funds",
		)?;
		target.refuses(&at_a_price(&offer, 1_000_000 * CAIRN), "client_funds")?;
		target.refuses(
			&offer.with(|proposal| proposal.price_per_block = 0),
			"price_too_low",
		)?;
		target.refuses(
			&offer.with(|proposal| proposal.provider_collateral = 0),
			"collateral",
		)?;
		target.refuses(
			&offer.with(|proposal| proposal.provider_collateral = u128::MAX),
			"collateral",
		)?;

		// Money that is promised once is not there a second time.
		let eve = Customer::with_escrow(network, "//Eve", "100 CAIRN")?;
		let first = at_a_price(&eve.offer(&target, "first", 20_000)?, 60 * CAIRN);
		let second = at_a_price(&eve.offer(&target, "second", 30_000)?, 60 * CAIRN);
		target.propose(&first)?;
		target.refuses(&second, "client_funds")?;
		// Nor does a provider put up collateral that it does not have.
		target.refuses(&at_a_price(&offer, 5000 * CAIRN), "provider_funds")?;

		// Money that was there when the deal was accepted, and is not when it is to be published.
		target.propose(&offer)?;
		customer.json(&["wallet", "withdraw", "--all"])?;
		let answer = http::put(&target.upload_url(&offer), &[], &offer.payload()?)?;
		ensure!(answer.status == 201, "{}", answer.status);
		let status = target.wait_for_delay(&offer)?;
		ensure!(
			status["delayed_by"]
				.as_str()
				.is_some_and(|why| why.contains("the client's escrow holds 0")),
			"{status}"
		);
		// Others are not held up by it, and it goes on when the money is there.
		target.survives()?;
		customer.json(&["wallet", "add-balance", "1000 CAIRN"])?;
		target.wait_for_state(&offer, "active")?;
		target.is_unharmed()
	})
}

#[test]
fn proposals_that_are_none() -> Result<()> {
	on_network("hostile-proposals", |network| {
		let target = Target::start(network, "")?;
		let customer = Customer::new(network)?;
		let offer = customer.offer(&target, "file", 10_000)?;

		target.refuses(&offer.forged_by("//Eve")?, "bad_signature")?;
		let stranger = offer.with(|proposal| proposal.provider = [7; 32]);
		target.refuses(&stranger, "wrong_provider")?;
		for duration in [0, 1, u32::MAX] {
			target.refuses(&offer.with(|proposal| proposal.duration = duration), "duration")?;
		}
		let rootless = offer.with(|proposal| {
			let DealPayload::V1 { root, .. } = &mut proposal.payload;
			*root = Default::default();
		});
		target.refuses(&rootless, "malformed")?;

		// SCALE that is none: cut anywhere, too long, and lengths that lie.
		let scale = offer.scale();
		let mut cases: Vec<Vec<u8>> = (0..scale.len()).map(|end| scale[..end].to_vec()).collect();
		cases.push([scale.as_slice(), &[0]].concat());
		cases.push([scale.as_slice(), &scale].concat());
		cases.push(vec![0xff; 20_000]);
		cases.push(vec![0xfe; 500]);
		// A root of 2^30 bytes, where the root's length is.
		let DealPayload::V1 { root, .. } = &offer.proposal.payload;
		let at = scale
			.windows(root.len())
			.position(|window| window == root.as_slice())
			.context("no root in the proposal")?;
		for length in [
			&[0xfe, 0xff, 0xff, 0xff][..],
			&[0x07, 0xff, 0xff, 0xff, 0xff, 0xff],
			&[0x02, 0x00, 0x01, 0x00],
		] {
			cases.push([&scale[..at - 1], length, &scale[at..]].concat());
		}
		for case in &cases {
			let answer = propose(&target, &hex(case), &hex(&offer.signature()))?;
			refused(&answer, "malformed").with_context(|| hex(case))?;
		}
		eprintln!("{} malformed proposals refused", cases.len());

		// Any byte wrong: it is another proposal, without a signature, or none.
		let mut random = Random::seeded();
		let below = |random: &mut Random, bound: usize| random.below(bound as u64) as usize;
		for _ in 0..MUTATIONS {
			let (mut proposal, mut signature) = (scale.clone(), offer.signature());
			let damaged = if random.below(2) == 0 {
				&mut proposal
			} else {
				&mut signature
			};
			let at = below(&mut random, damaged.len());
			damaged[at] ^= 1 << random.below(8);
			let answer = propose(&target, &hex(&proposal), &hex(&signature))?;
			let kind = answer["error"]["data"]["kind"].as_str().unwrap_or_default();
			ensure!(["malformed", "bad_signature"].contains(&kind), "{answer}");
			refused(&answer, kind)?;
		}

		// JSON that is none of this.
		for parameter in [
			json!(null),
			json!(7),
			json!("0x00"),
			json!([]),
			json!({}),
			json!({"kind": "signed"}),
			json!({"kind": "signed", "proposal": "", "signature": ""}),
			json!({"kind": "signed", "proposal": "0xzz", "signature": "0x00"}),
			json!({"kind": "signed", "proposal": "0x0", "signature": "0x00"}),
			json!({"kind": "signed", "proposal": hex(&scale), "signature": "0x00", "more": 1}),
			json!({"kind": "on_chain", "proposal_hash": "0x00"}),
			json!({"kind": "else"}),
		] {
			let answer = http::rpc(&target.url(), "cairn_v1_proposeDeal", &parameter)?;
			refused(&answer, "malformed").with_context(|| parameter.to_string())?;
		}
		let unknown = json!({"kind": "on_chain", "proposal_hash": format!("0x{}", "ab".repeat(32))});
		refused(
			&http::rpc(&target.url(), "cairn_v1_proposeDeal", &unknown)?,
			"not_found",
		)?;
		requests_that_are_no_calls(&target)?;

		ensure!(target.deals()?.is_empty(), "{:?}", target.deals()?);
		target.keeps_no_data()?;
		// The honest one goes through after all that.
		target.propose(&offer)?;
		target.survives()
	})
}

/// The same offer for this many plancks in all, with the least collateral.
fn at_a_price(offer: &Offer, total: u128) -> Offer {
	offer.with(|proposal| {
		proposal.price_per_block = total / u128::from(DURATION);
		proposal.provider_collateral = total / 10;
	})
}

/// Bodies at the JSON-RPC's address: each an error of the protocol.
fn requests_that_are_no_calls(target: &Target) -> Result<()> {
	let url = format!("{}/rpc", target.url());
	let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
	let call = r#"{"jsonrpc":"2.0","id":1,"method":"cairn_v1_info"}"#;
	let batch = format!("[{}]", vec![call; 33].join(","));
	for body in [
		"",
		"{",
		"[]",
		"null",
		"\u{0}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rm\"}",
		"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"cairn_v1_info\"}",
		&nested,
		&batch,
	] {
		let answer = http::post(&url, body)?;
		let shown: String = body.chars().take(80).collect();
		let said = answer.json().with_context(|| shown.clone())?;
		// Of a batch, the answer to its first call.
		let error = &said.get(0).unwrap_or(&said)["error"];
		ensure!(
			error["code"].is_i64() && error["message"].is_string(),
			"{shown}: {} {}",
			answer.status,
			String::from_utf8_lossy(&answer.body)
		);
	}
	let huge = format!("[{}]", "0,".repeat(8 << 20));
	// Refused by an answer, or by a connection that is closed while it is being sent.
	if let Ok(answer) = http::post(&url, &huge) {
		answer.is_problem(413, "too_large")?;
	}
	Ok(())
}

fn propose(target: &Target, proposal: &str, signature: &str) -> Result<Value> {
	let parameter = json!({"kind": "signed", "proposal": proposal, "signature": signature});
	http::rpc(&target.url(), "cairn_v1_proposeDeal", &parameter)
}

fn hex(bytes: &[u8]) -> String {
	cairn_provider_api::HexBytes(bytes.to_vec()).to_string()
}
