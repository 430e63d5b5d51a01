//! `cairn peer id`

use super::{ping::PROTOCOL as PING, Target};
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	network::start_host,
};
use cairn_network::{
	address::PeerAddress,
	host::{ConnectedPeer, Host},
};
use serde::Serialize;
use std::time::Duration;

/// How often it is looked whether the peer has said who it is: that takes a round trip or two.
const LOOK: Duration = Duration::from_millis(20);
/// How much longer the round-trip time is waited for, of a peer that answers pings.
const RTT_WAIT: Duration = Duration::from_secs(3);

/// Connect to a peer, and show what it says of itself
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	target: Target,
}

#[derive(Serialize)]
struct Report {
	peer_id: String,
	agent: Option<String>,
	/// Where it was reached.
	addresses: Vec<String>,
	/// Milliseconds.
	rtt: Option<f64>,
	protocols: Vec<String>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let target = &args.target;
	let peer = target.resolve(context).await?;
	let host = start_host(Vec::new(), None).await?;
	target.connect(&host, &peer).await?;
	let mut known = tokio::time::timeout(
		target.timeout(),
		identified(&host, &peer, |peer| peer.agent.is_some()),
	)
	.await
	.map_err(|_| target.late(&peer, "say who it is"))??;
	if known.protocols.contains(&PING) {
		let measured = identified(&host, &peer, |peer| peer.rtt.is_some());
		if let Ok(Ok(measured)) = tokio::time::timeout(RTT_WAIT, measured).await {
			known = measured;
		}
	}
	host.shutdown().await;
	let report = Report {
		peer_id: known.peer.to_string(),
		agent: known.agent,
		addresses: known.addresses.iter().map(ToString::to_string).collect(),
		rtt: known.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
		protocols: known.protocols.iter().map(ToString::to_string).collect(),
	};
	context.output.result("cairn.peer/1", &report, |out| {
		writeln!(out, "peer id    {}", report.peer_id)?;
		writeln!(out, "agent      {}", report.agent.as_deref().unwrap_or("unknown"))?;
		for address in &report.addresses {
			writeln!(out, "address    {address}")?;
		}
		match report.rtt {
			Some(rtt) => writeln!(out, "rtt        {rtt:.3} ms")?,
			None => writeln!(out, "rtt        not measured")?,
		}
		for protocol in &report.protocols {
			writeln!(out, "protocol   {protocol}")?;
		}
		Ok(())
	})
}

/// Waits until this is known of a connected peer.
async fn identified(
	host: &Host,
	peer: &PeerAddress,
	is_known: impl Fn(&ConnectedPeer) -> bool,
) -> Result<ConnectedPeer, CliError> {
	loop {
		let connected = host.connected().await?;
		let known = connected.into_iter().find(|known| known.peer == peer.peer);
		match known
			.ok_or_else(|| CliError::new(ErrorKind::Provider, format!("{peer} closed the connection")))?
		{
			known if is_known(&known) => return Ok(known),
			_ => tokio::time::sleep(LOOK).await,
		}
	}
}
