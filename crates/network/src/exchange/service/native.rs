//! Streams of the native exchange.

use super::{actor::Input, Shared};
use crate::{
	exchange::{
		framing::{Budget, FrameReader, FramingError, Share},
		server::{Frames, StreamKey, Violation},
		wire::{Answer, CloseReason, FrameError, Id, Request, Response, MAX_FRAME},
	},
	peers::Offence,
};
use bytes::{Bytes, BytesMut};
use cairn_dag::{Block, Cid};
use futures::{
	io::{BufReader, ReadHalf, WriteHalf},
	AsyncReadExt, AsyncWrite, AsyncWriteExt,
};
use libp2p::{swarm::Stream, PeerId};
use std::{
	collections::BTreeMap,
	io,
	sync::{Arc, Mutex, MutexGuard, PoisonError},
	time::Duration,
};
use tokio::{
	sync::{mpsc, OwnedSemaphorePermit},
	time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Blocks up to this size are hashed on the task's own thread: that takes less than handing them over.
pub(super) const SMALL: usize = 16 << 10;

/// Numbers of withdrawn asks that are remembered, for answers that cross the withdrawal.
const WITHDRAWN: usize = 8192;

/// What was asked on a stream: shared by the actor, which asks, and the stream's reader.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<AskedInner>>);

#[derive(Debug, Default)]
struct AskedInner {
	/// The block of each ask, and whether it was withdrawn.
	asks: BTreeMap<Id, (Cid, bool)>,
	withdrawn: usize,
	/// Withdrawn asks below this number are forgotten.
	forgotten: Id,
}

/// Whether an answer was asked for.
enum AskedFor {
	Yes(Cid),
	/// Not any more.
	Late,
	Never,
}

impl Asked {
	fn inner(&self) -> MutexGuard<'_, AskedInner> {
		// Nothing panics while it is held, and a map would be whole even then.
		self.0.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Something was asked.
	pub fn ask(&self, id: Id, cid: Cid) {
		self.inner().asks.insert(id, (cid, false));
	}

	/// It was withdrawn.
	pub fn withdraw(&self, id: Id) {
		let mut inner = self.inner();
		let Some((_, withdrawn)) = inner.asks.get_mut(&id) else {
			return;
		};
		if !std::mem::replace(withdrawn, true) {
			inner.withdrawn += 1;
		}
		if inner.withdrawn > WITHDRAWN {
			let oldest = inner
				.asks
				.iter()
				.find(|(_, (_, withdrawn))| *withdrawn)
				.map(|(id, _)| *id);
			if let Some(oldest) = oldest {
				inner.asks.remove(&oldest);
				inner.withdrawn -= 1;
				inner.forgotten = oldest + 1;
			}
		}
	}

	/// An answer came, after which no other may, except that "have" may follow "don't have".
	fn answered(&self, id: Id, answer: Option<Answer>) -> AskedFor {
		let mut inner = self.inner();
		if answer == Some(Answer::DontHave) {
			if let Some((cid, false)) = inner.asks.get(&id) {
				return AskedFor::Yes(*cid);
			}
		}
		match inner.asks.remove(&id) {
			Some((cid, false)) => AskedFor::Yes(cid),
			Some((_, true)) => {
				inner.withdrawn -= 1;
				AskedFor::Late
			}
			None if id < inner.forgotten => AskedFor::Late,
			None => AskedFor::Never,
		}
	}
}

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

/// Reads the answers to what a peer was asked.
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
	let mut frames = FrameReader::new(reader, MAX_FRAME, budget, shared.config.stall);
	let mut assembly = Assembly::default();
	loop {
		let next = if assembly.is_begun() {
			// Within a block a stream may not rest.
			timeout(shared.config.stall, frames.next())
				.await
				.map_err(io::Error::from)?
		} else {
			frames.next().await
		};
		let Some((frame, share)) = next? else {
			return Ok(());
		};
		let input = match assembly.push(&frame, share)? {
			Assembled::Pending => continue,
			Assembled::Block { id, data, share } => match asked.answered(id, None) {
				AskedFor::Yes(cid) => {
					let block = verify(cid, data).await.ok_or(StreamError::BadBlock)?;
					Input::NativeBlock {
						peer,
						link,
						id,
						block,
						share,
					}
				}
				AskedFor::Late => continue,
				AskedFor::Never => Input::Offence(peer, Offence::Unrequested),
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
				Input::NativeAnswers {
					peer,
					link,
					answers: known,
				}
			}
			// Walks have streams of their own.
			Assembled::WalkBlock { .. } | Assembled::WalkEnd { .. } => return Err(StreamError::OutOfPlace),
			Assembled::Close { reason, text } => {
				tracing::debug!(%peer, ?reason, text, "the peer closes the stream");
				return Ok(());
			}
		};
		if inputs.send(input).await.is_err() {
			return Ok(());
		}
	}
}

