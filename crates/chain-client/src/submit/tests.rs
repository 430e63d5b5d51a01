//! The engine against a scripted node, in virtual time.

mod random;

use super::*;
use crate::{
	calls,
	fake_node::{FakeNode, FakeSigner, SubmitFault},
};
use codec::Encode;
use futures::future::join_all;

pub(super) const ALICE: AccountId = [0xaa; 32];

pub(super) async fn start() -> (FakeNode, Submitter) {
	let node = FakeNode::new();
	let submitter = Submitter::new(&node.client().await, FakeSigner(ALICE));
	(node, submitter)
}

/// A call that tells from `other` calls by its number.
pub(super) fn remark(number: u32) -> Call {
	calls::system::remark(&number.encode())
}

/// How often `call` took effect on the finalized chain.
pub(super) fn effects(node: &FakeNode, call: &Call) -> usize {
	let mut bytes = Vec::new();
	call.encode(&crate::fake_node::metadata(), &mut bytes)
		.expect("a known call");
	node.state().effects().get(&bytes).copied().unwrap_or(0)
}

/// Lets every task run until it waits for something.
async fn settle() {
	for _ in 0..200 {
		tokio::task::yield_now().await;
	}
}

#[tokio::test(start_paused = true)]
async fn a_call_is_included_and_reported() {
	let (node, submitter) = start().await;
	node.run();
	let included = submitter.submit(remark(1)).await.expect("it succeeds");
	assert_eq!(included.fee, 7);
	assert_eq!(included.extrinsic_index, 0);
	assert!(included.events.contains(&ChainEvent::ExtrinsicSuccess));
	assert_eq!(
		submitter.client().block_at(included.block.number).await,
		Ok(Some(included.block))
	);
	assert_eq!(effects(&node, &remark(1)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_explained() {
	let (node, submitter) = start().await;
	node.run();
	let error = submitter
		.submit(calls::system::remark(b"fail"))
		.await
		.expect_err("it fails");
	assert_eq!(error.module_error(), Some(("Market", "ZeroAmount")));
	let SubmitError::Dispatch {
		failure: DispatchFailure::Module { docs, .. },
		included,
	} = error
	else {
		panic!("{error:?}")
	};
	assert!(!docs.is_empty());
	assert_eq!(included.fee, 7);
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_get_nonces_in_turn() {
	let (node, submitter) = start().await;
	node.run();
	let results = join_all((0..40).map(|number| submitter.submit(remark(number)))).await;
	for (number, result) in results.into_iter().enumerate() {
		result.expect("it succeeds");
		assert_eq!(effects(&node, &remark(number as u32)), 1);
	}
	assert_eq!(node.state().handed_in(), 40);
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_before_it_is_final() {
	let (node, submitter) = start().await;
	let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
	settle().await;
	node.state().author();
	settle().await;
	assert!(!task.is_finished());
	node.state().finalize(0);
	task.await.expect("no panic").expect("it succeeds");
}

/// A proof must reach its deadline although the relay chain finalizes nothing for a while.
#[tokio::test(start_paused = true)]
async fn calls_are_included_while_nothing_becomes_final() {
	let (node, submitter) = start().await;
	for _ in 0..300 {
		node.state().author();
	}
	let client = submitter.client().clone();
	let signed = tokio::spawn(async move { submitter.submit(remark(1)).await });
	let unsigned = tokio::spawn(async move { client.drip(ALICE).await });
	settle().await;
	node.state().author();
	settle().await;
	assert_eq!(node.state().pool_len(), 0);
	assert!(!signed.is_finished() && !unsigned.is_finished());
	node.state().finalize(0);
	let included = signed.await.expect("no panic").expect("it succeeds");
	assert_eq!(included.block.number, 304);
	unsigned.await.expect("no panic").expect("it succeeds");
	assert_eq!(node.state().handed_in(), 2);
}

/// Who relies on a call's death does without the call rather than without the certainty.
#[tokio::test(start_paused = true)]
async fn nothing_is_signed_that_could_live_too_long() {
	let (node, submitter) = start().await;
	for _ in 0..10 {
		node.state().author();
	}
	let options = |dead_after| SubmitOptions {
		mortality: 8,
		dead_after: Some(dead_after),
		..Default::default()
	};
	// Born at block 3, ten blocks ago: it must live for sixteen, until block 18.
	assert_eq!(
		submitter.submit_with(remark(1), options(17)).await,
		Err(SubmitError::Expired { attempts: 0 })
	);
	assert_eq!(node.state().handed_in(), 0);
	node.run();
	let included = submitter
		.submit_with(remark(1), options(18))
		.await
		.expect("it succeeds");
	assert!(included.block.number <= 18);
}

#[tokio::test(start_paused = true)]
async fn a_retracted_block_is_waited_out() {
	let (node, submitter) = start().await;
	let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
	settle().await;
	let first = node.state().author();
	settle().await;
	node.state().retract(1, false);
	settle().await;
	assert!(!task.is_finished());
	node.state().author();
	node.state().finalize(0);
	let included = task.await.expect("no panic").expect("it succeeds");
	assert_ne!(included.block.hash, first);
	assert_eq!(node.state().handed_in(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_block_lost_with_its_transaction_is_made_up_for() {
	let (node, submitter) = start().await;
	node.state().mute = true;
	let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
	settle().await;
	node.state().author();
	node.state().retract(1, true);
	assert_eq!(node.state().pool_len(), 0);
	// Nobody says that it is lost; its era ends, and it is signed again.
	node.run();
	task.await.expect("no panic").expect("it succeeds");
	assert_eq!(effects(&node, &remark(1)), 1);
	assert_eq!(node.state().handed_in(), 2);
}

#[tokio::test(start_paused = true)]
async fn dropped_and_invalid_transactions_are_sent_again_unchanged() {
	for status in ["dropped", "invalid"] {
		let (node, submitter) = start().await;
		let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
		settle().await;
		node.state().clear_pool(Some(status.into()));
		node.run();
		task.await.expect("no panic").expect("it succeeds");
		assert_eq!(effects(&node, &remark(1)), 1);
		assert_eq!(node.state().handed_in(), 1, "{status}");
	}
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_double_the_call() {
	for fault in [SubmitFault::LostBefore, SubmitFault::LostAfter] {
		let (node, submitter) = start().await;
		node.state().faults.push_back(fault);
		node.run();
		submitter.submit(remark(1)).await.expect("it succeeds");
		assert_eq!(effects(&node, &remark(1)), 1, "{fault:?}");
		assert_eq!(node.state().handed_in(), 1, "{fault:?}");
	}
}

#[tokio::test(start_paused = true)]
async fn inclusion_during_a_lost_connection_is_found() {
	let (node, submitter) = start().await;
	let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
	settle().await;
	node.state().disconnect();
	settle().await;
	for _ in 0..100 {
		node.step();
	}
	tokio::time::sleep(Duration::from_secs(20)).await;
	assert!(!task.is_finished());
	node.state().reconnect();
	let included = task.await.expect("no panic").expect("it succeeds");
	assert_eq!(included.block.number, 4);
	assert_eq!(node.state().handed_in(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_usurped_nonce_is_replaced_after_the_proof() {
	let (node, submitter) = start().await;
	let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
	settle().await;
	node.state().usurp(ALICE);
	node.run();
	task.await.expect("no panic").expect("it succeeds");
	assert_eq!(effects(&node, &remark(1)), 1);
	assert_eq!(node.state().handed_in(), 2);
}

#[tokio::test(start_paused = true)]
async fn losing_every_nonce_is_reported() {
	let (node, submitter) = start().await;
	let options = SubmitOptions {
		attempts: 2,
		..Default::default()
	};
	let task = tokio::spawn(async move { submitter.submit_with(remark(1), options).await });
	for _ in 0..2 {
		tokio::time::sleep(Duration::from_secs(3)).await;
		settle().await;
		node.state().usurp(ALICE);
		node.step();
	}
	let error = task.await.expect("no panic").expect_err("it is superseded");
	assert_eq!(error, SubmitError::Superseded { nonce: 1 });
	assert!(error.had_no_effect());
	assert_eq!(effects(&node, &remark(1)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_is_waited_for() {
	let (node, submitter) = start().await;
	node.state().faults.extend([SubmitFault::Full; 5]);
	node.run();
	submitter.submit(remark(1)).await.expect("it succeeds");
	assert_eq!(effects(&node, &remark(1)), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_reported_and_free_their_nonce() {
	let (node, submitter) = start().await;
	node.run();
	node.state()
		.faults
		.extend([SubmitFault::Unfunded, SubmitFault::Refused]);
	assert_eq!(submitter.submit(remark(1)).await, Err(SubmitError::Unfunded));
	let refused = submitter.submit(remark(2)).await;
	assert_eq!(
		refused,
		Err(SubmitError::Rejected {
			reason: "Custom error: 9".into()
		})
	);
	submitter.submit(remark(3)).await.expect("it succeeds");
	assert_eq!(effects(&node, &remark(3)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_signed_again_when_it_is_of_no_use() {
	let (node, submitter) = start().await;
	let options = SubmitOptions {
		valid_until: Some(20),
		..Default::default()
	};
	// The pool loses everything, all the time.
	node.state().mute = true;
	let runner = node.clone();
	tokio::spawn(async move {
		loop {
			tokio::time::sleep(Duration::from_secs(1)).await;
			runner.state().clear_pool(None);
			runner.step();
		}
	});
	let error = submitter
		.submit_with(remark(1), options)
		.await
		.expect_err("it expires");
	assert!(matches!(error, SubmitError::Expired { .. }), "{error:?}");
	assert_eq!(effects(&node, &remark(1)), 0);
}

#[tokio::test(start_paused = true)]
async fn another_chain_ends_the_wait() {
	for same_genesis in [false, true] {
		let (node, submitter) = start().await;
		let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
		settle().await;
		node.state().replace_chain(same_genesis);
		node.state().reconnect();
		node.run();
		let error = task.await.expect("no panic").expect_err("the chain is another");
		let SubmitError::Unresolved {
			block: None, source, ..
		} = error
		else {
			panic!("{error:?}")
		};
		assert!(matches!(*source, ChainError::ChainReplaced { .. }), "{source:?}");
	}
}

#[tokio::test(start_paused = true)]
async fn two_programs_share_an_account() {
	let (node, first) = start().await;
	let second = Submitter::new(&node.client().await, FakeSigner(ALICE));
	node.run();
	let calls = (0..30).map(|number| {
		let submitter = if number % 2 == 0 { &first } else { &second };
		submitter.submit(remark(number))
	});
	for result in join_all(calls).await {
		result.expect("it succeeds");
	}
	for number in 0..30 {
		assert_eq!(effects(&node, &remark(number)), 1);
	}
}

#[tokio::test(start_paused = true)]
async fn fees_are_estimated() {
	let (_node, submitter) = start().await;
	let fee = submitter.estimate_fee(&remark(1)).await.expect("it is known");
	// The fake node answers with the request's length.
	assert!(fee > 100, "{fee}");
}

#[tokio::test(start_paused = true)]
async fn unsigned_calls_are_followed_too() {
	let (node, submitter) = start().await;
	node.run();
	let client = submitter.client().clone();
	let included = client.drip(ALICE).await.expect("it succeeds");
	assert_eq!(included.block.number, 4);
	assert_eq!(effects(&node, &calls::faucet::drip(ALICE)), 1);
	node.state().faults.push_back(SubmitFault::LostAfter);
	client.drip([1; 32]).await.expect("it succeeds");
	assert_eq!(effects(&node, &calls::faucet::drip([1; 32])), 1);
	node.state().faults.push_back(SubmitFault::Refused);
	assert!(matches!(
		client.drip([2; 32]).await,
		Err(SubmitError::Rejected { .. })
	));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_away_is_waited_for() {
	let (node, submitter) = start().await;
	node.state().disconnect();
	let task = tokio::spawn(async move { submitter.submit(remark(1)).await });
	tokio::time::sleep(Duration::from_secs(3600)).await;
	assert!(!task.is_finished());
	node.state().reconnect();
	node.run();
	task.await.expect("no panic").expect("it succeeds");
	assert_eq!(effects(&node, &remark(1)), 1);
}
