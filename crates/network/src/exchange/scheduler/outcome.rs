//! What came of asking: blocks, answers, silence, lost peers.

use super::{want::Knowledge, Action, Receipt, Scheduler};
use crate::exchange::wire::{Answer, WantKind};
use cairn_dag::Cid;
use libp2p::PeerId;
use std::{
	cmp::Reverse,
	time::{Duration, Instant},
};

impl Scheduler {
	/// A verified block came.
	pub fn block(&mut self, from: PeerId, cid: &Cid, len: usize, now: Instant) -> Receipt {
		let Some(peer) = self.peers.get_mut(&from) else {
			return Receipt::Unrequested;
		};
		let Some(ask) = peer.answered(cid) else {
			// A peer that said "don't have" may send the block when it gets it.
			let known = self.wants.get(cid).is_some_and(|want| want.was_asked(&from));
			return if known {
				self.resolve(from, cid, None, now)
			} else if peer.crossed(cid) {
				Receipt::Late
			} else {
				Receipt::Unrequested
			};
		};
		peer.lost_times = 0;
		peer.progress = Some(now);
		let elapsed = now.saturating_duration_since(ask.at);
		if ask.kind == WantKind::Block {
			peer.window.delivered(len, elapsed, peer.blocks_asked + 1, now);
		}
		if peer.blocks_asked == 0 {
			peer.window.idle();
		}
		self.resolve(from, cid, Some(elapsed), now)
	}

	/// Hands out a block, and withdraws what else was asked for it.
	fn resolve(&mut self, from: PeerId, cid: &Cid, elapsed: Option<Duration>, now: Instant) -> Receipt {
		self.has(from, cid, now);
		let Some(want) = self.wants.remove(cid) else {
			return Receipt::Late;
		};
		self.withdraw(&want, cid, Some(from));
		for id in &want.sessions {
			if let Some(session) = self.sessions.get_mut(id) {
				session.wants.remove(cid);
			}
		}
		Receipt::Wanted {
			sessions: want.sessions,
			elapsed,
		}
	}

	/// A peer answered without the block. Whether it was asked.
	pub fn answer(&mut self, from: PeerId, cid: &Cid, answer: Answer, now: Instant) -> bool {
		let Some(peer) = self.peers.get_mut(&from) else {
			return false;
		};
		peer.progress = Some(now);
		let Some(want) = self.wants.get_mut(cid) else {
			return peer.answered(cid).is_some() || peer.may_answer(cid);
		};
		let asked = peer.asks.get(cid).map(|ask| ask.kind);
		self.freed |= asked == Some(WantKind::Block);
		let known = asked.is_some() || want.was_asked(&from);
		match answer {
			// To a want for the block itself it announces the block that follows.
			Answer::Have if asked == Some(WantKind::Block) => {}
			Answer::Have => {
				peer.answered(cid);
				self.has(from, cid, now);
				self.requeue_first(cid);
			}
			Answer::DontHave => {
				peer.answered(cid);
				let refusals = want.refusals(&from) + 1;
				let until = now + self.config.wait_after(refusals);
				let first = matches!(want.knowledge(&from), None | Some(Knowledge::Busy { .. }));
				want.learn(from, Knowledge::Lacks { refusals, until });
				if first {
					self.count(from, cid, false);
				}
			}
			Answer::Later => {
				peer.answered(cid);
				peer.window.congested(now);
				let refusals = want.refusals(&from) + 1;
				let until = now + self.config.wait_after(refusals) / 2;
				want.learn(from, Knowledge::Busy { refusals, until });
			}
		}
		self.requeue(cid);
		known
	}

	/// A peer has a block that is wanted.
	fn has(&mut self, from: PeerId, cid: &Cid, now: Instant) {
		let Some(want) = self.wants.get_mut(cid) else {
			return;
		};
		let before = want.knowledge(&from);
		want.learn(from, Knowledge::Has);
		match before {
			Some(Knowledge::Has) => {}
			Some(Knowledge::Lacks { .. }) => {
				for id in &want.sessions {
					let session = self.sessions.get_mut(id);
					if let Some(member) = session.and_then(|session| session.member_mut(&from)) {
						member.gains(now);
					}
				}
			}
			Some(Knowledge::Busy { .. }) | None => self.count(from, cid, true),
		}
	}

	/// Notes what a peer said first of a want.
	fn count(&mut self, from: PeerId, cid: &Cid, had: bool) {
		let Some(want) = self.wants.get(cid) else {
			return;
		};
		for id in &want.sessions {
			if let Some(session) = self.sessions.get_mut(id) {
				let wants = &session.wants;
				let member = session.members.iter_mut().find(|member| member.id == from);
				if let Some(member) = member {
					member.count(had, wants);
				}
			}
		}
	}

