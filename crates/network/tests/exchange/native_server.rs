//! The serving side of the native exchange against a model, under schedules drawn from a seed.

use crate::nodes::{blocks, seeded};
use bytes::Bytes;
use cairn_dag::{Block, BlockSource, Cid, Codec, SinkError, SourceError};
use cairn_network::{
	blocks::{BlockStore, MemoryStore},
	exchange::{
		server::{Config, Found, Frames, Server, StreamKey, Violation, JOBS_PER_STREAM},
		wire::{Answer, Id, Range, Request, Response, WalkEnd, WantKind, MAX_BLOCK},
	},
	PeerId,
};
use rand_core::RngCore;
use std::{
	collections::{BTreeMap, HashMap},
	sync::{
		atomic::{AtomicUsize, Ordering},
		Arc,
	},
};

/// Reads the frames of one piece of work; blocks of these tests take one frame each.
fn responses(frames: Frames) -> Vec<Response> {
	let mut bytes = Vec::new();
	for (head, data) in frames {
		bytes.extend(head);
		bytes.extend_from_slice(&data);
	}
	let mut rest = &bytes[..];
	let mut all = Vec::new();
	while !rest.is_empty() {
		let (len, used) = cairn_dag::varint::decode(rest).unwrap();
		let end = used + len as usize;
		all.push(Response::decode(&Bytes::copy_from_slice(&rest[used..end])).unwrap());
		rest = &rest[end..];
	}
	all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
	Waiting(WantKind, Cid),
	Cancelled,
	Answered,
	/// Answered after it was cancelled.
	Crossed,
}

#[test]
fn every_number_is_answered_once_or_cancelled() {
	let mut rng = seeded();
	for _ in 0..30 {
		let all = blocks(&mut rng, 40, 2000);
		let store = MemoryStore::new();
		store.put(&all[..20]).unwrap();
		let store: Arc<dyn BlockStore> = Arc::new(store);
		let config = Config {
			max_wants: 30,
			job_data: 3000,
			job_wants: 5,
			..Config::default()
		};
		let mut server = Server::new(config);
		let keys: Vec<_> = (0..4)
			.map(|number| StreamKey {
				peer: PeerId::random(),
				number,
			})
			.collect();
		assert!(keys.iter().all(|key| server.open(*key)));
		let mut model: HashMap<StreamKey, BTreeMap<Id, State>> = HashMap::new();
		let mut jobs: Vec<(StreamKey, Found)> = Vec::new();
		let finish = |server: &mut Server,
		              key: StreamKey,
		              found: Found,
		              model: &mut HashMap<StreamKey, BTreeMap<Id, State>>| {
			let states = model.entry(key).or_default();
			let (frames, errors) = server.finish(found);
			assert!(errors.is_empty());
			let mut answered = |id: Id, check: &dyn Fn(WantKind, Cid)| {
				let state = states.get_mut(&id).expect("a number that was given");
				*state = match *state {
					State::Waiting(kind, cid) => {
						check(kind, cid);
						State::Answered
					}
					State::Cancelled => State::Crossed,
					other => panic!("{id} is answered again after {other:?}"),
				};
			};
			for response in responses(frames) {
				match response {
					Response::Block { id, data, .. } => answered(id, &|kind, cid| {
						assert_eq!(kind, WantKind::Block);
						assert!(Block::new(cid, data.clone()).is_ok());
					}),
					Response::Answers { id, answers } => {
						for (id, answer) in (id..).zip(answers) {
							let Some(answer) = answer else { continue };
							answered(id, &|kind, cid| {
								let has = all[..20].iter().any(|block| *block.cid() == cid);
								match answer {
									Answer::Have => assert!(has && kind == WantKind::Have),
									Answer::DontHave => assert!(!has),
									Answer::Later => {}
								}
							});
						}
					}
					other => panic!("{other:?}"),
				}
			}
			server.sent(key);
		};
		let mut next: HashMap<StreamKey, Id> = HashMap::new();
		for _ in 0..300 {
			let key = keys[rng.next_u32() as usize % keys.len()];
			let states = model.entry(key).or_default();
			let waiting = states
				.values()
				.filter(|state| matches!(state, State::Waiting(..)))
				.count();
			match rng.next_u32() % 5 {
				// Beyond the limit, but not so far that it is a flood.
				0 | 1 if waiting < 40 => {
					let id = next.entry(key).or_default();
					let count = 1 + rng.next_u32() % 8;
					let kind = if rng.next_u32().is_multiple_of(2) {
						WantKind::Block
					} else {
						WantKind::Have
					};
					let cids: Vec<_> = (0..count)
						.map(|_| *all[rng.next_u32() as usize % 40].cid())
						.collect();
					for (id, cid) in (*id..).zip(&cids) {
						states.insert(id, State::Waiting(kind, *cid));
					}
					let request = Request::Want { id: *id, kind, cids };
					*id += count + rng.next_u32() % 100;
					server.receive(key, request).unwrap();
				}
				2 => {
					let id = rng.next_u32() % (next.get(&key).copied().unwrap_or_default() + 1);
					let count = 1 + rng.next_u32() % 20;
					for (_, state) in states.range_mut(id..id + count) {
						if matches!(state, State::Waiting(..)) {
							*state = State::Cancelled;
						}
					}
					server.receive(key, Request::Cancel { id, count }).unwrap();
				}
				3 => {
					if let Some(job) = server.next_job() {
						let key = job.stream;
						jobs.push((key, job.run(&store)));
						assert!(jobs.iter().filter(|(other, _)| *other == key).count() <= JOBS_PER_STREAM);
					}
				}
				_ => {
					if !jobs.is_empty() {
						let (key, job) = jobs.remove(rng.next_u32() as usize % jobs.len());
						finish(&mut server, key, job, &mut model);
					}
				}
			}
			assert!(keys.iter().all(|key| server.waiting(&key.peer).0 <= 30 + 2 * 5));
		}
		for (key, job) in jobs {
			finish(&mut server, key, job, &mut model);
		}
		while let Some(job) = server.next_job() {
			let key = job.stream;
			let found = job.run(&store);
			finish(&mut server, key, found, &mut model);
		}
		for (key, states) in &model {
			for (id, state) in states {
				assert!(
					!matches!(state, State::Waiting(..)),
					"{id} of {key:?} is not answered"
				);
			}
		}
		for key in keys {
			assert_eq!(server.waiting(&key.peer), (0, 0));
			server.close(key);
		}
		assert_eq!(server.peers(), 0);
	}
}