/// Checks a block, on a blocking thread if that takes a while.
pub(super) async fn verify(cid: Cid, data: Bytes) -> Option<Block> {
	if data.len() <= SMALL {
		return Block::new(cid, data).ok();
	}
	// The task is not cancelled, and hashing does not panic.
	tokio::task::spawn_blocking(move || Block::new(cid, data).ok())
		.await
		.ok()
		.flatten()
}

/// Puts the frames of blocks together.
///
/// A block that is not complete keeps no share of the memory for receiving, else many such blocks could
/// keep each other from being completed; a stream has one at most.
#[derive(Default)]
pub(super) struct Assembly {
	begun: Option<Begun>,
}

struct Begun {
	id: Id,
	/// The CID of a walk's block.
	cid: Option<Cid>,
	size: usize,
	data: BytesMut,
}

/// What a frame completed.
pub(super) enum Assembled {
	/// Nothing yet.
	Pending,
	/// The block of a want.
	Block { id: Id, data: Bytes, share: Share },
	/// Answers without blocks.
	Answers { id: Id, answers: Vec<Option<Answer>> },
	/// The next block of a walk.
	WalkBlock {
		id: Id,
		cid: Cid,
		data: Bytes,
		share: Share,
	},
	/// The end of a walk.
	WalkEnd {
		id: Id,
		end: crate::exchange::wire::WalkEnd,
	},
	/// The peer closes the stream.
	Close { reason: CloseReason, text: String },
}

impl Assembly {
	/// Whether a block is not complete.
	pub fn is_begun(&self) -> bool {
		self.begun.is_some()
	}

	/// Takes the next frame of a stream.
	pub fn push(&mut self, frame: &Bytes, share: Share) -> Result<Assembled, StreamError> {
		let (id, cid, size, data) = match Response::decode(frame)? {
			Response::More { data } => {
				let mut begun = self.begun.take().ok_or(StreamError::OutOfPlace)?;
				if begun.data.len() + data.len() > begun.size {
					return Err(StreamError::OutOfPlace);
				}
				begun.data.extend_from_slice(&data);
				if begun.data.len() < begun.size {
					self.begun = Some(begun);
					return Ok(Assembled::Pending);
				}
				return Ok(whole(begun.id, begun.cid, begun.data.freeze(), share));
			}
			// Nothing may come between the frames of a block.
			_ if self.begun.is_some() => return Err(StreamError::OutOfPlace),
			Response::Block { id, size, data } => (id, None, size as usize, data),
			Response::WalkBlock { id, cid, size, data } => (id, Some(cid), size as usize, data),
			Response::Answers { id, answers } => return Ok(Assembled::Answers { id, answers }),
			Response::WalkEnd { id, end } => return Ok(Assembled::WalkEnd { id, end }),
			Response::Close { reason, text } => return Ok(Assembled::Close { reason, text }),
		};
		if data.len() == size {
			return Ok(whole(id, cid, data, share));
		}
		let mut begun = Begun {
			id,
			cid,
			size,
			data: BytesMut::with_capacity(data.len() * 2),
		};
		begun.data.extend_from_slice(&data);
		self.begun = Some(begun);
		Ok(Assembled::Pending)
	}
}

fn whole(id: Id, cid: Option<Cid>, data: Bytes, share: Share) -> Assembled {
	match cid {
		Some(cid) => Assembled::WalkBlock { id, cid, data, share },
		None => Assembled::Block { id, data, share },
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
