//! The provider that is maltreated, and what must be true of it afterwards.

use crate::offer::Offer;
use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal},
	http::{self, explains_itself},
	memory::Memory,
	Network, User, PATIENCE,
};
use serde_json::{json, Value};
use std::{
	collections::BTreeSet,
	ops::{Deref, DerefMut},
	path::PathBuf,
	time::{Duration, Instant},
};
use xtask::network::Provider;

/// Blocks that the deals last.
pub const DURATION: u32 = 60;
/// Most memory that a provider may ever take, in bytes.
const MEMORY: u64 = 300 << 20;
/// How soon a server must answer while others maltreat it, on a busy machine.
pub const PROMPT: Duration = Duration::from_secs(30);

/// A provider that sells the hot tier, and an honest user beside the hostile ones.
pub struct Target<'a> {
	network: &'a Network,
	provider: Provider,
	/// The honest user.
	pub user: User,
	/// Number of the process that serves at the start.
	process: u32,
}

impl<'a> Target<'a> {
	/// Starts a provider with settings of its configuration file.
	pub fn start(network: &'a Network, settings: &str) -> Result<Self> {
		Self::selling(network, settings, "hot-8MiB")
	}

	/// [`Target::start`] for a provider that sells another type of proof.
	pub fn selling(network: &'a Network, settings: &str, proof_type: &'static str) -> Result<Self> {
		network.configure("bob", settings)?;
		let provider = network.provider("bob", "//Bob", proof_type)?;
		let process = provider.process().context("the provider runs")?.id();
		Ok(Self {
			network,
			provider,
			user: network.user("user")?,
			process,
		})
	}

	/// Calls a method of the provider's JSON-RPC, which must succeed.
	pub fn ask(&self, method: &str, parameter: &Value) -> Result<Value> {
		let answer = http::rpc(&self.url(), method, parameter)?;
		ensure!(answer["error"].is_null(), "{method}: {answer}");
		Ok(answer["result"].clone())
	}

	/// States of the provider's deals, in the order of their hashes.
	pub fn deals(&self) -> Result<Vec<String>> {
		let list = self.ask("cairn_v1_listDeals", &json!({}))?;
		let deals = list["deals"].as_array().context("no deals")?;
		deals
			.iter()
			.map(|deal| {
				let state = deal["progress"]["state"].as_str().context("no state")?;
				Ok(state.to_owned())
			})
			.collect()
	}

	/// Where a deal stands.
	pub fn status(&self, offer: &Offer) -> Result<Value> {
		self.ask("cairn_v1_dealStatus", &json!(offer.hash()))
	}

	/// Waits until a deal is in a state, and returns its status.
	pub fn wait_for_state(&self, offer: &Offer, state: &str) -> Result<Value> {
		self.wait_for_status(offer, state, |status| status["progress"]["state"] == state)
	}

	/// Waits until something delays a deal, and returns its status.
	pub fn wait_for_delay(&self, offer: &Offer) -> Result<Value> {
		self.wait_for_status(offer, "delayed", |status| status["delayed_by"].is_string())
	}

	fn wait_for_status(&self, offer: &Offer, what: &str, is_there: impl Fn(&Value) -> bool) -> Result<Value> {
		let last = self.user.block()? + u64::from(PATIENCE);
		loop {
			let status = self.status(offer)?;
			if is_there(&status) {
				return Ok(status);
			}
			let now = self.user.block()?;
			ensure!(now < last, "not {what} after {PATIENCE} blocks: {status}");
			self.network.node.wait_for_block(now + 1)?;
		}
	}

	/// The process that serves now is the one that must survive: it was restarted on purpose.
	pub fn adopt_process(&mut self) -> Result<()> {
		self.process = self.provider.process().context("the provider runs")?.id();
		Ok(())
	}

	/// Fails unless the server answers at once.
	pub fn is_prompt(&self) -> Result<()> {
		let asked = Instant::now();
		let answer = http::get(&format!("{}/healthz", self.url()), &[])?;
		let seconds = asked.elapsed().as_secs_f32();
		ensure!(answer.status == 200, "{} from /healthz", answer.status);
		ensure!(asked.elapsed() < PROMPT, "/healthz took {seconds} s");
		Ok(())
	}

