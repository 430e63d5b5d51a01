//! One connection's part of [`Behaviour`](super::Behaviour).

use super::{OpenError, Opened};
use futures::future::{ready, Ready};
use libp2p::{
	core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
	swarm::{
		handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
		ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol,
	},
	StreamProtocol,
};
use std::{
	collections::VecDeque,
	convert::Infallible,
	task::{Context, Poll, Waker},
};
use tokio::sync::oneshot;

/// Where an opened stream goes.
pub type Reply = oneshot::Sender<Result<Opened, OpenError>>;

/// Asks the handler for an outbound stream.
#[derive(Debug)]
pub struct Open {
	pub protocols: Vec<StreamProtocol>,
	pub reply: Reply,
}

/// Tells the behaviour of an inbound stream.
#[derive(Debug)]
pub struct Accepted {
	pub stream: Stream,
	pub protocol: StreamProtocol,
}

/// Opens and accepts streams on one connection.
pub struct Handler {
	inbound: Vec<StreamProtocol>,
	opening: VecDeque<Open>,
	accepted: VecDeque<Accepted>,
	waker: Option<Waker>,
}

impl Handler {
	pub fn new(inbound: Vec<StreamProtocol>) -> Self {
		Self {
			inbound,
			opening: VecDeque::new(),
			accepted: VecDeque::new(),
			waker: None,
		}
	}

	fn wake(&mut self) {
		if let Some(waker) = self.waker.take() {
			waker.wake();
		}
	}
}

impl ConnectionHandler for Handler {
	type FromBehaviour = Open;
	type ToBehaviour = Accepted;
	type InboundProtocol = AnyOf;
	type OutboundProtocol = AnyOf;
	type InboundOpenInfo = ();
	type OutboundOpenInfo = Reply;

	fn listen_protocol(&self) -> SubstreamProtocol<AnyOf> {
		SubstreamProtocol::new(AnyOf(self.inbound.clone()), ())
	}

	fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AnyOf, Reply, Accepted>> {
		if let Some(accepted) = self.accepted.pop_front() {
			return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted));
		}
		while let Some(open) = self.opening.pop_front() {
			// Whoever asked may have given up.
			if !open.reply.is_closed() {
				return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
					protocol: SubstreamProtocol::new(AnyOf(open.protocols), open.reply),
				});
			}
		}
		self.waker = Some(cx.waker().clone());
		Poll::Pending
	}

	fn on_behaviour_event(&mut self, open: Open) {
		self.opening.push_back(open);
		self.wake();
	}

	fn on_connection_event(&mut self, event: ConnectionEvent<'_, AnyOf, AnyOf, (), Reply>) {
		match event {
			ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
				protocol: (stream, protocol),
				..
			}) => {
				self.accepted.push_back(Accepted { stream, protocol });
				self.wake();
			}
			ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
				protocol,
				info: reply,
			}) => {
				// An error means that nobody waits any more; the stream is then reset by being dropped.
				let _ = reply.send(Ok(protocol));
			}
			ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info: reply }) => {
				let error = match error {
					StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
					StreamUpgradeError::Timeout => OpenError::Negotiation {
						reason: "timed out".to_owned(),
					},
					StreamUpgradeError::Io(error) => OpenError::Negotiation {
						reason: error.to_string(),
					},
					StreamUpgradeError::Apply(never) => match never {},
				};
				let _ = reply.send(Err(error));
			}
			_ => {}
		}
	}
}

/// Settles on the first protocol of a list that both ends speak.
#[derive(Debug)]
pub struct AnyOf(Vec<StreamProtocol>);

impl UpgradeInfo for AnyOf {
	type Info = StreamProtocol;
	type InfoIter = std::vec::IntoIter<StreamProtocol>;

	fn protocol_info(&self) -> Self::InfoIter {
		self.0.clone().into_iter()
	}
}

impl InboundUpgrade<Stream> for AnyOf {
	type Output = Opened;
	type Error = Infallible;
	type Future = Ready<Result<Opened, Infallible>>;

	fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
		ready(Ok((stream, protocol)))
	}
}

impl OutboundUpgrade<Stream> for AnyOf {
	type Output = Opened;
	type Error = Infallible;
	type Future = Ready<Result<Opened, Infallible>>;

	fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
		ready(Ok((stream, protocol)))
	}
}
