//! Fetching a range of several peers at once.
//!
//! The range is divided into pieces ([`Plan`]). Each peer that speaks the native protocol has a few under way,
//! each in a stream of its own. What a peer does not deliver, or stalls within, goes to another; what is tried
//! by all, or when there is no such peer, is fetched block by block. What the store has of a piece is not
//! fetched again, so nothing that came is lost with its peer.

use super::{
	local::Local,
	plan::{Cut, Plan, Span, PIECES_PER_PEER},
	Amount, FetchError, Fetched, Fetcher, NetworkSource, Providers,
};
use crate::{
	exchange::{
		service::{RangeError, RangeWatch, SessionPeers},
		walk::{self, RangeWalk},
		wire::Range,
	},
	streams::OpenError,
};
use cairn_dag::unixfs::{self, Kind, ReadError};
use futures::{
	future::BoxFuture,
	stream::{FuturesUnordered, StreamExt},
	FutureExt,
};
use libp2p::PeerId;
use std::{
	sync::Arc,
	time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// How often peers are looked at that rest or may stall.
const TICK: Duration = Duration::from_millis(100);

/// Pieces that are fetched block by block at a time.
const WALKS: usize = 4;

/// How long a peer rests after its first failure; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_millis(500);

/// Smallest piece of a file, at multiples of which pieces end: what importers use as largest chunk.
const LEAST_BYTES: u64 = 1 << 20;
/// Piece of a file for a peer of which nothing is known.
const FIRST_BYTES: u64 = 4 << 20;
/// Smallest piece of a dataset in blocks.
const LEAST_LEAVES: u64 = 16;
/// Piece of a dataset for a peer of which nothing is known.
const FIRST_LEAVES: u64 = 64;

/// A peer that pieces are fetched of.
struct Source {
	id: PeerId,
	/// Pieces under way.
	running: usize,
	/// Bytes of a file or blocks of a dataset per second, of one piece.
	rate: Option<f64>,
	/// Failures since it last delivered a piece.
	failures: u32,
	/// Until when it is handed nothing.
	rests_until: Option<Instant>,
	/// Whether it is of no use any more.
	is_useless: bool,
}

impl Source {
	fn is_free(&self, most: usize, now: Instant) -> bool {
		!self.is_useless && self.running < most && self.rests_until.is_none_or(|until| until <= now)
	}

	fn fails(&mut self, now: Instant) {
		self.rests_until = Some(now + FIRST_REST * (1 << self.failures.min(6)));
		self.failures += 1;
	}
}

/// A piece under way with a peer.
struct Running {
	peer: PeerId,
	start: u64,
	watch: Arc<RangeWatch>,
	/// Bytes that had come when it was looked at last, and since when there are no more.
	seen: (u64, Instant),
}

/// How a piece ended.
struct Ended {
	/// `None` if it was fetched block by block.
	peer: Option<PeerId>,
	span: Span,
	result: Result<bool, PieceError>,
	received: Amount,
	/// Units that came per second.
	rate: Option<f64>,
}

/// Why a piece was not fetched.
enum PieceError {
	/// Of this peer.
	Peer(RangeError),
	/// For a reason that no other peer changes.
	All(FetchError),
}

/// A fetch under way.
struct Fetch<'a> {
	fetcher: &'a Fetcher,
	range: Range,
	deadline: Instant,
	plan: Plan,
	/// Whether the plan is for all of the range, and not only for the root of the file.
	is_whole: bool,
	sources: Vec<Source>,
	running: Vec<Running>,
	/// Where peers are added to pieces that are fetched block by block.
	walks: Vec<(u64, SessionPeers)>,
	ends: FuturesUnordered<BoxFuture<'a, Ended>>,
	fetched: Fetched,
}

