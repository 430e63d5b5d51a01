//! Proofs of any wrong length, and of the right length with wrong content, in transactions of the provider's
//! own worker. The provider is dead meanwhile: nobody but the test proves, from the provider's files.

use crate::{
	chain::Key,
	target::{Target, DURATION},
};
use anyhow::{anyhow, ensure, Context, Result};
use cairn_chain_client::{calls, Call, ChainClient, SubmitError, Submitter};
use cairn_e2e::{files, on_network, Network, Put};
use cairn_keystore::{address, Keypair, Keystore, PasswordSource};
use cairn_primitives::{
	sealed::ROOTS_LEN,
	sector::{
		ActivationProof, DeadlineChallenge, PartitionProof, SectorProof, SectorState, SectorView, WindowProof,
	},
	SectorNumber, Tier,
};
use cairn_proving::SectorStore;
use std::time::Duration;
use tokio::{runtime::Runtime, task::JoinSet};

/// How long the pipeline may take to the point where it is stopped.
const CRASH_TIMEOUT: Duration = Duration::from_secs(300);
/// Long enough for every proof below.
const TERM: u32 = 2 * DURATION;

#[test]
fn activation_proofs_of_wrong_lengths() -> Result<()> {
	on_network("hostile-activation", |network| {
		let mut target = Target::start(network, "")?;
		target.json(["ask", "set", "sealed-2KiB", "--price", "1 CAIRN"])?;
		for (tier, size) in [("hot", 100_000), ("sealed", 1000)] {
			eprintln!("== {tier}");
			activation(network, &mut target, tier, size).context(tier)?;
		}
		target.survives()
	})
}

#[test]
fn windowed_proofs_of_wrong_lengths() -> Result<()> {
	on_network("hostile-windowed", |network| {
		let mut target = Target::start(network, "")?;
		let file = files::write(network.folder().join("file"), 100_000, 1)?;
		let (_, deal) = target.user.put_with(&target, &file, "hot", TERM)?;
		// Right behind a proof, so that the next one is a while away.
		let account = target.account().to_owned();
		let own = ["--provider", account.as_str()];
		target.user.wait_for("window-proof-accepted", &own, deal.since)?;
		target.kill();

		Runtime::new()?.block_on(async {
			let chain = Chain::connect(network, &target).await?;
			windowed(&chain, &target).await
		})?;

		target.run(&network.supervisor)?;
		target.adopt_process()?;
		let faults = target.user.events("sector-faulty", deal.since, &own)?;
		ensure!(faults.is_empty(), "{faults:?}");
		target.survives()
	})
}

/// The chain as the provider's worker sees it.
struct Chain {
	client: ChainClient,
	submitter: Submitter,
	owner: [u8; 32],
}

impl Chain {
	async fn connect(network: &Network, target: &Target<'_>) -> Result<Self> {
		let client = ChainClient::connect(&network.node.url()).await?;
		Ok(Self {
			submitter: Submitter::new(&client, Key(worker(target)?)),
			client,
			owner: address::decode(target.account())?.0,
		})
	}

	/// Sends calls at once; each must be executed and fail with its error.
	async fn refuses(&self, calls: Vec<(String, Call, (&'static str, &'static str))>) -> Result<()> {
		let mut sent = JoinSet::new();
		for (name, call, error) in calls {
			let submitter = self.submitter.clone();
			sent.spawn(async move { (name, submitter.submit(call).await, error) });
		}
		while let Some(done) = sent.join_next().await {
			let (name, outcome, expected) = done?;
			let Err(error) = outcome else {
				return Err(anyhow!("{name} is accepted"));
			};
			ensure!(
				error.module_error() == Some(expected),
				"{name}: {error:?} instead of {expected:?}"
			);
			// What the runtime's documentation says about it.
			ensure!(error.to_string().len() > expected.1.len() + 10, "{error}");
			eprintln!("{name}: {error}");
			let SubmitError::Dispatch { included, .. } = error else {
				return Err(anyhow!("{name} was not executed"));
			};
			ensure!(included.fee > 0, "{name} was free");
		}
		Ok(())
	}

	async fn sector(&self, number: SectorNumber) -> Result<SectorView> {
		let sector = self.client.query().sector(&self.owner, number).await?;
		sector.context("no such sector")
	}

	/// Waits for the next block.
	async fn next_block(&self) -> Result<()> {
		let now = self.client.finalized().await?.number;
		while self.client.finalized().await?.number == now {
			tokio::time::sleep(Duration::from_millis(50)).await;
		}
		Ok(())
	}
}

