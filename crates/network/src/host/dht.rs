//! The host's part in the DHT: searches, announcements, and the writing of provider records.

use super::{
	commands::{ProvideError, Reply},
	config::DhtConfig,
	event::{DhtStatus, Event},
};
use crate::{
	address::PeerAddress,
	clock::Clock,
	discovery::{Announcer, Changes, DatabaseError, RecordDatabase, Records, MAX_KEY_BYTES},
	metrics::Metrics,
};
use libp2p::{
	core::Endpoint,
	kad::{self, AddProviderOk, GetProvidersOk, QueryId, QueryResult, QueryStats, RecordKey},
	multihash::Multihash,
	swarm::{ConnectionId, NetworkBehaviour, StreamProtocol},
	PeerId,
};
use std::{
	collections::{HashMap, HashSet, VecDeque},
	sync::Arc,
	time::Duration,
};
use tokio::{
	sync::{mpsc, watch},
	task::JoinHandle,
};

/// How long changes of others' records wait for company before they are written.
const WRITE_DELAY: Duration = Duration::from_secs(5);
/// How often the neighbours to join through after a restart are noted.
const REMEMBER_INTERVAL: Duration = Duration::from_secs(600);
/// How many of them.
const MAX_NEIGHBOURS: usize = 64;
/// How long after a failed write collected changes are tried again.
const WRITE_RETRY: Duration = Duration::from_secs(60);
/// Providers that one search may find.
const MAX_FOUND: usize = 1000;

type Kademlia = kad::Behaviour<Records>;

/// A search for providers.
struct Find {
	sink: mpsc::Sender<PeerAddress>,
	found: HashSet<PeerId>,
}

/// A change of the own keys that is to be on the disk before it holds.
struct Request {
	provide: bool,
	keys: Vec<RecordKey>,
	reply: Reply<Result<(), ProvideError>>,
}

/// What a write came to: the changes that were collected before it, and whether all was written.
type Written = (Changes, Result<(), DatabaseError>);

struct Write {
	requests: Vec<Request>,
	running: JoinHandle<Written>,
}

pub(super) struct Dht {
	protocol: StreamProtocol,
	database: RecordDatabase,
	clock: Arc<dyn Clock>,
	metrics: Metrics,
	status: watch::Sender<DhtStatus>,
	announcer: Announcer,
	/// Own keys that were announced since the start.
	announced: HashSet<RecordKey>,
	finds: HashMap<QueryId, Find>,
	/// Waiting for the running write to end.
	requests: VecDeque<Request>,
	write: Option<Write>,
	/// When collected changes are written at the latest.
	write_due: Option<Duration>,
	/// When the next of others' records ends.
	next_end: Option<Duration>,
	/// When the neighbours are noted next.
	remember_due: Duration,
}

impl Dht {
	pub fn new(
		kad: &mut Kademlia,
		config: &DhtConfig,
		database: RecordDatabase,
		clock: Arc<dyn Clock>,
		metrics: Metrics,
		status: watch::Sender<DhtStatus>,
	) -> Self {
		let mut announcer = Announcer::new(config.announce_interval, config.max_announcements.max(1));
		// Addresses may have changed while the host was away: everything is due, the longest unannounced first.
		for (key, announced) in kad.store_mut().announcements() {
			announcer.add(key.clone(), announced);
		}
		let remember_due = clock.now().saturating_add(REMEMBER_INTERVAL);
		let mut dht = Self {
			protocol: config.protocol.clone(),
			database,
			clock,
			metrics,
			status,
			announcer,
			announced: HashSet::new(),
			finds: HashMap::new(),
			requests: VecDeque::new(),
			write: None,
			write_due: None,
			next_end: None,
			remember_due,
		};
		dht.show_status(kad);
		dht
	}

	pub fn protocol(&self) -> &StreamProtocol {
		&self.protocol
	}

	/// Starts a search for providers of a key.
	pub fn find(&mut self, kad: &mut Kademlia, key: RecordKey, sink: mpsc::Sender<PeerAddress>) {
		for (id, find) in &self.finds {
			if find.sink.is_closed() {
				if let Some(mut query) = kad.query_mut(id) {
					query.finish();
				}
			}
		}
		let id = kad.get_providers(key);
		let found = HashSet::new();
		self.finds.insert(id, Find { sink, found });
	}

	/// Provides keys once that is on the disk.
	pub fn provide(&mut self, keys: Vec<Vec<u8>>, reply: Reply<Result<(), ProvideError>>) {
		self.request(true, keys, reply);
	}

	/// Stops providing keys once that is on the disk.
	pub fn unprovide(&mut self, keys: Vec<Vec<u8>>, reply: Reply<Result<(), ProvideError>>) {
		self.request(false, keys, reply);
	}