pub(super) async fn fetch(
	fetcher: &Fetcher,
	range: Range,
	mut providers: Providers<'_>,
	deadline: Instant,
) -> Result<Fetched, FetchError> {
	let mut fetch = Fetch {
		fetcher,
		range,
		deadline,
		plan: Plan::new(whole(), 0, 0),
		is_whole: false,
		sources: Vec::new(),
		running: Vec::new(),
		walks: Vec::new(),
		ends: FuturesUnordered::new(),
		fetched: Fetched::default(),
	};
	let mut are_more = true;
	let mut tick = tokio::time::interval(TICK);
	tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
	loop {
		while fetch.plan.is_empty() && fetch.ends.is_empty() {
			if fetch.is_whole {
				return Ok(fetch.fetched);
			}
			fetch.lay_out().await?;
			fetch.skip_local().await?;
		}
		fetch.hand_out(Instant::now()).await?;
		if fetch.sources.is_empty() && !are_more {
			return Err(FetchError::NoProviders);
		}
		tokio::select! {
			Some(ended) = fetch.ends.next() => fetch.on_end(ended, Instant::now())?,
			provider = providers.next(), if are_more => match provider {
				Some(peer) => fetch.add(peer),
				None => are_more = false,
			},
			_ = tick.tick() => fetch.give_up_stalled(Instant::now()),
			() = tokio::time::sleep_until(deadline.into()) => return Err(fetch.expired().await),
		}
	}
}

/// A plan of one piece.
fn whole() -> Cut {
	Cut {
		least: u64::MAX,
		first: u64::MAX,
		most: u64::MAX,
		align: 1,
	}
}

/// A part of a range.
fn part(range: &Range, start: u64, len: u64) -> Range {
	match *range {
		Range::Bytes { root, .. } => Range::Bytes { root, start, len },
		Range::Leaves { tree, .. } => Range::Leaves { tree, start, len },
	}
}

