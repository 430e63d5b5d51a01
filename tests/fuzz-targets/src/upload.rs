//! Uploads in pieces: whatever a client sends in whatever order, the provider holds what a model says.

use crate::{archive, deal::proposal, input::Input, Seed};
use bytes::Bytes;
use cairn_car::CarReader;
use cairn_dag::Cid;
use cairn_primitives::{
	deal::{DealPayload, PayloadKind},
	PieceInfo, ProofTypeId,
};
use cairn_provider_api::ErrorKind;
use cairn_provider_server::{
	deal::{Deal, DealState, Origin},
	ingest::{Disk, Limits, Start, Uploads},
	store::{Identity, Store},
};
use cairn_proving::{commp, store::SectorStore};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Requests of one run at most.
const MAX_REQUESTS: usize = 12;
/// The deal's name.
const HASH: [u8; 32] = [5; 32];

/// One request: where it starts, the length it announces, and the parts of its body.
struct Request {
	start: Start,
	len: Option<u64>,
	chunks: Vec<Bytes>,
	/// Whether the connection breaks behind the last part.
	breaks: bool,
}

const AT_HELD: u8 = 1;
const AT_ANY: u8 = 3;
const LEN_TRUE: u8 = 1 << 2;
const LEN_ANY: u8 = 2 << 2;
const BREAKS: u8 = 1 << 4;
const FLIPPED: u8 = 1 << 5;

impl Request {
	/// A request with a part of `payload`, of which `held` bytes are there.
	fn read(input: &mut Input, payload: &[u8], held: usize) -> Self {
		let (flags, any) = (input.byte(), u64::from(input.u16()));
		let start = match flags & 3 {
			0 => Start::Fresh,
			AT_ANY => Start::At(any),
			_ => Start::At(held as u64),
		};
		let offset = match start {
			Start::Fresh => 0,
			Start::At(offset) => offset as usize,
		};
		let (len, chunk) = (usize::from(input.u16()) % 1024, usize::from(input.byte()));
		// Beyond the payload's end come zeros.
		let mut body: Vec<u8> = payload.iter().copied().skip(offset).take(len).collect();
		body.resize(len, 0);
		if flags & FLIPPED != 0 {
			if let Some(last) = body.last_mut() {
				*last ^= 1;
			}
		}
		let size = if chunk == 0 { len.max(1) } else { chunk };
		Request {
			start,
			len: match flags & (LEN_TRUE | LEN_ANY) {
				LEN_TRUE => Some(len as u64),
				LEN_ANY => Some(any),
				_ => None,
			},
			chunks: body.chunks(size).map(Bytes::copy_from_slice).collect(),
			breaks: flags & BREAKS != 0,
		}
	}
}

/// What a request must come to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
	Complete,
	Partial(u64),
	Refused(ErrorKind),
}

/// Applies a request to the bytes that are held.
fn model(held: &mut Vec<u8>, request: &Request, payload: &[u8]) -> Outcome {
	let size = payload.len() as u64;
	let offset = match request.start {
		Start::Fresh => 0,
		Start::At(offset) if offset == held.len() as u64 => offset,
		Start::At(_) => return Outcome::Refused(ErrorKind::OffsetMismatch),
	};
	let is_fresh = request.start == Start::Fresh;
	match request.len {
		Some(len) if offset + len > size => return Outcome::Refused(ErrorKind::TooLarge),
		Some(len) if is_fresh && len < size => return Outcome::Refused(ErrorKind::TooSmall),
		_ => held.truncate(offset as usize),
	}
	for chunk in &request.chunks {
		held.extend_from_slice(chunk);
		if held.len() > payload.len() {
			held.clear();
			return Outcome::Refused(ErrorKind::TooLarge);
		}
	}
	if request.breaks {
		return Outcome::Refused(ErrorKind::IdleTimeout);
	}
	if held.len() < payload.len() {
		return if is_fresh {
			Outcome::Refused(ErrorKind::TooSmall)
		} else {
			Outcome::Partial(held.len() as u64)
		};
	}
	if held == payload {
		return Outcome::Complete;
	}
	held.clear();
	Outcome::Refused(ErrorKind::CommitmentMismatch)
}

/// A provider that has taken one deal.
struct Provider {
	store: Store,
	sectors: SectorStore,
	uploads: Uploads,
	deal: Deal,
	root: Cid,
	runtime: Runtime,
	_folder: tempfile::TempDir,
}