#[test]
fn limits_answer_later_and_floods_are_found_out() {
	let mut rng = seeded();
	let store: Arc<dyn BlockStore> = Arc::new(MemoryStore::new());
	let mut server = Server::new(Config {
		max_wants: 100,
		max_walks: 2,
		max_streams: 2,
		..Config::default()
	});
	let peer = PeerId::random();
	let key = |number| StreamKey { peer, number };
	assert!(server.open(key(1)) && server.open(key(2)));
	assert!(!server.open(key(3)), "two streams are enough");
	let cids: Vec<_> = blocks(&mut rng, 150, 8)
		.iter()
		.map(|block| *block.cid())
		.collect();
	let want = |id| Request::Want {
		id,
		kind: WantKind::Block,
		cids: cids.clone(),
	};
	assert_eq!(server.receive(key(1), want(0)), Ok(()));
	assert_eq!(server.receive(key(1), want(149)), Err(Violation::NumberUsed));
	let walk = |id| Request::Walk {
		id,
		range: Range::Bytes {
			root: cids[0],
			start: 0,
			len: 1,
		},
	};
	for id in 0..4 {
		assert_eq!(server.receive(key(2), walk(id)), Ok(()));
	}
	assert_eq!(server.waiting(&peer), (100, 2));
	let mut later = 0;
	let mut ends = Vec::new();
	while let Some(job) = server.next_job() {
		let key = job.stream;
		let found = job.run(&store);
		let (frames, _) = server.finish(found);
		for response in responses(frames) {
			match response {
				Response::Answers { answers, .. } => {
					later += answers
						.iter()
						.filter(|answer| **answer == Some(Answer::Later))
						.count();
				}
				Response::WalkEnd { id, end } => ends.push((id, end)),
				other => panic!("{other:?}"),
			}
		}
		server.sent(key);
	}
	assert_eq!(later, 50);
	ends.sort_by_key(|(id, _)| *id);
	let missing = WalkEnd::Missing(cids[0]);
	assert_eq!(
		ends,
		[
			(0, missing),
			(1, missing),
			(2, WalkEnd::Later),
			(3, WalkEnd::Later)
		]
	);
	let mut flooded = None;
	for round in 1..10 {
		if server.receive(key(1), want(round * 150)) == Err(Violation::Flood) {
			flooded = Some(round);
			break;
		}
	}
	assert_eq!(flooded, Some(2), "a hundred wait, two hundred are refused");
}

