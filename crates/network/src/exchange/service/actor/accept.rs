//! Streams that peers open.

use super::{log_end, Actor, Input};
use crate::{
	exchange::{
		server::StreamKey,
		service::{bitswap, native},
	},
	streams::Inbound,
};
use tokio::sync::mpsc;

impl Actor {
	pub(super) fn accept_bitswap(&mut self, inbound: Inbound) {
		let (peer, inputs, shared) = (inbound.peer, self.inputs.clone(), self.shared.clone());
		let state = self.peer(peer);
		let (gone, budget) = (state.gone.clone(), state.budget.clone());
		tokio::spawn(async move {
			let reading = bitswap::read(inbound, budget, inputs.clone(), shared);
			let read = tokio::select! {
				() = gone.cancelled() => return,
				read = reading => read,
			};
			if let Err(error) = read {
				tracing::debug!(%peer, %error, "a Bitswap stream ended");
				if let Some(offence) = error.offence() {
					let _ = inputs.send(Input::Offence(peer, offence)).await;
				}
			}
		});
	}

	pub(super) fn accept_native(&mut self, inbound: Inbound) {
		let Inbound {
			peer, stream, permit, ..
		} = inbound;
		let key = StreamKey {
			peer,
			number: self.number(),
		};
		if !self.server.open(key) {
			tracing::debug!(%peer, "too many native streams, one is reset");
			return;
		}
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let (answers, outbound) = mpsc::unbounded_channel();
		let state = self.peer(peer);
		state.native.insert(key.number, answers);
		let (gone, budget) = (state.gone.clone(), state.budget.clone());
		tokio::spawn(async move {
			let (reader, writer) = native::split(stream);
			let stall = shared.config.stall;
			let reading = native::read_requests(key, reader, budget, inputs.clone(), shared);
			let writing = native::write_answers(key, writer, outbound, inputs.clone(), stall);
			let ended = native::run_halves(reading, writing, gone).await;
			let offence = log_end(&peer, ended);
			drop(permit);
			let _ = inputs.send(Input::NativeClosed { key, offence }).await;
		});
	}
}