impl Provider {
	fn new(payload: &[u8]) -> Self {
		let folder = tempfile::tempdir().expect("a temporary folder");
		let identity = Identity {
			genesis_hash: [9; 32],
			owner: [3; 32],
		};
		let store = Store::open(&folder.path().join("provider.redb"), &identity);
		let store = store.expect("the folder is writable");
		let sectors = SectorStore::open(folder.path().join("storage")).expect("the folder is writable");
		let limits = Limits {
			max_concurrent: 1,
			idle_timeout: Duration::from_secs(60),
			min_progress: 0,
		};
		let disk = Disk::new(folder.path(), 0);
		let uploads = folder.path().join("storage/uploads");
		let uploads = Uploads::open(&uploads, store.clone(), sectors.clone(), disk, limits);
		let reader = CarReader::new(payload).expect("the payload is a CAR");
		let root = reader.roots()[0];
		let mut proposal = proposal();
		proposal.piece = commp::piece_info(payload).expect("memory can be read");
		proposal.payload = DealPayload::V1 {
			kind: PayloadKind::Public,
			root: root.to_bytes().try_into().expect("a root has 36 bytes"),
		};
		let deal = Deal::accepted(proposal, Origin::OnChain, ProofTypeId(0x11), 1);
		store.insert_deal(&HASH, &deal).expect("the database is writable");
		Provider {
			store,
			sectors,
			uploads: uploads.expect("the folder is writable"),
			deal,
			root,
			runtime: tokio::runtime::Builder::new_current_thread()
				.enable_time()
				.build()
				.expect("threads can be started"),
			_folder: folder,
		}
	}

	fn send(&self, request: &Request) -> Outcome {
		let mut body: Vec<Result<Bytes, &str>> = request.chunks.iter().cloned().map(Ok).collect();
		body.extend(request.breaks.then_some(Err("the connection broke")));
		let body = futures::stream::iter(body);
		let receiving = self
			.uploads
			.receive(&HASH, &self.deal, request.start, request.len, body);
		match self.runtime.block_on(receiving) {
			Ok(progress) if progress.complete => Outcome::Complete,
			Ok(progress) => Outcome::Partial(progress.received),
			Err(problem) => Outcome::Refused(problem.kind),
		}
	}

	fn piece(&self) -> &PieceInfo {
		&self.deal.proposal.piece
	}

	fn state(&self) -> DealState {
		let deal = self.store.deal(&HASH).expect("the database is readable");
		deal.expect("the deal was inserted").state
	}
}

/// Sends requests with parts of a payload, until the provider has all of it.
pub fn upload_requests(data: &[u8]) {
	let payload = archive::v1();
	let provider = Provider::new(&payload);
	let mut input = Input::new(data);
	let mut held = Vec::new();
	for _ in 0..MAX_REQUESTS {
		if input.is_empty() {
			break;
		}
		let request = Request::read(&mut input, &payload, held.len());
		let expected = model(&mut held, &request, &payload);
		assert_eq!(provider.send(&request), expected);
		if expected == Outcome::Complete {
			assert_eq!(provider.state(), DealState::Received);
			assert!(provider.sectors.has_piece(provider.piece()));
			let root = provider.root.hash().to_bytes();
			let places = provider.store.block_locations(&root, 1);
			assert_eq!(places.expect("the database is readable").len(), 1);
			assert_eq!(provider.uploads.received(&HASH), 0);
			return;
		}
		assert_eq!(
			provider.uploads.received(&HASH),
			held.len() as u64,
			"{expected:?}"
		);
		assert_eq!(provider.state(), DealState::Accepted);
		assert!(
			!provider.sectors.has_piece(provider.piece()),
			"a piece that was refused"
		);
	}
}

/// A request as [`Request::read`] reads it.
fn request(flags: u8, any: u16, len: u16, chunk: u8) -> Vec<u8> {
	let mut bytes = vec![flags];
	bytes.extend_from_slice(&any.to_le_bytes());
	bytes.extend_from_slice(&len.to_le_bytes());
	bytes.push(chunk);
	bytes
}

/// Seeds of [`upload_requests`].
pub(crate) fn seeds() -> Vec<Seed> {
	let size = archive::v1().len() as u16;
	let all = |flags| request(flags, size, size, 0);
	let half = |flags| request(flags, 100, size / 2, 33);
	vec![
		("whole", all(LEN_TRUE)),
		("flipped", [all(FLIPPED), all(0)].concat()),
		("too-large", [request(0, 0, size + 1, 50), all(LEN_ANY)].concat()),
		(
			"too-small",
			[
				request(LEN_TRUE, 0, size - 1, 0),
				request(0, 0, size - 1, 0),
				all(0),
			]
			.concat(),
		),
		(
			"resumed",
			[
				half(AT_HELD),
				half(AT_HELD | BREAKS),
				request(AT_HELD, 0, 1, 0),
				all(AT_HELD),
			]
			.concat(),
		),
		("wrong-offset", [half(AT_HELD), half(AT_ANY), all(0)].concat()),
		(
			"broken-at-the-end",
			[all(BREAKS), request(AT_HELD, 0, 0, 0)].concat(),
		),
	]
}
