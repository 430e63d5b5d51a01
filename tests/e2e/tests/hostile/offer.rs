//! Deals that are offered to the provider: proposals whose key the tests hold, so that they can be altered in
//! every way and signed again.

use crate::target::{Target, DURATION};
use anyhow::{Context, Result};
use cairn_chain_client::{MultiSignature, Proposal};
use cairn_e2e::{files, Network};
use cairn_keystore::{Keypair, SecretUri};
use cairn_primitives::deal::proposal_hash;
use cairn_provider_api::{deal::ProposeDeal, Hash32, HexBytes};
use codec::{DecodeAll, Encode};
use serde_json::{json, Value};
use std::{fs, path::PathBuf};
use xtask::network::Client;

/// A client of the network whose key the tests hold: a development account.
pub struct Customer {
	client: Client,
	folder: PathBuf,
	key: Keypair,
}

impl Customer {
	/// With much money in its escrow.
	pub fn new(network: &Network) -> Result<Self> {
		Self::with_escrow(network, "//Ferdie", "10000 CAIRN")
	}

	/// A development account with this in its escrow.
	pub fn with_escrow(network: &Network, uri: &str, amount: &str) -> Result<Self> {
		let folder = network.folder().join(uri.trim_start_matches('/'));
		let client = Client::new(&network.programs, &folder, &network.node.url()).signing_as(uri);
		client.json(["wallet", "add-balance", amount])?;
		Ok(Self {
			client,
			folder,
			key: key(uri)?,
		})
	}

	/// Its address.
	pub fn address(&self) -> String {
		self.key.address()
	}

	/// Runs a command of the client.
	pub fn json(&self, arguments: &[&str]) -> Result<Value> {
		self.client.json(arguments)
	}

	/// A file of `size` bytes in an archive, offered to the provider.
	pub fn offer(&self, target: &Target, name: &str, size: usize) -> Result<Offer> {
		let file = files::write(self.folder.join(name), size, size as u64)?;
		self.offer_file(target, name, file)
	}

	/// A folder of small files, each a block of its own, in an archive, offered to the provider.
	pub fn offer_files(&self, target: &Target, name: &str, count: usize, size: usize) -> Result<Offer> {
		let folder = self.folder.join(name);
		for index in 0..count {
			files::write(folder.join(index.to_string()), size, index as u64)?;
		}
		self.offer_file(target, name, folder)
	}

	fn offer_file(&self, target: &Target, name: &str, file: PathBuf) -> Result<Offer> {
		let archive = self.folder.join(format!("{name}.car"));
		let paths = [file.display().to_string(), archive.display().to_string()];
		let created = self.json(&["car", "create", &paths[0], "--output", &paths[1]])?;
		let root = created["root"]
			.as_str()
			.with_context(|| format!("no root: {created}"))?;
		let offer = self.offer_archive(target, archive, root)?;
		Ok(Offer { file, ..offer })
	}

	/// Any bytes, offered as if they were an archive with this root.
	pub fn offer_bytes(&self, target: &Target, name: &str, bytes: &[u8], root: &str) -> Result<Offer> {
		let archive = self.folder.join(name);
		fs::write(&archive, bytes)?;
		self.offer_archive(target, archive, root)
	}

	fn offer_archive(&self, target: &Target, archive: PathBuf, root: &str) -> Result<Offer> {
		let path = archive.display().to_string();
		let output = format!("{path}.proposal.json");
		let duration = format!("{DURATION} blocks");
		self.json(&[
			"deal",
			"propose",
			&path,
			"--provider",
			target.account(),
			"--root",
			root,
			"--duration",
			&duration,
			"--start-within",
			"600 blocks",
			"--output",
			&output,
		])?;
		let written: Value = serde_json::from_slice(&fs::read(&output)?)?;
		let scale: HexBytes = serde_json::from_value(written["proposal"].clone())?;
		let genesis: Hash32 = serde_json::from_value(written["genesis_hash"].clone())?;
		Ok(Offer {
			file: archive.clone(),
			archive,
			root: root.to_owned(),
			proposal: Proposal::decode_all(&mut scale.0.as_slice())?,
			genesis: genesis.0,
			key: self.key.clone(),
		})
	}
}

/// A proposal and the archive it is for.
#[derive(Clone)]
pub struct Offer {
	/// What is in the archive.
	pub file: PathBuf,
	/// The payload.
	pub archive: PathBuf,
	/// Its root.
	pub root: String,
	/// The terms.
	pub proposal: Proposal,
	genesis: [u8; 32],
	key: Keypair,
}

impl Offer {
	/// The same offer on other terms.
	pub fn with(&self, change: impl FnOnce(&mut Proposal)) -> Self {
		let mut offer = self.clone();
		change(&mut offer.proposal);
		offer
	}

	/// The same offer by another development account.
	pub fn by(&self, uri: &str) -> Result<Self> {
		let key = key(uri)?;
		let offer = self.with(|proposal| proposal.client = key.public());
		Ok(Self { key, ..offer })
	}

	/// The same offer with its client named and somebody else's signature.
	pub fn forged_by(&self, uri: &str) -> Result<Self> {
		Ok(Self {
			key: key(uri)?,
			..self.clone()
		})
	}

	/// SCALE of the proposal.
	pub fn scale(&self) -> Vec<u8> {
		self.proposal.encode()
	}

	/// SCALE of the client's signature.
	pub fn signature(&self) -> Vec<u8> {
		let message = self.proposal.signing_bytes(&self.genesis);
		MultiSignature::Sr25519(self.key.sign(&message)).encode()
	}

	/// Name of the deal.
	pub fn hash(&self) -> Hash32 {
		Hash32(proposal_hash(&self.proposal.signing_bytes(&self.genesis)))
	}

	/// Parameter of `cairn_v1_proposeDeal`.
	pub fn parameter(&self) -> Value {
		json!(ProposeDeal::signed(&self.proposal, self.signature()))
	}

	/// The payload's bytes.
	pub fn payload(&self) -> Result<Vec<u8>> {
		fs::read(&self.archive).with_context(|| format!("cannot read {}", self.archive.display()))
	}
}

/// The key of a development account.
pub fn key(uri: &str) -> Result<Keypair> {
	Ok(Keypair::from_suri(&uri.parse::<SecretUri>()?))
}
