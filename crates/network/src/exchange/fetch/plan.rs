//! How a range is divided among peers.
//!
//! Pieces are handed out from its front, as large as their peer delivers in about [`PIECE_TIME`], and smaller
//! towards the end, so that no peer is waited for long when nothing else is left (guided self-scheduling:
//! Polychronopoulos and Kuck, 1987).

use libp2p::PeerId;
use std::time::Duration;

/// How long a peer is to take for a piece. With [`PIECES_PER_PEER`] under way, the next is requested before
/// the one at hand is through: round trips up to this long leave no gap.
const PIECE_TIME: Duration = Duration::from_secs(1);

/// Pieces under way with one peer.
pub const PIECES_PER_PEER: usize = 2;

/// How pieces are cut, in bytes of a file or blocks of a dataset.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
	/// Smallest piece.
	pub least: u64,
	/// Piece for a peer of which nothing is known.
	pub first: u64,
	/// Largest piece.
	pub most: u64,
	/// Pieces end at multiples of this: blocks that begin there are not fetched with two pieces.
	pub align: u64,
}

/// A piece of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
	pub start: u64,
	pub len: u64,
	/// Peers that did not deliver all of it.
	pub tried: Vec<PeerId>,
}

/// What of a range is not under way.
#[derive(Debug)]
pub struct Plan {
	cut: Cut,
	/// Of what was not handed out yet: from where to where.
	next: u64,
	end: u64,
	/// What was handed out and came back.
	back: Vec<Span>,
}

impl Plan {
	/// All from `start` up to `end`.
	pub fn new(cut: Cut, start: u64, end: u64) -> Self {
		Self {
			cut,
			next: start,
			end,
			back: Vec::new(),
		}
	}

	/// Whether nothing is left to hand out.
	pub fn is_empty(&self) -> bool {
		self.back.is_empty() && self.next >= self.end
	}

	/// What is handed out next of what was not yet.
	pub fn front(&self) -> Option<(u64, u64)> {
		let left = self.end.checked_sub(self.next).filter(|left| *left > 0)?;
		Some((self.next, left.min(self.cut.most)))
	}

	/// So much of it is not to be handed out.
	pub fn skip(&mut self, len: u64) {
		self.next = self.next.saturating_add(len).min(self.end);
	}

	/// There is nothing from here on.
	pub fn ends_at(&mut self, end: u64) {
		self.end = self.end.min(end);
		self.back.retain(|span| span.start < end);
	}

	/// A piece was not fetched.
	pub fn give_back(&mut self, span: Span) {
		if span.start < self.end {
			self.back.push(span);
		}
	}

	/// The next piece for a peer that delivers so much per second, one of so many peers.
	pub fn take(&mut self, peer: &PeerId, rate: Option<f64>, peers: usize) -> Option<Span> {
		let untried = self.back.iter().position(|span| !span.tried.contains(peer));
		if let Some(place) = untried {
			return Some(self.back.swap_remove(place));
		}
		self.front()?;
		let left = self.end - self.next;
		let Cut {
			least,
			first,
			most,
			align,
		} = self.cut;
		let wanted = rate.map_or(first, |rate| (rate * PIECE_TIME.as_secs_f64()) as u64);
		let share = left / (2 * PIECES_PER_PEER * peers.max(1)) as u64;
		let size = wanted.min(share).clamp(least.min(most), most);
		let span = self.next_span(size.min(left), align.min(most));
		Some(span)
	}

	/// A piece that all of these peers have tried.
	pub fn take_tried<'a>(&mut self, peers: impl Iterator<Item = &'a PeerId> + Clone) -> Option<Span> {
		let place = self
			.back
			.iter()
			.position(|span| peers.clone().all(|peer| span.tried.contains(peer)))?;
		Some(self.back.swap_remove(place))
	}

	/// The next piece, for whoever takes it.
	pub fn take_any(&mut self) -> Option<Span> {
		self.back.pop().or_else(|| {
			let (_, len) = self.front()?;
			Some(self.next_span(len, 1))
		})
	}

	fn next_span(&mut self, len: u64, align: u64) -> Span {
		let end = (self.next + len).min(self.end);
		// Else the piece would be empty.
		let aligned = Some(end - end % align.max(1)).filter(|aligned| *aligned > self.next && end < self.end);
		let end = aligned.unwrap_or(end);
		let span = Span {
			start: self.next,
			len: end - self.next,
			tried: Vec::new(),
		};
		self.next = end;
		span
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const CUT: Cut = Cut {
		least: 10,
		first: 40,
		most: 500,
		align: 10,
	};

	fn peer(number: u8) -> PeerId {
		PeerId::from_bytes(&[0, 1, number]).unwrap()
	}

	/// Takes everything, each peer in turn, and checks that the pieces meet.
	fn take_all(plan: &mut Plan, rates: &[Option<f64>], start: u64, end: u64) -> Vec<u64> {
		let (mut lens, mut next) = (Vec::new(), start);
		for number in (0..rates.len()).cycle() {
			let Some(span) = plan.take(&peer(number as u8), rates[number], rates.len()) else {
				break;
			};
			assert_eq!(span.start, next);
			assert!(span.len > 0);
			next += span.len;
			lens.push(span.len);
		}
		assert_eq!(next, end);
		lens
	}

	#[test]
	fn pieces_follow_the_rate_and_shrink_towards_the_end() {
		let mut plan = Plan::new(CUT, 7, 10_003);
		let lens = take_all(&mut plan, &[Some(300.0), None], 7, 10_003);
		assert_eq!(&lens[..3], [293, 40, 300], "aligned, and as fast as the peer");
		assert!(lens.iter().rev().take(3).all(|len| *len <= 20), "{lens:?}");
		assert!(plan.is_empty());
	}

	#[test]
	fn a_limit_below_the_least_piece_and_a_range_without_end_are_kept() {
		let cut = Cut { most: 8, ..CUT };
		let mut plan = Plan::new(cut, 3, 20);
		assert!(take_all(&mut plan, &[None], 3, 20).iter().all(|len| *len <= 8));
		let mut plan = Plan::new(CUT, 5, u64::MAX);
		assert!(plan
			.take(&peer(1), Some(1e30), 1)
			.is_some_and(|span| span.len <= 500));
		plan.ends_at(700);
		assert_eq!(
			plan.take(&peer(1), Some(1e30), 1)
				.map(|span| span.start + span.len),
			Some(550)
		);
	}

	#[test]
	fn what_comes_back_goes_to_those_who_did_not_try_it() {
		let mut plan = Plan::new(CUT, 0, 40);
		let mut span = plan.take(&peer(1), None, 1).unwrap();
		while plan.take(&peer(1), None, 1).is_some() {}
		span.tried.push(peer(1));
		plan.give_back(span.clone());
		assert_eq!(plan.take(&peer(1), None, 2), None);
		assert_eq!(plan.take_tried([peer(1), peer(2)].iter()), None);
		assert_eq!(plan.take(&peer(2), None, 2), Some(span.clone()));
		span.tried.push(peer(2));
		plan.give_back(span.clone());
		assert_eq!(plan.take_tried([peer(1), peer(2)].iter()), Some(span.clone()));
		plan.ends_at(0);
		plan.give_back(span);
		assert!(plan.is_empty(), "there is nothing there");
	}
}