/// The key of the provider's worker, as the provider itself reads it.
fn worker(target: &Target) -> Result<Keypair> {
	let keys = Keystore::new(target.folder().join("keys"));
	let password = PasswordSource::File(keys.folder().join("worker.password"));
	let password = password.read("")?;
	Ok(keys.load("worker")?.decrypt(&password)?)
}

/// The provider dies when its sector is pre-committed; what it would prove is mangled in every way.
fn activation(network: &Network, target: &mut Target, tier: &str, size: usize) -> Result<()> {
	target.kill();
	target.run_with(
		&network.supervisor,
		&[("CAIRN_PROVIDER_CRASH_AT", "pre_commit:included")],
	)?;
	let file = files::write(network.folder().join(tier), size, 1)?;
	let arguments = cairn_e2e::User::put_arguments(&file, tier, 1, TERM);
	let running = target.user.start(&format!("put-{tier}"), arguments.clone())?;
	target
		.process()
		.context("the provider runs")?
		.wait(CRASH_TIMEOUT)?;

	Runtime::new()?.block_on(async {
		let chain = Chain::connect(network, target).await?;
		wrong_activation(&chain, target).await
	})?;

	// The right proof, which the provider makes, is as good as ever.
	target.run(&network.supervisor)?;
	target.adopt_process()?;
	let report = match running.finish()? {
		Some(report) => report,
		None => target.user.json(arguments)?,
	};
	let put = Put::from_report(&report)?;
	ensure!(put.deals.len() == 1, "{report}");
	Ok(())
}

async fn wrong_activation(chain: &Chain, target: &Target<'_>) -> Result<()> {
	let query = chain.client.query();
	let sectors = query.sectors(&chain.owner, None, 256).await?;
	let waiting = sectors
		.iter()
		.find(|sector| sector.state == SectorState::PreCommitted)
		.context("no sector is pre-committed")?;
	let number = waiting.sector;
	let challenge = loop {
		match query.activation_challenge(&chain.owner, number).await? {
			Some(challenge) => break challenge,
			None => chain.next_block().await?,
		}
	};
	let before = (chain.sector(number).await?, query.holds(&chain.owner).await?);

	let prover = SectorStore::open(target.folder().join("storage"))?.prover(number)?;
	let challenges = prover.spec().activation_challenges;
	// Some of them, so that more and fewer can be claimed.
	ensure!(challenges > 1, "{challenges} challenges");
	let count = (challenges - 1).min(4);
	let right = prover.activation_proof(&challenge.seed, 0, count)?;
	let part = |first: u16, count: u16, proof: &[u8]| -> Result<Call> {
		let bytes = proof
			.to_vec()
			.try_into()
			.map_err(|_| anyhow!("too long for a call"))?;
		Ok(calls::storage_provider::prove_commit_sectors(&[SectorProof {
			sector: number,
			first_challenge: first,
			challenges: count,
			proof: ActivationProof::V1(bytes),
		}]))
	};
	let length = ("Proofs", "WrongProofLength");
	let mut wrong = Vec::new();
	for (name, proof) in lengths(&right) {
		wrong.push((name, part(0, count, &proof)?, length));
	}
	wrong.push(("one challenge more".into(), part(0, count + 1, &right)?, length));
	if count > 1 {
		wrong.push(("one challenge less".into(), part(0, count - 1, &right)?, length));
	}
	let none = ("StorageProvider", "WrongChallenges");
	wrong.push(("no challenge".into(), part(0, 0, &[])?, none));
	wrong.push((
		"challenges beyond the last".into(),
		part(challenges, 1, &right)?,
		none,
	));
	wrong.push((
		"more challenges than there are".into(),
		part(u16::MAX, u16::MAX, &right)?,
		none,
	));
	// A leaf that no Fr32-padded data has: its two highest bits are set.
	let first_leaf = match prover.spec().tier {
		Tier::Hot => 0,
		Tier::Sealed => ROOTS_LEN,
	};
	let mut leaf = right.clone();
	leaf[first_leaf + 31] |= 0xc0;
	wrong.push((
		"a leaf that is not Fr32".into(),
		part(0, count, &leaf)?,
		("Proofs", "InvalidLeaf"),
	));
	chain.refuses(wrong).await?;

	let after = (chain.sector(number).await?, query.holds(&chain.owner).await?);
	ensure!(after == before, "{before:?} became {after:?}");
	let challenge_after = query.activation_challenge(&chain.owner, number).await?;
	ensure!(challenge_after == Some(challenge), "{challenge_after:?}");
	Ok(())
}

