//! From an ask to the proposal that the client signs.

use super::placement::{Candidate, Need};
use crate::record::Proposal;
use cairn_primitives::{
	deal::{proposal_hash, DealPayload, PayloadKind},
	params::ProtocolParameters,
	Balance, BlockNumber,
};
use cairn_provider_api::Hash32;
use rand_core::{OsRng, RngCore};

/// Blocks left between the latest possible `start_by` and the one that is used: blocks pass between
/// reading the chain's head and publishing.
const MARGIN: BlockNumber = 5;

/// Why no proposal can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
	/// The root's CID is longer than a proposal holds.
	#[error("the root's CID is longer than a proposal can hold")]
	Root,
	/// The label is longer than a proposal holds.
	#[error("the label has more than 128 bytes")]
	Label,
	/// The chain takes no deals of this duration.
	#[error("the chain takes deals of {min} to {max} blocks, not of {duration}")]
	Duration {
		/// Shortest.
		min: BlockNumber,
		/// Longest.
		max: BlockNumber,
		/// Wanted.
		duration: BlockNumber,
	},
	/// The provider needs more time than the chain allows.
	#[error("the provider needs {needed} blocks to start the deal, the chain allows {allowed}")]
	Start {
		/// Blocks the provider needs.
		needed: BlockNumber,
		/// Blocks the chain allows.
		allowed: BlockNumber,
	},
	/// Price or collateral exceeds what the chain can count.
	#[error("the price is beyond all bounds")]
	Price,
}

/// What all proposals of an object share.
#[derive(Clone, Debug)]
pub struct Terms {
	/// Piece, tier and duration.
	pub need: Need,
	/// Binary CID of the payload's root.
	pub root: Vec<u8>,
	/// Who pays.
	pub client: [u8; 32],
	/// Free text.
	pub label: Vec<u8>,
	/// The parameters in force.
	pub parameters: ProtocolParameters,
	/// Newest block.
	pub now: BlockNumber,
	/// Blocks within which the deal should start.
	pub start_within: BlockNumber,
}

impl Terms {
	/// Checks the duration against the chain's bounds.
	///
	/// # Errors
	/// [`TermsError::Duration`].
	pub fn check_duration(&self) -> Result<(), TermsError> {
		let (min, max) = (
			self.parameters.min_deal_duration,
			self.parameters.max_deal_duration,
		);
		let duration = self.need.duration;
		if !(min..=max).contains(&duration) {
			return Err(TermsError::Duration { min, max, duration });
		}
		Ok(())
	}

	/// A proposal to one provider, with a fresh nonce. `min_start_delay`: blocks that the provider needs.
	///
	/// # Errors
	/// See [`TermsError`].
	pub fn proposal(
		&self,
		candidate: &Candidate,
		min_start_delay: BlockNumber,
	) -> Result<Proposal, TermsError> {
		self.check_duration()?;
		let allowed = self.parameters.max_start_delay.saturating_sub(MARGIN);
		let needed = min_start_delay.saturating_add(MARGIN);
		if needed > allowed {
			return Err(TermsError::Start { needed, allowed });
		}
		// Clamped to the allowed range, whose ends are in order.
		let delay = self.start_within.clamp(needed, allowed);
		let total = candidate
			.price_per_block
			.checked_mul(self.need.duration.into())
			.ok_or(TermsError::Price)?;
		let collateral =
			min_collateral(total, self.parameters.min_collateral_ppm).ok_or(TermsError::Price)?;
		Ok(Proposal {
			piece: self.need.piece,
			payload: DealPayload::V1 {
				kind: PayloadKind::Public,
				root: self.root.clone().try_into().map_err(|_| TermsError::Root)?,
			},
			client: self.client,
			provider: candidate.provider,
			tier: self.need.tier,
			start_by: self.now.saturating_add(delay),
			duration: self.need.duration,
			price_per_block: candidate.price_per_block,
			provider_collateral: collateral,
			nonce: OsRng.next_u64(),
			label: self.label.clone().try_into().map_err(|_| TermsError::Label)?,
		})
	}
}