	/// A peer is gone, or cannot be reached: what was asked of it is asked elsewhere.
	pub fn lost(&mut self, peer: PeerId, now: Instant) {
		self.ask_no_more(peer, now, false);
	}

	/// A connected peer cannot be asked over the line that there was: as [`lost`](Self::lost), but what it sends of
	/// what it was asked is no offence.
	pub fn unlinked(&mut self, peer: PeerId, now: Instant) {
		self.ask_no_more(peer, now, true);
	}

	fn ask_no_more(&mut self, peer: PeerId, now: Instant, is_connected: bool) {
		let Some(lost) = self.peers.get_mut(&peer) else {
			return;
		};
		let wait = self.config.redial_after * (1 << lost.lost_times.min(6));
		lost.lost_times += 1;
		lost.away_until = Some(now + wait);
		let asks = lost.take_asks(is_connected);
		self.freed = true;
		for cid in asks {
			if let Some(want) = self.wants.get_mut(&cid) {
				want.forget(&peer);
				self.requeue(&cid);
			}
		}
		// What it said does not bind the next connection.
		for want in self.wants.values_mut() {
			want.forget(&peer);
		}
		for session in self.sessions.values_mut() {
			let wants = &session.wants;
			if let Some(member) = session.members.iter_mut().find(|member| member.id == peer) {
				member.knows_nothing(wants);
			}
		}
		self.forget_idle_peers();
	}

	/// A peer has connected: it may be asked at once.
	pub fn back(&mut self, peer: PeerId) {
		if let Some(back) = self.peers.get_mut(&peer) {
			back.away_until = None;
			self.freed = true;
			self.revive();
		}
	}

	/// A peer is to be asked nothing any more, in no session.
	pub fn ban(&mut self, peer: PeerId, now: Instant) {
		for session in self.sessions.values_mut() {
			session.members.retain(|member| member.id != peer);
		}
		self.lost(peer, now);
	}

	/// Withdraws asks that were not answered in time. Returns the peers, and whether each had said that it
	/// has the block.
	pub(super) fn time_out(&mut self, now: Instant) -> Vec<(PeerId, bool)> {
		/// All asks are looked at, as many as fit the windows, so not too often.
		const EVERY: Duration = Duration::from_millis(200);
		if self.next_look.is_some_and(|next| now < next) {
			return Vec::new();
		}
		self.next_look = Some(now + EVERY);
		let mut late = Vec::new();
		for (id, peer) in &self.peers {
			let patience = peer.window.patience();
			for (cid, ask) in &peer.asks {
				// A peer that delivers others gets to this one too, but not for ever.
				let progress = peer.progress.map_or(ask.at, |progress| progress.max(ask.at));
				if (progress + patience).min(ask.at + patience * 6) <= now {
					late.push((*id, *cid, ask.kind));
				}
			}
		}
		late.sort_unstable_by_key(|(id, cid, _)| (*id, *cid));
		let mut peers = Vec::with_capacity(late.len());
		for (id, cid, kind) in late {
			if let Some(peer) = self.peers.get_mut(&id) {
				peer.answered(&cid);
				if kind == WantKind::Block {
					peer.window.timed_out(now);
				}
			}
			self.actions.push(Action::Cancel { peer: id, cid });
			let mut promised = false;
			if let Some(want) = self.wants.get_mut(&cid) {
				promised = want.knowledge(&id) == Some(Knowledge::Has);
				let refusals = want.refusals(&id) + 1;
				let until = now + self.config.wait_after(refusals);
				want.learn(id, Knowledge::Busy { refusals, until });
			}
			if kind == WantKind::Block {
				peers.push((id, promised));
			}
			self.requeue(&cid);
		}
		peers
	}

	/// Puts a want in the queues of its sessions if nobody is asked for it and it stands in none.
	pub(super) fn requeue(&mut self, cid: &Cid) {
		if self.wants.get(cid).is_some_and(|want| !want.stands_in_a_queue()) {
			self.requeue_first(cid);
		}
	}

	/// Puts a want in front if nobody is asked for it, also one that was left to others.
	fn requeue_first(&mut self, cid: &Cid) {
		let Some(want) = self.wants.get_mut(cid) else {
			return;
		};
		if !want.is_idle() || want.queued {
			return;
		}
		want.queued = true;
		want.aside = false;
		for id in &want.sessions {
			if let Some(session) = self.sessions.get_mut(id) {
				// What was asked for before is further up in a file than what was not.
				session.push_front(*cid);
			}
		}
	}

	/// Everything that waits for a retry is tried now.
	fn revive(&mut self) {
		let waiting = std::mem::take(&mut self.retries).into_sorted_vec();
		// The latest first, so that the first to be due comes to stand in front.
		for Reverse((_, cid)) in waiting {
			if let Some(want) = self.wants.get_mut(&cid) {
				want.retry = None;
			}
			self.requeue(&cid);
		}
	}
}
