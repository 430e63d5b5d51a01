//! Operators ban peers and pardon them.

use super::{peers::Peer, *};
use cairn_network::{host::ConnectError, peers::Offence, PeerId};

async fn ask(node: &Node, method: Method, below: &str) -> Answer {
	let path = format!("{CAIRN}/peers/banned{below}");
	local(&node.router, method, &path, &[], Body::empty()).await
}

async fn banned(node: &Node) -> Vec<Value> {
	let list: Value = ask(node, Method::GET, "").await.json();
	list["banned"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_peer_is_banned_and_pardoned() {
	let peer = Peer::with(&[], &[], &[]).await;
	// Not every node that has peers keeps a block store.
	let mut node = Node::with(peer.addresses(), |config| config.repo.enabled = false).await;
	node.join().await;
	let id = peer.host.peer_id();
	let below = format!("/{id}");
	let host = node.network.as_ref().unwrap().host().clone();
	assert_eq!(
		ask(&node, Method::DELETE, &below).await.problem(),
		ErrorKind::NotFound
	);

	let ban: Value = ask(&node, Method::PUT, &below).await.json();
	assert_eq!(
		(&ban["peer"], &ban["offences"]),
		(&id.to_string().into(), &0.into())
	);
	assert_eq!(banned(&node).await, std::slice::from_ref(&ban));
	let gone = async {
		while host
			.connected()
			.await
			.unwrap()
			.iter()
			.any(|connected| connected.peer == id)
		{
			tokio::time::sleep(Duration::from_millis(5)).await;
		}
	};
	soon(gone).await;
	let refused = host.connect(peer.host.address().await.unwrap()).await;
	assert_eq!(refused, Err(ConnectError::Refused));
	// A shorter one does not end it, a longer one goes on.
	let shorter: Value = ask(&node, Method::PUT, &format!("{below}?seconds=60"))
		.await
		.json();
	assert_eq!(shorter, ban);
	let longer: Value = ask(&node, Method::PUT, &format!("{below}?seconds=172800"))
		.await
		.json();
	assert!(longer["bannedUntil"].as_u64() > ban["bannedUntil"].as_u64());

	assert_eq!(
		ask(&node, Method::DELETE, &below).await.status,
		StatusCode::NO_CONTENT
	);
	assert!(banned(&node).await.is_empty());
	soon(async {
		while host.connect(peer.host.address().await.unwrap()).await.is_err() {
			tokio::time::sleep(Duration::from_millis(5)).await;
		}
	})
	.await;
}

#[tokio::test]
async fn who_was_banned_for_what_it_did_is_listed_and_pardoned() {
	let node = Node::joined(&[]).await;
	let [liar, other] = [PeerId::random(), PeerId::random()];
	let peers = node.network.as_ref().unwrap().host().peers().clone();
	peers.ban(other, Duration::from_secs(60));
	for _ in 0..2 {
		peers.strike(liar, Offence::BadBlock);
	}
	let list = banned(&node).await;
	let seen: Vec<_> = list
		.iter()
		.map(|ban| (ban["peer"].as_str().unwrap(), &ban["offences"]))
		.collect();
	assert_eq!(
		seen,
		[(&*other.to_string(), &0.into()), (&*liar.to_string(), &1.into())]
	);
	assert_eq!(
		ask(&node, Method::DELETE, &format!("/{liar}")).await.status,
		StatusCode::NO_CONTENT
	);
	// What it did is forgotten.
	peers.strike(liar, Offence::BadBlock);
	assert!(!peers.is_banned(&liar));
	assert_eq!(banned(&node).await.len(), 1);
}

#[tokio::test]
async fn bans_that_make_no_sense_are_refused() {
	let node = Node::joined(&[]).await;
	let peer = PeerId::random();
	for below in [
		"/nonsense".to_owned(),
		format!("/{}", "1".repeat(4000)),
		format!("/{peer}?seconds=0"),
		format!("/{peer}?seconds=315360001"),
		format!("/{peer}?seconds=-1"),
		format!("/{peer}?for=1"),
	] {
		let answer = ask(&node, Method::PUT, &below).await;
		assert_eq!(answer.problem(), ErrorKind::Malformed, "{below}");
	}
	assert!(banned(&node).await.is_empty());
	// Who is no peer has banned nobody.
	let alone = Node::with(&[], |_| {}).await;
	for (method, below) in [
		(Method::GET, String::new()),
		(Method::PUT, format!("/{peer}")),
		(Method::DELETE, format!("/{peer}")),
	] {
		assert_eq!(ask(&alone, method, &below).await.problem(), ErrorKind::NotFound);
	}
}
