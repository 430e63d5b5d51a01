//! Which published deals go into a sector now.

use cairn_primitives::{BlockNumber, PieceInfo, ProofSpec};
use cairn_proving::sector::{max_pieces, pack};

/// A published deal that waits for a sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
	/// Its piece.
	pub piece: PieceInfo,
	/// Block since which it waits.
	pub since: BlockNumber,
	/// Last block at which it can be activated.
	pub start_by: BlockNumber,
}

/// When a sector that is not full is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
	/// Blocks that a deal waits for company.
	pub wait: BlockNumber,
	/// Blocks that the way from here to activation takes.
	pub to_activate: BlockNumber,
}

/// Chooses the deals of one sector, in the order of their offsets, as indices into `candidates`;
/// empty if it is better to wait.
///
/// A sector is closed when no further candidate fits, when its oldest deal has waited long enough,
/// or when the most urgent one cannot wait any longer. The most urgent deal always gets a place.
pub fn next_sector(
	spec: &ProofSpec,
	candidates: &[Candidate],
	now: BlockNumber,
	patience: Patience,
) -> Vec<usize> {
	// Oldest first, so that none is overtaken for ever; then as many as fit a sector's table.
	let mut order: Vec<usize> = (0..candidates.len())
		.filter(|index| candidates[*index].piece.size_log2 <= spec.sector_size_log2)
		.collect();
	order.sort_by_key(|index| (candidates[*index].since, candidates[*index].start_by, *index));
	let Some(oldest) = order.first().copied() else {
		return Vec::new();
	};

	// Larger pieces of younger deals must not push the oldest out: take deals in order of age as
	// long as all of them fit together.
	let mut taken: Vec<usize> = Vec::new();
	let mut full = false;
	for index in &order {
		if taken.len() == max_pieces(spec.tier) {
			full = true;
			break;
		}
		taken.push(*index);
		let pieces: Vec<PieceInfo> = taken.iter().map(|index| candidates[*index].piece).collect();
		if pack(spec, &pieces).len() < taken.len() {
			taken.pop();
			full = true;
		}
	}
	let pieces: Vec<PieceInfo> = taken.iter().map(|index| candidates[*index].piece).collect();
	let used: u64 = pieces.iter().map(PieceInfo::padded_size).sum();
	full |= used == spec.sector_size();

	let waited = now >= candidates[oldest].since.saturating_add(patience.wait);
	let urgent = taken
		.iter()
		.any(|index| now.saturating_add(patience.to_activate) >= candidates[*index].start_by);
	if !(full || waited || urgent) {
		return Vec::new();
	}
	pack(spec, &pieces)
		.into_iter()
		.map(|index| taken[index])
		.collect()
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::Tier;

	const PATIENCE: Patience = Patience {
		wait: 5,
		to_activate: 10,
	};

	fn spec() -> ProofSpec {
		ProofSpec {
			tier: Tier::Hot,
			version: 1,
			sector_size_log2: 11,
			layers: 0,
			activation_challenges: 12,
		}
	}

	fn candidate(size_log2: u8, since: BlockNumber) -> Candidate {
		Candidate {
			piece: PieceInfo {
				commitment: [since as u8; 32],
				size_log2,
				payload_size: 1,
			},
			since,
			start_by: 1000,
		}
	}

	#[test]
	fn waits_for_company_and_not_longer() {
		let waiting = [candidate(9, 100)];
		assert_eq!(next_sector(&spec(), &waiting, 104, PATIENCE), Vec::<usize>::new());
		assert_eq!(next_sector(&spec(), &waiting, 105, PATIENCE), [0]);
		assert_eq!(next_sector(&spec(), &[], 105, PATIENCE), Vec::<usize>::new());
	}

	#[test]
	fn a_full_sector_goes_at_once() {
		assert_eq!(next_sector(&spec(), &[candidate(11, 100)], 100, PATIENCE), [0]);
		let mut halves = next_sector(&spec(), &[candidate(10, 100), candidate(10, 101)], 101, PATIENCE);
		halves.sort_unstable();
		assert_eq!(halves, [0, 1]);
		// One that does not fit any more closes the sector for those before it.
		let waiting = [candidate(10, 100), candidate(11, 101)];
		assert_eq!(next_sector(&spec(), &waiting, 101, PATIENCE), [0]);
		let small: Vec<_> = (0..40).map(|_| candidate(7, 100)).collect();
		let spec = ProofSpec {
			sector_size_log2: 23,
			..spec()
		};
		assert_eq!(next_sector(&spec, &small, 100, PATIENCE).len(), 32);
	}

	#[test]
	fn the_oldest_is_not_overtaken() {
		// The younger, larger piece would be packed first by size alone.
		let waiting = [candidate(11, 101), candidate(7, 100)];
		assert_eq!(next_sector(&spec(), &waiting, 110, PATIENCE), [1]);
	}

	#[test]
	fn an_urgent_deal_does_not_wait() {
		let mut waiting = [candidate(7, 100), candidate(7, 100)];
		waiting[1].start_by = 110;
		assert_eq!(next_sector(&spec(), &waiting, 100, PATIENCE).len(), 2);
	}

	#[test]
	fn pieces_larger_than_the_sector_are_left_out() {
		assert_eq!(
			next_sector(&spec(), &[candidate(12, 1)], 100, PATIENCE),
			Vec::<usize>::new()
		);
	}
}
