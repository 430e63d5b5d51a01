//! The host's part: connections, and which of them opens a stream.

use super::{
	handler::{Accepted, Handler, Open},
	Control, Event, Events, Inbound, OpenError, OpenRequest, MAX_INBOUND_PER_PEER, MAX_OPENING_PER_PEER,
};
use libp2p::{
	core::{transport::PortUse, Endpoint},
	swarm::{
		behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure},
		dial_opts::{DialOpts, PeerCondition},
		ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
		THandlerInEvent, THandlerOutEvent, ToSwarm,
	},
	Multiaddr, PeerId, StreamProtocol,
};
use std::{
	collections::{HashMap, VecDeque},
	convert::Infallible,
	sync::Arc,
	task::{Context, Poll},
};
use tokio::sync::{mpsc, Semaphore};

/// Requests that may wait for the behaviour; who asks for more waits himself.
const REQUEST_QUEUE: usize = 64;

/// Opens and accepts the streams of some protocols.
pub struct Behaviour {
	inbound: Vec<StreamProtocol>,
	requests: mpsc::Receiver<OpenRequest>,
	events: mpsc::UnboundedSender<Event>,
	peers: HashMap<PeerId, Connections>,
	/// Streams to open once a dial succeeds.
	dialing: HashMap<PeerId, Vec<Open>>,
	actions: VecDeque<ToSwarm<Infallible, Open>>,
}

struct Connections {
	/// The newest last; and whether each goes through a relay.
	ids: Vec<(ConnectionId, bool)>,
	/// The peer's share of inbound streams.
	inbound: Arc<Semaphore>,
}

impl Connections {
	/// The newest direct one, or else the newest: relays carry little, and not for long.
	fn best(&self) -> Option<ConnectionId> {
		let direct = self.ids.iter().rev().find(|(_, relayed)| !relayed);
		direct.or(self.ids.last()).map(|(id, _)| *id)
	}

	fn is_direct(&self) -> bool {
		self.ids.iter().any(|(_, relayed)| !relayed)
	}
}

impl Behaviour {
	/// A behaviour that accepts streams of the given protocols, with its handles.
	pub fn new(inbound: impl IntoIterator<Item = StreamProtocol>) -> (Self, Control, Events) {
		let (request_sender, requests) = mpsc::channel(REQUEST_QUEUE);
		let (events, event_receiver) = mpsc::unbounded_channel();
		let behaviour = Self {
			inbound: inbound.into_iter().collect(),
			requests,
			events,
			peers: HashMap::new(),
			dialing: HashMap::new(),
			actions: VecDeque::new(),
		};
		let control = Control {
			requests: request_sender,
		};
		let events = Events {
			events: event_receiver,
		};
		(behaviour, control, events)
	}

	fn tell(&self, event: Event) {
		// An error means that nobody listens any more; what an event carries is then dropped.
		let _ = self.events.send(event);
	}

	fn open(&mut self, request: OpenRequest) {
		let OpenRequest {
			peer,
			protocols,
			reply,
		} = request;
		let open = Open { protocols, reply };
		if let Some(connection) = self.peers.get(&peer).and_then(Connections::best) {
			self.actions.push_back(ToSwarm::NotifyHandler {
				peer_id: peer,
				handler: NotifyHandler::One(connection),
				event: open,
			});
			return;
		}
		let waiting = self.dialing.entry(peer).or_default();
		waiting.retain(|open| !open.reply.is_closed());
		if waiting.len() >= MAX_OPENING_PER_PEER {
			let _ = open.reply.send(Err(OpenError::Busy));
			return;
		}
		waiting.push(open);
		self.actions.push_back(ToSwarm::Dial {
			opts: DialOpts::peer_id(peer)
				.condition(PeerCondition::DisconnectedAndNotDialing)
				.build(),
		});
	}

	fn connected(&mut self, peer: PeerId, connection: ConnectionId, relayed: bool) {
		let connections = self.peers.entry(peer).or_insert_with(|| Connections {
			ids: Vec::new(),
			inbound: Arc::new(Semaphore::new(MAX_INBOUND_PER_PEER)),
		});
		let was_direct = connections.is_direct();
		connections.ids.push((connection, relayed));
		if connections.ids.len() == 1 {
			self.tell(Event::Connected(peer));
		} else if !was_direct && !relayed {
			self.tell(Event::Direct(peer));
		}
		for open in self.dialing.remove(&peer).unwrap_or_default() {
			self.actions.push_back(ToSwarm::NotifyHandler {
				peer_id: peer,
				handler: NotifyHandler::One(connection),
				event: open,
			});
		}
	}

	fn disconnected(&mut self, peer: PeerId, connection: ConnectionId) {
		let Some(connections) = self.peers.get_mut(&peer) else {
			return;
		};
		connections.ids.retain(|(id, _)| *id != connection);
		if connections.ids.is_empty() {
			self.peers.remove(&peer);
			self.tell(Event::Disconnected(peer));
		}
	}

	fn accept(&mut self, peer: PeerId, accepted: Accepted) {
		let Some(connections) = self.peers.get(&peer) else {
			return;
		};
		match connections.inbound.clone().try_acquire_owned() {
			Ok(permit) => self.tell(Event::Inbound(Inbound {
				peer,
				protocol: accepted.protocol,
				stream: accepted.stream,
				permit,
			})),
			Err(_) => tracing::debug!(%peer, "too many inbound streams, one is reset"),
		}
	}
}

impl NetworkBehaviour for Behaviour {
	type ConnectionHandler = Handler;
	type ToSwarm = Infallible;

	fn handle_established_inbound_connection(
		&mut self,
		_: ConnectionId,
		_: PeerId,
		_: &Multiaddr,
		_: &Multiaddr,
	) -> Result<THandler<Self>, ConnectionDenied> {
		Ok(Handler::new(self.inbound.clone()))
	}

	fn handle_established_outbound_connection(
		&mut self,
		_: ConnectionId,
		_: PeerId,
		_: &Multiaddr,
		_: Endpoint,
		_: PortUse,
	) -> Result<THandler<Self>, ConnectionDenied> {
		Ok(Handler::new(self.inbound.clone()))
	}

	fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
		match event {
			FromSwarm::ConnectionEstablished(ConnectionEstablished {
				peer_id,
				connection_id,
				endpoint,
				..
			}) => self.connected(peer_id, connection_id, endpoint.is_relayed()),
			FromSwarm::ConnectionClosed(ConnectionClosed {
				peer_id,
				connection_id,
				..
			}) => self.disconnected(peer_id, connection_id),
			FromSwarm::DialFailure(DialFailure {
				peer_id: Some(peer),
				error,
				..
			}) => {
				// A dial by someone else is under way, or has just succeeded.
				if matches!(error, DialError::DialPeerConditionFalse(_)) {
					return;
				}
				for open in self.dialing.remove(&peer).unwrap_or_default() {
					let _ = open.reply.send(Err(OpenError::Dial {
						reason: error.to_string(),
					}));
				}
			}
			_ => {}
		}
	}

	fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
		self.accept(peer, event);
	}

	fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
		loop {
			if let Some(action) = self.actions.pop_front() {
				return Poll::Ready(action);
			}
			match self.requests.poll_recv(cx) {
				Poll::Ready(Some(request)) => self.open(request),
				// Without a control there is nothing to open; peers' streams still come in.
				Poll::Ready(None) | Poll::Pending => return Poll::Pending,
			}
		}
	}
}
