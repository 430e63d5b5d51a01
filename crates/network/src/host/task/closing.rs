//! The end of the task.

use super::Task;
use crate::{ip_network::remote_ip, metrics::Carrier, Multiaddr};
use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use std::{
	io::ErrorKind,
	net::{SocketAddr, UdpSocket},
	time::Duration,
};

/// How long peers have to answer a farewell.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long sockets of QUIC may take to be closed. They wait for three times what a packet may take both ways, for
/// what peers sent before they heard that the connection is closed.
const DRAINING: Duration = Duration::from_secs(3);
/// How often it is looked whether one is closed; libp2p does not tell.
const LOOK: Duration = Duration::from_millis(5);

impl Task {
	/// Writes what is to be written, closes all connections, and frees the addresses that were listened on.
	pub(super) async fn finish(mut self) {
		if let (Some(dht), Some(kad)) = (&mut self.dht, self.swarm.behaviour_mut().kad.as_mut()) {
			dht.finish(kad).await;
		}
		let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
		for peer in peers {
			// The peer is connected.
			let _ = self.swarm.disconnect_peer_id(peer);
		}
		let closing = async {
			while self.swarm.network_info().num_peers() > 0 {
				let event = self.swarm.select_next_some().await;
				self.on_swarm_event(event);
			}
		};
		if tokio::time::timeout(FAREWELL, closing).await.is_err() {
			tracing::debug!("some connections were not closed in time");
		}
		let sockets: Vec<_> = self.swarm.listeners().filter_map(quic_socket).collect();
		drop(self);
		let freeing = async {
			for socket in sockets {
				while is_taken(socket) {
					tokio::time::sleep(LOOK).await;
				}
			}
		};
		if tokio::time::timeout(DRAINING, freeing).await.is_err() {
			tracing::debug!("some sockets were not closed in time");
		}
	}
}

impl Drop for Task {
	/// Closes the listeners. Of themselves, some would outlive the swarm.
	fn drop(&mut self) {
		for listener in self.listeners.drain() {
			self.swarm.remove_listener(listener);
		}
	}
}

/// The UDP socket behind an address that is listened on for QUIC.
fn quic_socket(address: &Multiaddr) -> Option<SocketAddr> {
	let ip = remote_ip(address).filter(|_| Carrier::of(address) == Carrier::Quic)?;
	address.iter().find_map(|part| match part {
		Protocol::Udp(port) => Some(SocketAddr::new(ip, port)),
		_ => None,
	})
}

fn is_taken(socket: SocketAddr) -> bool {
	UdpSocket::bind(socket).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn only_sockets_of_quic_are_waited_for() {
		for (address, expected) in [
			("/ip4/127.0.0.1/udp/7/quic-v1", Some("127.0.0.1:7")),
			("/ip6/::1/udp/7/quic-v1", Some("[::1]:7")),
			("/ip4/127.0.0.1/tcp/7", None),
			("/memory/7", None),
			(
				"/ip4/127.0.0.1/udp/7/quic-v1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit",
				None,
			),
		] {
			let expected = expected.map(|socket| socket.parse().unwrap());
			assert_eq!(quic_socket(&address.parse().unwrap()), expected, "{address}");
		}
	}

	#[test]
	fn a_socket_is_taken_while_somebody_has_it() {
		let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
		let address = socket.local_addr().unwrap();
		assert!(is_taken(address));
		drop(socket);
		assert!(!is_taken(address));
	}
}
