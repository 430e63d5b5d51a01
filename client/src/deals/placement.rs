//! Choosing providers by their asks: the cheapest that fit, each one once.

use cairn_chain_client::Ask;
use cairn_primitives::{
	deal::price_per_block, Balance, BlockNumber, PieceInfo, ProofSpec, ProofTypeId, Tier,
};
use std::{cmp::Reverse, collections::BTreeMap, fmt};
use url::Url;

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Need {
	/// The piece.
	pub piece: PieceInfo,
	/// The tier.
	pub tier: Tier,
	/// Blocks from activation to the end.
	pub duration: BlockNumber,
}

/// What one provider offers for one proof type.
#[derive(Clone, Debug)]
pub struct Offer {
	/// Owner account.
	pub provider: [u8; 32],
	/// Its servers.
	pub endpoints: Vec<Url>,
	/// The proof type.
	pub proof_type: ProofTypeId,
	/// Its parameters.
	pub spec: ProofSpec,
	/// Whether the chain takes new sectors of the type.
	pub accepts_new_sectors: bool,
	/// Price and bounds.
	pub ask: Ask,
}

/// A provider that would take the deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
	/// Owner account.
	pub provider: [u8; 32],
	/// Its servers.
	pub endpoints: Vec<Url>,
	/// Plancks per block.
	pub price_per_block: Balance,
	/// Plancks for the whole duration.
	pub total_price: Balance,
}

/// Why an offer does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfit {
	/// Takes no new deals.
	NotAccepting,
	/// Offers another tier only.
	OtherTier,
	/// The piece is smaller than the provider takes.
	PieceTooSmall,
	/// The piece is larger than the provider or its sectors take.
	PieceTooLarge,
	/// The deal is shorter than the provider takes.
	TooShort,
	/// The deal is longer than the provider takes.
	TooLong,
	/// No HTTP address is registered.
	NoAddress,
	/// The price overflows.
	Price,
}

impl fmt::Display for Misfit {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(match self {
			Misfit::NotAccepting => "take no new deals",
			Misfit::OtherTier => "do not offer the tier",
			Misfit::PieceTooSmall => "take larger pieces only",
			Misfit::PieceTooLarge => "take smaller pieces only",
			Misfit::TooShort => "take longer deals only",
			Misfit::TooLong => "take shorter deals only",
			Misfit::NoAddress => "have no HTTP address",
			Misfit::Price => "have a price beyond all bounds",
		})
	}
}

/// The plancks per block at which an offer takes what is needed, or why it does not.
fn price(offer: &Offer, need: &Need) -> Result<Balance, Misfit> {
	let Ask::V1 {
		price_per_gib,
		min_piece_log2,
		max_piece_log2,
		min_duration,
		max_duration,
		accepting,
	} = offer.ask;
	let size = need.piece.size_log2;
	if offer.spec.tier != need.tier {
		return Err(Misfit::OtherTier);
	}
	if !accepting || !offer.accepts_new_sectors {
		return Err(Misfit::NotAccepting);
	}
	if size > max_piece_log2 || size > offer.spec.sector_size_log2 {
		return Err(Misfit::PieceTooLarge);
	}
	if size < min_piece_log2 {
		return Err(Misfit::PieceTooSmall);
	}
	if need.duration < min_duration {
		return Err(Misfit::TooShort);
	}
	if need.duration > max_duration {
		return Err(Misfit::TooLong);
	}
	if offer.endpoints.is_empty() {
		return Err(Misfit::NoAddress);
	}
	price_per_block(price_per_gib, need.piece.padded_size()).ok_or(Misfit::Price)
}

/// The providers that fit, cheapest first and each once, and how many do not fit for which reason.
/// A provider with several offers counts by its best one.
pub fn rank(offers: &[Offer], need: &Need) -> (Vec<Candidate>, BTreeMap<Misfit, usize>) {
	let mut best: BTreeMap<[u8; 32], Result<Candidate, Misfit>> = BTreeMap::new();
	for offer in offers {
		let verdict = price(offer, need).and_then(|price_per_block| {
			let total_price = price_per_block
				.checked_mul(need.duration.into())
				.ok_or(Misfit::Price)?;
			Ok(Candidate {
				provider: offer.provider,
				endpoints: offer.endpoints.clone(),
				price_per_block,
				total_price,
			})
		});
		let better = match (best.get(&offer.provider), &verdict) {
			(None, _) => true,
			(Some(Ok(old)), Ok(new)) => new.price_per_block < old.price_per_block,
			(Some(Ok(_)), Err(_)) => false,
			(Some(Err(_)), Ok(_)) => true,
			// The reason that came closest to fitting.
			(Some(Err(old)), Err(new)) => Reverse(closeness(*new)) < Reverse(closeness(*old)),
		};
		if better {
			best.insert(offer.provider, verdict);
		}
	}
	let mut candidates = Vec::new();
	let mut misfits = BTreeMap::new();
	for verdict in best.into_values() {
		match verdict {
			Ok(candidate) => candidates.push(candidate),
			Err(misfit) => *misfits.entry(misfit).or_default() += 1,
		}
	}
	candidates.sort_by_key(|candidate| (candidate.price_per_block, candidate.provider));
	(candidates, misfits)
}

