//! How peers are asked: opening streams to them, and gathering what is asked into frames and messages.

use super::{log_end, Actor, Input};
use crate::{
	bitswap::wire::{want_len, Outgoing, Want, WantKind as BitswapKind, MAX_MESSAGE},
	exchange::{
		scheduler::Action,
		service::{
			asked::Asked,
			bitswap::{self, Letter},
			native,
		},
		wire::{Id, Request, WantKind, MAX_CIDS, PROTOCOL},
	},
	streams::Opened,
};
use cairn_dag::Cid;
use libp2p::PeerId;
use std::{
	collections::{HashMap, HashSet},
	time::Instant,
};
use tokio::sync::mpsc;

/// Bytes of wants in one Bitswap message.
const WANTS_LEN: usize = 256 << 10;

/// How a peer is asked.
pub(super) enum Link {
	/// It was not, or cannot be at the moment.
	None,
	/// A stream is being opened; what was asked meanwhile.
	Opening { number: u64, asks: Vec<Action> },
	/// On a native stream.
	Native(NativeLink),
	/// In Bitswap.
	Bitswap,
}

pub(super) struct NativeLink {
	pub number: u64,
	requests: mpsc::UnboundedSender<Vec<Request>>,
	asked: Asked,
	/// The number of each ask that is not answered.
	ids: HashMap<Cid, Id>,
	next_id: Id,
	/// Not sent yet.
	batch: Vec<Request>,
}

/// Bitswap messages to a peer.
pub(super) struct BitswapOut {
	number: u64,
	pub letters: mpsc::UnboundedSender<Letter>,
	/// Wants that are not in a letter yet.
	wants: Vec<Want>,
	cancels: HashSet<Cid>,
	/// Whether a letter with wants is not written yet. One at a time: what comes meanwhile joins the next.
	pub writing: bool,
}

impl Actor {
	pub(super) fn act(&mut self, action: Action) {
		let (Action::Ask { peer, .. } | Action::Cancel { peer, .. }) = action;
		if matches!(action, Action::Cancel { .. }) && !self.peers.contains_key(&peer) {
			return;
		}
		let state = self.peer(peer);
		match &mut state.link {
			Link::Opening { asks, .. } => asks.push(action),
			Link::Native(link) => {
				link.act(action);
				self.dirty.insert(peer);
			}
			Link::Bitswap => {
				if let Some(out) = &mut state.bitswap {
					out.act(action);
					self.dirty.insert(peer);
				}
			}
			Link::None if matches!(action, Action::Ask { .. }) => self.open_link(peer, action),
			Link::None => {}
		}
	}

	fn open_link(&mut self, peer: PeerId, ask: Action) {
		let number = self.number();
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let state = self.peer(peer);
		state.link = Link::Opening {
			number,
			asks: vec![ask],
		};
		let gone = state.gone.clone();
		tokio::spawn(async move {
			let protocols = shared.config.protocols();
			let opened = tokio::select! {
				() = gone.cancelled() => return,
				opened = tokio::time::timeout(shared.config.stall, shared.control.open(peer, &protocols)) => opened,
			};
			let opened = match opened {
				Ok(Ok(opened)) => Some(opened),
				Ok(Err(error)) => {
					tracing::debug!(%peer, %error, "the peer cannot be asked");
					None
				}
				Err(_) => None,
			};
			let _ = inputs.send(Input::Linked { peer, number, opened }).await;
		});
	}

