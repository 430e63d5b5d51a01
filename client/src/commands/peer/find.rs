//! `cairn peer find`

use crate::{
	commands::fetching::parse_cid,
	context::Context,
	error::{CliError, ErrorKind},
	network::start_host,
	progress::Progress,
};
use cairn_network::{
	address::PeerAddress,
	discovery::{DhtRouter, Router},
	host::Host,
};
use futures::{future, StreamExt};
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Look in the DHT for peers that provide a CID
#[derive(Debug, clap::Args)]
pub struct Args {
	/// CID to look for; providers announce the roots of objects
	cid: String,
	/// Peer to ask the DHT through, a multiaddress that ends with /p2p/ID; may be given several times
	#[arg(long, value_name = "MULTIADDR", required = true)]
	bootstrap: Vec<PeerAddress>,
	/// Stop after so many peers
	#[arg(long, short, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
	count: u32,
	/// Seconds to look for
	#[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
	timeout: u64,
}

#[derive(Serialize)]
struct Report {
	cid: String,
	providers: Vec<Provider>,
}

#[derive(Serialize)]
struct Provider {
	peer_id: String,
	/// Multiaddresses that end with the peer's id; none if the DHT knows none.
	addresses: Vec<String>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let cid = parse_cid(&args.cid)?;
	let deadline = Instant::now() + Duration::from_secs(args.timeout);
	let bar = Progress::new(&context.output).spinner("looking in the DHT");
	let host = start_host(args.bootstrap.clone(), None).await?;
	join(&host, &args.bootstrap).await?;
	let mut seen = BTreeSet::new();
	let found: Vec<PeerAddress> = DhtRouter::new(host.clone())
		.find(cid, deadline)
		.filter(|peer| future::ready(seen.insert(peer.peer)))
		.take(args.count as usize)
		.collect()
		.await;
	host.shutdown().await;
	bar.finish_and_clear();
	if found.is_empty() {
		return Err(CliError::new(
			ErrorKind::NotFound,
			format!("the DHT names nobody who provides {cid}"),
		)
		.hint("only roots are announced, and only for as long as their providers announce them"));
	}
	let report = Report {
		cid: cid.to_string(),
		providers: found.iter().map(describe).collect(),
	};
	context.output.result("cairn.peer-found/1", &report, |out| {
		for provider in &report.providers {
			match provider.addresses.is_empty() {
				true => writeln!(out, "/p2p/{}", provider.peer_id)?,
				false => writeln!(out, "{}", provider.addresses.join("\n"))?,
			}
		}
		Ok(())
	})
}

/// Waits until one of the peers to ask through is reached.
async fn join(host: &Host, bootstrap: &[PeerAddress]) -> Result<(), CliError> {
	let attempts = bootstrap
		.iter()
		.map(|peer| Box::pin(async move { host.connect(peer.clone()).await.map_err(|error| (peer, error)) }));
	match future::select_ok(attempts).await {
		Ok(_) => Ok(()),
		Err((peer, error)) => Err(CliError::from(error).during(peer)),
	}
}

fn describe(peer: &PeerAddress) -> Provider {
	Provider {
		peer_id: peer.peer.to_string(),
		addresses: peer
			.addresses
			.iter()
			.map(|address| format!("{address}/p2p/{}", peer.peer))
			.collect(),
	}
}
