//! Errors of the commands, with what to do about them.

use crate::{
	chain::ChainError, config::ConfigError, data::OpenDataError, provider::ViewError, store::StoreError,
};
use cairn_blockstore::repo::OpenError;
use cairn_chain_client::{ConnectError, SubmitError};
use std::io;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
	/// The configuration.
	#[error(transparent)]
	Config(#[from] ConfigError),
	/// The node cannot be used.
	#[error("the node cannot be used")]
	Connect(#[from] ConnectError),
	/// The chain cannot be read.
	#[error("the chain cannot be read")]
	Client(#[from] cairn_chain_client::ChainError),
	/// The chain cannot be read.
	#[error("the chain cannot be read")]
	Chain(#[from] ChainError),
	/// The provider's registration.
	#[error(transparent)]
	View(#[from] ViewError),
	/// A transaction failed.
	#[error("the transaction failed")]
	Submit(#[from] SubmitError),
	/// The database.
	#[error(transparent)]
	Store(#[from] StoreError),
	/// The token of those who may change the node.
	#[error(transparent)]
	Token(#[from] crate::access::TokenError),
	/// The block store.
	#[error(transparent)]
	Data(#[from] crate::data::OpenDataError),
	/// The block store's contents.
	#[error("the block store cannot be read")]
	Dataset(#[from] cairn_blockstore::repo::DatasetError),
	/// The sector store.
	#[error("the storage folder cannot be used")]
	Sectors(#[from] cairn_proving::StoreError),
	/// What unseals sectors.
	#[error("sealed sectors cannot be unsealed")]
	Unsealer(#[from] crate::retrieval::unsealing::UnsealerError),
	/// The pipeline.
	#[error("the pipeline cannot start")]
	Pipeline(#[from] crate::pipeline::JobError),
	/// The server.
	#[error(transparent)]
	Serve(#[from] crate::http::ServeError),
	/// The libp2p host.
	#[error("the network cannot be joined")]
	Network(#[from] crate::network::NetworkError),
	/// The libp2p host's key.
	#[error(transparent)]
	Identity(#[from] crate::network::identity_file::IdentityFileError),
	/// The key folder.
	#[error("the key cannot be used")]
	Keystore(#[from] cairn_keystore::KeystoreError),
	/// A key file.
	#[error("the key file cannot be read")]
	KeyFile(#[from] cairn_keystore::ParseError),
	/// A key file's password.
	#[error("the key cannot be decrypted")]
	Decrypt(#[from] cairn_keystore::DecryptError),
	/// A password.
	#[error("there is no password")]
	Password(#[from] cairn_keystore::PasswordError),
	/// A file.
	#[error("the file system failed")]
	Io(#[from] io::Error),
	/// Anything else, with what to do about it.
	#[error("{message}")]
	Other {
		/// What is wrong.
		message: String,
		/// What to do.
		hint: Option<String>,
	},
}

impl CliError {
	/// An error with a hint.
	pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
		CliError::Other {
			message: message.into(),
			hint: Some(hint.into()),
		}
	}

	/// What to do about it.
	pub fn hint(&self) -> Option<String> {
		let hint = match self {
			CliError::Connect(ConnectError::Unreachable { .. }) => {
				"start a node (`cairn-node --dev`) or name one with --node"
			}
			CliError::Submit(SubmitError::Unfunded) => "send funds to the signing account first",
			CliError::Keystore(_) => "run `cairn-provider init` first",
			CliError::Password(_) => {
				"name a source with --password (env:NAME, fd:N, file:PATH), or run `init --unattended`"
			}
			CliError::Data(OpenDataError::Repo(OpenError::InUse { .. })) => {
				"another cairn-provider runs on this folder"
			}
			CliError::Sectors(cairn_proving::StoreError::Locked { .. }) => {
				"another cairn-provider runs on this folder"
			}
			CliError::Other { hint, .. } => return hint.clone(),
			_ => return None,
		};
		Some(hint.to_owned())
	}

	/// The error and its causes in one line.
	pub fn chain(&self) -> String {
		let mut text = self.to_string();
		let mut source = std::error::Error::source(self);
		while let Some(cause) = source {
			let cause_text = cause.to_string();
			// Transparent errors repeat their cause.
			if !text.ends_with(&cause_text) {
				text.push_str(": ");
				text.push_str(&cause_text);
			}
			source = cause.source();
		}
		text
	}

	/// Prints it on standard error.
	pub fn print(&self, json: bool) {
		if json {
			let object = serde_json::json!({
				"schema": "cairn.provider.error/1",
				"error": self.chain(),
				"hint": self.hint(),
			});
			eprintln!("{object}");
			return;
		}
		eprintln!("error: {}", self.chain());
		if let Some(hint) = self.hint() {
			eprintln!("hint: {hint}");
		}
	}
}
