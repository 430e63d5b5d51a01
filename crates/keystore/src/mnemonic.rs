//! BIP-39 phrases, English word list.

use bip39::Language;
use rand_core::{OsRng, RngCore};
use std::{fmt, str::FromStr};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

const MAX_ENTROPY_BYTES: usize = 32;

/// Why a text is not a phrase. Carries no word of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MnemonicError {
	/// A phrase has 12, 15, 18, 21 or 24 words.
	#[error("a phrase has 12, 15, 18, 21 or 24 words, not {0}")]
	WordCount(usize),
	/// The word at this position, counted from 1, is not in the English list.
	#[error("word {0} is not in the English BIP-39 list")]
	UnknownWord(usize),
	/// The words are valid but do not belong together: one is wrong or misplaced.
	#[error("the phrase's checksum does not match: a word is wrong or misplaced")]
	Checksum,
}

/// How long a new phrase is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordCount {
	/// 128 bits of entropy.
	#[default]
	Twelve,
	/// 256 bits of entropy.
	TwentyFour,
}

/// A BIP-39 phrase, kept as its entropy. Wiped when dropped.
pub struct Mnemonic {
	/// 16, 20, 24, 28 or 32 bytes.
	entropy: Zeroizing<Vec<u8>>,
}

impl Mnemonic {
	/// A new random phrase.
	pub fn generate(words: WordCount) -> Self {
		let bytes = match words {
			WordCount::Twelve => 16,
			WordCount::TwentyFour => MAX_ENTROPY_BYTES,
		};
		let mut entropy = Zeroizing::new(vec![0; bytes]);
		OsRng.fill_bytes(&mut entropy);
		Self { entropy }
	}

	/// The words, separated by single spaces, to show or store once.
	pub fn phrase(&self) -> Zeroizing<String> {
		let mnemonic = bip39::Mnemonic::from_entropy_in(Language::English, &self.entropy)
			// The only error is a wrong length, and both constructors keep to the five right ones.
			.expect("entropy has a length that BIP-39 allows");
		// Room for the longest phrase, so that no outgrown copy stays behind in memory.
		let mut phrase = Zeroizing::new(String::with_capacity(24 * 9));
		for word in mnemonic.words() {
			if !phrase.is_empty() {
				phrase.push(' ');
			}
			phrase.push_str(word);
		}
		phrase
	}

	pub(crate) fn entropy(&self) -> &[u8] {
		&self.entropy
	}
}

impl FromStr for Mnemonic {
	type Err = MnemonicError;

	/// Words may be separated by any white space.
	fn from_str(text: &str) -> Result<Self, MnemonicError> {
		let mnemonic =
			bip39::Mnemonic::parse_in_normalized(Language::English, text).map_err(|error| match error {
				bip39::Error::BadWordCount(count) => MnemonicError::WordCount(count),
				bip39::Error::UnknownWord(index) => MnemonicError::UnknownWord(index + 1),
				_ => MnemonicError::Checksum,
			})?;
		let (mut padded, length) = mnemonic.to_entropy_array();
		let entropy = Zeroizing::new(padded[..length].to_vec());
		padded.zeroize();
		Ok(Self { entropy })
	}
}

impl fmt::Debug for Mnemonic {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("Mnemonic(..)")
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_new_phrase_reads_back() {
		for (count, words) in [(WordCount::Twelve, 12), (WordCount::TwentyFour, 24)] {
			let mnemonic = Mnemonic::generate(count);
			let phrase = mnemonic.phrase();
			assert_eq!(phrase.split(' ').count(), words);
			let again: Mnemonic = phrase.parse().unwrap();
			assert_eq!(again.entropy(), mnemonic.entropy());
			assert_ne!(Mnemonic::generate(count).entropy(), mnemonic.entropy());
		}
	}

	#[test]
	fn says_what_is_wrong() {
		let zeros = "abandon ".repeat(11);
		assert!(format!("{zeros} about").parse::<Mnemonic>().is_ok());
		let error = |text: &str| text.parse::<Mnemonic>().unwrap_err();
		assert_eq!(error(&zeros), MnemonicError::WordCount(11));
		assert_eq!(error(&format!("{zeros} abandon")), MnemonicError::Checksum);
		assert_eq!(error(&format!("{zeros} cairn")), MnemonicError::UnknownWord(12));
		assert_eq!(
			error(&"abandon ".repeat(100_000)),
			MnemonicError::WordCount(100_000)
		);
	}

	#[test]
	fn debug_shows_no_secret() {
		assert_eq!(
			format!("{:?}", Mnemonic::generate(WordCount::Twelve)),
			"Mnemonic(..)"
		);
	}
}
