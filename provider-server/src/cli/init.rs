//! `init`: everything between an empty disk and a provider that can run. Safe to repeat: it looks at
//! what is there and does what is missing.

use super::{
	ask::AskFlags,
	keys::{OwnerFlags, OwnerPassword},
	tier_name, CliError, ServerFlags, Session,
};
use crate::{
	chain::live::KeypairSigner,
	contact::{contact, http_addresses},
	network::{identity_file, NetworkError},
};
use cairn_chain_client::{calls, Call, ChainClient, Submitter};
use cairn_keystore::{address, Keypair};
use cairn_provider_api::endpoint;
use cairn_units::Amount;
use clap::Args;
use serde::Serialize;

/// Create keys and configuration and register on chain; safe to repeat.
#[derive(Args)]
pub(crate) struct Init {
	#[command(flatten)]
	owner: OwnerFlags,
	#[command(flatten)]
	owner_password: OwnerPassword,
	#[command(flatten)]
	server: ServerFlags,
	/// Address to register, as a multiaddress such as /ip4/203.0.113.7/tcp/7600/http; may be repeated
	/// [default: the address to listen on]
	#[arg(long = "address", value_name = "MULTIADDR")]
	addresses: Vec<String>,
	/// Account that receives the earnings [default: the owner]
	#[arg(long, value_name = "SS58")]
	beneficiary: Option<String>,
	/// What to offer, such as hot-8MiB or sealed-8MiB; may be repeated
	#[arg(long = "offer", value_name = "PROOF_TYPE")]
	offers: Vec<String>,
	#[command(flatten)]
	ask: AskFlags,
	/// Escrow to hold ready for collateral; topped up to this amount
	#[arg(long, value_name = "AMOUNT", default_value = "100 CAIRN")]
	escrow: Amount,
	/// Funds of the worker for fees; topped up to this amount
	#[arg(long, value_name = "AMOUNT", default_value = "10 CAIRN")]
	worker_funds: Amount,
	/// Write the worker key's password beside the key, so that `run` needs none
	#[arg(long)]
	unattended: bool,
}

#[derive(Serialize)]
struct Initialised {
	owner: String,
	worker: String,
	base_path: String,
	config: String,
	new_worker_key: bool,
	transactions: Vec<String>,
}

impl Init {
	pub async fn run(self, mut session: Session) -> Result<(), CliError> {
		std::fs::create_dir_all(&session.paths.base)?;
		self.server.apply(&mut session.config);
		if !self.addresses.is_empty() {
			session.config.server.addresses = self.addresses.clone();
		}
		session.config.check()?;
		if !session.paths.config.exists() {
			if let Some(folder) = session.paths.config.parent() {
				std::fs::create_dir_all(folder)?;
			}
			std::fs::write(&session.paths.config, session.config.to_toml())?;
			session
				.out
				.note(format!("wrote {}", session.paths.config.display()));
		}
		let unattended = self.unattended || self.owner.is_development();
		let (worker, new_worker_key) = session.worker_or_new(unattended).await?;
		session.out.note(format!("worker {}", worker.address()));

		let client = session.connect().await?;
		let owner = match client.query().provider_of(&worker.public()).await? {
			// Registered, and nothing says how the owner signs: what the worker may see is enough.
			Some(owner) if !self.owner.is_given() => {
				session
					.out
					.note("registered already; give the owner's key to change the registration");
				return session.report(&owner, &worker, new_worker_key, Vec::new());
			}
			_ => {
				self.owner
					.keypair(&self.owner_password, client.info().development)
					.await?
			}
		};
		let (calls, names) = self.missing(&session, &client, &owner, &worker).await?;
		if calls.is_empty() {
			session.out.note("registered already; nothing to do");
		} else {
			session
				.out
				.note(format!("sending as {}: {}", owner.address(), names.join(", ")));
			let submitter = Submitter::new(&client, KeypairSigner(owner.clone()));
			submitter.submit(calls::utility::batch_all(calls)).await?;
		}
		session.report(&owner.public(), &worker, new_worker_key, names)
	}

