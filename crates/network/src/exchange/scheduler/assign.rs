//! Whom to ask for which block.

use super::{
	peer::Ask,
	session::{claim, Member, Session},
	want::{Knowledge, Want},
	Action, Scheduler, SessionId,
};
use crate::exchange::wire::WantKind;
use cairn_dag::Cid;
use libp2p::PeerId;
use std::{
	cmp::Reverse,
	collections::HashMap,
	time::{Duration, Instant},
};

/// Questions whether it has a block that a peer gets before it has answered any.
const FIRST_QUESTIONS: usize = 4;

/// Latency of a source that counts at most when a block is left to another node.
const MOST_LATENCY: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
	/// What is this node's to fetch, or nobody's.
	Own,
	/// What was left to others.
	Others,
	/// The last blocks, of which a peer is asked already.
	Last,
}

/// Whom to ask.
enum Choice {
	/// This one.
	Ask(PeerId),
	/// Those that may have it have full windows.
	Busy,
	/// It is another node's to fetch first.
	Defer,
	/// Nobody, before this time.
	Nobody { until: Option<Instant> },
}

/// A peer that may be asked for a block.
#[derive(Clone, Copy)]
struct Candidate {
	peer: PeerId,
	/// Seconds until the block would be here; more if it may not come.
	cost: f64,
	/// Whether the cost is more than a guess.
	is_measured: bool,
	/// Whether the peer may be asked for one more.
	has_room: bool,
}

/// The best of some peers.
#[derive(Clone, Copy, Default)]
struct Best {
	/// Of those that may be asked for one more.
	with_room: Option<Candidate>,
	/// Of all.
	all: Option<Candidate>,
}

impl Best {
	fn offer(&mut self, candidate: Candidate) {
		let best = |known: Option<Candidate>| match known {
			Some(known) if known.cost <= candidate.cost => known,
			_ => candidate,
		};
		self.all = Some(best(self.all));
		if candidate.has_room {
			self.with_room = Some(best(self.with_room));
		}
	}

	/// The best of these and those.
	fn or(mut self, other: Self) -> Self {
		[other.with_room, other.all]
			.into_iter()
			.flatten()
			.for_each(|candidate| self.offer(candidate));
		self
	}
}

impl Scheduler {
	/// Asks for the wants of a session that nobody is asked for.
	pub(super) fn assign(&mut self, id: SessionId, now: Instant) {
		let Some(session) = self.sessions.get_mut(&id) else {
			return;
		};
		let fresh = std::mem::take(&mut session.fresh);
		if !std::mem::take(&mut session.stirred) {
			self.assign_in_turn(id, Turn::Own, fresh, now);
			return;
		}
		self.assign_in_turn(id, Turn::Own, usize::MAX, now);
		let own_are_asked = |session: &Session| session.ready.is_empty() && !session.deferred.is_empty();
		if self.sessions.get(&id).is_some_and(own_are_asked) {
			self.assign_in_turn(id, Turn::Others, usize::MAX, now);
		}
	}

	/// Looks at the first wants of a queue, at most so many.
	fn assign_in_turn(&mut self, id: SessionId, turn: Turn, most: usize, now: Instant) {
		/// Wants that are passed over because those who have them are busy, before others wait too.
		const PASSED_OVER: usize = 32;
		let mut passed = Vec::new();
		for _ in 0..most {
			if passed.len() >= PASSED_OVER || !self.has_room(id, now) {
				break;
			}
			let Some(session) = self.sessions.get_mut(&id) else {
				return;
			};
			let next = match turn {
				Turn::Own => session.ready.pop_front(),
				Turn::Others | Turn::Last => session.deferred.pop_front(),
			};
			let Some(cid) = next else {
				break;
			};
			let Some(want) = self.wants.get_mut(&cid) else {
				continue;
			};
			if turn == Turn::Own {
				want.queued = false;
			} else if !std::mem::take(&mut want.aside) {
				continue;
			}
			if !want.is_idle() || !session.wants.contains(&cid) {
				continue;
			}
			match self.choose(id, &cid, turn, now) {
				Choice::Ask(peer) => self.ask(peer, &cid, WantKind::Block, now),
				Choice::Busy => passed.push(cid),
				Choice::Defer => self.defer(id, cid, now),
				Choice::Nobody { until } => {
					let retry = until.unwrap_or(now + self.config.ask_again_after);
					if want_retry(&mut self.wants, &cid, retry) {
						self.retries.push(Reverse((retry, cid)));
					}
				}
			}
		}
		self.put_back(id, turn, passed);
	}