fn closeness(misfit: Misfit) -> u8 {
	match misfit {
		Misfit::OtherTier => 0,
		Misfit::NotAccepting => 1,
		_ => 2,
	}
}

/// `2 take no new deals, 1 take shorter deals only`: for error messages.
pub fn describe_misfits(misfits: &BTreeMap<Misfit, usize>) -> String {
	let parts: Vec<String> = misfits
		.iter()
		.map(|(misfit, count)| format!("{count} {misfit}"))
		.collect();
	parts.join(", ")
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::proof_type::BUILTIN;

	fn need() -> Need {
		Need {
			piece: PieceInfo {
				commitment: [0; 32],
				size_log2: 20,
				payload_size: 600_000,
			},
			tier: Tier::Hot,
			duration: 100,
		}
	}

	fn offer(provider: u8, price_per_gib: Balance) -> Offer {
		// Hot sectors of 8 MiB.
		let (proof_type, spec) = BUILTIN[1];
		Offer {
			provider: [provider; 32],
			endpoints: vec!["http://127.0.0.1:1".parse().unwrap()],
			proof_type,
			spec,
			accepts_new_sectors: true,
			ask: Ask::V1 {
				price_per_gib,
				min_piece_log2: 7,
				max_piece_log2: 23,
				min_duration: 20,
				max_duration: 1000,
				accepting: true,
			},
		}
	}

	fn with_ask(mut offer: Offer, change: impl Fn(&mut u8, &mut u8, &mut u32, &mut u32, &mut bool)) -> Offer {
		let Ask::V1 {
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			accepting,
			..
		} = &mut offer.ask;
		change(
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			accepting,
		);
		offer
	}

	#[test]
	fn cheapest_first_and_each_once() {
		let offers = [offer(3, 5000), offer(1, 9000), offer(2, 5000), offer(1, 1000)];
		let (candidates, misfits) = rank(&offers, &need());
		let order: Vec<u8> = candidates.iter().map(|candidate| candidate.provider[0]).collect();
		assert_eq!(order, [1, 2, 3]);
		assert!(misfits.is_empty());
		// 2^20 of 2^30 bytes at 5000 plancks: rounded up to 5.
		assert_eq!(
			(candidates[1].price_per_block, candidates[1].total_price),
			(5, 500)
		);
	}

	#[test]
	fn every_misfit() {
		let tier = Offer {
			spec: BUILTIN[5].1,
			..offer(1, 1)
		};
		for (offer, misfit) in [
			(tier, Misfit::OtherTier),
			(
				with_ask(offer(1, 1), |_, _, _, _, accepting| *accepting = false),
				Misfit::NotAccepting,
			),
			(
				Offer {
					accepts_new_sectors: false,
					..offer(1, 1)
				},
				Misfit::NotAccepting,
			),
			(
				with_ask(offer(1, 1), |_, max, _, _, _| *max = 19),
				Misfit::PieceTooLarge,
			),
			(
				Offer {
					spec: BUILTIN[0].1,
					..offer(1, 1)
				},
				Misfit::PieceTooLarge,
			),
			(
				with_ask(offer(1, 1), |min, _, _, _, _| *min = 21),
				Misfit::PieceTooSmall,
			),
			(
				with_ask(offer(1, 1), |_, _, min, _, _| *min = 101),
				Misfit::TooShort,
			),
			(
				with_ask(offer(1, 1), |_, _, _, max, _| *max = 99),
				Misfit::TooLong,
			),
			(
				Offer {
					endpoints: vec![],
					..offer(1, 1)
				},
				Misfit::NoAddress,
			),
			(offer(1, u128::MAX), Misfit::Price),
		] {
			let (candidates, misfits) = rank(&[offer], &need());
			assert!(candidates.is_empty());
			assert_eq!(misfits, BTreeMap::from([(misfit, 1)]));
		}
	}

	#[test]
	fn a_provider_counts_by_its_best_offer() {
		let tier = Offer {
			spec: BUILTIN[5].1,
			..offer(1, 1)
		};
		let closed = with_ask(offer(1, 1), |_, _, _, _, accepting| *accepting = false);
		let large = with_ask(offer(1, 1), |_, max, _, _, _| *max = 19);
		let (_, misfits) = rank(&[tier.clone(), large, closed], &need());
		assert_eq!(misfits, BTreeMap::from([(Misfit::PieceTooLarge, 1)]));
		assert_eq!(describe_misfits(&misfits), "1 take smaller pieces only");
		let (candidates, misfits) = rank(&[tier, offer(1, 7)], &need());
		assert_eq!((candidates.len(), misfits.len()), (1, 0));
	}
}