/// Smallest collateral that the chain accepts: `ppm` millionths of the total price, rounded up.
pub fn min_collateral(total: Balance, ppm: u32) -> Option<Balance> {
	const MILLION: Balance = 1_000_000;
	let ppm = Balance::from(ppm);
	(total / MILLION)
		.checked_mul(ppm)?
		.checked_add((total % MILLION * ppm).div_ceil(MILLION))
}

/// The name of a proposal on a chain.
pub fn hash(proposal: &Proposal, genesis_hash: &[u8; 32]) -> Hash32 {
	Hash32(proposal_hash(&proposal.signing_bytes(genesis_hash)))
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::{PieceInfo, Tier};

	fn terms() -> Terms {
		Terms {
			need: Need {
				piece: PieceInfo {
					commitment: [1; 32],
					size_log2: 20,
					payload_size: 600_000,
				},
				tier: Tier::Hot,
				duration: 100,
			},
			root: vec![1, 0x55, 0x12, 0x20],
			client: [2; 32],
			label: b"label".to_vec(),
			parameters: ProtocolParameters::development(),
			now: 1000,
			start_within: 500,
		}
	}

	fn candidate() -> Candidate {
		Candidate {
			provider: [3; 32],
			endpoints: vec![],
			price_per_block: 7,
			total_price: 700,
		}
	}

	#[test]
	fn proposals_follow_the_chain_rules() {
		let proposal = terms().proposal(&candidate(), 20).unwrap();
		assert_eq!(
			(proposal.start_by, proposal.duration, proposal.price_per_block),
			(1500, 100, 7)
		);
		assert_eq!(proposal.provider_collateral, 70);
		let again = terms().proposal(&candidate(), 20).unwrap();
		assert_ne!(proposal.nonce, again.nonce);
		assert_ne!(hash(&proposal, &[0; 32]), hash(&again, &[0; 32]));
		assert_ne!(hash(&proposal, &[0; 32]), hash(&proposal, &[1; 32]));
	}

	#[test]
	fn start_respects_provider_and_chain() {
		assert_eq!(terms().proposal(&candidate(), 800).unwrap().start_by, 1000 + 805);
		let far = Terms {
			start_within: u32::MAX,
			..terms()
		};
		assert_eq!(far.proposal(&candidate(), 20).unwrap().start_by, 1000 + 9_995);
		let error = terms().proposal(&candidate(), 9_995).unwrap_err();
		assert_eq!(
			error,
			TermsError::Start {
				needed: 10_000,
				allowed: 9_995
			}
		);
	}

	#[test]
	fn bounds() {
		let short = Terms {
			need: Need {
				duration: 19,
				..terms().need
			},
			..terms()
		};
		assert!(matches!(
			short.proposal(&candidate(), 1),
			Err(TermsError::Duration { duration: 19, .. })
		));
		let label = Terms {
			label: vec![b'x'; 129],
			..terms()
		};
		assert_eq!(label.proposal(&candidate(), 1), Err(TermsError::Label));
		let root = Terms {
			root: vec![0; 65],
			..terms()
		};
		assert_eq!(root.proposal(&candidate(), 1), Err(TermsError::Root));
		let dear = Candidate {
			price_per_block: u128::MAX,
			..candidate()
		};
		assert_eq!(terms().proposal(&dear, 1), Err(TermsError::Price));
	}

	#[test]
	fn collateral_rounds_up() {
		assert_eq!(min_collateral(0, 100_000), Some(0));
		assert_eq!(min_collateral(1, 100_000), Some(1));
		assert_eq!(min_collateral(11, 100_000), Some(2));
		assert_eq!(min_collateral(1_000_001, 100_000), Some(100_001));
		assert_eq!(min_collateral(u128::MAX, u32::MAX), None);
	}
}