impl Fetch<'_> {
	/// Plans as far as is known how much there is.
	async fn lay_out(&mut self) -> Result<(), FetchError> {
		let limits = self.fetcher.limits;
		let (cut, start, end, is_whole) = match self.range {
			Range::Leaves { start, len, .. } => {
				let cut = Cut {
					least: LEAST_LEAVES,
					first: FIRST_LEAVES.min(limits.range_leaves),
					most: limits.range_leaves.max(1),
					align: 1,
				};
				(cut, start, start.saturating_add(len), true)
			}
			Range::Bytes { root, start, len } => {
				let cut = Cut {
					least: LEAST_BYTES,
					first: FIRST_BYTES.min(limits.range_bytes),
					most: limits.range_bytes.max(1),
					align: LEAST_BYTES,
				};
				let end = start.saturating_add(len);
				let store = self.fetcher.exchange.store().clone();
				let stat = spawn_blocking(move || unixfs::stat(&*store, &root)).await?;
				match stat {
					Ok(stat) if stat.kind == Kind::File => (cut, start, end.min(stat.size.max(start)), true),
					Err(ReadError::Source(error)) => return Err(error.into()),
					// The root says where the file ends: it comes first.
					Err(ReadError::Missing { .. })
						if len > cut.first && self.fetched.received.blocks == 0 =>
					{
						(cut, start, start.saturating_add(1), false)
					}
					_ => (whole(), start, end, true),
				}
			}
		};
		self.plan = Plan::new(cut, start, end);
		self.is_whole = is_whole;
		Ok(())
	}

	/// Passes over what the store has from the start on.
	async fn skip_local(&mut self) -> Result<(), FetchError> {
		while let Some((start, len)) = self.plan.front() {
			match self.fetcher.local(part(&self.range, start, len)).await? {
				Local::All { some: true } => self.plan.skip(len),
				Local::All { some: false } => self.plan.ends_at(start),
				Local::First { len, .. } => {
					self.plan.skip(len);
					break;
				}
			}
		}
		Ok(())
	}

	/// A peer was found.
	fn add(&mut self, peer: PeerId) {
		if self.sources.iter().any(|source| source.id == peer) {
			return;
		}
		self.walks.iter().for_each(|(_, peers)| peers.add(peer));
		self.sources.push(Source {
			id: peer,
			running: 0,
			rate: None,
			failures: 0,
			rests_until: None,
			is_useless: false,
		});
	}

	/// Has peers that are free fetch pieces.
	async fn hand_out(&mut self, now: Instant) -> Result<(), FetchError> {
		// Each peer has one before any has two.
		for most in 1..=PIECES_PER_PEER {
			let useful = self.sources.iter().filter(|source| !source.is_useless).count();
			let peers = useful.min(self.fetcher.limits.range_peers);
			let mut busy = self.sources.iter().filter(|source| source.running > 0).count();
			for place in 0..self.sources.len() {
				let source = &self.sources[place];
				let is_new = source.running == 0;
				if !source.is_free(most, now) || (is_new && busy >= self.fetcher.limits.range_peers) {
					continue;
				}
				if let Some(span) = self.plan.take(&source.id, source.rate, peers) {
					busy += usize::from(is_new);
					self.request(place, span, now);
				}
			}
		}
		let useful = self.sources.iter().filter(|source| !source.is_useless);
		let useful: Vec<_> = useful.map(|source| source.id).collect();
		while !self.sources.is_empty() && self.walks.len() < WALKS {
			let tried = self.plan.take_tried(useful.iter());
			// Of peers that rest, blocks may be had, and the next stream is not worth waiting for.
			let span = match tried {
				None if self.ends.is_empty() || useful.is_empty() => self.plan.take_any(),
				tried => tried,
			};
			let Some(span) = span else { break };
			self.walk(span).await?;
		}
		Ok(())
	}

	/// Has a peer fetch a piece.
	fn request(&mut self, place: usize, span: Span, now: Instant) {
		let source = &mut self.sources[place];
		source.running += 1;
		let watch = Arc::new(RangeWatch::default());
		self.running.push(Running {
			peer: source.id,
			start: span.start,
			watch: watch.clone(),
			seen: (0, now),
		});
		let (fetcher, range, peer, deadline) = (self.fetcher.clone(), self.range, source.id, self.deadline);
		self.ends
			.push(async move { fetcher.piece(range, span, peer, deadline, &watch).await }.boxed());
	}

	/// Has a piece fetched block by block of any peers.
	async fn walk(&mut self, span: Span) -> Result<(), FetchError> {
		let session = self.fetcher.exchange.session(self.deadline).await?;
		let peers = session.peers();
		self.sources.iter().for_each(|source| peers.add(source.id));
		self.walks.push((span.start, peers));
		let source = NetworkSource::new(session, self.fetcher.exchange.clone());
		let range = part(&self.range, span.start, span.len);
		let found = self.sources.len();
		let walking = spawn_blocking(move || {
			let ended = walk_through(&source, &range);
			(ended, source.expired(), source.received())
		});
		let ended = async move {
			let (result, received) = match walking.await {
				Ok((Ok(some), _, received)) => (Ok(some), received),
				Ok((Err(_), Some(cid), received)) => (Err(FetchError::expired(&[cid], found)), received),
				Ok((Err(error), None, received)) => (Err(error.into()), received),
				Err(error) => (Err(error.into()), Amount::default()),
			};
			Ended {
				peer: None,
				span,
				result: result.map_err(PieceError::All),
				received,
				rate: None,
			}
		};
		self.ends.push(ended.boxed());
		Ok(())
	}

	fn on_end(&mut self, ended: Ended, now: Instant) -> Result<(), FetchError> {
		let Ended {
			peer,
			mut span,
			result,
			received,
			rate,
		} = ended;
		self.fetched.received.blocks += received.blocks;
		self.fetched.received.bytes += received.bytes;
		let source = peer.and_then(|peer| self.sources.iter_mut().find(|source| source.id == peer));
		match source {
			Some(source) => {
				source.running -= 1;
				let is_it = |running: &Running| Some(running.peer) == peer && running.start == span.start;
				self.running.retain(|running| !is_it(running));
				if let Err(PieceError::Peer(error)) = &result {
					tracing::debug!(peer = %source.id, %error, "a piece of a range is fetched elsewhere");
					match error {
						RangeError::Missing { .. } => span.tried.push(source.id),
						RangeError::Busy => source.fails(now),
						RangeError::Offence { .. } | RangeError::Open(OpenError::Unsupported) => {
							source.is_useless = true
						}
						_ => {
							span.tried.push(source.id);
							source.fails(now);
						}
					}
				} else {
					source.failures = 0;
					if let Some(rate) = rate {
						source.rate = Some(source.rate.map_or(rate, |known| (known + rate) / 2.0));
					}
				}
			}
			None => self.walks.retain(|(start, _)| *start != span.start),
		}
		match result {
			Ok(some) => {
				// Behind the last block of a dataset there are no further pieces.
				if matches!(self.range, Range::Leaves { .. }) && !some {
					self.plan.ends_at(span.start);
				}
			}
			Err(PieceError::Peer(_)) => self.plan.give_back(span),
			Err(PieceError::All(error)) => return Err(error),
		}
		Ok(())
	}

	/// Takes pieces from peers that send nothing of them, if others may.
	fn give_up_stalled(&mut self, now: Instant) {
		let others = self.sources.iter().filter(|source| !source.is_useless).count();
		for running in &mut self.running {
			let came = running.watch.received();
			if came != running.seen.0 || !running.watch.is_requested() {
				running.seen = (came, now);
			} else if others > 1 && now - running.seen.1 >= self.fetcher.limits.range_patience {
				running.watch.give_up();
			}
		}
	}

	/// The deadline has come.
	async fn expired(&mut self) -> FetchError {
		let under_way = self.running.first().map(|running| (running.start, 1));
		let (start, len) = under_way.or(self.plan.front()).unwrap_or((0, 1));
		match self.fetcher.local(part(&self.range, start, len)).await {
			Ok(Local::First { missing, .. }) => FetchError::expired(&[missing], self.sources.len()),
			Ok(Local::All { .. }) => FetchError::expired(&[*self.range.root()], self.sources.len()),
			Err(error) => error,
		}
	}
}

