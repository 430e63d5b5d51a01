//! The scheduler against simulated peers, under schedules drawn from a seed.

use crate::nodes::{peer_id, seeded};
use cairn_dag::{Block, Cid, Codec};
use cairn_network::{
	exchange::{
		scheduler::{Action, Config, Receipt, Scheduler},
		wire::{Answer, WantKind},
	},
	PeerId,
};
use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;
use std::{
	cmp::Reverse,
	collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
	time::{Duration, Instant},
};

fn cid(number: u64) -> Cid {
	*Block::encode(Codec::Raw, number.to_be_bytes().to_vec()).cid()
}

/// What a simulated peer does.
#[derive(Clone, Copy, Debug)]
struct Habits {
	/// Share of the blocks that it has, of 100.
	has: u32,
	/// Share of the asks that it ignores, of 100.
	ignores: u32,
	/// Share of the asks that it is too busy for, of 100.
	busy: u32,
	/// Longest time to an answer, in milliseconds.
	delay: u32,
	/// Share of the rounds in which its connection is lost, of 10,000.
	drops: u32,
}

struct Peer {
	id: PeerId,
	habits: Habits,
	has: HashSet<Cid>,
	/// What it knows to be wanted: asked, and neither answered nor withdrawn.
	knows: HashMap<Cid, WantKind>,
	/// Answers that cross a withdrawal are sent all the same; those of a lost connection are not.
	connection: u64,
}

/// What comes to the scheduler: when, by which peer over which connection, for which block.
type Event = Reverse<(u64, u64, usize, u64, u64)>;

struct World {
	rng: ChaCha8Rng,
	scheduler: Scheduler,
	peers: Vec<Peer>,
	cids: Vec<Cid>,
	events: BinaryHeap<Event>,
	begun: Instant,
	/// Milliseconds since then.
	now: u64,
	serial: u64,
	block_asks: u64,
	late: u64,
}

impl World {
	fn new(mut rng: ChaCha8Rng, blocks: u64, habits: &[Habits]) -> Self {
		let cids: Vec<_> = (0..blocks).map(cid).collect();
		let local = peer_id(&mut rng);
		let peers = habits.iter().map(|habits| Peer {
			id: peer_id(&mut rng),
			habits: *habits,
			has: cids
				.iter()
				.filter(|_| rng.next_u32() % 100 < habits.has)
				.copied()
				.collect(),
			knows: HashMap::new(),
			connection: 0,
		});
		let peers = peers.collect();
		Self {
			scheduler: Scheduler::new(&local, Config::default()),
			peers,
			cids,
			events: BinaryHeap::new(),
			begun: Instant::now(),
			now: 0,
			serial: 0,
			block_asks: 0,
			late: 0,
			rng,
		}
	}

	fn time(&self) -> Instant {
		self.begun + Duration::from_millis(self.now)
	}

	fn percent(&mut self, share: u32) -> bool {
		self.rng.next_u32() % 100 < share
	}

	fn act(&mut self) {
		for action in self.scheduler.actions(self.time()) {
			let (Action::Ask { peer, cid, .. } | Action::Cancel { peer, cid }) = action;
			let place = self.peers.iter().position(|other| other.id == peer).unwrap();
			match action {
				Action::Ask { kind, .. } => {
					self.block_asks += u64::from(kind == WantKind::Block);
					self.peers[place].knows.insert(cid, kind);
					let habits = self.peers[place].habits;
					if !self.percent(habits.ignores) {
						let at = self.now + 1 + u64::from(self.rng.next_u32() % habits.delay);
						let block = self.cids.iter().position(|other| *other == cid).unwrap() as u64;
						self.serial += 1;
						let connection = self.peers[place].connection;
						self.events
							.push(Reverse((at, self.serial, place, connection, block)));
					}
				}
				Action::Cancel { .. } => {
					self.peers[place].knows.remove(&cid);
				}
			}
		}
		let mut asked: BTreeMap<Cid, usize> = BTreeMap::new();
		for peer in &self.peers {
			let blocks = peer.knows.iter().filter(|(_, kind)| **kind == WantKind::Block);
			let mut outstanding = 0;
			for (cid, _) in blocks {
				*asked.entry(*cid).or_default() += 1;
				outstanding += 1;
			}
			assert!(outstanding <= 1024, "{outstanding} asks of one peer");
		}
		assert!(
			asked.values().all(|peers| *peers <= 2),
			"a block is asked of two peers at most"
		);
	}

