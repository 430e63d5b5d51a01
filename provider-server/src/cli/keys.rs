//! The worker's key and the owner's.

use super::{CliError, Session};
use cairn_keystore::{
	KeyFile, Keypair, Keystore, Overwrite, Password, PasswordSource, ScryptCost, SecretUri,
};
use clap::Args;
use std::{io, path::PathBuf};

/// How the owner signs.
#[derive(Args, Clone, Default)]
#[group(multiple = false)]
pub(crate) struct OwnerFlags {
	/// Source of the owner's secret URI: env:NAME, fd:N, file:PATH or prompt
	#[arg(long, value_name = "SOURCE", env = "CAIRN_PROVIDER_OWNER_SECRET_SOURCE")]
	owner_secret: Option<String>,
	/// The owner's encrypted key file (polkadot.js JSON)
	#[arg(long, value_name = "FILE")]
	owner_key: Option<PathBuf>,
	/// A development account such as //Charlie; on development chains only
	#[arg(long, value_name = "URI")]
	dev_owner: Option<String>,
}

/// The password of the owner's key file.
#[derive(Args, Clone, Default)]
pub(crate) struct OwnerPassword {
	/// Where the password of --owner-key comes from: env:NAME, fd:N, file:PATH or prompt [default:
	/// prompt]
	#[arg(
		long,
		value_name = "SOURCE",
		requires = "owner_key",
		env = "CAIRN_PROVIDER_OWNER_PASSWORD_SOURCE"
	)]
	owner_password: Option<String>,
}

fn source(text: &str) -> Result<PasswordSource, CliError> {
	text.parse()
		.map_err(|error: cairn_keystore::PasswordSourceParseError| {
			CliError::new(error.to_string(), "write env:NAME, fd:N, file:PATH or prompt")
		})
}

impl Session {
	/// File of the worker key's password, if `init --unattended` wrote one.
	pub fn password_file(&self) -> PathBuf {
		self.paths.keys().join(format!("{}.password", self.config.worker))
	}

	/// The key folder.
	pub fn keystore(&self) -> Keystore {
		Keystore::new(self.paths.keys())
	}

	/// Where the password of the worker's key comes from.
	fn worker_password(&self) -> Result<PasswordSource, CliError> {
		let file = self.password_file();
		match &self.global.password {
			Some(text) => source(text),
			None if file.exists() => Ok(PasswordSource::File(file)),
			None => Ok(PasswordSource::Prompt),
		}
	}

	/// The worker's key.
	pub async fn worker(&self) -> Result<Keypair, CliError> {
		let file = self.keystore().load(&self.config.worker)?;
		let password = self.worker_password()?.read("Password of the worker's key: ")?;
		decrypt(file, password).await
	}

	/// The worker's key, made if there is none; tells whether it was.
	pub async fn worker_or_new(&self, unattended: bool) -> Result<(Keypair, bool), CliError> {
		if self.keystore().names()?.contains(&self.config.worker) {
			return Ok((self.worker().await?, false));
		}
		let keypair = Keypair::generate();
		let password = if unattended && self.global.password.is_none() {
			let password = hex::encode(Keypair::generate().public());
			std::fs::create_dir_all(self.paths.keys())?;
			cairn_keystore::write_private(&self.password_file(), password.as_bytes(), Overwrite::Replace)
				.map_err(|error| {
					CliError::new(error.to_string(), "check the permissions of the key folder")
				})?;
			Password::new(password)?
		} else {
			self.worker_password()?
				.read_new("New password for the worker's key: ")?
		};
		let (key, name, folder) = (keypair.clone(), self.config.worker.clone(), self.keystore());
		tokio::task::spawn_blocking(move || -> Result<(), CliError> {
			let file = KeyFile::encrypt(&key, &password, &name, ScryptCost::default())
				.map_err(|error| CliError::new(error.to_string(), "choose another password"))?;
			Ok(folder.add(&name, &file, Overwrite::Refuse)?)
		})
		.await
		.map_err(io::Error::other)??;
		Ok((keypair, true))
	}
}

async fn decrypt(file: KeyFile, password: Password) -> Result<Keypair, CliError> {
	// Takes half a second on purpose.
	Ok(tokio::task::spawn_blocking(move || file.decrypt(&password))
		.await
		.map_err(io::Error::other)??)
}

impl OwnerFlags {
	/// Whether any flag says how the owner signs.
	pub fn is_given(&self) -> bool {
		self.owner_secret.is_some() || self.owner_key.is_some() || self.dev_owner.is_some()
	}

	/// Whether the owner is a development account.
	pub fn is_development(&self) -> bool {
		self.dev_owner.is_some()
	}

	/// The owner's key.
	pub async fn keypair(
		&self,
		password: &OwnerPassword,
		development_chain: bool,
	) -> Result<Keypair, CliError> {
		let no_owner = || {
			CliError::new(
				"the owner's key is needed to register",
				"use --owner-key FILE, --owner-secret env:NAME, or on a development chain --dev-owner //Charlie",
			)
		};
		if let Some(uri) = &self.dev_owner {
			let secret: SecretUri = uri
				.parse()
				.map_err(|_| CliError::new("--dev-owner is not a secret URI", "write //Charlie"))?;
			if !secret.is_development() {
				return Err(CliError::new(
					"--dev-owner takes development accounts only",
					"secrets do not belong on the command line: use --owner-secret",
				));
			}
			if !development_chain {
				return Err(CliError::new(
					"--dev-owner works on development chains only",
					"anyone can sign for development accounts",
				));
			}
			return Ok(Keypair::from_suri(&secret));
		}
		if let Some(path) = &self.owner_key {
			let file = KeyFile::load(path)?;
			let from = password
				.owner_password
				.as_deref()
				.map_or(Ok(PasswordSource::Prompt), source)?;
			let password = from.read("Password of the owner's key: ")?;
			return decrypt(file, password).await;
		}
		let text = self.owner_secret.as_deref().ok_or_else(no_owner)?;
		let secret = source(text)?.read("The owner's secret URI: ")?;
		let secret: SecretUri = secret.as_str().trim().parse().map_err(|_| {
			CliError::new(
				"the owner's secret is not a secret URI",
				"a phrase, a 0x seed, or //Name for development",
			)
		})?;
		Ok(Keypair::from_suri(&secret))
	}
}
