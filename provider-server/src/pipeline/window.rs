//! The proof of the open deadline.

use super::{Context, JobError};
use crate::{
	chain::{Action, MAX_PARTITIONS_PER_CALL},
	fault_injection,
	store::Store,
};
use cairn_primitives::{
	sector::{
		DeadlineChallenge, DeadlineWindow, PartitionChallenge, PartitionProof, WindowProof, MAX_WINDOW_PROOF,
	},
	BlockNumber,
};
use rayon::prelude::*;

/// Blocks that a proof gets to be included before it is sent again.
const PATIENCE: BlockNumber = 3;

/// Whether the open deadline has partitions to prove.
pub(super) async fn is_due(context: &Context, now: BlockNumber) -> Result<bool, JobError> {
	Ok(open_challenge(context, now).await?.is_some())
}

/// What is to be proven now, if anything.
async fn open_challenge(context: &Context, now: BlockNumber) -> Result<Option<DeadlineChallenge>, JobError> {
	// By the chain's count: sectors whose record was lost with the database are proven all the same.
	if context.view().provider.live_sectors == 0 {
		return Ok(None);
	}
	let Some(mut challenge) = context.chain.deadline_challenge(&context.owner).await? else {
		return Ok(None);
	};
	challenge
		.partitions
		.retain(|partition| !partition.proven && !partition.sectors.is_empty());
	if !challenge.drawn || challenge.partitions.is_empty() || now.saturating_add(1) >= challenge.window.close
	{
		return Ok(None);
	}
	// A proof sent shortly before a restart may still be on its way; sending another would cost a
	// fee. Near the close the proof matters more than the fee.
	let window = (challenge.window.period, challenge.window.deadline);
	let sent = context
		.store
		.run(Store::window_sent)
		.await
		.unwrap_or_else(|error| {
			tracing::warn!(%error, "it is not known whether a windowed proof is on its way");
			None
		});
	let on_its_way = sent.is_some_and(|(sent, until)| sent == window && now < until);
	let urgent = now.saturating_add(2) >= challenge.window.close;
	Ok((!on_its_way || urgent).then_some(challenge))
}

/// A partition's proof, and which slots were left out of it.
struct Proven {
	partition: PartitionProof,
	bytes: Vec<u8>,
	sectors: usize,
}

/// Proves and submits.
pub(super) async fn run(context: Context, now: BlockNumber) -> Result<(), JobError> {
	let Some(challenge) = open_challenge(&context, now).await? else {
		return Ok(());
	};
	let window = challenge.window;
	let mut calls: Vec<Vec<Proven>> = Vec::new();
	for partition in challenge.partitions {
		let number = partition.partition;
		let proven = {
			let proving = context.clone();
			context.blocking(move |_| prove(&proving, &partition)).await
		};
		// Should a proof break this program, the other partitions are proven all the same.
		let Some(proven) = proven.unwrap_or_else(|error| {
			tracing::error!(%error, "proving a partition broke");
			None
		}) else {
			tracing::error!(
				deadline = window.deadline,
				partition = number,
				"no sector of the partition can be proven"
			);
			context.metrics.window_proofs_failed.inc();
			continue;
		};
		let fits = calls.last().is_some_and(|call| {
			let bytes: usize = call.iter().map(|proven| proven.bytes.len()).sum();
			call.len() < MAX_PARTITIONS_PER_CALL && bytes + proven.bytes.len() <= MAX_WINDOW_PROOF as usize
		});
		match calls.last_mut() {
			Some(call) if fits => call.push(proven),
			_ => calls.push(vec![proven]),
		}
	}
	fault_injection::reached("window:proven");
	for call in calls {
		let partitions: Vec<PartitionProof> = call.iter().map(|proven| proven.partition).collect();
		let sectors: usize = call.iter().map(|proven| proven.sectors).sum();
		let bytes = call
			.into_iter()
			.flat_map(|proven| proven.bytes)
			.collect::<Vec<u8>>();
		let Ok(bytes) = bytes.try_into() else { continue };
		let until = now.saturating_add(PATIENCE);
		note_sent(&context, &window, until).await;
		let action = Action::WindowedPost {
			deadline: window.deadline,
			partitions: partitions.clone(),
			proof: WindowProof::V1(bytes),
		};
		let outcome = context.act(action, window.close.saturating_sub(1)).await;
		match outcome {
			Ok(_) => {
				fault_injection::reached("window:included");
				context
					.metrics
					.window_partitions_proven
					.inc_by(partitions.len() as u64);
				tracing::info!(
					deadline = window.deadline,
					period = window.period,
					partitions = partitions.len(),
					sectors,
					"windowed proof accepted"
				);
			}
			Err(error) if error.refusal() == Some("StorageProvider::AlreadyProven") => {}
			Err(error) => {
				context.metrics.window_proofs_failed.inc();
				tracing::error!(deadline = window.deadline, %error, "windowed proof not accepted");
				// The next block may try at once.
				note_sent(&context, &window, 0).await;
			}
		}
	}
	Ok(())
}

/// Notes that a proof is on its way until a block. If that cannot be noted, on a full disk for instance, a
/// restart may send the proof twice, which costs a fee. Not to send it would cost the sector.
async fn note_sent(context: &Context, window: &DeadlineWindow, until: BlockNumber) {
	let window = (window.period, window.deadline);
	let noted = context
		.store
		.run(move |store| store.set_window_sent(window, until))
		.await;
	if let Err(error) = noted {
		tracing::warn!(%error, "a windowed proof on its way could not be noted");
	}
}

/// Opens every sector of a partition; those that cannot be opened are skipped. `None` if that is all
/// of them.
fn prove(context: &Context, partition: &PartitionChallenge) -> Option<Proven> {
	let proofs: Vec<_> = partition
		.sectors
		.par_iter()
		.map(|challenge| {
			let prover = context
				.sectors
				.prover(challenge.sector)
				.map_err(|error| error.to_string())?;
			if prover.comm_r() != challenge.comm_r {
				return Err("the sector on disk is another one than on chain".to_owned());
			}
			prover
				.window_proof(&challenge.leaves)
				.map_err(|error| error.to_string())
		})
		.collect();
	let mut proven = Proven {
		partition: PartitionProof {
			partition: partition.partition,
			skipped: 0,
		},
		bytes: Vec::new(),
		sectors: 0,
	};
	for (challenge, proof) in partition.sectors.iter().zip(proofs) {
		let cause = match proof {
			// Sectors that recover answer more challenges; should that exceed a call, the last ones
			// wait for the next period.
			Ok(bytes) if proven.bytes.len() + bytes.len() <= MAX_WINDOW_PROOF as usize => {
				proven.bytes.extend_from_slice(&bytes);
				proven.sectors += 1;
				continue;
			}
			Ok(_) => "the partition's proof would exceed its limit".to_owned(),
			Err(cause) => cause,
		};
		tracing::error!(
			sector = challenge.sector,
			cause,
			"a sector is left out of its proof and becomes faulty"
		);
		context.metrics.sectors_skipped.inc();
		if challenge.slot < 64 {
			proven.partition.skipped |= 1 << challenge.slot;
		}
	}
	(proven.sectors > 0).then_some(proven)
}