	/// Returns the blocks that came.
	fn step(&mut self) -> Vec<Cid> {
		self.now += 10;
		let mut came = Vec::new();
		while let Some(Reverse((at, _, place, connection, block))) = self.events.peek().copied() {
			if at > self.now {
				break;
			}
			self.events.pop();
			let now = self.time();
			let cid = self.cids[block as usize];
			if self.peers[place].connection != connection {
				continue;
			}
			let Some(kind) = self.peers[place].knows.remove(&cid) else {
				continue;
			};
			let (id, has) = (self.peers[place].id, self.peers[place].has.contains(&cid));
			let busy = self.peers[place].habits.busy;
			if self.percent(busy) {
				self.scheduler.answer(id, &cid, Answer::Later, now);
			} else if !has {
				self.scheduler.answer(id, &cid, Answer::DontHave, now);
			} else if kind == WantKind::Have {
				self.scheduler.answer(id, &cid, Answer::Have, now);
			} else {
				match self.scheduler.block(id, &cid, 8, now) {
					Receipt::Wanted { sessions, .. } => {
						assert_eq!(sessions.len(), 1);
						came.push(cid);
					}
					Receipt::Late => self.late += 1,
					Receipt::Unrequested => panic!("an answer to an ask is no offence"),
				}
			}
		}
		for place in 0..self.peers.len() {
			if self.rng.next_u32() % 10_000 < self.peers[place].habits.drops {
				self.peers[place].knows.clear();
				self.peers[place].connection += 1;
				self.scheduler.lost(self.peers[place].id, self.time());
			}
		}
		came
	}

	/// Runs until all came, and says after how many milliseconds.
	fn run(&mut self, limit: u64) -> u64 {
		let session = self.scheduler.open(self.begun + Duration::from_millis(limit));
		for peer in &self.peers {
			self.scheduler.add_peer(session, peer.id);
		}
		for cid in &self.cids {
			self.scheduler.want(session, *cid);
		}
		let mut missing: HashSet<Cid> = self.cids.iter().copied().collect();
		while !missing.is_empty() {
			let ticked = self.scheduler.tick(self.time());
			assert!(
				ticked.expired.is_empty(),
				"{} blocks missing at the deadline",
				missing.len()
			);
			self.act();
			for cid in self.step() {
				assert!(missing.remove(&cid), "a block is delivered once");
			}
		}
		self.scheduler.close(session);
		self.act();
		let took = self.now;
		assert_eq!(
			(
				self.scheduler.wants(),
				self.scheduler.asks(),
				self.scheduler.sessions()
			),
			(0, 0, 0)
		);
		for peer in &self.peers {
			assert!(peer.knows.is_empty(), "what is not answered is withdrawn");
		}
		for peer in &self.peers {
			self.scheduler.lost(peer.id, self.begun);
		}
		assert_eq!(
			self.scheduler.peers(),
			0,
			"peers that no session has are forgotten"
		);
		took
	}
}

const GOOD: Habits = Habits {
	has: 100,
	ignores: 0,
	busy: 0,
	delay: 20,
	drops: 0,
};

#[test]
fn whatever_peers_do_all_blocks_come_while_one_is_honest() {
	let mut rng = seeded();
	for round in 0..40 {
		let mut habits = vec![GOOD];
		habits[0].delay = 1 + rng.next_u32() % 200;
		for _ in 0..rng.next_u32() % 6 {
			habits.push(Habits {
				has: rng.next_u32() % 101,
				ignores: [0, 5, 50, 100][rng.next_u32() as usize % 4],
				busy: [0, 0, 10, 100][rng.next_u32() as usize % 4],
				delay: 1 + rng.next_u32() % 500,
				drops: [0, 0, 20, 500][rng.next_u32() as usize % 4],
			});
		}
		let blocks = 1 + u64::from(rng.next_u32() % 200);
		println!("round {round}: {blocks} blocks, {habits:?}");
		let mut seed = [0; 32];
		rng.fill_bytes(&mut seed);
		let mut world = World::new(rand_core::SeedableRng::from_seed(seed), blocks, &habits);
		world.run(600_000);
	}
}

#[test]
fn good_peers_share_the_work_without_duplicates() {
	let rng = seeded();
	let mut world = World::new(rng, 2000, &[GOOD; 4]);
	let took = world.run(60_000);
	assert!(world.block_asks <= 2000 + 64, "{} asks", world.block_asks);
	assert!(world.late <= 64, "{} duplicates", world.late);
	// Windows grow: one block at a time of each peer would take five seconds.
	assert!(took < 3000, "{took} ms");
}