	fn defer(&mut self, id: SessionId, cid: Cid, now: Instant) {
		if let (Some(session), Some(want)) = (self.sessions.get_mut(&id), self.wants.get_mut(&cid)) {
			want.deferred.get_or_insert(now);
			want.aside = true;
			session.defer(cid);
		}
	}

	/// Wants that were passed over wait on.
	fn put_back(&mut self, id: SessionId, turn: Turn, passed: Vec<Cid>) {
		let Some(session) = self.sessions.get_mut(&id) else {
			return;
		};
		for cid in &passed {
			if let Some(want) = self.wants.get_mut(cid) {
				want.queued |= turn == Turn::Own;
				want.aside |= turn == Turn::Others;
			}
		}
		let is_swarm = session.is_swarm();
		let queue = match turn {
			Turn::Own => &mut session.ready,
			Turn::Others | Turn::Last => &mut session.deferred,
		};
		// In a swarm, different wants wait for different peers.
		if is_swarm {
			queue.extend(passed);
		} else {
			passed.into_iter().rev().for_each(|cid| queue.push_front(cid));
		}
	}

	/// Whether any peer of a session may be asked for one more block.
	fn has_room(&self, id: SessionId, now: Instant) -> bool {
		let Some(session) = self.sessions.get(&id) else {
			return false;
		};
		let mut here = session
			.members
			.iter()
			.filter_map(|member| self.peers.get(&member.id))
			.filter(|peer| peer.is_here(now))
			.peekable();
		// Without peers, wants go to the retries.
		here.peek().is_none() || here.any(|peer| peer.has_room())
	}

	/// Whom to ask for a block.
	fn choose(&self, id: SessionId, cid: &Cid, turn: Turn, now: Instant) -> Choice {
		let (Some(session), Some(want)) = (self.sessions.get(&id), self.wants.get(cid)) else {
			return Choice::Nobody { until: None };
		};
		let is_here = |member: &Member| self.peers.get(&member.id).is_some_and(|peer| peer.is_here(now));
		let has_source = session
			.members
			.iter()
			.any(|member| member.is_source() && is_here(member));
		// Of those that have had everything, of the others that have this, of those that may have it, and of
		// those that said that they have not.
		let [mut sources, mut holders, mut others, mut doubtful] = [Best::default(); 4];
		let mut until: Option<Instant> = None;
		let mut wait = |at: Instant| until = Some(until.map_or(at, |until| until.min(at)));
		for member in &session.members {
			let Some(peer) = self.peers.get(&member.id) else {
				continue;
			};
			if let Some(away) = peer.away_until.filter(|away| *away > now) {
				wait(away);
				continue;
			}
			let asked = peer.asks.get(cid).map(|ask| ask.kind);
			if asked == Some(WantKind::Block) {
				continue;
			}
			let (best, doubt) = match want.knowledge(&member.id) {
				Some(Knowledge::Lacks { until, .. } | Knowledge::Busy { until, .. }) if until > now => {
					wait(until);
					continue;
				}
				// It would have said so if it had got it.
				Some(Knowledge::Lacks { .. }) => (&mut doubtful, 4.0),
				Some(Knowledge::Has) if member.is_source() => (&mut sources, 1.0),
				Some(Knowledge::Has) => (&mut holders, 1.0),
				_ if member.is_source() => (&mut sources, 1.5),
				_ if member.has_most() => (&mut holders, 1.5),
				Some(Knowledge::Busy { .. }) => (&mut others, 4.0),
				// Its answer is on the way, or its question.
				None if asked.is_some() => continue,
				None if session.members.len() > 1 && (has_source || !member.is_unknown()) => continue,
				None => (&mut others, 4.0),
			};
			best.offer(Candidate {
				cost: peer.window.expected_seconds(peer.blocks_asked) * doubt,
				peer: member.id,
				is_measured: peer.window.is_measured(),
				has_room: peer.has_room(),
			});
		}
		if holders.all.is_some() {
			return self.spare_the_sources(&holders, &sources);
		}
		if let Some(source) = sources.all {
			if let Some(left) = self.leave(session, cid, source.peer, turn, now) {
				return left;
			}
		}
		let best = sources.or(others);
		let best = if best.all.is_some() { best } else { doubtful };
		match best {
			Best {
				with_room: Some(best),
				..
			} => Choice::Ask(best.peer),
			Best { all: Some(_), .. } => Choice::Busy,
			Best { .. } => Choice::Nobody { until },
		}
	}

