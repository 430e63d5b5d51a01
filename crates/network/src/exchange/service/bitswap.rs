//! Streams of Bitswap. Each carries messages one way: a peer's answers come on streams that it opens.

use super::{
	actor::Input,
	native::{flush, write, StreamError, SMALL},
	Shared,
};
use crate::{
	bitswap::wire::{Message, Outgoing, Version, MAX_MESSAGE},
	exchange::framing::{Budget, FrameReader},
	streams::{Inbound, Opened},
};
use bytes::Bytes;
use cairn_dag::Block;
use futures::{future::try_join, io::BufReader, AsyncWriteExt};
use libp2p::{swarm::Stream, PeerId};
use std::{io, sync::Arc};
use tokio::{
	sync::{mpsc, OwnedSemaphorePermit},
	task::{spawn_blocking, JoinHandle},
	time::timeout,
};

/// Messages that are read before the one in front of them is decoded.
const DECODED_AHEAD: usize = 2;

/// Reads the messages of a stream that a peer opened. They are decoded while the next are read.
pub(super) async fn read(
	inbound: Inbound,
	budget: Budget,
	inputs: mpsc::Sender<Input>,
	shared: Arc<Shared>,
) -> Result<(), StreamError> {
	let Inbound {
		peer,
		stream,
		permit: _permit,
		..
	} = inbound;
	let (came, mut coming) = mpsc::channel(DECODED_AHEAD);
	let reading = async move {
		let reader = BufReader::with_capacity(4096, stream);
		let mut frames = FrameReader::new(reader, MAX_MESSAGE, budget, shared.config.stall);
		while let Some((bytes, share)) = frames.next().await? {
			if came.send((Decoding::begin(bytes), share)).await.is_err() {
				return Ok(());
			}
		}
		// Both ends close, so that neither takes it for a failure.
		let mut stream = frames.into_inner().into_inner();
		Ok::<_, StreamError>(stream.close().await?)
	};
	let passing_on = async {
		while let Some((decoding, share)) = coming.recv().await {
			let Some(decoded) = decoding.end().await else {
				break;
			};
			let (message, blocks, refused) = decoded?;
			let input = Input::BitswapMessage {
				peer,
				message,
				blocks,
				refused,
				share,
			};
			if inputs.send(input).await.is_err() {
				break;
			}
		}
		coming.close();
		Ok::<_, StreamError>(())
	};
	try_join(reading, passing_on).await?;
	Ok(())
}

type Decoded = Result<(Message, Vec<Block>, usize), StreamError>;

/// A message that is decoded, on a blocking thread if that takes a while.
enum Decoding {
	Done(Decoded),
	Running(JoinHandle<Decoded>),
}

impl Decoding {
	fn begin(bytes: Bytes) -> Self {
		if bytes.len() <= SMALL {
			return Self::Done(decode(bytes));
		}
		Self::Running(spawn_blocking(move || decode(bytes)))
	}

	/// What it says, unless the runtime shuts down.
	async fn end(self) -> Option<Decoded> {
		match self {
			Self::Done(decoded) => Some(decoded),
			Self::Running(decoding) => decoding.await.ok(),
		}
	}
}

/// Reads a message and hashes its blocks; says how many of them have CIDs that Cairn does not trust.
fn decode(bytes: Bytes) -> Decoded {
	let mut message = Message::decode(bytes)?;
	let payloads = std::mem::take(&mut message.blocks);
	let all = payloads.len();
	let blocks: Vec<_> = payloads
		.into_iter()
		.filter_map(|payload| payload.into_block().ok())
		.collect();
	let refused = all - blocks.len();
	Ok((message, blocks, refused))
}

/// A message to write, and what is to be said when it is written.
pub(super) struct Letter {
	pub message: Outgoing,
	/// Whether a job of the ledger ends with it.
	pub answers: bool,
	/// Its share of the memory for sending.
	pub share: Option<OwnedSemaphorePermit>,
}

/// Writes messages to a peer until their sender is dropped, on a stream that is opened when there is
/// something to say, and closed when there is not.
pub(super) async fn write_letters(
	peer: PeerId,
	first: Option<Opened>,
	mut letters: mpsc::UnboundedReceiver<Letter>,
	inputs: mpsc::Sender<Input>,
	shared: Arc<Shared>,
) -> Result<(), StreamError> {
	let mut open = first.and_then(known_version);
	loop {
		let letter = if open.is_some() {
			match timeout(shared.config.rest, letters.recv()).await {
				Ok(letter) => letter,
				Err(_) => {
					if let Some((mut stream, _)) = open.take() {
						// It was used up to its end; that closing fails changes nothing.
						let _ = stream.close().await;
					}
					continue;
				}
			}
		} else {
			letters.recv().await
		};
		let Some(letter) = letter else {
			break;
		};
		// A stream that rested may be gone by now; a fresh one is tried once.
		if let Some((stream, version)) = &mut open {
			if send(stream, *version, &letter.message, &shared).await.is_err() {
				open = None;
			}
		}
		if open.is_none() {
			let opened = shared.control.open(peer, &Version::protocols()).await;
			let opened = opened.map_err(|error| io::Error::other(error.to_string()))?;
			let (mut stream, version) = known_version(opened).ok_or(StreamError::OutOfPlace)?;
			send(&mut stream, version, &letter.message, &shared).await?;
			open = Some((stream, version));
		}
		let Letter { answers, share, .. } = letter;
		drop(share);
		if inputs
			.send(Input::BitswapWritten { peer, answers })
			.await
			.is_err()
		{
			break;
		}
	}
	if let Some((mut stream, _)) = open {
		stream.close().await?;
	}
	Ok(())
}

fn known_version((stream, protocol): Opened) -> Option<(Stream, Version)> {
	Version::of(&protocol).map(|version| (stream, version))
}

async fn send(stream: &mut Stream, version: Version, message: &Outgoing, shared: &Shared) -> io::Result<()> {
	// An old peer is told nothing rather than what it would misunderstand.
	if let Some(parts) = message.encode_in_parts(version) {
		for part in parts {
			write(stream, &part, shared.config.stall).await?;
		}
		flush(stream, shared.config.stall).await?;
	}
	Ok(())
}
