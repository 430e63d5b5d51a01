//! Schedulers of many nodes that fetch one dataset of one seeder and of each other, on simulated lines, under
//! schedules drawn from a seed.

use crate::nodes::{peer_id, seeded};
use cairn_dag::{Block, Cid, Codec};
use cairn_network::{
	exchange::{
		scheduler::{Action, Config, Receipt, Scheduler, SessionId},
		wire::{Answer, WantKind},
	},
	PeerId,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use std::{
	cmp::Reverse,
	collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
	time::{Duration, Instant},
};

/// Bytes of every block.
const BLOCK: u64 = 256 << 10;

/// Blocks that a node wants at a time.
const WANTS: usize = 256;

/// What a node's line can do.
#[derive(Clone, Copy, Debug)]
struct Line {
	/// Bytes per second up; down there is no limit.
	rate: u64,
	/// Microseconds to any other node, at most.
	delay: u32,
}

enum Message {
	Ask(Cid, WantKind),
	Cancel(Cid),
	Answer(Cid, Answer),
	Block(Cid),
	/// A block has left the node: it may send the next.
	Sent,
	Tick,
}

/// When, in which order, from whom, to whom.
type Key = Reverse<(u64, u64, usize, usize)>;

struct Node {
	id: PeerId,
	line: Line,
	scheduler: Scheduler,
	session: SessionId,
	has: BTreeSet<Cid>,
	/// What it is still to want.
	pending: VecDeque<Cid>,
	wanted: usize,
	/// What it is to send to each other node, and whose turn it is.
	queues: Vec<VecDeque<Cid>>,
	turn: usize,
	is_sending: bool,
	/// Who is to be told when a block comes.
	watchers: HashMap<Cid, Vec<usize>>,
	sent: u64,
	late: u64,
	done: Option<u64>,
	is_gone: bool,
}

struct Swarm {
	rng: ChaCha8Rng,
	begun: Instant,
	/// Microseconds since then.
	now: u64,
	serial: u64,
	nodes: Vec<Node>,
	places: BTreeMap<PeerId, usize>,
	keys: BinaryHeap<Key>,
	messages: HashMap<u64, Message>,
}

impl Swarm {
	/// The first node has all blocks, the others none. Each knows those that `knows` says.
	fn new(mut rng: ChaCha8Rng, blocks: u64, lines: &[Line], knows: impl Fn(usize, usize) -> bool) -> Self {
		let cids: Vec<_> = (0..blocks)
			.map(|number| *Block::encode(Codec::Raw, number.to_be_bytes().to_vec()).cid())
			.collect();
		let begun = Instant::now();
		let ids: Vec<_> = lines.iter().map(|_| peer_id(&mut rng)).collect();
		let nodes = lines.iter().enumerate().map(|(place, line)| {
			let mut scheduler = Scheduler::new(&ids[place], Config::default());
			let session = scheduler.open(begun + Duration::from_secs(3600));
			for (other, id) in ids.iter().enumerate() {
				if place != 0 && other != place && knows(place, other) {
					scheduler.add_peer(session, *id);
				}
			}
			Node {
				id: ids[place],
				line: *line,
				scheduler,
				session,
				has: if place == 0 {
					cids.iter().copied().collect()
				} else {
					BTreeSet::new()
				},
				pending: if place == 0 {
					VecDeque::new()
				} else {
					cids.iter().copied().collect()
				},
				wanted: 0,
				queues: vec![VecDeque::new(); lines.len()],
				turn: 0,
				is_sending: false,
				watchers: HashMap::new(),
				sent: 0,
				late: 0,
				done: None,
				is_gone: false,
			}
		});
		let nodes = nodes.collect();
		Self {
			rng,
			begun,
			now: 0,
			serial: 0,
			nodes,
			places: ids
				.into_iter()
				.enumerate()
				.map(|(place, id)| (id, place))
				.collect(),
			keys: BinaryHeap::new(),
			messages: HashMap::new(),
		}
	}

	fn time(&self) -> Instant {
		self.begun + Duration::from_micros(self.now)
	}

	fn post(&mut self, after: u64, from: usize, to: usize, message: Message) {
		self.serial += 1;
		self.keys.push(Reverse((self.now + after, self.serial, from, to)));
		self.messages.insert(self.serial, message);
	}

	fn send(&mut self, from: usize, to: usize, message: Message) {
		let delay = self.nodes[from].line.delay.max(self.nodes[to].line.delay);
		let after = u64::from(delay / 2 + self.rng.next_u32() % (delay / 2 + 1));
		self.post(after, from, to, message);
	}

	/// Does what a node's scheduler wants done.
	fn act(&mut self, place: usize) {
		let now = self.time();
		let node = &mut self.nodes[place];
		let mut wants = Vec::new();
		while node.wanted < WANTS {
			let Some(cid) = node.pending.pop_front() else {
				break;
			};
			node.wanted += 1;
			wants.push(cid);
		}
		for cid in wants {
			node.scheduler.want(node.session, cid);
		}
		for action in node.scheduler.actions(now) {
			let (Action::Ask { peer, cid, .. } | Action::Cancel { peer, cid }) = action;
			let to = self.places[&peer];
			let message = match action {
				Action::Ask { kind, .. } => Message::Ask(cid, kind),
				Action::Cancel { .. } => Message::Cancel(cid),
			};
			self.send(place, to, message);
		}
	}

	/// Begins to send the next block, of the peer whose turn it is.
	fn serve(&mut self, place: usize) {
		let node = &mut self.nodes[place];
		if node.is_sending {
			return;
		}
		let count = node.queues.len();
		for _ in 0..count {
			node.turn = (node.turn + 1) % count;
			if let Some(cid) = node.queues[node.turn].pop_front() {
				node.is_sending = true;
				node.sent += 1;
				let (to, takes) = (node.turn, BLOCK * 1_000_000 / node.line.rate);
				let delay = u64::from(node.line.delay);
				self.post(takes, place, place, Message::Sent);
				self.post(takes + delay, place, to, Message::Block(cid));
				return;
			}
		}
	}

	fn receive(&mut self, from: usize, to: usize, message: Message) {
		let now = self.time();
		let (id, node) = (self.nodes[from].id, &mut self.nodes[to]);
		match message {
			Message::Ask(cid, WantKind::Block) if node.has.contains(&cid) => {
				node.queues[from].push_back(cid);
				self.serve(to);
			}
			Message::Ask(cid, _) => {
				let answer = if node.has.contains(&cid) {
					Answer::Have
				} else {
					node.watchers.entry(cid).or_default().push(from);
					Answer::DontHave
				};
				self.send(to, from, Message::Answer(cid, answer));
			}
			Message::Cancel(cid) => {
				node.queues[from].retain(|other| *other != cid);
				if let Some(watchers) = node.watchers.get_mut(&cid) {
					watchers.retain(|other| *other != from);
				}
			}
			Message::Answer(cid, answer) => {
				node.scheduler.answer(id, &cid, answer, now);
				self.act(to);
			}
			Message::Block(cid) => {
				match node.scheduler.block(id, &cid, BLOCK as usize, now) {
					Receipt::Wanted { .. } => {}
					Receipt::Late => {
						node.late += 1;
						return;
					}
					Receipt::Unrequested => panic!("a block that was asked for is no offence"),
				}
				assert!(node.has.insert(cid));
				node.wanted -= 1;
				if node.pending.is_empty() && node.wanted == 0 {
					node.done = Some(self.now);
				}
				for watcher in node.watchers.remove(&cid).unwrap_or_default() {
					self.send(to, watcher, Message::Answer(cid, Answer::Have));
				}
				self.act(to);
			}
			Message::Sent => {
				node.is_sending = false;
				self.serve(to);
			}
			Message::Tick => {
				let ticked = node.scheduler.tick(now);
				assert!(ticked.expired.is_empty(), "the hour is over");
				self.act(to);
				if self.nodes[to].done.is_none() {
					self.post(50_000, to, to, Message::Tick);
				}
			}
		}
	}

	/// A node is gone.
	fn vanish(&mut self, place: usize) {
		let (id, now) = (self.nodes[place].id, self.time());
		self.nodes[place].is_gone = true;
		for (other, node) in self.nodes.iter_mut().enumerate() {
			if other != place {
				node.queues[place].clear();
				node.watchers
					.values_mut()
					.for_each(|watchers| watchers.retain(|other| *other != place));
				// Dialled again and again without success.
				for _ in 0..8 {
					node.scheduler.lost(id, now);
				}
			}
		}
	}

	/// Runs until all that are left have everything. `meanwhile` is called between messages.
	fn run(&mut self, mut meanwhile: impl FnMut(&mut Self)) {
		for place in 1..self.nodes.len() {
			// They do not begin in the same moment.
			let after = u64::from(self.rng.next_u32() % 30_000);
			self.post(after, place, place, Message::Tick);
		}
		while self.nodes[1..]
			.iter()
			.any(|node| node.done.is_none() && !node.is_gone)
		{
			let Reverse((at, serial, from, to)) = self.keys.pop().expect("ticks go on");
			self.now = at;
			let message = self.messages.remove(&serial).expect("each is posted once");
			if !self.nodes[from].is_gone && !self.nodes[to].is_gone {
				self.receive(from, to, message);
			}
			meanwhile(self);
		}
	}

	/// What the seeder sent, in datasets.
	fn seeded(&self) -> f64 {
		self.nodes[0].sent as f64 / self.nodes[0].has.len() as f64
	}

	fn report(&self) {
		let all = self.nodes[0].has.len();
		let sent: u64 = self.nodes.iter().map(|node| node.sent).sum();
		let late: u64 = self.nodes.iter().map(|node| node.late).sum();
		println!(
			"seeder {:.2}, all {:.2}, late {late} of {all} blocks, after {} ms",
			self.seeded(),
			sent as f64 / all as f64,
			self.now / 1000
		);
	}
}

/// Eight nodes and a seeder, who have lines of these rates and delays.
fn star(rng: &mut ChaCha8Rng, blocks: u64, seeder: u64, leecher: u64, delay: u32) -> Swarm {
	let mut lines = vec![Line { rate: leecher, delay }; 9];
	lines[0].rate = seeder;
	let mut seed = [0; 32];
	rng.fill_bytes(&mut seed);
	println!("{blocks} blocks, {seeder} and {leecher} bytes per second, {delay} µs");
	Swarm::new(SeedableRng::from_seed(seed), blocks, &lines, |_, _| true)
}

#[test]
fn a_seeder_sends_a_swarm_each_block_about_once() {
	let mut rng = seeded();
	for (seeder, leecher, delay) in [
		(100 << 20, 100 << 20, 400),
		(10 << 20, 40 << 20, 50_000),
		(40 << 20, 10 << 20, 50_000),
		(2 << 20, 2 << 20, 100_000),
	] {
		let mut swarm = star(&mut rng, 150, seeder, leecher, delay);
		swarm.run(|_| {});
		swarm.report();
		assert!(swarm.seeded() < 2.5, "{}", swarm.seeded());
		// The seeder sends one copy, all lines together eight.
		let all = 150 * BLOCK * 1_000_000;
		let best = (8 * all / (seeder + 8 * leecher)).max(all / seeder);
		assert!(
			swarm.now < 2 * best + 20 * u64::from(delay),
			"{} against {best} µs",
			swarm.now
		);
	}
}

#[test]
fn a_node_that_goes_away_delays_a_swarm_for_moments() {
	let mut rng = seeded();
	let mut swarm = star(&mut rng, 150, 10 << 20, 10 << 20, 20_000);
	let leaves_at = 1_000_000;
	swarm.run(|swarm| {
		if swarm.now >= leaves_at && !swarm.nodes[3].is_gone {
			swarm.vanish(3);
		}
	});
	swarm.report();
	assert!(swarm.nodes[3].done.is_none());
	assert!(swarm.seeded() < 2.5, "{}", swarm.seeded());
	let best = 8 * 150 * BLOCK * 1_000_000 / (9 * (10 << 20));
	assert!(swarm.now < 3 * best, "{} against {best} µs", swarm.now);
}

#[test]
fn a_node_that_only_one_other_knows_is_no_burden_to_it() {
	let rng = seeded();
	let lines = [Line {
		rate: 10 << 20,
		delay: 20_000,
	}; 3];
	// A line: the last knows the second, which is the only one that knows the seeder.
	let mut swarm = Swarm::new(rng, 150, &lines, |place, other| place.abs_diff(other) == 1);
	swarm.run(|_| {});
	swarm.report();
	assert!(swarm.seeded() < 1.1, "{}", swarm.seeded());
	let best = 150 * BLOCK * 1_000_000 / (10 << 20);
	assert!(swarm.now < 2 * best, "{} against {best} µs", swarm.now);
}
