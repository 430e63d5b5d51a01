//! What handles ask of the task, and the errors they get.

use super::event::ConnectedPeer;
use crate::{address::PeerAddress, discovery::DatabaseError, Multiaddr};
use futures::Stream;
use libp2p::{kad::RecordKey, PeerId};
use std::{
	pin::Pin,
	sync::Arc,
	task::{Context, Poll},
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, OwnedSemaphorePermit};

/// Providers found and not yet taken; further ones are left out.
pub(super) const FOUND_QUEUE: usize = 256;

/// The host's task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the network host has stopped")]
pub struct HostStopped;

/// Why an address is not listened on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListenError {
	/// No transport of this host takes such addresses.
	#[error("no transport takes this address")]
	Unsupported,
	/// The system refused, or the listener failed.
	#[error("{0}")]
	Failed(String),
	/// The host has stopped.
	#[error(transparent)]
	Stopped(#[from] HostStopped),
}

/// Why there is no connection with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
	/// No address of the peer is known.
	#[error("no address of the peer is known")]
	NoAddress,
	/// Nobody answered under any address, or somebody else did.
	#[error("the peer was not reached: {0}")]
	Unreached(String),
	/// The peer is banned, or not one of those allowed.
	#[error("connections with the peer are refused")]
	Refused,
	/// A limit of this host forbids it.
	#[error("a limit of this host: {0}")]
	Limit(String),
	/// The host has stopped.
	#[error(transparent)]
	Stopped(#[from] HostStopped),
}

/// Why providers are not searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FindError {
	/// The host has no DHT.
	#[error("this host takes no part in the DHT")]
	NoDht,
	/// The host has stopped.
	#[error(transparent)]
	Stopped(#[from] HostStopped),
}

/// Why keys are not provided, or are still.
#[derive(Debug, Error)]
pub enum ProvideError {
	/// They could not be written.
	#[error(transparent)]
	Records(Arc<DatabaseError>),
	/// The thread that wrote them panicked.
	#[error("writing the provider records was interrupted")]
	Interrupted,
	/// The host has no DHT.
	#[error("this host takes no part in the DHT")]
	NoDht,
	/// A key is no multihash of at most 80 bytes.
	#[error("a key is not a multihash")]
	NotAMultihash,
	/// The host has stopped.
	#[error(transparent)]
	Stopped(#[from] HostStopped),
}

/// Providers as a search of the DHT finds them, each once. Ends when the search does.
#[derive(Debug)]
pub struct Providers {
	found: mpsc::Receiver<PeerAddress>,
	_permit: OwnedSemaphorePermit,
}

impl Providers {
	pub(super) fn new(found: mpsc::Receiver<PeerAddress>, permit: OwnedSemaphorePermit) -> Self {
		Self {
			found,
			_permit: permit,
		}
	}
}

impl Stream for Providers {
	type Item = PeerAddress;

	fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PeerAddress>> {
		self.found.poll_recv(cx)
	}
}

pub(super) type Reply<T> = oneshot::Sender<T>;

pub(super) enum Command {
	Listen {
		address: Multiaddr,
		reply: Reply<Result<Multiaddr, ListenError>>,
	},
	AddExternal {
		address: Multiaddr,
		reply: Reply<()>,
	},
	Address {
		reply: Reply<PeerAddress>,
	},
	Connect {
		peer: PeerAddress,
		reply: Reply<Result<(), ConnectError>>,
	},
	Disconnect {
		peer: PeerId,
		reply: Reply<bool>,
	},
	Connected {
		reply: Reply<Vec<ConnectedPeer>>,
	},
	AddDhtPeer {
		peer: PeerAddress,
		reply: Reply<()>,
	},
	Find {
		key: RecordKey,
		sink: mpsc::Sender<PeerAddress>,
		reply: Reply<()>,
	},
	Provide {
		keys: Vec<Vec<u8>>,
		reply: Reply<Result<(), ProvideError>>,
	},
	Unprovide {
		keys: Vec<Vec<u8>>,
		reply: Reply<Result<(), ProvideError>>,
	},
	Provided {
		reply: Reply<Vec<Vec<u8>>>,
	},
	Shutdown {
		reply: Reply<()>,
	},
}
