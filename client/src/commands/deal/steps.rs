//! The proposal file that goes from one step to the next.

use crate::{
	account::display,
	error::{CliError, ErrorKind},
	new_file::NewFile,
	record::Proposal,
	settings::TierName,
};
use cairn_dag::Cid;
use cairn_primitives::deal::DealPayload;
use cairn_provider_api::{piece_cid, Hash32, HexBytes};
use cairn_units::Amount;
use codec::{DecodeAll, Encode};
use serde::{Deserialize, Serialize};
use std::{
	fs,
	io::{self, Write},
	path::Path,
};

/// `schema` of proposal files.
const SCHEMA: &str = "cairn.proposal/1";
/// Larger files are no proposals.
const MAX_FILE: u64 = 1 << 20;

/// A proposal on its way to the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProposalFile {
	schema: String,
	/// The chain it is for.
	pub genesis_hash: Hash32,
	/// SCALE of the proposal: what counts. The terms below are for people.
	pub proposal: HexBytes,
	/// Names the proposal.
	pub proposal_hash: Hash32,
	/// What the client signs, raw or wrapped in `<Bytes>…</Bytes>`.
	pub signing_bytes: HexBytes,
	/// SCALE of the client's `MultiSignature`, once signed.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub signature: Option<HexBytes>,
	/// Whether it was made on chain, where no signature is needed.
	#[serde(default)]
	pub on_chain: bool,
	/// The terms, readable.
	pub terms: TermsView,
}

/// A proposal's terms for people and scripts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TermsView {
	/// Root CID.
	pub root: String,
	/// Piece CID.
	pub piece_cid: String,
	/// Bytes of the archive.
	pub payload_size: u64,
	/// Who pays.
	pub client: String,
	/// Who stores.
	pub provider: String,
	/// The tier.
	pub tier: TierName,
	/// Last block at which the deal may be activated.
	pub start_by: u32,
	/// Blocks.
	pub duration: u32,
	/// Plancks per block.
	pub price_per_block: Amount,
	/// Plancks for the whole duration.
	pub total_price: Option<Amount>,
	/// Plancks that the provider puts up.
	pub provider_collateral: Amount,
	/// Decimal, since it exceeds what JSON numbers hold.
	pub nonce: String,
	/// The label, as far as it is text.
	pub label: String,
}

/// The root of a deal's payload: a CID, or hex digits if the client put something else there.
pub fn root(payload: &DealPayload) -> String {
	match Cid::try_from(payload.root()) {
		Ok(root) => root.to_string(),
		Err(_) => HexBytes(payload.root().to_vec()).to_string(),
	}
}

impl From<&Proposal> for TermsView {
	fn from(proposal: &Proposal) -> Self {
		let piece = &proposal.piece;
		TermsView {
			root: root(&proposal.payload),
			piece_cid: piece_cid::of(piece).to_string(),
			payload_size: piece.payload_size,
			client: display(&proposal.client),
			provider: display(&proposal.provider),
			tier: proposal.tier.into(),
			start_by: proposal.start_by,
			duration: proposal.duration,
			price_per_block: Amount(proposal.price_per_block),
			total_price: proposal.total_price().map(Amount),
			provider_collateral: Amount(proposal.provider_collateral),
			nonce: proposal.nonce.to_string(),
			label: String::from_utf8_lossy(&proposal.label).into_owned(),
		}
	}
}

impl TermsView {
	/// Prints the terms, one per line.
	pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
		writeln!(out, "root        {}", self.root)?;
		writeln!(
			out,
			"piece       {} ({} bytes)",
			self.piece_cid, self.payload_size
		)?;
		writeln!(out, "client      {}", self.client)?;
		writeln!(out, "provider    {}", self.provider)?;
		writeln!(out, "tier        {}", self.tier)?;
		writeln!(
			out,
			"duration    {} blocks, active by block #{}",
			self.duration, self.start_by
		)?;
		write!(out, "price       {} per block", self.price_per_block)?;
		match self.total_price {
			Some(total) => writeln!(out, ", {total} in all")?,
			None => writeln!(out)?,
		}
		writeln!(out, "collateral  {}", self.provider_collateral)?;
		if !self.label.is_empty() {
			let label: String = self
				.label
				.chars()
				.map(|c| if c.is_control() { '?' } else { c })
				.collect();
			writeln!(out, "label       {label}")?;
		}
		Ok(())
	}
}

