//! Reading the store for peers.

use super::{Actor, Input};
use crate::{
	bitswap::ledger::Found as LedgerFound,
	exchange::{
		server::{Found as ServerFound, StreamKey},
		service::{bitswap::Letter, native::Outbound},
	},
	metrics::ExchangeProtocol,
};
use tokio::sync::OwnedSemaphorePermit;

impl Actor {
	/// Starts reading the store for peers, as much as may be.
	pub(super) fn start_jobs(&mut self) {
		/// A job reads about this much, and one block more.
		const JOB: usize = 5 << 20;
		while self.jobs < self.shared.config.jobs
			&& self.sending.available_permits() > JOB.min(self.shared.config.send_all / 2)
		{
			self.native_turn = !self.native_turn;
			let started = self.start_job(self.native_turn) || self.start_job(!self.native_turn);
			if !started {
				break;
			}
		}
	}

	fn start_job(&mut self, native: bool) -> bool {
		if native {
			self.start_server_job()
		} else {
			self.start_ledger_job()
		}
	}

	fn start_ledger_job(&mut self) -> bool {
		let Some(job) = self.ledgers.next_job() else {
			return false;
		};
		let (inputs, store) = (self.inputs.clone(), self.shared.store.clone());
		self.jobs += 1;
		tokio::task::spawn_blocking(move || {
			let _ = inputs.blocking_send(Input::LedgerFound(job.run(&*store)));
		});
		true
	}

	fn start_server_job(&mut self) -> bool {
		let Some(job) = self.server.next_job() else {
			return false;
		};
		let (inputs, store) = (self.inputs.clone(), self.shared.store.clone());
		self.jobs += 1;
		tokio::task::spawn_blocking(move || {
			let _ = inputs.blocking_send(Input::ServerFound(job.run(&store)));
		});
		true
	}

	/// A share of the memory for sending, or what is left of it.
	fn sending_share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
		let permits = bytes.min(self.sending.available_permits());
		u32::try_from(permits)
			.ok()
			.and_then(|permits| self.sending.clone().try_acquire_many_owned(permits).ok())
	}

	fn count_sent(&self, protocol: ExchangeProtocol, blocks: usize, bytes: usize) {
		let labels = [protocol.name(), "out"];
		self.shared
			.metrics
			.blocks
			.with_label_values(&labels)
			.inc_by(blocks as u64);
		self.shared
			.metrics
			.block_bytes
			.with_label_values(&labels)
			.inc_by(bytes as u64);
	}

	pub(super) fn ledger_found(&mut self, found: LedgerFound) {
		self.jobs -= 1;
		let peer = found.peer();
		let (message, errors) = self.ledgers.finish(found);
		log_store_errors(&errors);
		if message.is_empty() || !self.peers.contains_key(&peer) {
			self.ledgers.sent(peer);
			return;
		}
		let bytes = message.data_len();
		self.count_sent(ExchangeProtocol::Bitswap, message.blocks.len(), bytes);
		let share = self.sending_share(bytes);
		let letter = Letter {
			message,
			answers: true,
			share,
		};
		// An error means that the writer has ended, which its task tells.
		let _ = self.bitswap_out(peer, None).letters.send(letter);
	}

	pub(super) fn server_found(&mut self, found: ServerFound) {
		self.jobs -= 1;
		let key = found.stream();
		let (blocks, bytes) = found.blocks();
		let (frames, errors) = self.server.finish(found);
		log_store_errors(&errors);
		if frames.is_empty() {
			self.server.sent(key);
			return;
		}
		self.count_sent(ExchangeProtocol::Cairn, blocks, bytes);
		let share = self.sending_share(bytes);
		self.answer(key, Outbound::Frames(frames, share));
	}

	pub(super) fn answer(&self, key: StreamKey, outbound: Outbound) {
		let answers = self
			.peers
			.get(&key.peer)
			.and_then(|peer| peer.native.get(&key.number));
		if let Some(answers) = answers {
			let _ = answers.send(outbound);
		}
	}
}

fn log_store_errors(errors: &[cairn_dag::SourceError]) {
	for error in errors {
		tracing::warn!(%error, "a block could not be read for a peer");
	}
}