	fn request(&mut self, provide: bool, keys: Vec<Vec<u8>>, reply: Reply<Result<(), ProvideError>>) {
		let is_key = |key: &Vec<u8>| key.len() <= MAX_KEY_BYTES && Multihash::<64>::from_bytes(key).is_ok();
		if !keys.iter().all(is_key) {
			// Whoever asked for it may not wait for it.
			let _ = reply.send(Err(ProvideError::NotAMultihash));
			return;
		}
		let keys = keys.into_iter().map(RecordKey::from).collect();
		self.requests.push_back(Request { provide, keys, reply });
	}

	/// When [`do_what_is_due`](Self::do_what_is_due) has something to do again.
	pub fn next_due(&self) -> Option<Duration> {
		let write = self.write_due.filter(|_| self.write.is_none());
		// Without a peer nothing can be announced; a first one is an event of its own.
		let announcement = self
			.announcer
			.next_due()
			.filter(|_| self.status.borrow().peers > 0);
		[write, announcement, self.next_end, Some(self.remember_due)]
			.into_iter()
			.flatten()
			.min()
	}

	/// Starts announcements and writes whose time has come.
	pub fn do_what_is_due(&mut self, kad: &mut Kademlia) {
		let now = self.clock.now();
		if self.next_end.is_some_and(|end| end <= now) {
			kad.store_mut().remove_ended();
			self.show_status(kad);
		}
		if self.status.borrow().peers > 0 {
			while let Some(key) = self.announcer.next(now) {
				// Kademlia refuses what its store refuses, and that takes every own key.
				if let Err(error) = kad.start_providing(key.clone()) {
					tracing::error!(%error, "a key was not announced");
					self.announcer.finish(&key, false, now);
				}
			}
		}
		if self.remember_due <= now {
			self.remember_due = now.saturating_add(REMEMBER_INTERVAL);
			remember_neighbours(kad);
		}
		if kad.store_mut().has_changes() && self.write_due.is_none() {
			self.write_due = Some(now.saturating_add(WRITE_DELAY));
		}
		let is_due = self.write_due.is_some_and(|due| due <= now);
		if self.write.is_none() && (is_due || !self.requests.is_empty()) {
			self.start_write(kad);
		}
	}

	fn start_write(&mut self, kad: &mut Kademlia) {
		self.write_due = None;
		let requests: Vec<Request> = self.requests.drain(..).collect();
		let mut requested = Changes::default();
		for request in &requests {
			for key in &request.keys {
				// What is provided already keeps the time of its announcement.
				if !(request.provide && kad.store_mut().provides(key)) || requested.provided.contains_key(key)
				{
					let change = request.provide.then_some(Duration::ZERO);
					requested.provided.insert(key.clone(), change);
				}
			}
		}
		let collected = kad.store_mut().take_changes();
		let database = self.database.clone();
		let running = tokio::task::spawn_blocking(move || {
			let result = database.write(&[&collected, &requested]);
			(collected, result)
		});
		self.write = Some(Write { requests, running });
	}

	/// Waits for the end of the running write; for ever if there is none.
	pub async fn written(&mut self) -> Option<Written> {
		match &mut self.write {
			Some(write) => (&mut write.running).await.ok(),
			None => std::future::pending().await,
		}
	}

	/// Makes hold what was written, and answers those who waited for it.
	pub fn on_written(&mut self, kad: &mut Kademlia, written: Option<Written>) {
		let Some(Write { requests, .. }) = self.write.take() else {
			return;
		};
		let result = match written {
			Some((_, Ok(()))) => Ok(()),
			Some((collected, Err(error))) => {
				tracing::error!(%error, "provider records were not written");
				kad.store_mut().restore_changes(collected);
				self.write_due = Some(self.clock.now().saturating_add(WRITE_RETRY));
				Err(Arc::new(error))
			}
			None => {
				for request in requests {
					let _ = request.reply.send(Err(ProvideError::Interrupted));
				}
				return;
			}
		};
		let now = self.clock.now();
		let mut replies = Vec::new();
		for Request { provide, keys, reply } in requests {
			replies.push(reply);
			if result.is_err() {
				continue;
			}
			for key in keys {
				if provide {
					kad.store_mut().start_providing(key.clone(), Duration::ZERO);
					self.announcer.add(key, now);
				} else {
					kad.store_mut().stop_providing(&key);
					self.announcer.remove(&key);
					self.announced.remove(&key);
				}
			}
		}
		self.show_status(kad);
		for reply in replies {
			// Whoever asked for it may not wait for it.
			let _ = reply.send(result.clone().map_err(ProvideError::Records));
		}
	}

	/// Writes everything that is to be written.
	pub async fn finish(&mut self, kad: &mut Kademlia) {
		remember_neighbours(kad);
		loop {
			if self.write.is_none() {
				if self.requests.is_empty() && !kad.store_mut().has_changes() {
					break;
				}
				self.start_write(kad);
			}
			let written = self.written().await;
			let has_failed = !matches!(written, Some((_, Ok(()))));
			self.on_written(kad, written);
			if has_failed {
				// What is collected and not written is told again by others, or announced again.
				break;
			}
		}
	}