impl ProposalFile {
	/// A new proposal for a chain.
	pub fn new(proposal: &Proposal, genesis_hash: [u8; 32]) -> Self {
		ProposalFile {
			schema: SCHEMA.to_owned(),
			genesis_hash: Hash32(genesis_hash),
			proposal: HexBytes(proposal.encode()),
			proposal_hash: crate::deals::terms::hash(proposal, &genesis_hash),
			signing_bytes: HexBytes(proposal.signing_bytes(&genesis_hash)),
			signature: None,
			on_chain: false,
			terms: proposal.into(),
		}
	}

	/// Reads a file and checks that it agrees with itself: what is shown is what is signed.
	///
	/// # Errors
	/// If it cannot be read, or is not such a file.
	pub fn load(path: &Path) -> Result<(Self, Proposal), CliError> {
		let context = |error: io::Error| CliError::from(error).during(path.display());
		let size = fs::metadata(path).map_err(context)?.len();
		let malformed = |reason: &str| {
			CliError::new(
				ErrorKind::Usage,
				format!("{} is not a proposal: {reason}", path.display()),
			)
			.hint("`cairn deal propose` writes proposals")
		};
		if size > MAX_FILE {
			return Err(malformed("the file is too large"));
		}
		let json = fs::read(path).map_err(context)?;
		let file: ProposalFile =
			serde_json::from_slice(&json).map_err(|error| malformed(&error.to_string()))?;
		if file.schema != SCHEMA {
			return Err(malformed("it is of another version"));
		}
		let proposal = Proposal::decode_all(&mut file.proposal.0.as_slice())
			.map_err(|_| malformed("its proposal is damaged"))?;
		let again = ProposalFile::new(&proposal, file.genesis_hash.0);
		if again.proposal_hash != file.proposal_hash || again.signing_bytes != file.signing_bytes {
			return Err(malformed("its parts do not agree"));
		}
		Ok((
			ProposalFile {
				terms: again.terms,
				..file
			},
			proposal,
		))
	}

	/// Writes the file, whole or not at all. Without `replace` only where there is none.
	///
	/// # Errors
	/// If it cannot be written.
	pub fn save(&self, path: &Path, replace: bool) -> Result<(), CliError> {
		let json = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
		let file = NewFile::beside(path)?;
		let mut out = file.file();
		out.write_all(&json)?;
		out.write_all(b"\n")?;
		file.keep(replace)
	}

	/// Refuses a proposal for another chain.
	///
	/// # Errors
	/// If the genesis hashes differ.
	pub fn check_chain(&self, genesis_hash: &[u8; 32]) -> Result<(), CliError> {
		if self.genesis_hash.0 == *genesis_hash {
			return Ok(());
		}
		Err(
			CliError::new(ErrorKind::Node, "the proposal is for another chain")
				.hint("name a node of its chain with --node, or make a new proposal"),
		)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::example_deal::proposal;

	#[test]
	fn files_come_back_and_tampering_is_noticed() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("p.json");
		let file = ProposalFile::new(&proposal(), [9; 32]);
		file.save(&path, false).unwrap();
		let (loaded, decoded) = ProposalFile::load(&path).unwrap();
		assert_eq!(decoded, proposal());
		assert_eq!(loaded.signing_bytes, file.signing_bytes);
		assert!(loaded.check_chain(&[9; 32]).is_ok() && loaded.check_chain(&[8; 32]).is_err());

		let mut dearer = proposal();
		dearer.price_per_block = 8;
		let tampered = ProposalFile {
			proposal: HexBytes(dearer.encode()),
			..file.clone()
		};
		tampered.save(&path, true).unwrap();
		assert!(ProposalFile::load(&path).is_err());
		// What people read always follows from what is signed.
		let mut lying = file;
		lying.terms.price_per_block = Amount(1);
		lying.save(&path, true).unwrap();
		assert_eq!(
			ProposalFile::load(&path).unwrap().0.terms.price_per_block,
			Amount(7)
		);
	}

	#[test]
	fn control_characters_do_not_reach_the_terminal() {
		let mut proposal = proposal();
		proposal.label = b"a\x1b[31m".to_vec().try_into().unwrap();
		let mut out = Vec::new();
		TermsView::from(&proposal).write(&mut out).unwrap();
		assert!(!out.contains(&0x1b));
	}
}
