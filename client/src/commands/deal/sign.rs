//! `cairn deal sign`

use super::steps::ProposalFile;
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
};
use cairn_keystore::SignatureError;
use cairn_provider_api::HexBytes;
use std::path::PathBuf;

/// Sign a proposal, or attach a signature made by a wallet
///
/// The file is completed in place. A wallet signs the file's `signing_bytes`; browser wallets wrap them in
/// <Bytes>…</Bytes>, which is fine.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The proposal, as `deal propose` writes it
	proposal: PathBuf,
	/// A signature from elsewhere: 0x and the hex of a MultiSignature, or of 64 bytes for sr25519
	#[arg(long, value_name = "HEX")]
	signature: Option<HexBytes>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (mut file, proposal) = ProposalFile::load(&args.proposal)?;
	if file.on_chain {
		return Err(CliError::new(
			ErrorKind::Usage,
			"a proposal that was made on chain needs no signature",
		));
	}
	let signature = match args.signature {
		Some(HexBytes(bytes)) => foreign_signature(bytes, &proposal.client, &file.signing_bytes.0)?,
		None => {
			let chain = context.connect().await?;
			file.check_chain(&chain.genesis_hash())?;
			let account = context.unlock(chain.info()).await?;
			if account.id() != proposal.client {
				return Err(CliError::new(
					ErrorKind::Key,
					"the key is of another account than the proposal's client",
				)
				.hint(format!("choose the account with --account {}", file.terms.client)));
			}
			account.multi_signature(&file.signing_bytes.0)
		}
	};
	file.signature = Some(HexBytes(signature));
	file.save(&args.proposal, true)?;
	context.output.result_or_line(
		"cairn.deal-proposal/1",
		&file,
		&file.proposal_hash.to_string(),
		|out| {
			writeln!(
				out,
				"{} is signed; next: cairn deal send {} --archive …",
				file.proposal_hash,
				args.proposal.display()
			)
		},
	)
}

/// SCALE of a `MultiSignature` from what a wallet gave, checked.
fn foreign_signature(bytes: Vec<u8>, client: &[u8; 32], message: &[u8]) -> Result<Vec<u8>, CliError> {
	let encoded = match bytes.len() {
		64 => [&[1][..], &bytes].concat(),
		_ => bytes,
	};
	cairn_keystore::verify_multi_signature(client, message, &encoded).map_err(|error| match error {
		SignatureError::Malformed => CliError::new(ErrorKind::Usage, "this is not the hex of a signature"),
		SignatureError::Wrong => CliError::new(
			ErrorKind::Key,
			"the signature is not the client's over this proposal",
		),
	})?;
	Ok(encoded)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::account::Account;

	#[test]
	fn foreign_signatures() {
		let alice = Account::new("//Alice".parse().unwrap());
		let scale = alice.multi_signature(b"message");
		assert_eq!(
			foreign_signature(scale.clone(), &alice.id(), b"message").unwrap(),
			scale
		);
		assert_eq!(
			foreign_signature(scale[1..].to_vec(), &alice.id(), b"message").unwrap(),
			scale
		);
		let wrapped = alice.multi_signature(b"<Bytes>message</Bytes>");
		assert!(foreign_signature(wrapped, &alice.id(), b"message").is_ok());
		assert_eq!(
			foreign_signature(scale, &alice.id(), b"other")
				.unwrap_err()
				.kind(),
			ErrorKind::Key
		);
		assert_eq!(
			foreign_signature(vec![1; 5], &alice.id(), b"m")
				.unwrap_err()
				.kind(),
			ErrorKind::Usage
		);
	}
}
