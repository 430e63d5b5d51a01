//! The serving side of Bitswap against a model, under schedules drawn from a seed.

use crate::nodes::{blocks, seeded};
use cairn_dag::{Block, Cid, Codec};
use cairn_network::{
	bitswap::{
		ledger::{Config, Found, Ledgers, Received, JOBS_PER_PEER},
		wire::{Outgoing, Version, Want, WantKind, WantList, MAX_BLOCK, MAX_MESSAGE},
	},
	blocks::{BlockStore, MemoryStore},
	PeerId,
};
use rand_core::RngCore;
use std::collections::{HashMap, HashSet};

fn want(cid: Cid, kind: WantKind) -> Want {
	Want {
		cid,
		priority: 1,
		kind,
		send_dont_have: true,
	}
}

fn list(wants: Vec<Want>) -> WantList {
	WantList {
		wants,
		..WantList::default()
	}
}

/// Does all jobs, and returns the messages.
fn drain(ledgers: &mut Ledgers, store: &MemoryStore) -> Vec<(PeerId, Outgoing)> {
	let mut messages = Vec::new();
	while let Some(job) = ledgers.next_job() {
		let peer = job.peer;
		let (message, errors) = ledgers.finish(job.run(store));
		assert!(errors.is_empty());
		if !message.is_empty() {
			messages.push((peer, message));
		}
		ledgers.sent(peer);
	}
	messages
}

#[test]
fn every_want_is_answered_or_withdrawn() {
	let mut rng = seeded();
	for _ in 0..30 {
		let all = blocks(&mut rng, 60, 3000);
		let store = MemoryStore::new();
		let mut ledgers = Ledgers::new(Config {
			max_wants: 20,
			message_data: 4000,
			job_wants: 7,
			..Config::default()
		});
		let peers: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
		// What each peer wants by its own account, and whether it was told that there is none.
		let mut model: HashMap<(PeerId, Cid), WantKind> = HashMap::new();
		let mut refused: HashSet<(PeerId, Cid)> = HashSet::new();
		let mut jobs: Vec<Found> = Vec::new();
		let mut busy: HashMap<PeerId, usize> = HashMap::new();
		let deliver = |ledgers: &mut Ledgers,
		               found: Found,
		               model: &mut HashMap<(PeerId, Cid), WantKind>,
		               refused: &mut HashSet<(PeerId, Cid)>| {
			let peer = found.peer();
			let (message, _) = ledgers.finish(found);
			if let Some(bytes) = message.encode(Version::V1_2) {
				assert!(bytes.len() < MAX_MESSAGE);
				assert!(message.data_len() < 4000 + 3000 + 200);
			}
			for block in &message.blocks {
				let kind = model.remove(&(peer, *block.cid()));
				assert!(kind.is_some(), "a block that is not wanted");
				refused.remove(&(peer, *block.cid()));
			}
			for presence in &message.presences {
				let key = (peer, presence.cid);
				if presence.have {
					// A want for the block that found no room is forgotten, so it may be for the presence by now.
					assert!(model.remove(&key).is_some(), "a presence that is not wanted");
				} else {
					refused.insert(key);
				}
			}
			ledgers.sent(peer);
		};
		for _ in 0..400 {
			let peer = peers[rng.next_u32() as usize % peers.len()];
			let block = &all[rng.next_u32() as usize % all.len()];
			match rng.next_u32() % 8 {
				0..=3 => {
					let kind = if rng.next_u32().is_multiple_of(2) {
						WantKind::Block
					} else {
						WantKind::Have
					};
					let known = model.get(&(peer, *block.cid())).copied();
					let kind_then = if known == Some(WantKind::Block) {
						WantKind::Block
					} else {
						kind
					};
					model.insert((peer, *block.cid()), kind_then);
					refused.remove(&(peer, *block.cid()));
					let full = rng.next_u32().is_multiple_of(20);
					if full {
						model.retain(|(other, _), _| *other != peer);
						refused.retain(|(other, _)| *other != peer);
						model.insert((peer, *block.cid()), kind);
					}
					let wants = WantList {
						full,
						..list(vec![want(*block.cid(), kind)])
					};
					assert_eq!(ledgers.receive(peer, wants), Received::Accepted);
				}
				4 => {
					model.remove(&(peer, *block.cid()));
					refused.remove(&(peer, *block.cid()));
					let cancels = WantList {
						cancels: vec![*block.cid()],
						..WantList::default()
					};
					ledgers.receive(peer, cancels);
				}
				5 => {
					store.put(std::slice::from_ref(block)).unwrap();
					ledgers.announce(&[*block.cid()]);
				}
				6 => {
					if let Some(job) = ledgers.next_job() {
						*busy.entry(job.peer).or_default() += 1;
						assert!(busy[&job.peer] <= JOBS_PER_PEER);
						jobs.push(job.run(&store));
					}
				}
				_ => {
					if !jobs.is_empty() {
						let job = jobs.swap_remove(rng.next_u32() as usize % jobs.len());
						*busy.get_mut(&job.peer()).unwrap() -= 1;
						deliver(&mut ledgers, job, &mut model, &mut refused);
					}
				}
			}
			assert!(peers.iter().all(|peer| ledgers.wants_of(peer) <= 20));
		}
		for job in jobs {
			deliver(&mut ledgers, job, &mut model, &mut refused);
		}
		while let Some(job) = ledgers.next_job() {
			let found = job.run(&store);
			deliver(&mut ledgers, found, &mut model, &mut refused);
		}
		for (key, kind) in &model {
			assert!(
				refused.contains(key),
				"{key:?} ({kind:?}) is neither answered nor refused"
			);
		}
		for peer in &peers {
			ledgers.remove(peer);
		}
		assert_eq!(ledgers.peers(), 0);
		assert!(ledgers.next_job().is_none());
	}
}