	/// Calls of the owner that bring the chain to what is asked, with their names.
	async fn missing(
		&self,
		session: &Session,
		client: &ChainClient,
		owner: &Keypair,
		worker: &Keypair,
	) -> Result<(Vec<Call>, Vec<String>), CliError> {
		let query = client.query();
		let (owner_key, worker_key) = (owner.public(), worker.public());
		let addresses = match session.config.server.addresses.as_slice() {
			[] => vec![endpoint::of_socket(session.config.server.listen)],
			given => given.to_vec(),
		};
		let (network, folder) = (&session.config.network, session.paths.network());
		let mut binary = http_addresses(&addresses)
			.map_err(|error| CliError::new(error.to_string(), "write /ip4/203.0.113.7/tcp/7600/http"))?;
		binary.extend(
			network
				.registered()
				.map_err(NetworkError::from)?
				.iter()
				.map(|address| address.to_vec()),
		);
		let identity = match network.enabled {
			true => Some(identity_file::load_or_create(&folder)?),
			false => None,
		};
		let peer_id = identity.map(|identity| identity.peer_id().to_bytes());
		let contact = contact(binary, peer_id)
			.map_err(|error| CliError::new(error.to_string(), "register fewer addresses"))?;
		let beneficiary = match &self.beneficiary {
			Some(text) => {
				address::decode(text)
					.map_err(|error| CliError::new(error.to_string(), "write the account as SS58"))?
					.0
			}
			None => owner_key,
		};
		let (mut calls, mut names) = (Vec::new(), Vec::new());
		let mut add = |call: Call, name: String| {
			calls.push(call);
			names.push(name);
		};
		match query.provider(&owner_key).await? {
			None => add(
				calls::storage_provider::register_storage_provider(worker_key, beneficiary, &contact),
				format!("register {}", addresses.join(" ")),
			),
			Some(view) => {
				if view.worker != worker_key {
					add(
						calls::storage_provider::set_worker(worker_key),
						"replace the worker".into(),
					);
				}
				let new_contact = (view.contact != contact).then_some(&contact);
				let new_beneficiary =
					(self.beneficiary.is_some() && view.beneficiary != beneficiary).then_some(beneficiary);
				if new_contact.is_some() || new_beneficiary.is_some() {
					add(
						calls::storage_provider::update_provider(new_contact, new_beneficiary),
						"update contact and beneficiary".into(),
					);
				}
			}
		}
		let asks = query.asks(&owner_key).await?;
		let types = query.proof_types().await?;
		for offer in &self.offers {
			let registered = tier_name::find(&types, offer)?;
			let ask = self.ask.ask(&registered.spec, &query.parameters().await?, None)?;
			if !asks.contains(&(registered.id, ask)) {
				add(
					calls::storage_provider::set_ask(registered.id, Some(&ask)),
					format!("offer {}", tier_name::name(&registered.spec)),
				);
			}
		}
		let escrow = query.escrow(&owner_key).await?;
		if escrow < self.escrow.0 {
			let missing = self.escrow.0 - escrow;
			add(
				calls::market::add_balance(missing),
				format!("add {} to the escrow", Amount(missing)),
			);
		}
		let funds = query.balance(&worker_key).await?.free;
		if worker_key != owner_key && funds < self.worker_funds.0 / 2 {
			let missing = self.worker_funds.0 - funds;
			add(
				calls::balances::transfer_keep_alive(worker_key, missing),
				format!("fund the worker with {}", Amount(missing)),
			);
		}
		Ok((calls, names))
	}
}

impl Session {
	fn report(
		&self,
		owner: &[u8; 32],
		worker: &Keypair,
		new_worker_key: bool,
		transactions: Vec<String>,
	) -> Result<(), CliError> {
		let result = Initialised {
			owner: address::encode_default(owner),
			worker: worker.address(),
			base_path: self.paths.base.display().to_string(),
			config: self.paths.config.display().to_string(),
			new_worker_key,
			transactions,
		};
		self.out.result("cairn.provider.init/1", &result, |out| {
			writeln!(
				out,
				"provider {} is ready: start it with `cairn-provider run`",
				result.owner
			)
		})
	}
}
