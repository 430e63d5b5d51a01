//! What the tasks of streams and jobs tell the actor.

use super::{arrivals::Arrived, links::Link, Actor};
use crate::{
	bitswap::{
		ledger::{Found as LedgerFound, Received},
		wire::Message,
	},
	exchange::{
		framing::Share,
		scheduler::Receipt,
		server::{Found as ServerFound, StreamKey},
		service::{
			native::{Outbound, StreamError},
			SessionEvent,
		},
		wire::{Answer, CloseReason, Id, Request},
	},
	metrics::ExchangeProtocol,
	peers::Offence,
	streams::Opened,
};
use cairn_dag::{Block, Cid};
use libp2p::PeerId;
use std::time::Instant;

/// What tasks tell the actor.
pub(in super::super) enum Input {
	/// A Bitswap message came. Its blocks are hashed and taken out of it; those refused have CIDs that
	/// cannot be trusted.
	BitswapMessage {
		peer: PeerId,
		message: Message,
		blocks: Vec<Block>,
		refused: usize,
		share: Share,
	},
	/// A Bitswap message was written.
	BitswapWritten { peer: PeerId, answers: bool },
	/// No Bitswap messages can be written any more.
	BitswapLost { peer: PeerId, number: u64 },
	/// A stream to ask a peer on is open, or cannot be.
	Linked {
		peer: PeerId,
		number: u64,
		opened: Option<Opened>,
	},
	/// A stream that a peer was asked on is gone.
	LinkLost {
		peer: PeerId,
		number: u64,
		offence: Option<Offence>,
	},
	/// A block that a peer was asked for on a native stream, verified.
	NativeBlock {
		peer: PeerId,
		link: u64,
		id: Id,
		block: Block,
		/// Held until the block is handed over.
		share: Share,
	},
	/// Answers without blocks.
	NativeAnswers {
		peer: PeerId,
		link: u64,
		answers: Vec<(Id, Cid, Answer)>,
	},
	/// A request came.
	NativeRequest {
		key: StreamKey,
		request: Request,
		share: Share,
	},
	/// Answers were written.
	NativeWritten(StreamKey),
	/// A stream that a peer opened is gone.
	NativeClosed {
		key: StreamKey,
		offence: Option<Offence>,
	},
	/// A peer did what it may not.
	Offence(PeerId, Offence),
	/// The store was read.
	LedgerFound(LedgerFound),
	/// The store was read.
	ServerFound(ServerFound),
	/// Blocks that peers wait for were looked up.
	Arrived(Arrived),
}

impl Actor {
	pub(super) fn on_input(&mut self, input: Input) {
		match input {
			Input::BitswapMessage {
				peer,
				message,
				blocks,
				refused,
				share,
			} => {
				self.on_bitswap(peer, message, blocks, refused);
				drop(share);
			}
			Input::BitswapWritten { peer, answers } => {
				if answers {
					self.ledgers.sent(peer);
				} else if let Some(out) = self.peers.get_mut(&peer).and_then(|peer| peer.bitswap.as_mut()) {
					out.writing = false;
					self.dirty.insert(peer);
				}
			}
			Input::BitswapLost { peer, number } => self.bitswap_lost(peer, number),
			Input::Linked { peer, number, opened } => self.linked(peer, number, opened),
			Input::LinkLost {
				peer,
				number,
				offence,
			} => {
				if let Some(offence) = offence {
					self.strike(peer, offence);
				}
				let state = self.peers.get_mut(&peer);
				if let Some(state) =
					state.filter(|state| matches!(&state.link, Link::Native(link) if link.number == number))
				{
					state.link = Link::None;
					self.scheduler.lost(peer, Instant::now());
				}
			}
			Input::NativeBlock {
				peer,
				link,
				id,
				block,
				share,
			} => {
				self.native_answered(peer, link, id, block.cid());
				self.on_block(peer, block, ExchangeProtocol::Cairn);
				drop(share);
			}
			Input::NativeAnswers { peer, link, answers } => {
				let now = Instant::now();
				for (id, cid, answer) in answers {
					// "Don't have" leaves the number open.
					if answer != Answer::DontHave {
						self.native_answered(peer, link, id, &cid);
					}
					self.scheduler.answer(peer, &cid, answer, now);
				}
			}
			Input::NativeRequest { key, request, share } => {
				drop(share);
				if let Err(violation) = self.server.receive(key, request) {
					self.answer(
						key,
						Outbound::Close(CloseReason::Violation, violation.to_string()),
					);
					self.server.close(key);
					if let Some(offence) = StreamError::from(violation).offence() {
						self.strike(key.peer, offence);
					}
				}
			}
			Input::NativeWritten(key) => self.server.sent(key),
			Input::NativeClosed { key, offence } => {
				self.server.close(key);
				if let Some(peer) = self.peers.get_mut(&key.peer) {
					peer.native.remove(&key.number);
				}
				if let Some(offence) = offence {
					self.strike(key.peer, offence);
				}
			}
			Input::Offence(peer, offence) => self.strike(peer, offence),
			Input::LedgerFound(found) => self.ledger_found(found),
			Input::ServerFound(found) => self.server_found(found),
			Input::Arrived(arrived) => self.arrived(arrived),
		}
	}

	fn on_bitswap(&mut self, peer: PeerId, message: Message, blocks: Vec<Block>, refused: usize) {
		if self.shared.peers.is_banned(&peer) {
			return;
		}
		for _ in 0..refused {
			self.strike(peer, Offence::Unrequested);
		}
		let bytes = blocks.iter().map(|block| block.data().len() as u64).sum();
		self.ledgers.received_data(peer, bytes);
		for block in blocks {
			self.on_block(peer, block, ExchangeProtocol::Bitswap);
		}
		let now = Instant::now();
		for presence in message.presences {
			let answer = if presence.have {
				Answer::Have
			} else {
				Answer::DontHave
			};
			self.scheduler.answer(peer, &presence.cid, answer, now);
		}
		// The peer may be banned by now.
		if self.peers.contains_key(&peer) {
			match self.ledgers.receive(peer, message.wants) {
				Received::Accepted => {}
				Received::Flood => self.strike(peer, Offence::Flood),
				Received::Broken => self.strike(peer, Offence::Malformed),
			}
		}
	}

	fn on_block(&mut self, peer: PeerId, block: Block, protocol: ExchangeProtocol) {
		let len = block.data().len();
		match self.scheduler.block(peer, block.cid(), len, Instant::now()) {
			Receipt::Wanted { sessions, elapsed } => {
				let labels = [protocol.name(), "in"];
				self.shared.metrics.blocks.with_label_values(&labels).inc();
				self.shared
					.metrics
					.block_bytes
					.with_label_values(&labels)
					.inc_by(len as u64);
				if let Some(elapsed) = elapsed {
					self.shared.peers.delivered(peer, len as u64, elapsed);
				}
				for session in sessions {
					self.tell(
						session,
						SessionEvent::Block {
							block: block.clone(),
							from: peer,
						},
					);
				}
			}
			Receipt::Late => {}
			// In Bitswap a block's CID is computed from its bytes: a wrong block for what was asked is one that
			// nobody asked for.
			Receipt::Unrequested if self.scheduler.asks_of(&peer) > 0 => self.strike(peer, Offence::BadBlock),
			Receipt::Unrequested => self.strike(peer, Offence::Unrequested),
		}
	}
}
