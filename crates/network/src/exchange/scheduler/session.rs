//! What one caller wants, and what the peers it may have it of have shown so far.

use cairn_dag::Cid;
use libp2p::PeerId;
use std::{
	collections::{BTreeSet, VecDeque},
	time::{Duration, Instant},
};

/// What one caller wants.
pub struct Session {
	pub deadline: Instant,
	/// Peers to ask, in the order in which they were added.
	pub members: Vec<Member>,
	pub wants: BTreeSet<Cid>,
	/// Wants for which nobody is asked, the next one first. May name some that no longer are.
	pub ready: VecDeque<Cid>,
	/// As `ready`, of those that another node of a swarm is to fetch first.
	pub deferred: VecDeque<Cid>,
	/// Whether more than `fresh` of them may find a peer with room, since they were looked at.
	pub stirred: bool,
	/// How many of the first in `ready` were not looked at yet.
	pub fresh: usize,
}

impl Session {
	pub fn new(deadline: Instant) -> Self {
		Self {
			deadline,
			members: Vec::new(),
			wants: BTreeSet::new(),
			ready: VecDeque::new(),
			deferred: VecDeque::new(),
			stirred: false,
			fresh: 0,
		}
	}

	/// A want is to be asked for after the others.
	pub fn push_back(&mut self, cid: Cid) {
		self.ready.push_back(cid);
		self.stirred = true;
	}

	/// A want is to be asked for before the others.
	pub fn push_front(&mut self, cid: Cid) {
		self.ready.push_front(cid);
		self.fresh += 1;
	}

	pub fn member(&self, peer: &PeerId) -> Option<&Member> {
		self.members.iter().find(|member| member.id == *peer)
	}

	pub fn member_mut(&mut self, peer: &PeerId) -> Option<&mut Member> {
		self.members.iter_mut().find(|member| member.id == *peer)
	}

	/// Adds a peer, of which nothing is known.
	pub fn add(&mut self, member: Member) {
		self.members.push(member);
		// The first was asked nothing while it was the only one.
		let first = if self.members.len() == 2 {
			0
		} else {
			self.members.len() - 1
		};
		for member in &mut self.members[first..] {
			member.knows_nothing(&self.wants);
		}
	}

	/// Wants one more block. Whether it was not wanted before.
	pub fn want(&mut self, cid: Cid) -> bool {
		if !self.wants.insert(cid) {
			return false;
		}
		let limit = 2 * self.wants.len() + 64;
		if self.members.len() > 1 {
			for member in self.members.iter_mut().filter(|member| !member.has_most()) {
				member.questions.push_back(cid);
				if member.questions.len() > limit {
					// Of a peer that is away nothing was asked for long.
					member.questions.retain(|cid| self.wants.contains(cid));
				}
			}
		}
		true
	}

	/// A want is left to another node for now.
	pub fn defer(&mut self, cid: Cid) {
		self.deferred.push_back(cid);
		if self.deferred.len() > 2 * self.wants.len() + 64 {
			self.deferred.retain(|cid| self.wants.contains(cid));
		}
	}

	/// Whether some of the peers are known to lack something.
	pub fn is_swarm(&self) -> bool {
		self.members.iter().any(|member| member.lacked)
	}
}

/// Weight of an answer in [`Member::share`].
const NEW: f64 = 1.0 / 16.0;

/// Share of the wants from which on a peer is taken to have the others, too.
const MOST: f64 = 0.9;

/// What a peer has shown in one session.
pub struct Member {
	pub id: PeerId,
	place: u64,
	/// Share of the wants that it had when it was asked, newer ones counting more; `None` before its first
	/// answer.
	share: Option<f64>,
	/// Whether it ever lacked one.
	pub lacked: bool,
	/// When it last got a block that this node wanted and lacked.
	gained: Option<Instant>,
	/// Wants that it is still to be asked about. May name some that no longer are.
	pub questions: VecDeque<Cid>,
}

impl Member {
	pub fn new(id: PeerId) -> Self {
		Self {
			id,
			place: place_of(&id),
			share: None,
			lacked: false,
			gained: None,
			questions: VecDeque::new(),
		}
	}