	/// Whom to ask for a block that also peers have that do not have everything: one of them, unless a source
	/// is much faster.
	fn spare_the_sources(&self, holders: &Best, sources: &Best) -> Choice {
		let holder = holders.with_room.or(holders.all);
		let is_slow = |source: Candidate| {
			holder.is_some_and(|holder| {
				holder.is_measured
					&& source.is_measured
					&& holder.cost > source.cost * self.config.source_weight
			})
		};
		match (sources.with_room, holders.with_room) {
			(Some(source), _) if is_slow(source) => Choice::Ask(source.peer),
			(_, Some(holder)) => Choice::Ask(holder.peer),
			(_, None) => Choice::Busy,
		}
	}

	/// Whether a block that only sources have is left to another node of the swarm.
	fn leave(
		&self,
		session: &Session,
		cid: &Cid,
		source: PeerId,
		turn: Turn,
		now: Instant,
	) -> Option<Choice> {
		if turn == Turn::Last {
			return None;
		}
		let want = self.wants.get(cid)?;
		let others = session.members.iter().filter(|member| {
			member.lacked && self.peers.get(&member.id).is_some_and(|peer| peer.is_here(now))
		});
		let first = others.max_by_key(|member| member.claim(cid))?;
		if first.claim(cid) <= claim(self.place, cid) {
			return None;
		}
		if turn == Turn::Own {
			return Some(Choice::Defer);
		}
		let latency = self.peers.get(&source).map(|peer| peer.window.latency());
		let patience = self
			.config
			.defer_for
			.max(latency.unwrap_or_default().min(MOST_LATENCY) * 2);
		let until = want.deferred.unwrap_or(now) + patience;
		(until > now && first.has_gained(patience * 2, now)).then_some(Choice::Nobody { until: Some(until) })
	}

	/// Asks peers whether they have what a session wants, those that may lack it.
	pub(super) fn inquire(&mut self, id: SessionId, now: Instant) {
		let Some(session) = self
			.sessions
			.get_mut(&id)
			.filter(|session| session.members.len() > 1)
		else {
			return;
		};
		let mut questions = Vec::new();
		let mut first_questions = 0;
		let open = |member: &&mut Member| member.is_unknown() || !member.questions.is_empty();
		for member in session.members.iter_mut().filter(open) {
			let Some(peer) = self.peers.get(&member.id).filter(|peer| peer.is_here(now)) else {
				continue;
			};
			let mut room = peer.room_for_questions();
			if member.is_unknown() {
				room = room.min(FIRST_QUESTIONS.saturating_sub(peer.asks.len()));
				if first_questions >= self.config.probes {
					continue;
				}
				first_questions += usize::from(!member.questions.is_empty() || !peer.asks.is_empty());
			}
			while room > 0 {
				let Some(cid) = member.questions.pop_front() else {
					break;
				};
				let is_open = |want: &Want| !want.was_asked(&member.id);
				if session.wants.contains(&cid) && self.wants.get(&cid).is_some_and(is_open) {
					questions.push((member.id, cid));
					room -= 1;
				}
			}
		}
		for (peer, cid) in questions {
			self.ask(peer, &cid, WantKind::Have, now);
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
					&& session.members.len() > 1
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
				if let Choice::Ask(second) = self.choose(id, &cid, Turn::Last, now) {
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