#[test]
fn wants_for_absent_blocks_wait_and_make_room() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 30, 2000);
	let store = MemoryStore::new();
	let mut ledgers = Ledgers::new(Config {
		max_wants: 10,
		..Config::default()
	});
	let peer = PeerId::random();
	let wants = |blocks: &[Block]| {
		list(
			blocks
				.iter()
				.map(|block| want(*block.cid(), WantKind::Block))
				.collect(),
		)
	};
	ledgers.receive(peer, wants(&all[..10]));
	let messages = drain(&mut ledgers, &store);
	assert_eq!(messages.len(), 1);
	assert!(messages[0].1.presences.iter().all(|presence| !presence.have));
	assert_eq!(ledgers.wants_of(&peer), 10, "they wait for the blocks to come");
	// Four new ones push the four oldest out.
	store.put(&all[10..14]).unwrap();
	ledgers.receive(peer, wants(&all[10..14]));
	let messages = drain(&mut ledgers, &store);
	assert_eq!(messages[0].1.blocks.len(), 4);
	assert_eq!(ledgers.wants_of(&peer), 6);
	store.put(&all).unwrap();
	ledgers.announce(&all.iter().map(|block| *block.cid()).collect::<Vec<_>>());
	let messages = drain(&mut ledgers, &store);
	let came: HashSet<_> = messages
		.iter()
		.flat_map(|(_, message)| &message.blocks)
		.map(Block::cid)
		.collect();
	assert_eq!(came, all[4..10].iter().map(Block::cid).collect());
	assert_eq!(ledgers.wants_of(&peer), 0);
	assert_eq!(
		ledgers.exchanged(&peer).0,
		all[4..14]
			.iter()
			.map(|block| block.data().len() as u64)
			.sum::<u64>()
	);
}

#[test]
fn a_block_that_comes_while_it_is_looked_up_is_not_missed() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 1, 2000);
	let cid = *all[0].cid();
	let named = |ledgers: &mut Ledgers| ledgers.announce(&[cid]);
	let it_came: [&dyn Fn(&mut Ledgers); 2] = [&named, &Ledgers::look_again];
	for it_came in it_came {
		let (store, peer) = (MemoryStore::new(), PeerId::random());
		let mut ledgers = Ledgers::new(Config::default());
		ledgers.receive(peer, list(vec![want(cid, WantKind::Block)]));
		let found = ledgers.next_job().unwrap().run(&store);
		store.put(&all).unwrap();
		it_came(&mut ledgers);
		let (message, _) = ledgers.finish(found);
		assert!(message.is_empty());
		ledgers.sent(peer);
		assert_eq!(drain(&mut ledgers, &store)[0].1.blocks, all);
	}
}

#[test]
fn small_blocks_come_instead_of_presences_and_priorities_count() {
	let mut rng = seeded();
	let (small, large) = (
		blocks(&mut rng, 1, 1000).remove(0),
		blocks(&mut rng, 1, 5000).remove(0),
	);
	let (store, peer) = (MemoryStore::new(), PeerId::random());
	let large = Block::encode(cairn_dag::Codec::Raw, [large.data(), &[0; 1025]].concat());
	store.put(&[small.clone(), large.clone()]).unwrap();
	let mut ledgers = Ledgers::new(Config {
		message_data: 1,
		..Config::default()
	});
	let have = |block: &Block| want(*block.cid(), WantKind::Have);
	ledgers.receive(peer, list(vec![have(&large), have(&small)]));
	let messages = drain(&mut ledgers, &store);
	assert_eq!(messages[0].1.blocks, std::slice::from_ref(&small));
	assert_eq!(messages[0].1.presences.len(), 1);
	assert!(messages[0].1.presences[0].have);
	// A want for the block is not taken back by asking whether it is here.
	ledgers.receive(
		peer,
		list(vec![want(*large.cid(), WantKind::Block), have(&large)]),
	);
	let messages = drain(&mut ledgers, &store);
	assert_eq!(messages[0].1.blocks, std::slice::from_ref(&large));
	assert!(messages[0].1.presences.is_empty());
	let first = Want {
		priority: 9,
		..want(*large.cid(), WantKind::Block)
	};
	ledgers.receive(peer, list(vec![want(*small.cid(), WantKind::Block), first]));
	let messages = drain(&mut ledgers, &store);
	assert_eq!(messages[0].1.blocks, [large]);
	assert_eq!(messages[1].1.blocks, [small]);
}