/// Does all the work there is, and returns the answers by their numbers.
fn answers(server: &mut Server, store: &Arc<dyn BlockStore>) -> Vec<(Id, Answer)> {
	let mut all = Vec::new();
	while let Some(job) = server.next_job() {
		let key = job.stream;
		let (frames, _) = server.finish(job.run(store));
		for response in responses(frames) {
			match response {
				Response::Answers { id, answers } => {
					all.extend((id..).zip(answers).filter_map(|(id, answer)| Some((id, answer?))))
				}
				other => panic!("{other:?}"),
			}
		}
		server.sent(key);
	}
	all.sort_unstable_by_key(|(id, _)| *id);
	all
}

#[test]
fn have_follows_dont_have_when_the_block_comes() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 5, 1000);
	let cids: Vec<_> = all.iter().map(|block| *block.cid()).collect();
	let memory = Arc::new(MemoryStore::new());
	let store: Arc<dyn BlockStore> = memory.clone();
	let mut server = Server::new(Config {
		max_watches: 4,
		..Config::default()
	});
	let key = StreamKey {
		peer: PeerId::random(),
		number: 1,
	};
	assert!(server.open(key));
	let kinds = [WantKind::Have, WantKind::Block];
	for (id, kind) in [(0, kinds[0]), (10, kinds[1])] {
		let want = Request::Want {
			id,
			kind,
			cids: cids[..2].to_vec(),
		};
		server.receive(key, want).unwrap();
	}
	let absent = [0, 1, 10, 11].map(|id| (id, Answer::DontHave));
	assert_eq!(answers(&mut server, &store), absent);
	assert_eq!(server.watches(&key.peer), 4);
	// There is no room for another.
	let beyond = Request::Want {
		id: 20,
		kind: WantKind::Have,
		cids: vec![cids[4]],
	};
	server.receive(key, beyond).unwrap();
	assert_eq!(answers(&mut server, &store), [(20, Answer::DontHave)]);
	assert_eq!(server.watches(&key.peer), 4);
	// Who withdraws is not told, nor is anyone of what did not really come.
	server.receive(key, Request::Cancel { id: 1, count: 1 }).unwrap();
	memory.put(&all[..1]).unwrap();
	memory.put(&all[4..]).unwrap();
	server.announce(&cids);
	assert_eq!(
		answers(&mut server, &store),
		[(0, Answer::Have), (10, Answer::Have)]
	);
	memory.put(&all[1..2]).unwrap();
	server.announce(&cids);
	assert_eq!(answers(&mut server, &store), [(11, Answer::Have)]);
	assert_eq!(server.watches(&key.peer), 0);
	server.close(key);
	assert_eq!(server.peers(), 0);
}

#[test]
fn a_block_that_comes_while_it_is_looked_up_is_found() {
	let mut rng = seeded();
	let block = blocks(&mut rng, 1, 1000).remove(0);
	let memory = Arc::new(MemoryStore::new());
	let store: Arc<dyn BlockStore> = memory.clone();
	let mut server = Server::new(Config::default());
	let key = StreamKey {
		peer: PeerId::random(),
		number: 1,
	};
	assert!(server.open(key));
	let want = Request::Want {
		id: 3,
		kind: WantKind::Have,
		cids: vec![*block.cid()],
	};
	server.receive(key, want).unwrap();
	let found = server.next_job().unwrap().run(&store);
	// Too late for the job.
	memory.put(std::slice::from_ref(&block)).unwrap();
	server.announce(&[*block.cid()]);
	let (frames, _) = server.finish(found);
	assert!(frames.is_empty(), "it is not told that there is none");
	server.sent(key);
	assert_eq!(answers(&mut server, &store), [(3, Answer::Have)]);
}

#[test]
fn whether_there_is_a_block_is_said_before_blocks_are_sent() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 20, 2000);
	let memory = MemoryStore::new();
	memory.put(&all).unwrap();
	let store: Arc<dyn BlockStore> = Arc::new(memory);
	let mut server = Server::new(Config {
		job_data: 1,
		..Config::default()
	});
	let key = StreamKey {
		peer: PeerId::random(),
		number: 1,
	};
	assert!(server.open(key));
	let cids: Vec<_> = all.iter().map(|block| *block.cid()).collect();
	for (id, kind) in [(0, WantKind::Block), (100, WantKind::Have)] {
		let cids = cids.clone();
		server.receive(key, Request::Want { id, kind, cids }).unwrap();
	}
	let job = server.next_job().unwrap();
	let (frames, _) = server.finish(job.run(&store));
	let first = responses(frames).remove(0);
	let haves = vec![Some(Answer::Have); cids.len()];
	assert_eq!(
		first,
		Response::Answers {
			id: 100,
			answers: haves
		}
	);
}

