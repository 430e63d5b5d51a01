//! Streams of the block exchange protocols on the host's connections.
//!
//! A [`Behaviour`] goes into the host's swarm. Its [`Control`] opens streams to peers, its [`Events`]
//! hand over the streams that peers open, and say which peers are connected.
//!
//! Why not `libp2p-stream`: its queue of inbound streams has room for one and drops the others, while
//! a Bitswap client such as helia opens a stream per message and takes it for delivered; it does not
//! tell that a peer is gone, upon which its wants must be asked elsewhere at once; and it offers one
//! protocol per stream, where Bitswap has three versions to settle on in one negotiation.
//!
//! Bounded: each peer may have [`MAX_INBOUND_PER_PEER`] inbound streams under way, and
//! [`MAX_OPENING_PER_PEER`] outbound ones may wait for its connection; more are refused.

mod behaviour;
mod handler;

pub use behaviour::Behaviour;

use libp2p::{swarm::Stream, PeerId, StreamProtocol};
use tokio::sync::{mpsc, oneshot, OwnedSemaphorePermit};

/// Inbound streams of one peer that may be under way at once; further ones are reset.
pub const MAX_INBOUND_PER_PEER: usize = 64;

/// Outbound streams to one peer that may wait for a connection to it.
pub const MAX_OPENING_PER_PEER: usize = 16;

/// A stream and the protocol that was settled on.
pub type Opened = (Stream, StreamProtocol);

/// Opens streams. Clones share the behaviour.
#[derive(Clone, Debug)]
pub struct Control {
	requests: mpsc::Sender<OpenRequest>,
}

impl Control {
	/// Opens a stream to `peer` with the first of the protocols that it speaks. Dials the peer if
	/// there is no connection, at addresses that other behaviours of the host know.
	///
	/// # Errors
	/// [`OpenError`].
	pub async fn open(&self, peer: PeerId, protocols: &[StreamProtocol]) -> Result<Opened, OpenError> {
		let (reply, opened) = oneshot::channel();
		let request = OpenRequest {
			peer,
			protocols: protocols.to_vec(),
			reply,
		};
		self.requests
			.send(request)
			.await
			.map_err(|_| OpenError::Stopped)?;
		// The reply is dropped with the connection that was to open the stream.
		opened.await.unwrap_or(Err(OpenError::Disconnected))
	}
}

/// What happens on the connections, from [`Behaviour::new`].
#[derive(Debug)]
pub struct Events {
	events: mpsc::UnboundedReceiver<Event>,
}

impl Events {
	/// The next event; `None` after the behaviour is gone.
	pub async fn next(&mut self) -> Option<Event> {
		self.events.recv().await
	}
}

/// What happens on the connections.
///
/// Events queue without limit, but not without bound: those of connections are as many as the host
/// lets in, streams are limited per peer.
#[derive(Debug)]
pub enum Event {
	/// The first connection to a peer stands.
	Connected(PeerId),
	/// The first direct connection to a peer stands, beside those through relays. Streams go over it from now
	/// on.
	Direct(PeerId),
	/// The last connection to a peer is gone.
	Disconnected(PeerId),
	/// A peer opened a stream.
	Inbound(Inbound),
}

/// A stream that a peer opened.
#[derive(Debug)]
pub struct Inbound {
	/// Who opened it.
	pub peer: PeerId,
	/// For which protocol.
	pub protocol: StreamProtocol,
	/// The stream.
	pub stream: Stream,
	/// The peer's share of [`MAX_INBOUND_PER_PEER`], held as long as the stream is used.
	pub permit: OwnedSemaphorePermit,
}

/// Asks for an outbound stream.
#[derive(Debug)]
struct OpenRequest {
	peer: PeerId,
	protocols: Vec<StreamProtocol>,
	reply: oneshot::Sender<Result<Opened, OpenError>>,
}

/// Why no stream was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
	/// There is no connection to the peer, and dialing it failed.
	#[error("dialing the peer failed: {reason}")]
	Dial {
		/// What libp2p says.
		reason: String,
	},
	/// The peer speaks none of the protocols.
	#[error("the peer does not speak the protocol")]
	Unsupported,
	/// The connection was lost before the stream was open.
	#[error("the connection was lost")]
	Disconnected,
	/// Negotiating the stream failed.
	#[error("opening a stream failed: {reason}")]
	Negotiation {
		/// What libp2p says.
		reason: String,
	},
	/// More streams wait to be opened to this peer than may.
	#[error("too many streams wait to be opened to this peer")]
	Busy,
	/// The host has stopped.
	#[error("the host has stopped")]
	Stopped,
}