	/// Fails unless the process is the one of the start, has not panicked, and never took too much memory.
	pub fn is_unharmed(&self) -> Result<()> {
		let process = self.provider.process().context("the provider runs")?;
		ensure!(
			process.id() == self.process && process.exit_status().is_none(),
			"the provider has ended"
		);
		let panic = process
			.log()
			.find(|line| line.contains("panicked at").then(|| line.to_owned()));
		ensure!(panic.is_none(), "{}", panic.unwrap_or_default());
		let memory = Memory::of(process)?;
		eprintln!(
			"the provider takes {} MiB, {} at most",
			memory.resident >> 20,
			memory.peak >> 20
		);
		ensure!(memory.peak < MEMORY, "the provider took {memory:?}");
		Ok(())
	}

	/// Fails unless the provider is unharmed and serves an honest client as if nothing had been.
	pub fn survives(&self) -> Result<()> {
		self.is_unharmed()?;
		let file = files::write(self.network.folder().join("afterwards"), 50_000, 99)?;
		let (put, _) = self.user.put_with(&self.provider, &file, "hot", DURATION)?;
		let copy = self.network.folder().join("copy of afterwards");
		self.user.get(&put.root, &copy)?;
		ensure_equal(&file, &copy)?;
		self.is_unharmed()
	}

	/// Files of uploads, of pieces and of data on its way in.
	pub fn data_files(&self) -> Result<BTreeSet<PathBuf>> {
		let storage = self.provider.folder().join("storage");
		let mut kept = files::names(&storage)?;
		// Files at the top are the store's own, and graphs of sealed sectors are the same for all data.
		kept.retain(|path| path.components().count() > 1 && !path.starts_with("graphs"));
		Ok(kept)
	}

	/// Fails if any data is kept.
	pub fn keeps_no_data(&self) -> Result<()> {
		let files = self.data_files()?;
		ensure!(files.is_empty(), "left behind: {files:?}");
		Ok(())
	}

	/// Fails if anything of a deal's data is kept or served, or the deal has got on.
	pub fn knows_nothing_of(&self, offer: &Offer) -> Result<()> {
		let name = offer.hash();
		ensure!(self.held(offer)? == 0, "data of {name} is kept");
		let status = self.status(offer)?;
		ensure!(status["progress"]["state"] == "accepted", "{status}");
		let piece = cairn_provider_api::piece_cid::v1(&offer.proposal.piece.commitment);
		for path in [
			format!("/piece/{piece}"),
			format!("/ipfs/{}?format=raw", offer.root),
		] {
			let answer = http::get(&format!("{}{path}", self.url()), &[])?;
			answer
				.is_problem(404, "not_found")
				.with_context(|| format!("{path} is served"))?;
		}
		Ok(())
	}

	/// Bytes of a deal's data that the provider holds.
	pub fn held(&self, offer: &Offer) -> Result<u64> {
		let url = self.upload_url(offer);
		let answer = http::head(&url)?;
		let offset = answer
			.header("upload-offset")
			.with_context(|| format!("{} for {url}", answer.status))?;
		Ok(offset.parse()?)
	}

	/// Where a deal's data goes.
	pub fn upload_url(&self, offer: &Offer) -> String {
		format!("{}/upload/{}", self.url(), offer.hash())
	}

	/// Sends a proposal and returns the whole answer.
	pub fn send(&self, offer: &Offer) -> Result<Value> {
		http::rpc(&self.url(), "cairn_v1_proposeDeal", &offer.parameter())
	}

	/// Sends a proposal, which must be taken.
	pub fn propose(&self, offer: &Offer) -> Result<()> {
		let answer = self.send(offer)?;
		ensure!(
			answer["result"]["progress"]["state"] == "accepted",
			"not accepted: {answer}"
		);
		Ok(())
	}

	/// Sends a proposal, which must be refused for this reason.
	pub fn refuses(&self, offer: &Offer, kind: &str) -> Result<()> {
		refused(&self.send(offer)?, kind)
	}
}

impl Deref for Target<'_> {
	type Target = Provider;

	fn deref(&self) -> &Provider {
		&self.provider
	}
}

impl DerefMut for Target<'_> {
	fn deref_mut(&mut self) -> &mut Provider {
		&mut self.provider
	}
}

/// Fails unless a JSON-RPC answer is a refusal for this reason, explained and with what to do about it.
pub fn refused(answer: &Value, kind: &str) -> Result<()> {
	let problem = &answer["error"]["data"];
	ensure!(problem["kind"] == kind, "not refused for {kind}: {answer}");
	explains_itself(problem)
}