	pub(super) fn linked(&mut self, peer: PeerId, number: u64, opened: Option<Opened>) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		let asks = match &mut state.link {
			Link::Opening { number: own, asks } if *own == number => std::mem::take(asks),
			_ => return,
		};
		state.link = Link::None;
		let Some(opened) = opened else {
			self.shared.peers.failed(peer);
			self.scheduler.lost(peer, Instant::now());
			// Of a peer without a connection nothing else tells that it is gone.
			if self
				.peers
				.get(&peer)
				.is_some_and(|state| state.bitswap.is_none() && state.native.is_empty())
			{
				self.peers.remove(&peer);
				self.dirty.remove(&peer);
			}
			return;
		};
		if opened.1 == PROTOCOL {
			self.link_native(peer, opened);
		} else {
			self.bitswap_out(peer, Some(opened));
			self.peer(peer).link = Link::Bitswap;
		}
		for ask in asks {
			self.act(ask);
		}
	}

	/// There is a better connection with a peer: what was asked is asked anew, over it. Its own streams stay.
	pub(super) fn relink(&mut self, peer: PeerId) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		state.link = Link::None;
		// Whoever writes to it closes the stream when there is nothing left to write.
		state.bitswap = None;
		self.scheduler.unlinked(peer, Instant::now());
		self.scheduler.back(peer);
	}

	fn link_native(&mut self, peer: PeerId, (stream, _): Opened) {
		let number = self.number();
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let (requests, outgoing) = mpsc::unbounded_channel();
		let asked = Asked::default();
		let state = self.peer(peer);
		state.link = Link::Native(NativeLink {
			number,
			requests,
			asked: asked.clone(),
			ids: HashMap::new(),
			next_id: 0,
			batch: Vec::new(),
		});
		let (gone, budget) = (state.gone.clone(), state.budget.clone());
		tokio::spawn(async move {
			let (reader, writer) = native::split(stream);
			let stall = shared.config.stall;
			let reading = native::read_answers(peer, number, reader, asked, budget, inputs.clone(), shared);
			let writing = native::write_requests(writer, outgoing, stall);
			let ended = native::run_halves(reading, writing, gone).await;
			let offence = log_end(&peer, ended);
			let _ = inputs
				.send(Input::LinkLost {
					peer,
					number,
					offence,
				})
				.await;
		});
	}

	/// The writer of Bitswap messages to a peer, which is started if there is none.
	pub(super) fn bitswap_out(&mut self, peer: PeerId, first: Option<Opened>) -> &mut BitswapOut {
		let number = self.number();
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let state = self.peer(peer);
		let gone = state.gone.clone();
		state.bitswap.get_or_insert_with(|| {
			let (letters, outgoing) = mpsc::unbounded_channel();
			tokio::spawn(async move {
				let writing = bitswap::write_letters(peer, first, outgoing, inputs.clone(), shared);
				let ended = tokio::select! {
					() = gone.cancelled() => return,
					ended = writing => ended,
				};
				log_end(&peer, ended);
				let _ = inputs.send(Input::BitswapLost { peer, number }).await;
			});
			BitswapOut {
				number,
				letters,
				wants: Vec::new(),
				cancels: HashSet::new(),
				writing: false,
			}
		})
	}

	/// A peer cannot be written to: what it wants cannot be answered, what it was asked will not be.
	pub(super) fn bitswap_lost(&mut self, peer: PeerId, number: u64) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		if state.bitswap.as_ref().is_none_or(|out| out.number != number) {
			return;
		}
		state.bitswap = None;
		if matches!(state.link, Link::Bitswap) {
			state.link = Link::None;
			self.scheduler.unlinked(peer, Instant::now());
		}
		self.ledgers.remove(&peer);
		self.shared.peers.failed(peer);
	}

	pub(super) fn native_answered(&mut self, peer: PeerId, number: u64, id: Id, cid: &Cid) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		if let Link::Native(link) = &mut state.link {
			if link.number == number && link.ids.get(cid) == Some(&id) {
				link.ids.remove(cid);
			}
		}
	}

	/// Sends a peer what it is to be asked.
	pub(super) fn send_wants(&mut self, peer: PeerId) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		if let Link::Native(link) = &mut state.link {
			let batch = std::mem::take(&mut link.batch);
			if !batch.is_empty() {
				// An error means that the stream has ended, which its task tells.
				let _ = link.requests.send(batch);
			}
			if link.next_id > Id::MAX / 2 {
				// A new stream begins to count anew.
				state.link = Link::None;
				self.scheduler.lost(peer, Instant::now());
				return;
			}
		}
		if let Some(out) = state.bitswap.as_mut().filter(|out| !out.writing) {
			let message = out.next_message();
			if !message.is_empty() {
				out.writing = true;
				let _ = out.letters.send(Letter {
					message,
					answers: false,
					share: None,
				});
			}
		}
	}
}

impl NativeLink {
	fn act(&mut self, action: Action) {
		match action {
			Action::Ask { cid, kind, .. } => {
				if let Some(old) = self.ids.remove(&cid) {
					self.cancel(old);
				}
				let id = self.next_id;
				self.next_id += 1;
				self.ids.insert(cid, id);
				self.asked.ask(id, cid);
				match self.batch.last_mut() {
					Some(Request::Want {
						id: first,
						kind: same,
						cids,
					}) if *same == kind && cids.len() < MAX_CIDS && *first + cids.len() as Id == id => cids.push(cid),
					_ => self.batch.push(Request::Want {
						id,
						kind,
						cids: vec![cid],
					}),
				}
			}
			Action::Cancel { cid, .. } => {
				if let Some(id) = self.ids.remove(&cid) {
					self.cancel(id);
				}
			}
		}
	}

	fn cancel(&mut self, id: Id) {
		self.asked.withdraw(id);
		match self.batch.last_mut() {
			Some(Request::Cancel { id: first, count }) if *first + *count == id => *count += 1,
			_ => self.batch.push(Request::Cancel { id, count: 1 }),
		}
	}
}

impl BitswapOut {
	fn act(&mut self, action: Action) {
		match action {
			Action::Ask {
				cid, kind, priority, ..
			} => {
				// A want that stands in the same message as its withdrawal would be read in either order.
				if self.cancels.remove(&cid) {
					self.wants.retain(|want| want.cid != cid);
				}
				self.wants.push(Want {
					cid,
					priority,
					kind: match kind {
						WantKind::Block => BitswapKind::Block,
						WantKind::Have => BitswapKind::Have,
					},
					send_dont_have: true,
				});
			}
			Action::Cancel { cid, .. } => {
				self.wants.retain(|want| want.cid != cid);
				self.cancels.insert(cid);
			}
		}
	}

	/// The next message with wants.
	fn next_message(&mut self) -> Outgoing {
		let mut message = Outgoing::default();
		let mut len = 0;
		let cancels: Vec<_> = self
			.cancels
			.iter()
			.copied()
			.take(WANTS_LEN / want_len(&Cid::default()))
			.collect();
		for cid in cancels {
			len += want_len(&cid);
			self.cancels.remove(&cid);
			message.wants.cancels.push(cid);
		}
		let fits = self
			.wants
			.iter()
			.take_while(|want| {
				len += want_len(&want.cid);
				len <= WANTS_LEN
			})
			.count();
		message.wants.wants = self.wants.drain(..fits).collect();
		message
	}
}

// The answers of one job with their presences fit a message beside its blocks.
const _: () = assert!(MAX_MESSAGE > 2 * WANTS_LEN);