#[test]
fn nobody_is_told_that_there_is_a_block_that_fits_no_message() {
	let [fits, too_large] = [MAX_BLOCK, MAX_BLOCK + 1].map(|len| Block::encode(Codec::Raw, vec![0; len]));
	let (store, peer) = (MemoryStore::new(), PeerId::random());
	store.put(&[fits.clone(), too_large.clone()]).unwrap();
	let mut ledgers = Ledgers::new(Config::default());
	for (kind, presences) in [
		(
			WantKind::Have,
			vec![(*fits.cid(), true), (*too_large.cid(), false)],
		),
		(WantKind::Block, vec![(*too_large.cid(), false)]),
	] {
		let wants = [&fits, &too_large].map(|block| want(*block.cid(), kind));
		ledgers.receive(peer, list(wants.to_vec()));
		let mut said: Vec<_> = drain(&mut ledgers, &store)
			.iter()
			.flat_map(|(_, message)| &message.presences)
			.map(|presence| (presence.cid, presence.have))
			.collect();
		said.sort_by_key(|(_, have)| !have);
		assert_eq!(said, presences, "{kind:?}");
	}
}

#[test]
fn what_is_read_in_vain_ends_a_turn_too() {
	let all = [0, 1, 2].map(|byte| Block::encode(Codec::Raw, vec![byte; MAX_BLOCK + 1]));
	let (store, peer) = (MemoryStore::new(), PeerId::random());
	store.put(&all).unwrap();
	let mut ledgers = Ledgers::new(Config::default());
	let wants = all.each_ref().map(|block| want(*block.cid(), WantKind::Block));
	ledgers.receive(peer, list(wants.to_vec()));
	// One is looked up in each turn.
	let told: Vec<_> = drain(&mut ledgers, &store)
		.iter()
		.map(|(_, message)| message.presences.len())
		.collect();
	assert_eq!(told, [1, 1, 1]);
}

#[test]
fn floods_are_refused_and_found_out() {
	let mut rng = seeded();
	let peer = PeerId::random();
	let mut ledgers = Ledgers::new(Config::default());
	let store = MemoryStore::new();
	let mut flooded = false;
	for _ in 0..40 {
		let wants = blocks(&mut rng, 1000, 8)
			.iter()
			.map(|block| want(*block.cid(), WantKind::Have))
			.collect();
		flooded |= ledgers.receive(peer, list(wants)) == Received::Flood;
		assert!(ledgers.wants_of(&peer) <= 1024);
	}
	assert!(flooded);
	let answered: usize = drain(&mut ledgers, &store)
		.iter()
		.map(|(_, message)| message.presences.len())
		.sum();
	// Those that were kept, and as many refusals.
	assert_eq!(answered, 2048);
	let identity = Cid::new_v1(0x55, cairn_dag::cid::multihash::Multihash::wrap(0, b"x").unwrap());
	assert_eq!(
		ledgers.receive(peer, list(vec![want(identity, WantKind::Block)])),
		Received::Broken
	);
}

#[test]
fn a_large_wantlist_does_not_starve_a_small_one() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 500, 20_000);
	let store = MemoryStore::new();
	store.put(&all).unwrap();
	let mut ledgers = Ledgers::new(Config {
		message_data: 50_000,
		..Config::default()
	});
	let (greedy, modest) = (PeerId::random(), PeerId::random());
	let wants = |blocks: &[Block]| {
		list(
			blocks
				.iter()
				.map(|block| want(*block.cid(), WantKind::Block))
				.collect(),
		)
	};
	ledgers.receive(greedy, wants(&all));
	ledgers.receive(modest, wants(&all[..10]));
	let messages = drain(&mut ledgers, &store);
	let done = messages.iter().rposition(|(peer, _)| *peer == modest).unwrap();
	assert!(done < 8, "the modest peer was served by message {done}");
}