#[test]
fn a_silent_peer_costs_seconds_not_minutes() {
	let silent = Habits { ignores: 100, ..GOOD };
	let mut world = World::new(seeded(), 100, &[silent, GOOD]);
	let took = world.run(60_000);
	assert!(took < 15_000, "{took} ms");
}

#[test]
fn an_absent_block_ends_at_the_deadline_and_asks_stay_few() {
	let empty = Habits { has: 0, ..GOOD };
	let mut world = World::new(seeded(), 1, &[empty; 5]);
	let deadline = world.begun + Duration::from_secs(60);
	let session = world.scheduler.open(deadline);
	for peer in &world.peers {
		world.scheduler.add_peer(session, peer.id);
	}
	let wanted = world.cids[0];
	world.scheduler.want(session, wanted);
	loop {
		let expired = world.scheduler.tick(world.time()).expired;
		world.act();
		if let [expired] = &expired[..] {
			assert!(world.time() >= deadline);
			assert_eq!(expired.missing, [wanted]);
			assert_eq!(expired.peers, 5);
			break;
		}
		assert!(world.time() <= deadline);
		assert!(world.step().is_empty());
	}
	// Each is asked again less and less often.
	assert!(world.block_asks < 60, "{} asks", world.block_asks);
	assert_eq!(world.scheduler.wants(), 0);
	assert!(world.peers.iter().all(|peer| peer.knows.is_empty()));
}

#[test]
fn two_sessions_share_a_want_and_one_may_leave() {
	let mut world = World::new(seeded(), 1, &[GOOD]);
	let (peer, cid) = (world.peers[0].id, world.cids[0]);
	let now = world.begun;
	let later = now + Duration::from_secs(10);
	let [a, b] = [world.scheduler.open(later), world.scheduler.open(later)];
	for session in [a, b] {
		world.scheduler.add_peer(session, peer);
		world.scheduler.want(session, cid);
	}
	assert!(matches!(world.scheduler.actions(now)[..], [Action::Ask { .. }]));
	world.scheduler.close(a);
	assert!(
		world.scheduler.actions(now).is_empty(),
		"the other still wants it"
	);
	let receipt = world.scheduler.block(peer, &cid, 1, now);
	assert!(matches!(receipt, Receipt::Wanted { sessions, .. } if sessions == [b]));
	assert_eq!(world.scheduler.block(peer, &cid, 1, now), Receipt::Unrequested);
}

#[test]
fn a_block_that_crosses_its_withdrawal_is_no_offence() {
	let mut world = World::new(seeded(), 2, &[GOOD]);
	let (peer, cid) = (world.peers[0].id, world.cids[0]);
	let now = world.begun;
	let session = world.scheduler.open(now + Duration::from_secs(10));
	world.scheduler.add_peer(session, peer);
	world.scheduler.want(session, cid);
	world.scheduler.actions(now);
	world.scheduler.cancel(session, &cid);
	assert_eq!(world.scheduler.actions(now), [Action::Cancel { peer, cid }]);
	assert_eq!(world.scheduler.block(peer, &cid, 1, now), Receipt::Late);
	assert_eq!(
		world.scheduler.block(peer, &cid, 1, now),
		Receipt::Unrequested,
		"it was asked for once"
	);
	let other = world.cids[1];
	assert_eq!(world.scheduler.block(peer, &other, 1, now), Receipt::Unrequested);
	let stranger = PeerId::random();
	assert_eq!(
		world.scheduler.block(stranger, &cid, 1, now),
		Receipt::Unrequested
	);
}

#[test]
fn who_was_asked_twice_may_answer_twice() {
	let mut world = World::new(seeded(), 1, &[GOOD]);
	let (peer, cid) = (world.peers[0].id, world.cids[0]);
	let now = world.begun;
	let session = world.scheduler.open(now + Duration::from_secs(10));
	world.scheduler.add_peer(session, peer);
	world.scheduler.want(session, cid);
	assert_eq!(world.scheduler.actions(now).len(), 1);
	assert!(world.scheduler.answer(peer, &cid, Answer::DontHave, now));
	// It is asked again, and at the same time sends the block because it has just got it.
	let later = now + Duration::from_secs(2);
	world.scheduler.tick(later);
	assert!(matches!(world.scheduler.actions(later)[..], [Action::Ask { .. }]));
	assert!(matches!(
		world.scheduler.block(peer, &cid, 1, later),
		Receipt::Wanted { .. }
	));
	assert_eq!(world.scheduler.block(peer, &cid, 1, later), Receipt::Late);
	assert_eq!(world.scheduler.block(peer, &cid, 1, later), Receipt::Unrequested);
}
