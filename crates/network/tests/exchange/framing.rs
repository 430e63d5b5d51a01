//! Frames of hostile streams: lengths, pace, and the memory that they take.

use bytes::Bytes;
use cairn_network::exchange::framing::{Budget, FrameReader, FramingError};
use std::time::Duration;
use tokio::{
	io::{AsyncWriteExt, DuplexStream},
	time::{timeout, Instant},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

const MAX: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

type Reader = FrameReader<Compat<DuplexStream>>;

/// A stream that holds so much on its way, and a reader at its end.
fn stream(held: usize, budget: Budget) -> (DuplexStream, Reader) {
	let (near, far) = tokio::io::duplex(held);
	(near, FrameReader::new(far.compat(), MAX, budget, PATIENCE))
}

/// Reads all the frames of these bytes, and why it went no further.
async fn read(bytes: &[u8]) -> (Vec<Bytes>, Option<FramingError>) {
	let (mut near, mut frames) = stream(bytes.len().max(1), Budget::new(2 * MAX));
	near.write_all(bytes).await.unwrap();
	drop(near);
	let mut read = Vec::new();
	loop {
		match frames.next().await {
			Ok(Some((frame, _))) => read.push(frame),
			Ok(None) => return (read, None),
			Err(error) => return (read, Some(error)),
		}
	}
}

fn frame(body: &[u8]) -> Vec<u8> {
	let mut bytes = Vec::new();
	cairn_dag::varint::encode(body.len() as u64, &mut bytes);
	[&bytes[..], body].concat()
}

#[tokio::test]
async fn frames_of_every_length_come_one_after_the_other() {
	let lengths = [0, 1, 127, 128, 16_383, 16_384, 65_535, 65_536, 65_537, MAX];
	let bodies: Vec<Vec<u8>> = lengths
		.iter()
		.map(|length| vec![*length as u8; *length])
		.collect();
	let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
	let (read, error) = read(&bytes).await;
	assert!(error.is_none(), "{error:?}");
	assert_eq!(read, bodies);
}

#[tokio::test]
async fn lengths_are_short_varints_within_the_limit() {
	// More than the limit says, whatever follows.
	let (_, error) = read(&frame(&vec![0; MAX + 1])).await;
	assert!(
		matches!(error, Some(FramingError::TooLong { len, max: MAX }) if len == MAX + 1),
		"{error:?}"
	);
	let (_, error) = read(&[0xff, 0xff, 0xff, 0x7f]).await;
	assert!(matches!(error, Some(FramingError::TooLong { .. })), "{error:?}");
	assert!(error.unwrap().is_offence());
	// More bytes than the shortest form has, and more than any length.
	for bytes in [
		&[0x80, 0x00][..],
		&[0x85, 0x80, 0x00],
		&[0x80, 0x80, 0x80, 0x80, 0x01],
	] {
		let (_, error) = read(bytes).await;
		assert!(
			matches!(error, Some(FramingError::Length)),
			"{bytes:x?}: {error:?}"
		);
		assert!(error.unwrap().is_offence());
	}
	// The end of the stream within a frame is no offence, but no frame either.
	for bytes in [&[0x80][..], &[5, 1, 2], &frame(&vec![7; 70_000])[..69_000]] {
		let (frames, error) = read(bytes).await;
		assert!(frames.is_empty());
		assert!(matches!(error, Some(FramingError::Io(_))), "{error:?}");
		assert!(!error.unwrap().is_offence());
	}
	let (frames, error) = read(&[]).await;
	assert!(frames.is_empty() && error.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_begins_a_frame_has_to_go_on() {
	let (mut near, mut frames) = stream(1 << 20, Budget::new(MAX));
	// Between frames there is all the time of the connection.
	assert!(timeout(Duration::from_secs(1 << 20), frames.next())
		.await
		.is_err());
	near.write_all(&[0x80]).await.unwrap();
	let begun = Instant::now();
	let error = frames.next().await.unwrap_err();
	assert!(matches!(error, FramingError::TimedOut(_)), "{error:?}");
	assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
	assert!(!error.is_offence());

	// A body has what 32 KiB/s take on top.
	let (mut near, mut frames) = stream(1 << 20, Budget::new(MAX));
	let body = vec![7; 320 << 10];
	let bytes = frame(&body);
	near.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
	let begun = Instant::now();
	let error = frames.next().await.unwrap_err();
	assert!(matches!(error, FramingError::TimedOut(_)), "{error:?}");
	assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs() + 10);
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_that_keeps_the_pace_is_read_and_one_below_is_not() {
	let body = vec![7; MAX];
	let bytes = frame(&body);
	for (bytes_per_second, keeps_pace) in [(24 << 10, true), (16 << 10, false)] {
		// 52 seconds are allowed: 20, and 32 for a mebibyte.
		let (mut near, mut frames) = stream(4096, Budget::new(2 * MAX));
		let bytes = bytes.clone();
		let sending = tokio::spawn(async move {
			for part in bytes.chunks(bytes_per_second / 4) {
				tokio::time::sleep(Duration::from_millis(250)).await;
				if near.write_all(part).await.is_err() {
					break;
				}
			}
			// Stays open.
			std::future::pending::<()>().await
		});
		let next = frames.next().await;
		match keeps_pace {
			true => assert_eq!(next.unwrap().unwrap().0, body),
			false => assert!(matches!(next, Err(FramingError::TimedOut(_))), "{next:?}"),
		}
		sending.abort();
	}
}

#[tokio::test(start_paused = true)]
async fn frames_wait_for_memory_of_their_peer_first() {
	let all = Budget::new(1000);
	let [greedy, other] = [all.of_peer(600), all.of_peer(600)];
	let (mut near, mut frames) = stream(1 << 20, greedy.clone());
	let body = vec![1; 400];
	near.write_all(&[frame(&body), frame(&body)].concat())
		.await
		.unwrap();
	let (first, held) = frames.next().await.unwrap().unwrap();
	assert_eq!(first, body);
	// Its second frame does not fit its own budget, and takes nothing of the others'.
	let mut waiting = Box::pin(frames.next());
	assert!(timeout(Duration::from_secs(3600), &mut waiting).await.is_err());
	let (mut near, mut frames) = stream(1 << 20, other);
	let large = vec![2; 600];
	near.write_all(&frame(&large)).await.unwrap();
	let (second, large_held) = frames.next().await.unwrap().unwrap();
	assert_eq!(second, large);
	// What is freed goes to whoever waits, though the others' memory is full.
	drop(held);
	assert_eq!(waiting.await.unwrap().unwrap().0, body);

	// All together wait for what all have.
	let third = all.of_peer(600);
	let (mut near, mut frames) = stream(1 << 20, third);
	near.write_all(&frame(&[3; 500])).await.unwrap();
	let mut waiting = Box::pin(frames.next());
	assert!(timeout(Duration::from_secs(3600), &mut waiting).await.is_err());
	drop(large_held);
	assert_eq!(waiting.await.unwrap().unwrap().0, vec![3; 500]);
}
