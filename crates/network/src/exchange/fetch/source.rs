//! The network as a source of blocks.

use super::Amount;
use crate::exchange::service::{Exchange, Session, SessionEvent};
use cairn_dag::{Block, BlockSource, Cid, SourceError};
use std::sync::{Mutex, PoisonError};

/// Has what the local store has, and fetches what it has not: so that a walk goes on over blocks that are
/// elsewhere. Blocks the thread that asks while it fetches.
pub struct NetworkSource {
	exchange: Exchange,
	state: Mutex<State>,
}

struct State {
	session: Session,
	received: Amount,
	/// The block that the deadline came for.
	expired: Option<Cid>,
}

impl NetworkSource {
	pub(super) fn new(session: Session, exchange: Exchange) -> Self {
		Self {
			exchange,
			state: Mutex::new(State {
				session,
				received: Amount::default(),
				expired: None,
			}),
		}
	}

	/// Blocks that came from peers.
	pub fn received(&self) -> Amount {
		self.state.lock().unwrap_or_else(PoisonError::into_inner).received
	}

	/// The block that was missing when the deadline came.
	pub fn expired(&self) -> Option<Cid> {
		self.state.lock().unwrap_or_else(PoisonError::into_inner).expired
	}

	fn fetch(&self, cid: &Cid) -> Result<Block, SourceError> {
		let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
		state.session.want(vec![*cid]);
		let block = loop {
			match state.session.blocking_next() {
				Some(SessionEvent::Block { block, .. }) if block.cid() == cid => break block,
				// Of a want that a panic left behind.
				Some(SessionEvent::Block { .. }) => {}
				Some(SessionEvent::Expired(_)) | None => {
					state.expired = Some(*cid);
					return Err(SourceError::new(format!("the deadline came before block {cid}")));
				}
			}
		};
		state.received.add(&block);
		drop(state);
		let store = self.exchange.store();
		store
			.put(std::slice::from_ref(&block))
			.map_err(SourceError::new)?;
		self.exchange.announce(vec![*cid]);
		Ok(block)
	}
}

impl BlockSource for NetworkSource {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		match self.exchange.store().get(cid)? {
			Some(block) => Ok(Some(block)),
			None => self.fetch(cid).map(Some),
		}
	}

	/// Whether the store has it: nobody is asked.
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.exchange.store().has(cid)
	}
}
