//! `cairn wallet new | import | list | address`

use crate::{
	account::display,
	context::Context,
	error::{CliError, ErrorKind},
	output::{table, write_table},
};
use cairn_keystore::{
	KeyFile, Keypair, Mnemonic, Overwrite, PasswordSource, ScryptCost, SecretUri, WordCount,
};
use serde::Serialize;
use std::{
	io::{self, IsTerminal, Read},
	path::PathBuf,
};

/// Longest recovery phrase or secret URI that is read.
const MAX_SECRET: u64 = 4096;

/// Make an account and print its recovery phrase
///
/// The key is kept encrypted with a password, as the JSON that polkadot.js and its wallets import. The phrase
/// recovers the account if file or password is lost: write it down, show it to nobody.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
	/// Name of the account in the keystore
	name: String,
	/// Words of the phrase
	#[arg(long, default_value = "12", value_parser = ["12", "24"])]
	words: String,
	/// Do not print the phrase: file and password are then the only way to the account
	#[arg(long)]
	no_phrase: bool,
}

/// Take over an account from its recovery phrase or a polkadot.js file
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
	/// Name of the account in the keystore
	name: String,
	/// An encrypted polkadot.js JSON file; without it the phrase is asked for, or read from standard input
	#[arg(long, value_name = "FILE")]
	file: Option<PathBuf>,
}

/// Print the account's address
#[derive(Debug, clap::Args)]
pub struct AddressArgs {
	/// Name in the keystore, or a development account such as //Alice [default: the chosen account]
	account: Option<String>,
}

#[derive(Serialize)]
struct Created {
	name: String,
	address: String,
	file: String,
	phrase: Option<String>,
}

#[derive(Serialize)]
struct List {
	accounts: Vec<Account>,
}

#[derive(Serialize)]
struct Account {
	name: String,
	address: Option<String>,
	problem: Option<String>,
}

#[derive(Serialize)]
struct Address {
	address: String,
	public_key: String,
}

/// Makes an account.
pub async fn new(context: &Context, args: NewArgs) -> Result<(), CliError> {
	let words = if args.words == "24" {
		WordCount::TwentyFour
	} else {
		WordCount::Twelve
	};
	let mnemonic = Mnemonic::generate(words);
	let keypair = Keypair::from_mnemonic(&mnemonic, "");
	let mut created = keep(context, &args.name, keypair).await?;
	if !args.no_phrase {
		created.phrase = Some(mnemonic.phrase().as_str().to_owned());
	}
	let essential = created.address.clone();
	context
		.output
		.result_or_line("cairn.account/1", &created, &essential, |out| {
			writeln!(out, "{}", created.address)?;
			if let Some(phrase) = &created.phrase {
				writeln!(
					out,
					"\nRecovery phrase, to be written down and shown to nobody:\n\n  {phrase}\n"
				)?;
			}
			writeln!(out, "kept in {}", created.file)
		})
}

/// Takes an account over.
pub async fn import(context: &Context, args: ImportArgs) -> Result<(), CliError> {
	let created = match args.file {
		Some(path) => {
			let file = KeyFile::load(&path)
				.map_err(|error| CliError::new(ErrorKind::Key, format!("{}: {error}", path.display())))?;
			// The password is checked now rather than when the account is needed.
			let password = context.password_source().read("Password of the file: ")?;
			let checked = file.clone();
			tokio::task::spawn_blocking(move || checked.decrypt(&password)).await??;
			let keystore = context.keystore();
			keystore.add(&args.name, &file, Overwrite::Refuse)?;
			Created {
				address: file.address(),
				file: keystore.path(&args.name)?.display().to_string(),
				name: args.name,
				phrase: None,
			}
		}
		None => {
			let secret = read_secret()?;
			let uri: SecretUri = secret.trim().parse()?;
			keep(context, &args.name, Keypair::from_suri(&uri)).await?
		}
	};
	let essential = created.address.clone();
	context
		.output
		.result_or_line("cairn.account/1", &created, &essential, |out| {
			writeln!(out, "{}\nkept in {}", created.address, created.file)
		})
}

/// Encrypts a key and puts it into the keystore.
async fn keep(context: &Context, name: &str, keypair: Keypair) -> Result<Created, CliError> {
	let keystore = context.keystore();
	let path = keystore.path(name)?;
	if path.exists() {
		return Err(CliError::new(
			ErrorKind::Key,
			format!("there is an account named {name} already"),
		)
		.hint("choose another name; an account is never overwritten"));
	}
	let question = format!("New password for {name}: ");
	let password = context.password_source().read_new(&question)?;
	let (label, address) = (name.to_owned(), keypair.address());
	let file = tokio::task::spawn_blocking(move || {
		KeyFile::encrypt(&keypair, &password, &label, ScryptCost::Strong)
	})
	.await??;
	keystore.add(name, &file, Overwrite::Refuse)?;
	Ok(Created {
		name: name.to_owned(),
		address,
		file: path.display().to_string(),
		phrase: None,
	})
}

/// A phrase or secret URI: without echo from the terminal, or all of standard input.
fn read_secret() -> Result<String, CliError> {
	if io::stdin().is_terminal() {
		let phrase = PasswordSource::Prompt.read("Recovery phrase: ")?;
		return Ok(phrase.as_str().to_owned());
	}
	let mut secret = String::new();
	io::stdin()
		.lock()
		.take(MAX_SECRET + 1)
		.read_to_string(&mut secret)?;
	if secret.len() as u64 > MAX_SECRET {
		return Err(CliError::new(
			ErrorKind::Key,
			"standard input is too long for a phrase",
		));
	}
	Ok(secret)
}

/// Lists accounts.
pub fn list(context: &Context) -> Result<(), CliError> {
	let keystore = context.keystore();
	let mut accounts = Vec::new();
	for name in keystore.names()? {
		accounts.push(match keystore.load(&name) {
			Ok(file) => Account {
				name,
				address: Some(file.address()),
				problem: None,
			},
			Err(error) => Account {
				name,
				address: None,
				problem: Some(error.to_string()),
			},
		});
	}
	let list = List { accounts };
	context.output.result("cairn.accounts/1", &list, |out| {
		if list.accounts.is_empty() {
			return writeln!(out, "there is no account yet; `cairn wallet new NAME` makes one");
		}
		let rows = list.accounts.iter().map(|account| {
			let text = account.address.clone().or_else(|| account.problem.clone());
			[account.name.clone(), text.unwrap_or_default()]
		});
		write_table(out, &table(["name", "address"], rows))
	})
}

/// Prints an address.
pub fn address(context: &Context, args: AddressArgs) -> Result<(), CliError> {
	let account = context.account_or_own(args.account.as_deref())?;
	let address = Address {
		address: display(&account),
		public_key: format!("0x{}", hex::encode(account)),
	};
	context.output.result("cairn.address/1", &address, |out| {
		writeln!(out, "{}", address.address)
	})
}
