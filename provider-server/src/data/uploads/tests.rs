use super::*;
use cairn_blockstore::RepoConfig;
use cairn_dag::codex::{import, DatasetOptions};
use std::fs;

const LEN: usize = 300_000;

struct Node {
	folder: tempfile::TempDir,
	repo: Repo,
	keep_free: u64,
}

impl Node {
	fn new(quota: u64) -> Self {
		let config = RepoConfig {
			quota,
			..RepoConfig::default()
		};
		Node {
			folder: tempfile::tempdir().unwrap(),
			repo: Repo::in_memory(&config).unwrap(),
			keep_free: 0,
		}
	}

	/// As at the start of a process.
	fn start(&self) -> Arc<Uploads> {
		let disk = Disk::new(self.folder.path(), self.keep_free);
		let patience = Duration::from_secs(60);
		Uploads::open(
			self.repo.clone(),
			Arc::default(),
			(self.folder.path(), disk),
			8,
			patience,
		)
		.unwrap()
	}

	fn files(&self) -> usize {
		fs::read_dir(self.folder.path()).unwrap().count()
	}

	fn reserved(&self) -> u64 {
		self.repo.space().unwrap().reserved
	}
}

fn terms(length: Option<u64>) -> Terms {
	Terms {
		filename: Some("name".into()),
		mimetype: Some("text/plain".into()),
		ttl: Some(Ttl::Never),
		length,
		resumable: true,
	}
}

fn data() -> Vec<u8> {
	(0..LEN as u32)
		.map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
		.collect()
}

fn expected(data: &[u8]) -> Cid {
	let options = DatasetOptions {
		filename: Some("name".into()),
		mimetype: Some("text/plain".into()),
		..DatasetOptions::default()
	};
	import(data, &mut cairn_dag::NullSink, &options).unwrap().cid
}

fn write(running: &mut Running, data: &[u8]) -> Result<(), Problem> {
	let (sender, receiver) = mpsc::channel(1 + data.len() / 50_000);
	for part in data.chunks(50_000) {
		sender.try_send(Bytes::copy_from_slice(part)).unwrap();
	}
	drop(sender);
	running.write(receiver)
}

#[test]
fn an_upload_goes_on_in_another_process() {
	let node = Node::new(1 << 20);
	let data = data();
	let uploads = node.start();
	let mut running = uploads.begin(terms(None)).unwrap();
	let id = running.id().to_owned();
	write(&mut running, &data[..100_000]).unwrap();
	// As after a kill: nothing is put back.
	std::mem::forget(running);
	std::mem::forget(uploads);

	let uploads = node.start();
	let status = uploads.status(&id).unwrap();
	assert_eq!((status.received, status.running), (100_000, false));
	assert_eq!(status.terms, terms(None));
	let mut running = uploads.resume(&id).unwrap();
	running.announce(LEN as u64).unwrap();
	write(&mut running, &data[100_000..250_000]).unwrap();
	drop((running, uploads));

	let uploads = node.start();
	let mut running = uploads.resume(&id).unwrap();
	assert_eq!(
		(running.received(), running.terms()),
		(250_000, &terms(Some(LEN as u64)))
	);
	write(&mut running, &data[250_000..]).unwrap();
	let dataset = running.finish().unwrap();
	assert_eq!(dataset.root, expected(&data));
	assert_eq!(node.files(), 0);
	assert_eq!(uploads.status(&id).unwrap().dataset, Some(dataset.root));
}

#[test]
fn one_that_is_given_up_or_had_not_begun_leaves_nothing() {
	let node = Node::new(1 << 20);
	let uploads = node.start();
	let mut running = uploads.begin(terms(Some(LEN as u64))).unwrap();
	write(&mut running, b"some").unwrap();
	let id = running.id().to_owned();
	drop(running);
	assert!(node.files() == 2 && node.reserved() >= LEN as u64);
	assert!(uploads.discard(&id));
	assert_eq!((node.files(), node.reserved()), (0, 0));

	fs::write(
		node.folder.path().join(format!("{}.data", "0a".repeat(16))),
		b"some",
	)
	.unwrap();
	fs::write(node.folder.path().join(".tmpterms.tmp"), b"{").unwrap();
	assert!(node.start().list().is_empty());
	assert_eq!(node.files(), 0);
}

#[test]
fn without_room_what_came_is_kept() {
	let node = Node::new(200_000);
	let uploads = node.start();
	let data = data();
	let mut running = uploads.begin(terms(None)).unwrap();
	let problem = write(&mut running, &data).unwrap_err();
	assert_eq!(problem.kind, ErrorKind::StorageFull);
	assert_eq!(running.received(), 200_000);
	assert!(running.can_go_on());
	let id = running.id().to_owned();
	drop(running);
	// The dataset is larger than its data, so that there is no room for it either.
	let problem = uploads.resume(&id).unwrap().finish().unwrap_err();
	assert_eq!(problem.kind, ErrorKind::StorageFull);
	assert_eq!(uploads.status(&id).unwrap().received, 200_000);
	assert_eq!(node.reserved(), 200_000);
}

#[test]
fn one_that_is_given_up_while_it_is_finished_becomes_no_dataset() {
	let node = Node::new(1 << 20);
	let uploads = node.start();
	let mut running = uploads.begin(terms(None)).unwrap();
	write(&mut running, &data()).unwrap();
	assert!(uploads.discard(running.id()));
	let problem = running.finish().unwrap_err();
	assert_eq!(problem, discarded());
	assert_eq!(node.files(), 0);
	node.repo.maintain().unwrap();
	let space = node.repo.space().unwrap();
	assert_eq!((space.used, space.reserved, space.datasets), (0, 0, 0));
}

#[test]
fn a_full_disk_is_a_full_disk() {
	let node = Node {
		keep_free: u64::MAX,
		..Node::new(1 << 20)
	};
	let uploads = node.start();
	let mut running = uploads.begin(terms(None)).unwrap();
	let problem = write(&mut running, b"some").unwrap_err();
	assert_eq!(problem.kind, ErrorKind::StorageFull);
	assert_eq!(running.received(), 0);
	assert!(running.can_go_on());
}