#[test]
fn nobody_is_told_that_there_is_a_block_that_is_too_large_to_send() {
	let [fits, too_large] = [MAX_BLOCK, MAX_BLOCK + 1].map(|len| Block::encode(Codec::Raw, vec![0; len]));
	let cids = vec![*fits.cid(), *too_large.cid()];
	let memory = Arc::new(MemoryStore::new());
	let store: Arc<dyn BlockStore> = memory.clone();
	let mut server = Server::new(Config::default());
	let key = StreamKey {
		peer: PeerId::random(),
		number: 1,
	};
	assert!(server.open(key));
	let want = |id, kind| Request::Want {
		id,
		kind,
		cids: cids.clone(),
	};
	server.receive(key, want(0, WantKind::Have)).unwrap();
	server.receive(key, want(10, WantKind::Block)).unwrap();
	let absent = [0, 1, 10, 11].map(|id| (id, Answer::DontHave));
	assert_eq!(answers(&mut server, &store), absent);
	// Nor when they come.
	memory.put(&[fits, too_large]).unwrap();
	server.announce(&cids);
	assert_eq!(
		answers(&mut server, &store),
		[(0, Answer::Have), (10, Answer::Have)]
	);
	server.receive(key, want(20, WantKind::Have)).unwrap();
	assert_eq!(
		answers(&mut server, &store),
		[(20, Answer::Have), (21, Answer::DontHave)]
	);
}

/// Counts how often blocks are read.
struct CountingStore {
	blocks: MemoryStore,
	read: AtomicUsize,
}

impl BlockSource for CountingStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.read.fetch_add(1, Ordering::Relaxed);
		self.blocks.get(cid)
	}
}

impl BlockStore for CountingStore {
	fn put(&self, blocks: &[Block]) -> Result<(), SinkError> {
		self.blocks.put(blocks)
	}
}

/// A want takes four bytes more, and reading megabytes takes long.
#[test]
fn what_is_read_in_vain_ends_a_turn_too() {
	let too_large = Block::encode(Codec::Raw, vec![0; MAX_BLOCK + 1]);
	let cid = *too_large.cid();
	let store = Arc::new(CountingStore {
		blocks: MemoryStore::new(),
		read: AtomicUsize::new(0),
	});
	store.put(&[too_large]).unwrap();
	let mut server = Server::new(Config::default());
	let key = |number| StreamKey {
		peer: PeerId::from_bytes(&[0, 1, number as u8]).unwrap(),
		number,
	};
	for number in [1, 2] {
		assert!(server.open(key(number)));
		let want = Request::Want {
			id: 0,
			kind: WantKind::Block,
			cids: vec![cid; 20],
		};
		server.receive(key(number), want).unwrap();
	}
	let reading: Arc<dyn BlockStore> = store.clone();
	let mut turns = Vec::new();
	for done in 1..=6 {
		let job = server.next_job().unwrap();
		let key = job.stream;
		turns.push(key.number);
		let (_, errors) = server.finish(job.run(&reading));
		assert!(errors.is_empty());
		server.sent(key);
		assert_eq!(store.read.load(Ordering::Relaxed), done);
	}
	assert_eq!(
		turns.iter().filter(|number| **number == 1).count(),
		3,
		"{turns:?}"
	);
}

/// Each cancellation looks at all that waits, and takes four bytes to send.
#[test]
fn cancelling_what_was_not_asked_for_ends() {
	let mut rng = seeded();
	let cid = *blocks(&mut rng, 1, 100)[0].cid();
	let mut server = Server::new(Config {
		max_wants: 10,
		..Config::default()
	});
	let key = StreamKey {
		peer: PeerId::random(),
		number: 1,
	};
	assert!(server.open(key));
	let cancel = |id| Request::Cancel { id, count: 1 };
	let want = |id| Request::Want {
		id,
		kind: WantKind::Block,
		cids: vec![cid],
	};
	for id in 0..100 {
		server.receive(key, want(id)).unwrap();
		server.receive(key, cancel(id)).unwrap();
	}
	let refused = (0..100).find_map(|id| server.receive(key, cancel(id)).err());
	assert_eq!(refused, Some(Violation::Flood));
}