	/// Takes what Kademlia says.
	pub fn on_event(&mut self, kad: &mut Kademlia, event: kad::Event) -> Option<Event> {
		match event {
			kad::Event::OutboundQueryProgressed {
				id,
				result,
				stats,
				step,
			} => match result {
				QueryResult::GetProviders(result) => {
					match result {
						Ok(GetProvidersOk::FoundProviders { key, providers }) => {
							self.on_found(kad, id, &key, providers);
						}
						Ok(GetProvidersOk::FinishedWithNoAdditionalRecord { .. }) => {
							self.count("find", true, &stats);
						}
						Err(kad::GetProvidersError::Timeout { .. }) => self.count("find", false, &stats),
					}
					if step.last {
						self.finds.remove(&id);
					}
					None
				}
				QueryResult::StartProviding(result) => {
					// A query without a peer to tell succeeds too.
					let succeeded = result.is_ok() && stats.num_successes() > 0;
					self.count("announce", succeeded, &stats);
					let key = match result {
						Ok(AddProviderOk { key }) => key,
						Err(error) => error.into_key(),
					};
					self.on_announced(kad, key, succeeded)
				}
				QueryResult::Bootstrap(result) => {
					self.count("bootstrap", result.is_ok(), &stats);
					None
				}
				_ => {
					self.count("other", true, &stats);
					None
				}
			},
			kad::Event::RoutingUpdated { .. }
			| kad::Event::ModeChanged { .. }
			| kad::Event::InboundRequest { .. } => {
				self.show_status(kad);
				None
			}
			_ => None,
		}
	}

	fn on_found(&mut self, kad: &mut Kademlia, id: QueryId, key: &RecordKey, providers: HashSet<PeerId>) {
		let Some(find) = self.finds.get_mut(&id) else {
			return;
		};
		let local = *kad.store_mut().local();
		for peer in providers {
			if peer == local || find.found.len() >= MAX_FOUND || !find.found.insert(peer) {
				continue;
			}
			let mut provider = PeerAddress::new(peer, kad.store_mut().addresses(key, &peer));
			// Kademlia tells the addresses that it learnt in a query to nobody but a dial. This is how a swarm asks;
			// it changes nothing, and the connection's id is not used.
			let known = kad.handle_pending_outbound_connection(
				ConnectionId::new_unchecked(0),
				Some(peer),
				&[],
				Endpoint::Dialer,
			);
			provider.extend(known.unwrap_or_default());
			if find.sink.try_send(provider).is_err() {
				tracing::debug!(%peer, "a provider was found that nobody takes");
			}
		}
		if find.sink.is_closed() || find.found.len() >= MAX_FOUND {
			if let Some(mut query) = kad.query_mut(&id) {
				query.finish();
			}
		}
	}

	fn on_announced(&mut self, kad: &mut Kademlia, key: RecordKey, succeeded: bool) -> Option<Event> {
		let now = self.clock.now();
		self.announcer.finish(&key, succeeded, now);
		if !succeeded || !kad.store_mut().provides(&key) {
			return None;
		}
		kad.store_mut().announced(&key, now);
		self.announced.insert(key.clone());
		self.show_status(kad);
		// Keys are checked when they are provided.
		let key = Multihash::from_bytes(key.as_ref()).ok()?;
		Some(Event::Announced { key })
	}

	fn count(&self, kind: &str, succeeded: bool, stats: &QueryStats) {
		let outcome = if succeeded { "ok" } else { "failed" };
		self.metrics.dht_queries.with_label_values(&[kind, outcome]).inc();
		if let Some(duration) = stats.duration() {
			self.metrics
				.dht_query_seconds
				.with_label_values(&[kind])
				.observe(duration.as_secs_f64());
		}
	}

	fn show_status(&mut self, kad: &mut Kademlia) {
		let peers = kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
		let is_server = matches!(kad.mode(), kad::Mode::Server);
		let records = kad.store_mut();
		self.next_end = records.next_end();
		let status = DhtStatus {
			peers,
			is_server,
			provided: records.provided_count(),
			announced: self.announced.len(),
			records: records.claim_count(),
		};
		self.status.send_if_modified(|shown| {
			let is_new = *shown != status;
			*shown = status;
			is_new
		});
		self.metrics.dht_peers.set(status.peers as i64);
		self.metrics.provided_keys.set(status.provided as i64);
		self.metrics.provider_records.set(status.records as i64);
	}
}

/// Notes some of the peers in the routing table that there are connections with, those near this host in the DHT
/// and those far from it. What was noted stays if there are none: a host that lost its network has had some.
fn remember_neighbours(kad: &mut Kademlia) {
	let mut neighbours = Vec::new();
	for bucket in kad.kbuckets() {
		let connected = bucket
			.iter()
			.filter(|entry| matches!(entry.status, kad::NodeStatus::Connected));
		neighbours.extend(
			connected
				.take(MAX_NEIGHBOURS / 8)
				.map(|entry| PeerAddress::new(*entry.node.key.preimage(), entry.node.value.iter().cloned())),
		);
	}
	neighbours.truncate(MAX_NEIGHBOURS);
	if !neighbours.is_empty() {
		kad.store_mut().remember(neighbours);
	}
}