/// In one open deadline: every wrong proof, and then the right one.
async fn windowed(chain: &Chain, target: &Target<'_>) -> Result<()> {
	let query = chain.client.query();
	let is_due = |challenge: &DeadlineChallenge| {
		challenge.drawn
			&& challenge
				.partitions
				.iter()
				.any(|partition| !partition.proven && !partition.sectors.is_empty())
	};
	let challenge = loop {
		match query.deadline_challenge(&chain.owner).await? {
			Some(challenge) if is_due(&challenge) => break challenge,
			_ => tokio::time::sleep(Duration::from_millis(50)).await,
		}
	};
	let [partition] = challenge.partitions.as_slice() else {
		return Err(anyhow!("one partition was expected: {challenge:?}"));
	};
	let store = SectorStore::open(target.folder().join("storage"))?;
	let mut right = Vec::new();
	for sector in &partition.sectors {
		right.extend(store.prover(sector.sector)?.window_proof(&sector.leaves)?);
	}
	let number = partition.sectors.first().context("no sector")?.sector;
	let before = chain.sector(number).await?;

	let deadline = challenge.window.deadline;
	let all = [PartitionProof {
		partition: partition.partition,
		skipped: 0,
	}];
	let call = |deadline, partitions: &[PartitionProof], proof: &[u8]| -> Result<Call> {
		let bytes = proof
			.to_vec()
			.try_into()
			.map_err(|_| anyhow!("too long for a call"))?;
		let proof = WindowProof::V1(bytes);
		Ok(calls::storage_provider::submit_windowed_post(
			deadline, partitions, &proof,
		))
	};
	let mut wrong = Vec::new();
	for (name, proof) in lengths(&right) {
		wrong.push((
			name,
			call(deadline, &all, &proof)?,
			("StorageProvider", "WrongProofLength"),
		));
	}
	let mut leaf = right.clone();
	leaf[31] |= 0xc0;
	wrong.push((
		"a leaf that is not Fr32".into(),
		call(deadline, &all, &leaf)?,
		("Proofs", "InvalidLeaf"),
	));
	let partitions = ("StorageProvider", "InvalidPartitions");
	let other = [PartitionProof {
		partition: 99,
		..all[0]
	}];
	wrong.push(("no partition".into(), call(deadline, &[], &right)?, partitions));
	wrong.push((
		"another partition".into(),
		call(deadline, &other, &right)?,
		partitions,
	));
	wrong.push((
		"a partition twice".into(),
		call(deadline, &[all[0], all[0]], &right)?,
		partitions,
	));
	let slot = [PartitionProof {
		skipped: 1 << 63,
		..all[0]
	}];
	let skipped = ("StorageProvider", "InvalidSkipped");
	wrong.push((
		"an empty slot skipped".into(),
		call(deadline, &slot, &right)?,
		skipped,
	));
	let closed = ("StorageProvider", "DeadlineNotOpen");
	wrong.push((
		"another deadline".into(),
		call(deadline + 1, &all, &right)?,
		closed,
	));
	chain.refuses(wrong).await?;

	let after = chain.sector(number).await?;
	ensure!(after == before, "{before:?} became {after:?}");
	let now = query.deadline_challenge(&chain.owner).await?;
	let is_unproven = now
		.as_ref()
		.is_some_and(|now| now.window == challenge.window && is_due(now));
	ensure!(is_unproven, "the deadline became {now:?}");
	// All of them failed by their length alone.
	chain.submitter.submit(call(deadline, &all, &right)?).await?;
	Ok(())
}

/// A proof cut and extended in every way, with names.
fn lengths(right: &[u8]) -> Vec<(String, Vec<u8>)> {
	let cut = |bytes: usize| right[..right.len() - bytes].to_vec();
	let extended = |bytes: usize| [right, &vec![0; bytes]].concat();
	vec![
		("nothing".into(), Vec::new()),
		("a byte".into(), right[..1].to_vec()),
		("a byte less".into(), cut(1)),
		("a node less".into(), cut(32)),
		("half of it".into(), right[..right.len() / 2].to_vec()),
		("a byte more".into(), extended(1)),
		("a node more".into(), extended(32)),
		("it twice".into(), right.repeat(2)),
		("much more".into(), extended(100_000)),
	]
}
