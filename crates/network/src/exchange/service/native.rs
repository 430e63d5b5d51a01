//! Streams of the native exchange.

use super::{
	actor::Input,
	asked::{Asked, AskedFor},
	assembly::{Assembled, Assembly},
	Shared,
};
use crate::{
	exchange::{
		framing::{Budget, FrameReader, FramingError, Share},
		server::{Frames, StreamKey, Violation},
		wire::{Answer, CloseReason, FrameError, Id, Request, Response, MAX_FRAME},
	},
	peers::Offence,
};
use bytes::Bytes;
use cairn_dag::{Block, Cid};
use futures::{
	future::try_join,
	io::{BufReader, ReadHalf, WriteHalf},
	AsyncReadExt, AsyncWrite, AsyncWriteExt,
};
use libp2p::{swarm::Stream, PeerId};
use std::{io, sync::Arc, time::Duration};
use tokio::{
	sync::{mpsc, OwnedSemaphorePermit},
	task::{spawn_blocking, JoinHandle},
	time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Blocks up to this size are hashed on the task's own thread: that takes less than handing them over.
pub(super) const SMALL: usize = 16 << 10;

/// Writes requests until their sender is dropped.
pub(super) async fn write_requests(
	mut stream: WriteHalf<Stream>,
	mut requests: mpsc::UnboundedReceiver<Vec<Request>>,
	stall: Duration,
) -> io::Result<()> {
	let mut bytes = Vec::new();
	while let Some(batch) = requests.recv().await {
		bytes.clear();
		batch.iter().for_each(|request| request.encode(&mut bytes));
		write(&mut stream, &bytes, stall).await?;
		flush(&mut stream, stall).await?;
	}
	stream.close().await
}

/// Reads the answers to what a peer was asked. Blocks are checked while the next are read.
pub(super) async fn read_answers(
	peer: PeerId,
	link: u64,
	stream: ReadHalf<Stream>,
	asked: Asked,
	budget: Budget,
	inputs: mpsc::Sender<Input>,
	shared: Arc<Shared>,
) -> Result<(), StreamError> {
	let reader = BufReader::with_capacity(4096, stream);
	let frames = FrameReader::new(reader, MAX_FRAME, budget, shared.config.stall);
	let (came, coming) = mpsc::channel(CHECKED_AHEAD);
	let reading = read_ahead(peer, frames, asked, came, shared.config.stall);
	let passing_on = pass_on(peer, link, coming, inputs);
	try_join(reading, passing_on).await?;
	Ok(())
}

/// Answers that are read before the block in front of them is checked.
const CHECKED_AHEAD: usize = 4;

/// What a peer answered.
enum Came {
	Block { id: Id, block: Checking, share: Share },
	Answers(Vec<(Id, Cid, Answer)>),
	Offence(Offence),
}

async fn read_ahead(
	peer: PeerId,
	mut frames: FrameReader<BufReader<ReadHalf<Stream>>>,
	asked: Asked,
	came: mpsc::Sender<Came>,
	stall: Duration,
) -> Result<(), StreamError> {
	let mut assembly = Assembly::default();
	loop {
		let next = if assembly.is_begun() {
			// Within a block a stream may not rest.
			timeout(stall, frames.next()).await.map_err(io::Error::from)?
		} else {
			frames.next().await
		};
		let Some((frame, share)) = next? else {
			return Ok(());
		};
		let answer = match assembly.push(&frame, share)? {
			Assembled::Pending => continue,
			Assembled::Block { id, data, share } => match asked.answered(id, None) {
				AskedFor::Yes(cid) => Came::Block {
					id,
					block: Checking::begin(cid, data),
					share,
				},
				AskedFor::Late => continue,
				AskedFor::Never => Came::Offence(Offence::Unrequested),
			},
			Assembled::Answers { id, answers } => {
				let mut known = Vec::with_capacity(answers.len());
				for (id, answer) in (id..).zip(answers) {
					match answer.map(|answer| (answer, asked.answered(id, Some(answer)))) {
						Some((answer, AskedFor::Yes(cid))) => known.push((id, cid, answer)),
						Some((_, AskedFor::Late)) | None => {}
						Some((_, AskedFor::Never)) => return Err(StreamError::OutOfPlace),
					}
				}
				Came::Answers(known)
			}
			// Walks have streams of their own.
			Assembled::WalkBlock { .. } | Assembled::WalkEnd { .. } => return Err(StreamError::OutOfPlace),
			Assembled::Close { reason, text } => {
				tracing::debug!(%peer, ?reason, text, "the peer closes the stream");
				return Ok(());
			}
		};
		if came.send(answer).await.is_err() {
			return Ok(());
		}
	}
}

async fn pass_on(
	peer: PeerId,
	link: u64,
	mut coming: mpsc::Receiver<Came>,
	inputs: mpsc::Sender<Input>,
) -> Result<(), StreamError> {
	while let Some(came) = coming.recv().await {
		let input = match came {
			Came::Block { id, block, share } => Input::NativeBlock {
				peer,
				link,
				id,
				block: block.end().await.ok_or(StreamError::BadBlock)?,
				share,
			},
			Came::Answers(answers) => Input::NativeAnswers { peer, link, answers },
			Came::Offence(offence) => Input::Offence(peer, offence),
		};
		if inputs.send(input).await.is_err() {
			return Ok(());
		}
	}
	Ok(())
}

/// A block that is checked, on a blocking thread if that takes a while.
enum Checking {
	Done(Option<Block>),
	Running(JoinHandle<Option<Block>>),
}

impl Checking {
	fn begin(cid: Cid, data: Bytes) -> Self {
		if data.len() <= SMALL {
			return Self::Done(Block::new(cid, data).ok());
		}
		Self::Running(spawn_blocking(move || Block::new(cid, data).ok()))
	}

	/// The block, unless the data is not its.
	async fn end(self) -> Option<Block> {
		match self {
			Self::Done(block) => block,
			// The thread is not cancelled, and hashing does not panic.
			Self::Running(checking) => checking.await.ok().flatten(),
		}
	}
}

/// Reads a peer's requests.
pub(super) async fn read_requests(
	key: StreamKey,
	stream: ReadHalf<Stream>,
	budget: Budget,
	inputs: mpsc::Sender<Input>,
	shared: Arc<Shared>,
) -> Result<(), StreamError> {
	let reader = BufReader::with_capacity(4096, stream);
	let mut frames = FrameReader::new(reader, MAX_FRAME, budget, shared.config.stall);
	while let Some((frame, share)) = frames.next().await? {
		let request = Request::decode(&frame)?;
		let input = Input::NativeRequest { key, request, share };
		if inputs.send(input).await.is_err() {
			break;
		}
	}
	Ok(())
}

/// What to write on a stream that a peer opened.
pub(super) enum Outbound {
	/// Answers, and their share of the memory for sending.
	Frames(Frames, Option<OwnedSemaphorePermit>),
	/// The last frame.
	Close(CloseReason, String),
}

/// Writes answers until their sender is dropped.
pub(super) async fn write_answers(
	key: StreamKey,
	mut stream: WriteHalf<Stream>,
	mut answers: mpsc::UnboundedReceiver<Outbound>,
	inputs: mpsc::Sender<Input>,
	stall: Duration,
) -> io::Result<()> {
	/// Frames are gathered up to this size.
	const GATHER: usize = 16 << 10;
	let mut gathered = Vec::with_capacity(GATHER);
	while let Some(outbound) = answers.recv().await {
		let (frames, share) = match outbound {
			Outbound::Frames(frames, share) => (frames, share),
			Outbound::Close(reason, text) => {
				let mut frame = Vec::new();
				Response::Close { reason, text }.encode(&mut frame);
				write(&mut stream, &frame, stall).await?;
				break;
			}
		};
		for (head, data) in frames {
			gathered.extend_from_slice(&head);
			if gathered.len() + data.len() <= GATHER {
				gathered.extend_from_slice(&data);
				continue;
			}
			write(&mut stream, &gathered, stall).await?;
			gathered.clear();
			write(&mut stream, &data, stall).await?;
		}
		write(&mut stream, &gathered, stall).await?;
		gathered.clear();
		flush(&mut stream, stall).await?;
		drop(share);
		if inputs.send(Input::NativeWritten(key)).await.is_err() {
			break;
		}
	}
	stream.close().await
}

/// Writes all bytes, unless the peer takes none of them for so long.
pub(super) async fn write(
	stream: &mut (impl AsyncWrite + Unpin),
	mut bytes: &[u8],
	stall: Duration,
) -> io::Result<()> {
	while !bytes.is_empty() {
		let written = timeout(stall, stream.write(bytes)).await??;
		if written == 0 {
			return Err(io::ErrorKind::WriteZero.into());
		}
		bytes = &bytes[written..];
	}
	Ok(())
}

/// Flushes, unless that takes so long.
pub(super) async fn flush(stream: &mut (impl AsyncWrite + Unpin), stall: Duration) -> io::Result<()> {
	timeout(stall, stream.flush()).await?
}

/// Runs the two halves of a stream until either ends or the peer is gone, and says how it ended.
pub(super) async fn run_halves(
	reading: impl std::future::Future<Output = Result<(), StreamError>>,
	writing: impl std::future::Future<Output = io::Result<()>>,
	gone: CancellationToken,
) -> Result<(), StreamError> {
	tokio::pin!(reading, writing);
	tokio::select! {
		() = gone.cancelled() => Ok(()),
		read = &mut reading => read,
		written = &mut writing => written.map_err(StreamError::from),
	}
}

/// Splits a stream for [`run_halves`].
pub(super) fn split(stream: Stream) -> (ReadHalf<Stream>, WriteHalf<Stream>) {
	stream.split()
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
	#[error(transparent)]
	Framing(#[from] FramingError),
	#[error("the stream failed: {0}")]
	Io(#[from] io::Error),
	#[error(transparent)]
	Frame(#[from] FrameError),
	#[error(transparent)]
	Bitswap(#[from] crate::bitswap::wire::DecodeError),
	#[error(transparent)]
	Violation(#[from] Violation),
	#[error("a frame came where it may not")]
	OutOfPlace,
	#[error("a block does not match its CID")]
	BadBlock,
}

impl StreamError {
	/// What the peer did wrong, if it did.
	pub fn offence(&self) -> Option<Offence> {
		match self {
			Self::Framing(error) => error.is_offence().then_some(Offence::Malformed),
			Self::Io(_) => None,
			Self::Frame(_) | Self::Bitswap(_) | Self::OutOfPlace => Some(Offence::Malformed),
			Self::Violation(Violation::NumberUsed) => Some(Offence::Malformed),
			Self::Violation(Violation::Flood) => Some(Offence::Flood),
			Self::BadBlock => Some(Offence::BadBlock),
		}
	}
}