	/// Whether it has said nothing yet.
	pub fn is_unknown(&self) -> bool {
		self.share.is_none()
	}

	/// Whether it is taken to have what it was not asked about.
	pub fn has_most(&self) -> bool {
		self.share.is_some_and(|share| share > MOST)
	}

	/// Whether it has had all that it was asked about.
	pub fn is_source(&self) -> bool {
		!self.lacked && self.share.is_some()
	}

	/// Whether it got a block that this node lacked, not longer ago than this.
	pub fn has_gained(&self, within: Duration, now: Instant) -> bool {
		self.gained
			.is_some_and(|gained| now.saturating_duration_since(gained) <= within)
	}

	/// It got a block that it lacked before, and that this node lacks.
	pub fn gains(&mut self, now: Instant) {
		self.gained = Some(now);
	}

	/// It had a want when it was asked for the first time, or had it not.
	pub fn count(&mut self, had: bool, wants: &BTreeSet<Cid>) {
		let value = if had { 1.0 } else { 0.0 };
		let had_most = self.has_most();
		self.share = Some(match self.share {
			None => value,
			Some(share) => share + NEW * (value - share),
		});
		self.lacked |= !had;
		match (had_most, self.has_most()) {
			(false, true) => self.questions.clear(),
			(true, false) => self.ask_about_all(wants),
			_ => {}
		}
	}

	/// It was told of no wants yet, or only on an earlier connection.
	pub fn knows_nothing(&mut self, wants: &BTreeSet<Cid>) {
		if !self.has_most() {
			self.ask_about_all(wants);
		}
	}

	fn ask_about_all(&mut self, wants: &BTreeSet<Cid>) {
		self.questions = wants.iter().copied().collect();
	}

	/// How strongly a block belongs to this peer.
	pub fn claim(&self, cid: &Cid) -> u64 {
		claim(self.place, cid)
	}
}

/// How strongly a block belongs to the node of this place: it is for the node with the strongest claim to
/// fetch first. All nodes compute the same.
///
/// Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); the mixing is
/// that of SplitMix64.
pub fn claim(place: u64, cid: &Cid) -> u64 {
	let digest = cid.hash().digest();
	let mut first = [0; 8];
	let len = digest.len().min(8);
	first[..len].copy_from_slice(&digest[..len]);
	mix(place ^ u64::from_le_bytes(first))
}

/// A node's place: a number that its name alone decides.
pub fn place_of(peer: &PeerId) -> u64 {
	peer.to_bytes().chunks(8).fold(0, |place, chunk| {
		let mut word = [0; 8];
		word[..chunk.len()].copy_from_slice(chunk);
		mix(place ^ u64::from_le_bytes(word))
	})
}

fn mix(number: u64) -> u64 {
	let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
	mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
	mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
	mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::{Block, Codec};

	#[test]
	fn each_node_has_about_the_same_share_of_the_blocks() {
		let places: Vec<_> = (0..8)
			.map(|seed: u8| {
				let key = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap();
				place_of(&key.public().to_peer_id())
			})
			.collect();
		let mut shares = [0; 8];
		for number in 0..8000u32 {
			let cid = *Block::encode(Codec::Raw, number.to_be_bytes().to_vec()).cid();
			let owner = (0..8).max_by_key(|place| claim(places[*place], &cid)).unwrap();
			shares[owner] += 1;
		}
		assert!(
			shares.iter().all(|share| (850..1150).contains(share)),
			"{shares:?}"
		);
	}

	#[test]
	fn what_a_peer_has_is_learnt_from_its_answers() {
		let wants = BTreeSet::from([Cid::default()]);
		let mut member = Member::new(PeerId::random());
		assert!(member.is_unknown() && !member.has_most() && !member.is_source());
		member.count(true, &wants);
		assert!(member.has_most() && member.is_source());
		// One miss is an exception, two in a row are not.
		member.count(false, &wants);
		assert!(member.has_most() && !member.is_source() && member.questions.is_empty());
		member.count(false, &wants);
		assert!(!member.has_most() && member.questions.len() == 1);
		for _ in 0..64 {
			member.count(true, &wants);
		}
		assert!(member.has_most() && member.questions.is_empty());
	}
}
