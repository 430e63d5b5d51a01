//! `peers banned | ban | pardon`: bans of the network's peers, in the running daemon.

use super::{contact_server::operate, output::columns, CliError, Session};
use crate::http::{BannedPeer, BannedPeers, BANNED_PEERS};
use cairn_network::PeerId;
use cairn_units::{human_time, BlockSpan};
use clap::Subcommand;
use hyper::Method;
use serde::{de::DeserializeOwned, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Peers of the network that the running provider has banned.
#[derive(Subcommand)]
pub(crate) enum Peers {
	/// List the peers that are banned
	Banned,
	/// Have no connections with a peer for some time, or until the provider is restarted
	Ban {
		/// Its id, such as 12D3Koo…
		peer: PeerId,
		/// For how long: 10m, 12h, 7d
		#[arg(long = "for", value_name = "TIME", default_value = "1d", value_parser = time)]
		length: Duration,
	},
	/// End a peer's ban and forget what it did
	Pardon {
		/// Its id
		peer: PeerId,
	},
}

/// A ban as it is printed.
#[derive(Serialize)]
struct Ban {
	peer: String,
	/// Seconds since the Unix epoch.
	banned_until: u64,
	/// Bans for what it did in a row, with this one; 0 if the operator alone banned it.
	offences: u32,
}

#[derive(Serialize)]
struct Bans {
	banned: Vec<Ban>,
}

#[derive(Serialize)]
struct Pardoned {
	peer: String,
}

impl Peers {
	pub async fn run(self, session: Session) -> Result<(), CliError> {
		match self {
			Peers::Banned => {
				let answer: BannedPeers = decode(&operate(&session, Method::GET, BANNED_PEERS).await?)?;
				let banned: Vec<Ban> = answer.banned.into_iter().map(Into::into).collect();
				let bans = Bans { banned };
				session.out.result("cairn.provider.peers-banned/1", &bans, |out| {
					let mut rows = vec![["PEER", "ENDS IN", "OFFENCES"].map(str::to_owned).to_vec()];
					rows.extend(bans.banned.iter().map(Ban::row));
					columns(out, &rows)
				})
			}
			Peers::Ban { peer, length } => {
				let path = format!("{BANNED_PEERS}/{peer}?seconds={}", length.as_secs());
				let answer: BannedPeer = decode(&operate(&session, Method::PUT, &path).await?)?;
				let ban = Ban::from(answer);
				session.out.result("cairn.provider.peers-ban/1", &ban, |out| {
					writeln!(out, "{} is banned for {}", ban.peer, ban.rest())
				})
			}
			Peers::Pardon { peer } => {
				operate(&session, Method::DELETE, &format!("{BANNED_PEERS}/{peer}")).await?;
				let pardoned = Pardoned {
					peer: peer.to_string(),
				};
				session
					.out
					.result("cairn.provider.peers-pardon/1", &pardoned, |out| {
						writeln!(out, "{peer} is pardoned")
					})
			}
		}
	}
}

impl From<BannedPeer> for Ban {
	fn from(ban: BannedPeer) -> Self {
		Ban {
			peer: ban.peer,
			banned_until: ban.banned_until,
			offences: ban.offences,
		}
	}
}

impl Ban {
	/// How long it goes on, for people.
	fn rest(&self) -> String {
		let now = SystemTime::now().duration_since(UNIX_EPOCH);
		let now = now.unwrap_or(Duration::ZERO).as_secs();
		human_time(Duration::from_secs(self.banned_until.saturating_sub(now)))
	}

	fn row(&self) -> Vec<String> {
		vec![self.peer.clone(), self.rest(), self.offences.to_string()]
	}
}

fn decode<T: DeserializeOwned>(answer: &[u8]) -> Result<T, CliError> {
	serde_json::from_slice(answer).map_err(|error| {
		CliError::new(
			format!("the provider's answer is not understood: {error}"),
			"it may be of another version than this program",
		)
	})
}

/// A span of time that does not depend on the chain.
fn time(text: &str) -> Result<Duration, String> {
	match text.parse() {
		Ok(BlockSpan::Time(time)) => Ok(time),
		Ok(BlockSpan::Blocks(_)) => Err("a ban is not counted in blocks: write 10m, 12h or 7d".into()),
		Err(error) => Err(error.to_string()),
	}
}

#[cfg(test)]
mod tests {
	use super::{
		super::{output::Output, run::Running, Global},
		*,
	};
	use crate::{
		config::{Config, Paths},
		http::{router, serve},
		network::Network,
		simulation::{test_config, World},
	};
	use std::{os::unix::fs::PermissionsExt, path::Path};
	use tokio_util::sync::CancellationToken;

	fn session(base: &Path, config: &Config) -> Session {
		Session {
			paths: Paths {
				base: base.to_owned(),
				config: base.join("config.toml"),
			},
			config: config.clone(),
			global: Global {
				base_path: None,
				config: None,
				node: None,
				password: None,
				log_format: None,
				json: false,
			},
			out: Output::new(false),
		}
	}

	/// The provider listens, as `run` would have it.
	async fn listen(world: &World, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
		let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
		let running = Running {
			peer: Vec::new(),
			listen: listener.local_addr().unwrap(),
			pid: std::process::id(),
		};
		let note = serde_json::to_vec(&running).unwrap();
		std::fs::write(world.dir.path().join("running.json"), note).unwrap();
		let router = router(world.provider().clone()).unwrap();
		let (config, metrics) = (world.config.server.clone(), world.provider().metrics.clone());
		tokio::spawn(async move { serve(listener, router, &config, &metrics, stop).await })
	}

	#[tokio::test]
	async fn a_running_provider_bans_and_pardons() {
		let mut config = test_config();
		config.network.listen = vec!["/ip4/127.0.0.1/tcp/0".into()];
		let peer = PeerId::random();
		let length = Duration::from_secs(3600);

		// It lets who bears its token, which these commands read.
		let dir = tempfile::tempdir().unwrap();
		let token = dir.path().join("token");
		std::fs::write(&token, "0123456789abcdef").unwrap();
		std::fs::set_permissions(&token, PermissionsExt::from_mode(0o600)).unwrap();
		config.api.token_file = Some(token);
		let world = World::with(config).await;
		let base = world.dir.path();
		let ban = || Peers::Ban { peer, length }.run(session(base, &world.config));
		let pardon = || Peers::Pardon { peer }.run(session(base, &world.config));

		let error = ban().await.unwrap_err();
		assert!(error.to_string().contains("no provider runs on"), "{error}");
		let stop = CancellationToken::new();
		let server = listen(&world, stop.clone()).await;
		let error = ban().await.unwrap_err();
		assert!(error.to_string().contains("not a peer of the network"), "{error}");
		assert!(error.hint().unwrap().contains("[network] enabled"), "{error}");

		let folder = base.join("network");
		let network = Network::start(world.provider().clone(), &folder, stop.clone())
			.await
			.unwrap();
		let peers = network.host().peers();
		ban().await.unwrap();
		assert!(peers.is_banned(&peer));
		Peers::Banned.run(session(base, &world.config)).await.unwrap();
		pardon().await.unwrap();
		assert!(!peers.is_banned(&peer));
		let error = pardon().await.unwrap_err();
		assert_eq!(error.to_string(), "the peer is not banned");

		// Another token than the one that it was started with.
		let mut other = session(base, &world.config);
		let wrong = dir.path().join("wrong");
		std::fs::write(&wrong, "fedcba9876543210").unwrap();
		std::fs::set_permissions(&wrong, PermissionsExt::from_mode(0o600)).unwrap();
		other.config.api.token_file = Some(wrong);
		let error = Peers::Ban { peer, length }.run(other).await.unwrap_err();
		assert!(error.to_string().contains("token"), "{error}");
		assert!(!peers.is_banned(&peer));
		stop.cancel();
		network.shutdown().await;
		server.await.unwrap();
	}

	#[test]
	fn times_are_times() {
		assert_eq!(time("1d 12h"), Ok(Duration::from_secs(36 * 3600)));
		assert!(time("500 blocks").unwrap_err().contains("not counted in blocks"));
		assert!(time("soon").is_err());
		let ban = Ban {
			peer: "12D3Koo".into(),
			banned_until: 0,
			offences: 2,
		};
		assert_eq!(ban.row(), ["12D3Koo", "0s", "2"]);
	}
}
