//! `cairn peer ping`

use super::Target;
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	network::start_host,
};
use cairn_network::{
	streams::{Behaviour, Control, OpenError},
	PeerId,
};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::StreamProtocol;
use rand_core::{OsRng, RngCore};
use serde::Serialize;
use std::{
	io,
	time::{Duration, Instant},
};

/// The protocol, whose [specification] is 32 random bytes, and the same back.
///
/// [specification]: https://github.com/libp2p/specs/blob/master/ping/ping.md
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");
const PAYLOAD: usize = 32;

/// Measure the round trip to a peer
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	target: Target,
	/// Pings to send
	#[arg(long, short, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
	count: u32,
	/// Milliseconds between pings
	#[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
	interval: u64,
}

#[derive(Serialize)]
struct Pong {
	peer_id: String,
	/// Number of the ping, from 1.
	sequence: u32,
	/// Milliseconds.
	rtt: f64,
}

/// Why a ping was not answered.
#[derive(Debug, thiserror::Error)]
enum PingError {
	#[error(transparent)]
	Open(#[from] OpenError),
	#[error("the stream broke")]
	Stream(#[from] io::Error),
	#[error("other bytes came back than were sent")]
	Differs,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let target = &args.target;
	let peer = target.resolve(context).await?;
	// Streams are opened, none is accepted.
	let (behaviour, control, _events) = Behaviour::new([]);
	let host = start_host(Vec::new(), Some(behaviour)).await?;
	target.connect(&host, &peer).await?;
	for sequence in 1..=args.count {
		if sequence > 1 {
			tokio::time::sleep(Duration::from_millis(args.interval)).await;
		}
		let answer = tokio::time::timeout(target.timeout(), ping(&control, peer.peer)).await;
		let rtt = answer
			.map_err(|_| target.late(&peer, "answer"))?
			.map_err(|error| CliError::new(ErrorKind::Provider, error.to_string()).during(&peer))?;
		let pong = Pong {
			peer_id: peer.peer.to_string(),
			sequence,
			rtt: rtt.as_secs_f64() * 1e3,
		};
		context.output.result("cairn.peer-pong/1", &pong, |out| {
			writeln!(
				out,
				"{} answered ping {sequence} in {:.3} ms",
				pong.peer_id, pong.rtt
			)
		})?;
	}
	host.shutdown().await;
	Ok(())
}

/// Sends a ping, and another one if its stream broke: a peer answers on the latest stream only, and the host, which pings
/// its peers by itself now and then, may just have opened a later one.
async fn ping(control: &Control, peer: PeerId) -> Result<Duration, PingError> {
	match ping_once(control, peer).await {
		Err(PingError::Stream(_)) => ping_once(control, peer).await,
		outcome => outcome,
	}
}

/// Sends a ping on a stream of its own, which is open before the time is taken.
async fn ping_once(control: &Control, peer: PeerId) -> Result<Duration, PingError> {
	let (mut stream, _) = control.open(peer, &[PROTOCOL]).await?;
	let mut sent = [0; PAYLOAD];
	OsRng.fill_bytes(&mut sent);
	let mut came = [0; PAYLOAD];
	let begun = Instant::now();
	stream.write_all(&sent).await?;
	stream.flush().await?;
	stream.read_exact(&mut came).await?;
	let rtt = begun.elapsed();
	// An error means that the peer closed it first.
	let _ = stream.close().await;
	match came == sent {
		true => Ok(rtt),
		false => Err(PingError::Differs),
	}
}
