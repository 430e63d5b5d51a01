use cairn_chain_client::*;
use std::{sync::{Arc, atomic::*}, time::Duration};
struct Key(subxt_signer::sr25519::Keypair);
impl Signer for Key {
	fn account(&self) -> AccountId { self.0.public_key().0 }
	fn sign(&self, m: &[u8]) -> [u8; 64] { self.0.sign(m).0 }
}
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
	let client = ChainClient::connect("ws://127.0.0.1:19955").await.unwrap();
	let s = Submitter::new(&client, Key(subxt_signer::sr25519::dev::bob()));
	let start = client.finalized().await.unwrap();
	let nonce0 = client.query().balance(&s.account()).await.unwrap().nonce;
	let mut blocks = client.finalized_blocks();
	tokio::spawn(async move {
		let mut last = None;
		loop {
			match blocks.next().await {
				Ok(b) => { if let Some(l) = last { assert_eq!(b.number, l + 1); } last = Some(b.number); }
				Err(e) => { println!("blocks: {e}"); break }
			}
		}
	});
	let ok = Arc::new(AtomicU32::new(0));
	let mut tasks = vec![];
	for i in 0..80u32 {
		let (s, ok) = (s.clone(), ok.clone());
		tasks.push(tokio::spawn(async move {
			match s.submit(calls::system::remark_with_event(&i.to_le_bytes())).await {
				Ok(inc) => { ok.fetch_add(1, Ordering::SeqCst); println!("{i} in {}", inc.block); }
				Err(e) => println!("{i}: {e:?}"),
			}
		}));
		tokio::time::sleep(Duration::from_secs(1)).await;
	}
	for t in tasks { t.await.unwrap(); }
	let nonce1 = client.query().balance(&s.account()).await.unwrap().nonce;
	println!("ok {} nonces used {} from block {}", ok.load(Ordering::SeqCst), nonce1 - nonce0, start);
}