impl Fetcher {
	async fn local(&self, range: Range) -> Result<Local, FetchError> {
		let store = self.exchange.store().clone();
		spawn_blocking(move || Local::of(&*store, &range)).await?
	}

	/// Fetches what the store lacks of a piece.
	async fn piece(
		&self,
		range: Range,
		span: Span,
		peer: PeerId,
		deadline: Instant,
		watch: &RangeWatch,
	) -> Ended {
		let mut ended = Ended {
			peer: Some(peer),
			result: Ok(true),
			received: Amount::default(),
			rate: None,
			span,
		};
		let (start, len) = (ended.span.start, ended.span.len);
		let here = match self.local(part(&range, start, len)).await {
			Ok(Local::All { some }) => {
				ended.result = Ok(some);
				return ended;
			}
			Ok(Local::First { len, .. }) => len,
			Err(error) => {
				ended.result = Err(PieceError::All(error));
				return ended;
			}
		};
		let rest = part(&range, start + here, len - here);
		let begun = Instant::now();
		let (result, came) = self.exchange.range_in_part(peer, rest, deadline, watch).await;
		ended.received = Amount {
			blocks: came.blocks,
			bytes: came.bytes,
		};
		let leaves = came.blocks - came.tree_nodes;
		let units = match range {
			Range::Bytes { .. } => came.bytes,
			Range::Leaves { .. } => leaves,
		};
		if units > 0 {
			ended.rate = Some(units as f64 / begun.elapsed().as_secs_f64().max(1e-3));
		}
		ended.result = match result {
			Ok(()) => Ok(here > 0 || leaves > 0),
			Err(RangeError::Store { reason }) => Err(PieceError::All(FetchError::Store { reason })),
			Err(RangeError::Unusable { reason }) => Err(PieceError::All(FetchError::Unusable { reason })),
			Err(error) => Err(PieceError::Peer(error)),
		};
		ended
	}
}

/// Walks to the end. Returns whether there was more than nodes of a tree.
fn walk_through(source: &NetworkSource, range: &Range) -> Result<bool, walk::RangeError> {
	let mut some = false;
	for block in RangeWalk::new(source, range) {
		some |= block?.cid().codec() != cairn_dag::Codec::CodexRoot.code();
	}
	Ok(some)
}
