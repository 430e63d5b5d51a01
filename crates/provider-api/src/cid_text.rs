//! CIDs in paths: text that anybody can send.

use cid::Cid;

/// Longest text that is read as a CID, in bytes. Every base but base 2 writes the longest CID, one with a multihash of
/// 64 bytes, in less. Without a limit a path of base 58 or base 36 as long as a request's head takes would keep a
/// processor busy for seconds: reading these takes time that grows with the square of the length.
pub const MAX_LEN: usize = 256;

/// Why text is not a CID.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CidTextError {
	/// Longer than any CID.
	#[error("a CID has at most {MAX_LEN} characters")]
	TooLong,
	/// A path, of which a CID may be part.
	#[error("a path is not a CID")]
	Path,
	/// Not the text of a CID.
	#[error("not a CID: {reason}")]
	Malformed {
		/// What is wrong with it.
		reason: String,
	},
}

/// Reads a CID of either version, in any base. Takes microseconds, whatever the text is.
///
/// # Errors
/// See [`CidTextError`].
pub fn parse(text: &str) -> Result<Cid, CidTextError> {
	if text.len() > MAX_LEN {
		return Err(CidTextError::TooLong);
	}
	// The CID's own parser skips what stands before `/ipfs/`.
	if text.contains('/') {
		return Err(CidTextError::Path);
	}
	text.parse().map_err(|error: cid::Error| CidTextError::Malformed {
		reason: error.to_string(),
	})
}

#[cfg(test)]
mod tests {
	use super::*;
	use cid::{multibase::Base, multihash::Multihash};

	/// With the largest codes and the longest digest.
	fn longest() -> Cid {
		Cid::new_v1(
			u64::MAX >> 1,
			Multihash::wrap(u64::MAX >> 1, &[0xff; 64]).unwrap(),
		)
	}

	#[test]
	fn the_longest_cid_is_read_in_the_usual_bases() {
		for base in [
			Base::Base10,
			Base::Base16Lower,
			Base::Base32Lower,
			Base::Base36Lower,
			Base::Base58Btc,
			Base::Base64Url,
		] {
			let text = longest().to_string_of_base(base).unwrap();
			assert_eq!(parse(&text), Ok(longest()), "{base:?}: {}", text.len());
		}
		let v0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG";
		assert_eq!(parse(v0).unwrap().to_string(), v0);
	}

	#[test]
	fn longer_text_is_refused_before_it_is_read() {
		for first in ["z", "9", "k", "b", "Qm", "0", "🚀"] {
			let text = format!("{first}{}", "z".repeat(60_000));
			assert_eq!(parse(&text), Err(CidTextError::TooLong), "{first}");
		}
		// Well-formed, and too long all the same.
		let text = longest().to_string_of_base(Base::Base2).unwrap();
		assert!(text.parse::<Cid>().is_ok());
		assert_eq!(parse(&text), Err(CidTextError::TooLong));
	}

	#[test]
	fn paths_and_other_texts_are_no_cids() {
		let cid = "bafkqaaa";
		assert!(parse(cid).is_ok());
		for path in [format!("/ipfs/{cid}"), format!("x/ipfs/{cid}"), format!("{cid}/")] {
			assert_eq!(parse(&path), Err(CidTextError::Path), "{path}");
		}
		for text in ["", "z", "Qm", "hello", "bafkqaa1", " bafkqaaa"] {
			assert!(
				matches!(parse(text), Err(CidTextError::Malformed { .. })),
				"{text}"
			);
		}
	}
}
