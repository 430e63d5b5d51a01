//! What every command has at hand: settings, output, and the way to accounts and the chain.

use crate::{
	account::Account,
	error::{CliError, ErrorKind},
	output::{printable, Output},
	record::Records,
	settings::Settings,
};
use cairn_chain_client::{ChainClient, ChainInfo, ConnectOptions, Submitter};
use cairn_keystore::{address, Keypair, Keystore, PasswordSource, SecretUri};
use std::{
	io::{self, BufRead, IsTerminal, Write},
	time::Duration,
};

/// Options of the whole program that are not settings.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
	/// Sign as a well-known development account, such as //Alice; refused except on a development chain
	#[arg(long, global = true, value_name = "URI", help_heading = "Global options")]
	pub dev: Option<String>,
	/// Read the account's password from this file descriptor [else: CAIRN_PASSWORD, else a prompt]
	#[arg(long, global = true, value_name = "N", help_heading = "Global options")]
	pub password_fd: Option<u32>,
	/// Print results as JSON objects, one per line, each with a `schema`
	#[arg(long, global = true, help_heading = "Global options")]
	pub json: bool,
	/// Print nothing but the essential
	#[arg(long, short, global = true, help_heading = "Global options")]
	pub quiet: bool,
	/// Answer every question with yes
	#[arg(long, short, global = true, help_heading = "Global options")]
	pub yes: bool,
	/// Log what happens inside, on standard error; RUST_LOG refines it
	#[arg(long, short, global = true, help_heading = "Global options")]
	pub verbose: bool,
}

/// The environment variable with the account's password.
const PASSWORD_VARIABLE: &str = "CAIRN_PASSWORD";
/// How long a command waits for its node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings, output, accounts, chain.
pub struct Context {
	/// The settings.
	pub settings: Settings,
	/// Where results go.
	pub output: Output,
	/// The program's flags.
	pub flags: Flags,
}

impl Context {
	/// Connects to the node.
	pub async fn connect(&self) -> Result<ChainClient, CliError> {
		let options = ConnectOptions {
			connect_timeout: CONNECT_TIMEOUT,
			..ConnectOptions::default()
		};
		Ok(ChainClient::connect_with(&self.settings.node.value, options).await?)
	}

	/// The keystore.
	pub fn keystore(&self) -> Keystore {
		Keystore::new(&self.settings.keystore.value)
	}

	/// The local record.
	pub fn records(&self) -> Records {
		Records::new(&self.settings.state_dir.value)
	}

	/// The account that commands act for, without its key: no password is needed.
	pub fn own_account(&self) -> Result<[u8; 32], CliError> {
		if let Some(uri) = &self.flags.dev {
			return Ok(dev_keypair(uri)?.public());
		}
		match &self.settings.account.value {
			Some(text) => self.parse_account(text),
			None => Ok(self.keystore().load(&self.only_account()?)?.account()),
		}
	}

	/// The account that a command is about: the one that its argument names, else the own one.
	pub fn account_or_own(&self, text: Option<&str>) -> Result<[u8; 32], CliError> {
		match text {
			Some(text) => self.parse_account(text),
			None => self.own_account(),
		}
	}

	/// The account whose name stands in for a missing `--account`: the only one there is.
	fn only_account(&self) -> Result<String, CliError> {
		let mut names = self.keystore().names()?;
		match names.len() {
			1 => Ok(names.remove(0)),
			0 => Err(CliError::new(ErrorKind::Key, "there is no account")
				.hint("`cairn wallet new NAME` makes one; on a development chain, --dev //Alice")),
			_ => Err(
				CliError::new(ErrorKind::Key, "there are several accounts, and none is chosen")
					.hint(format!("choose one with --account: {}", names.join(", "))),
			),
		}
	}

	/// Reads an account: an address, 0x and 64 hex digits, a development account, or a name in the
	/// keystore.
	pub fn parse_account(&self, text: &str) -> Result<[u8; 32], CliError> {
		if text.starts_with("//") {
			return Ok(dev_keypair(text)?.public());
		}
		if let Some(digits) = text.strip_prefix("0x") {
			let mut account = [0; 32];
			return match hex::decode_to_slice(digits, &mut account) {
				Ok(()) => Ok(account),
				Err(_) => Err(CliError::new(
					ErrorKind::Usage,
					"an account is 0x and 64 hexadecimal digits",
				)),
			};
		}
		if let Ok((account, _)) = address::decode(text) {
			return Ok(account);
		}
		match self.keystore().load(text) {
			Ok(file) => Ok(file.account()),
			Err(_) => Err(CliError::new(
				ErrorKind::NotFound,
				format!("{text} is neither an address nor an account in the keystore"),
			)
			.hint("`cairn wallet list` shows the accounts")),
		}
	}

