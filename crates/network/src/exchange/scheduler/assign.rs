//! Whom to ask for which block.

use super::{
	peer::Ask,
	want::{Knowledge, Want},
	Action, Scheduler, SessionId,
};
use crate::exchange::wire::WantKind;
use cairn_dag::Cid;
use libp2p::PeerId;
use std::{cmp::Reverse, collections::HashMap, time::Instant};

impl Scheduler {
	/// Asks for the wants of a session that nobody is asked for.
	pub(super) fn assign(&mut self, id: SessionId, now: Instant) {
		/// Wants that are passed over because those who have them are busy, before others wait too.
		const PASSED_OVER: usize = 32;
		let mut passed = Vec::new();
		while passed.len() < PASSED_OVER && self.has_room(id, now) {
			let Some(session) = self.sessions.get_mut(&id) else {
				return;
			};
			let Some(cid) = session.ready.pop_front() else {
				break;
			};
			let Some(want) = self.wants.get_mut(&cid) else {
				continue;
			};
			want.queued = false;
			if !want.is_idle() || !session.wants.contains(&cid) {
				continue;
			}
			match self.choose(id, &cid, now) {
				Choice::Ask(peer) => self.ask_block(id, peer, &cid, now),
				Choice::Busy => passed.push(cid),
				Choice::Nobody { until } => {
					let retry = until.unwrap_or(now + self.config.ask_again_after);
					if want_retry(&mut self.wants, &cid, retry) {
						self.retries.push(Reverse((retry, cid)));
					}
				}
			}
		}
		if let Some(session) = self.sessions.get_mut(&id) {
			for cid in passed.into_iter().rev() {
				session.ready.push_front(cid);
				if let Some(want) = self.wants.get_mut(&cid) {
					want.queued = true;
				}
			}
		}
	}

	/// Whether any peer of a session may be asked for one more block.
	fn has_room(&self, id: SessionId, now: Instant) -> bool {
		let Some(session) = self.sessions.get(&id) else {
			return false;
		};
		// Without peers, wants go to the retries.
		session.peers.is_empty()
			|| session.peers.iter().any(|peer| {
				self.peers
					.get(peer)
					.is_some_and(|peer| peer.is_here(now) && peer.has_room())
			}) || session
			.peers
			.iter()
			.all(|peer| self.peers.get(peer).is_none_or(|peer| !peer.is_here(now)))
	}

	/// Whom to ask for a block.
	fn choose(&self, id: SessionId, cid: &Cid, now: Instant) -> Choice {
		let (Some(session), Some(want)) = (self.sessions.get(&id), self.wants.get(cid)) else {
			return Choice::Nobody { until: None };
		};
		let mut best: Option<(f64, PeerId)> = None;
		let mut busy = false;
		let mut until: Option<Instant> = None;
		let mut wait = |at: Instant| until = Some(until.map_or(at, |until| until.min(at)));
		for id in &session.peers {
			let Some(peer) = self.peers.get(id) else {
				continue;
			};
			if let Some(away) = peer.away_until.filter(|away| *away > now) {
				wait(away);
				continue;
			}
			let doubt = match want.knowledge(id) {
				Some(Knowledge::Lacks { until, .. } | Knowledge::Busy { until, .. }) if until > now => {
					wait(until);
					continue;
				}
				Some(Knowledge::Has) => 1.0,
				_ if session.proven.contains(id) => 1.5,
				_ => 4.0,
			};
			if peer.asks.get(cid).is_some_and(|ask| ask.kind == WantKind::Block) {
				continue;
			}
			if !peer.has_room() {
				busy = true;
				continue;
			}
			let expected = peer.window.expected_seconds(peer.blocks_asked) * doubt;
			if best.is_none_or(|(least, _)| expected < least) {
				best = Some((expected, *id));
			}
		}
		match best {
			Some((_, peer)) => Choice::Ask(peer),
			None if busy => Choice::Busy,
			None => Choice::Nobody { until },
		}
	}

	/// Asks a peer for a block, and others whether they have it if this one may not.
	fn ask_block(&mut self, id: SessionId, peer: PeerId, cid: &Cid, now: Instant) {
		self.ask(peer, cid, WantKind::Block, now);
		let (Some(session), Some(want)) = (self.sessions.get(&id), self.wants.get(cid)) else {
			return;
		};
		let sure = session.proven.contains(&peer) || want.knowledge(&peer) == Some(Knowledge::Has);
		if sure {
			return;
		}
		let others: Vec<_> = session
			.peers
			.iter()
			.filter(|other| **other != peer && want.knowledge(other).is_none())
			.filter(|other| {
				self.peers.get(other).is_some_and(|other| {
					other.is_here(now) && other.may_probe() && !other.asks.contains_key(cid)
				})
			})
			.take(self.config.probes)
			.copied()
			.collect();
		for other in others {
			self.ask(other, cid, WantKind::Have, now);
		}
	}

	fn ask(&mut self, id: PeerId, cid: &Cid, kind: WantKind, now: Instant) {
		let (Some(peer), Some(want)) = (self.peers.get_mut(&id), self.wants.get_mut(cid)) else {
			return;
		};
		self.priority = self
			.priority
			.checked_sub(1)
			.filter(|left| *left > 0)
			.unwrap_or(i32::MAX);
		peer.ask(*cid, Ask { at: now, kind });
		want.asked(id, kind);
		self.actions.push(Action::Ask {
			peer: id,
			cid: *cid,
			kind,
			priority: self.priority,
		});
	}

	/// Asks a second peer for the last blocks of a session, where the first takes long.
	pub(super) fn ask_second_peers(&mut self, now: Instant) {
		let ids: Vec<_> = self
			.sessions
			.iter()
			.filter(|(_, session)| {
				session.ready.is_empty()
					&& session.wants.len() <= self.config.last_wants
					&& session.peers.len() > 1
			})
			.map(|(id, _)| *id)
			.collect();
		for id in ids {
			let wants: Vec<Cid> = self.sessions[&id].wants.iter().copied().collect();
			for cid in wants {
				let Some(first) = self.wants.get(&cid).and_then(Want::only_asked) else {
					continue;
				};
				let Some(asked) = self.peers.get(&first).and_then(|peer| peer.asks.get(&cid)) else {
					continue;
				};
				let age = now.saturating_duration_since(asked.at);
				if age < self.config.second_ask_after {
					continue;
				}
				if let Choice::Ask(second) = self.choose(id, &cid, now) {
					let expected = self.peers.get(&second).map(|peer| peer.window.latency());
					if expected.is_some_and(|latency| age > latency * 3) {
						self.ask(second, &cid, WantKind::Block, now);
					}
				}
			}
		}
	}
}

/// Notes when a want is tried again. Whether that is sooner than was noted before.
fn want_retry(wants: &mut HashMap<Cid, Want>, cid: &Cid, retry: Instant) -> bool {
	let Some(want) = wants.get_mut(cid) else {
		return false;
	};
	if want.retry.is_some_and(|noted| noted <= retry) {
		return false;
	}
	want.retry = Some(retry);
	true
}

/// Whom to ask.
enum Choice {
	/// This one.
	Ask(PeerId),
	/// Those that may have it have full windows.
	Busy,
	/// Nobody, before this time.
	Nobody { until: Option<Instant> },
}
