use super::*;
use crate::fake_node::FakeNode;

async fn numbers(blocks: &mut FinalizedBlocks, count: usize) -> Vec<BlockNumber> {
	let mut numbers = Vec::new();
	for _ in 0..count {
		numbers.push(blocks.next().await.expect("no error").number);
	}
	numbers
}

#[tokio::test(start_paused = true)]
async fn starts_at_the_latest_or_at_a_number() {
	let node = FakeNode::new();
	let client = node.client().await;
	node.run();
	assert_eq!(numbers(&mut client.finalized_blocks(), 3).await, [3, 4, 5]);
	assert_eq!(
		numbers(&mut client.finalized_blocks_from(0), 4).await,
		[0, 1, 2, 3]
	);
	assert_eq!(numbers(&mut client.finalized_blocks_from(7), 2).await, [7, 8]);
}

#[tokio::test(start_paused = true)]
async fn gaps_are_filled() {
	let node = FakeNode::new();
	let client = node.client().await;
	let mut blocks = client.finalized_blocks();
	assert_eq!(numbers(&mut blocks, 1).await, [3]);
	// Several blocks become final at once; then several while the connection is lost.
	for _ in 0..3 {
		node.state().author();
	}
	node.state().finalize(0);
	assert_eq!(numbers(&mut blocks, 3).await, [4, 5, 6]);
	node.state().disconnect();
	for _ in 0..4 {
		node.step();
	}
	let waiting = tokio::spawn(async move { (numbers(&mut blocks, 4).await, blocks) });
	tokio::time::sleep(Duration::from_secs(300)).await;
	assert!(!waiting.is_finished());
	node.state().reconnect();
	let (seen, mut blocks) = waiting.await.expect("no panic");
	assert_eq!(seen, [7, 8, 9, 10]);
	node.step();
	assert_eq!(numbers(&mut blocks, 1).await, [11]);
}

#[tokio::test(start_paused = true)]
async fn blocks_are_the_chains_own() {
	let node = FakeNode::new();
	let client = node.client().await;
	let mut blocks = client.finalized_blocks();
	blocks.next().await.expect("no error");
	node.state().author();
	node.state().retract(1, false);
	node.state().author();
	node.state().author();
	node.state().finalize(0);
	for _ in 0..2 {
		let block = blocks.next().await.expect("no error");
		assert_eq!(client.block_at(block.number).await, Ok(Some(block)));
	}
	assert_eq!(client.block_at(100).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn another_chain_is_noticed() {
	for same_genesis in [false, true] {
		let node = FakeNode::new();
		let client = node.client().await;
		let mut blocks = client.finalized_blocks();
		blocks.next().await.expect("no error");
		node.state().replace_chain(same_genesis);
		node.state().reconnect();
		node.run();
		let error = blocks.next().await.expect_err("the chain is another");
		assert!(matches!(error, ChainError::ChainReplaced { .. }), "{error:?}");
		// Nothing is read from it either.
		assert!(client.best().await.is_err());
	}
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_after_an_error() {
	use futures::StreamExt;
	let node = FakeNode::new();
	let client = node.client().await;
	let mut blocks = Box::pin(client.finalized_blocks().into_stream());
	assert!(matches!(blocks.next().await, Some(Ok(_))));
	node.state().replace_chain(false);
	node.state().reconnect();
	assert!(matches!(blocks.next().await, Some(Err(_))));
	assert!(blocks.next().await.is_none());
}