	/// The account that commands act for, with its key.
	pub async fn unlock(&self, chain: &ChainInfo) -> Result<Account, CliError> {
		if let Some(uri) = &self.flags.dev {
			if !chain.development {
				return Err(CliError::new(
					ErrorKind::Key,
					format!(
						"{uri} signs on development chains only, and {} is none",
						chain.chain_name
					),
				)
				.hint("everybody knows that key; use an account of your own (`cairn wallet new`)"));
			}
			return Ok(Account::new(dev_keypair(uri)?));
		}
		let keystore = self.keystore();
		let name = match &self.settings.account.value {
			None => self.only_account()?,
			Some(text) => match address::decode(text) {
				Err(_) => text.clone(),
				Ok((account, _)) => keystore
					.names()?
					.into_iter()
					.find(|name| keystore.load(name).is_ok_and(|file| file.account() == account))
					.ok_or_else(|| {
						CliError::new(ErrorKind::Key, format!("the keystore has no key for {text}"))
							.hint("`cairn wallet list` shows the accounts")
					})?,
			},
		};
		let file = keystore.load(&name)?;
		let password = self.password_source().read(&format!("Password of {name}: "))?;
		let keypair = tokio::task::spawn_blocking(move || file.decrypt(&password)).await??;
		Ok(Account::new(keypair))
	}

	/// Where the password comes from.
	pub fn password_source(&self) -> PasswordSource {
		match self.flags.password_fd {
			Some(number) => PasswordSource::Descriptor(number),
			None if std::env::var_os(PASSWORD_VARIABLE).is_some() => {
				PasswordSource::Environment(PASSWORD_VARIABLE.to_owned())
			}
			None => PasswordSource::Prompt,
		}
	}

	/// Connects and unlocks: for commands that send transactions.
	pub async fn signer(&self) -> Result<(ChainClient, Account, Submitter), CliError> {
		let chain = self.connect().await?;
		let account = self.unlock(chain.info()).await?;
		let submitter = Submitter::new(&chain, account.clone());
		Ok((chain, account, submitter))
	}

	/// Asks a question with yes or no. `--yes` answers it; without a terminal it is an error.
	pub async fn confirm(&self, question: &str) -> Result<(), CliError> {
		if self.flags.yes {
			return Ok(());
		}
		if !io::stdin().is_terminal() || self.output.is_json() {
			return Err(CliError::new(
				ErrorKind::Declined,
				format!("{question} Nobody is there to answer."),
			)
			.hint("--yes answers every question with yes"));
		}
		let mut err = io::stderr().lock();
		write!(err, "{} [y/N] ", printable(question))?;
		err.flush()?;
		drop(err);
		// Elsewhere than on this thread, which must notice an interruption.
		let answer = tokio::task::spawn_blocking(|| {
			let mut answer = String::new();
			io::stdin().lock().read_line(&mut answer).map(|_| answer)
		})
		.await??;
		match answer.trim().to_ascii_lowercase().as_str() {
			"y" | "yes" => Ok(()),
			_ => Err(CliError::new(ErrorKind::Declined, "nothing was done")),
		}
	}
}

/// The key of a development account. Other secret URIs are refused: the command line is visible to
/// every user of the machine.
fn dev_keypair(uri: &str) -> Result<Keypair, CliError> {
	let parsed: SecretUri = uri.parse()?;
	if !parsed.is_development() {
		return Err(
			CliError::new(ErrorKind::Key, "a secret does not belong on the command line")
				.hint("--dev takes well-known development accounts only, such as //Alice"),
		);
	}
	Ok(Keypair::from_suri(&parsed))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn only_development_keys_on_the_command_line() {
		let alice = dev_keypair("//Alice").unwrap();
		assert_eq!(
			alice.address(),
			"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
		);
		let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow//Alice";
		assert_eq!(dev_keypair(phrase).unwrap_err().kind(), ErrorKind::Key);
		assert_eq!(dev_keypair("//").unwrap_err().kind(), ErrorKind::Key);
	}
}
