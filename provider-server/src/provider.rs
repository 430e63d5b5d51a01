//! The provider: what the pipeline, the HTTP server and the commands share.

use crate::{
	access::WriteAccess,
	chain::{AccountId, Ask, Chain, ChainError, ProviderView, RegisteredProofType},
	config::Config,
	data::Data,
	deal::{
		admission::{admit, disk_needed, Schedule, Snapshot},
		verify_client_signature, Deal, DealState, Origin, Proposal, ProposalHash,
	},
	ingest::{Disk, Uploads},
	metrics::Metrics,
	retrieval::unsealing::Unsealer,
	sector::{Health, SectorState},
	store::{Store, StoreError},
};
use cairn_network::peers::Peers;
use cairn_primitives::{
	deal::proposal_hash, params::ProtocolParameters, Balance, BlockNumber, ProofTypeId, SectorNumber, Tier,
};
use cairn_provider_api::{
	deal::{DealProgress, DealStatus, ProposeDeal, PROPOSED_SCHEMA},
	upload, ErrorKind, Hash32, Problem, ProposedDeal,
};
use cairn_proving::store::SectorStore;
use std::{
	collections::HashMap,
	sync::{
		atomic::{AtomicU32, Ordering},
		Arc, Mutex, OnceLock, PoisonError, RwLock,
	},
	time::Instant,
};
use tokio::sync::Notify;

/// Most proposals over JSON-RPC that wait for a decision at the same time.
const MAX_WAITING_PROPOSALS: usize = 64;

/// What the provider last saw on chain. Refreshed with every finalized block.
#[derive(Clone, Debug)]
pub struct View {
	/// Latest finalized block.
	pub finalized: BlockNumber,
	/// When it was seen.
	pub seen: Instant,
	/// Protocol parameters in force.
	pub parameters: ProtocolParameters,
	/// Registered proof types.
	pub proof_types: Vec<RegisteredProofType>,
	/// This provider's asks.
	pub asks: Vec<(ProofTypeId, Ask)>,
	/// This provider's registration.
	pub provider: ProviderView,
	/// Seconds per block, measured.
	pub block_seconds: f64,
}

/// The provider.
pub struct Provider {
	/// Settings.
	pub config: Config,
	/// Identity on chain.
	pub owner: AccountId,
	/// Account that acts for it.
	pub worker: AccountId,
	/// The chain.
	pub chain: Arc<dyn Chain>,
	/// Database.
	pub store: Store,
	/// Pieces and sectors.
	pub sectors: SectorStore,
	/// Uploads.
	pub uploads: Uploads,
	/// The node's own block store, if it keeps one.
	pub data: Option<Arc<Data>>,
	/// Who may change it, and ban peers.
	pub access: WriteAccess,
	/// Whom the node remembers of the network, once it has joined it.
	pub peers: OnceLock<Peers>,
	/// Metrics.
	pub metrics: Metrics,
	/// Wakes the pipeline before the next block.
	pub wake: Notify,
	view: RwLock<View>,
	/// Latest finalized block ever seen, as far as it was noted.
	latest: AtomicU32,
	seal_progress: Mutex<HashMap<SectorNumber, f64>>,
	/// One decision at a time: two deals must not be promised the same money or disk.
	admission: tokio::sync::Mutex<()>,
	/// Places for proposals that wait for their turn. Each takes a few questions to the chain: without a
	/// limit a flood of them would keep everybody else's waiting for minutes.
	proposals: tokio::sync::Semaphore,
	/// Hands out the keys of sealed sectors.
	pub unsealer: Unsealer,
}

/// What a provider is made of.
pub struct Parts {
	/// Settings.
	pub config: Config,
	/// Identity on chain.
	pub owner: AccountId,
	/// Account that acts for it.
	pub worker: AccountId,
	/// The chain.
	pub chain: Arc<dyn Chain>,
	/// Database.
	pub store: Store,
	/// Pieces and sectors.
	pub sectors: SectorStore,
	/// Uploads.
	pub uploads: Uploads,
	/// Hands out the keys of sealed sectors.
	pub unsealer: Unsealer,
	/// The node's own block store, if it keeps one.
	pub data: Option<Data>,
	/// Who may change it, and ban peers.
	pub access: WriteAccess,
	/// Metrics.
	pub metrics: Metrics,
}

/// Why the chain's view could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
	/// The chain cannot be asked.
	#[error(transparent)]
	Chain(#[from] ChainError),
	/// The provider is not registered (any more).
	#[error("the provider is not registered on this chain: run `cairn-provider init`")]
	NotRegistered,
	/// The node knows less of the chain than it, or another one, did. By what such a node says, deals that
	/// exist would be over, and their data would be removed.
	#[error("the node has finalized block {found}, and block {seen} was seen before: wait until it has caught up, or if the chain was started anew use another --base-path")]
	Behind {
		/// Latest finalized block seen.
		seen: BlockNumber,
		/// The node's.
		found: BlockNumber,
	},
	/// The database failed.
	#[error(transparent)]
	Store(#[from] StoreError),
}

impl View {
	/// Reads everything.
	///
	/// # Errors
	/// See [`ViewError`].
	pub async fn read(chain: &dyn Chain, owner: &AccountId) -> Result<View, ViewError> {
		let (finalized, parameters, proof_types, asks, provider) = tokio::try_join!(
			chain.finalized(),
			chain.parameters(),
			chain.proof_types(),
			chain.asks(owner),
			chain.provider(owner),
		)?;
		Ok(View {
			finalized,
			seen: Instant::now(),
			parameters,
			proof_types,
			asks,
			provider: provider.ok_or(ViewError::NotRegistered)?,
			block_seconds: 6.0,
		})
	}
}

impl Provider {
	/// Puts the parts together and reads the chain's view.
	///
	/// # Errors
	/// See [`ViewError`].
	pub async fn assemble(parts: Parts) -> Result<Arc<Provider>, ViewError> {
		let view = View::read(&*parts.chain, &parts.owner).await?;
		let noted = parts.store.run(|store| store.noted_finalized()).await?;
		Ok(Arc::new(Provider {
			latest: AtomicU32::new(noted),
			config: parts.config,
			owner: parts.owner,
			worker: parts.worker,
			chain: parts.chain,
			store: parts.store,
			sectors: parts.sectors,
			uploads: parts.uploads,
			data: parts.data.map(Arc::new),
			access: parts.access,
			peers: OnceLock::new(),
			metrics: parts.metrics,
			wake: Notify::new(),
			view: RwLock::new(view),
			seal_progress: Mutex::default(),
			admission: tokio::sync::Mutex::default(),
			proposals: tokio::sync::Semaphore::new(MAX_WAITING_PROPOSALS),
			unsealer: parts.unsealer,
		}))
	}

	/// What was last seen on chain.
	pub fn view(&self) -> View {
		self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
	}

	/// Reads the chain's view again and notes the pace of blocks.
	///
	/// # Errors
	/// See [`ViewError`].
	pub async fn refresh_view(&self) -> Result<View, ViewError> {
		let mut fresh = View::read(&*self.chain, &self.owner).await?;
		self.see_finalized(fresh.finalized)?;
		let old = self.view();
		let blocks = fresh.finalized.saturating_sub(old.finalized);
		fresh.block_seconds = old.block_seconds;
		if blocks > 0 {
			let measured = fresh.seen.duration_since(old.seen).as_secs_f64() / f64::from(blocks);
			// Smoothed, and within what block times can be: the process may have slept.
			fresh.block_seconds = (old.block_seconds * 0.8 + measured * 0.2).clamp(0.2, 60.0);
		} else {
			fresh.seen = old.seen;
		}
		*self.view.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
		Ok(fresh)
	}

	/// Refuses to go on with a node that is behind what was seen of the chain.
	///
	/// # Errors
	/// [`ViewError::Behind`].
	pub fn see_finalized(&self, found: BlockNumber) -> Result<(), ViewError> {
		let seen = self.latest.fetch_max(found, Ordering::SeqCst);
		if found < seen {
			return Err(ViewError::Behind { seen, found });
		}
		Ok(())
	}

	/// The disk that holds everything.
	pub fn disk(&self) -> &Disk {
		self.uploads.disk()
	}

	/// Sets how far a sector's sealing is, 0 to 1; `None` when it is over.
	pub fn set_seal_progress(&self, sector: SectorNumber, progress: Option<f64>) {
		let mut map = self.seal_progress.lock().unwrap_or_else(PoisonError::into_inner);
		match progress {
			Some(progress) => map.insert(sector, progress),
			None => map.remove(&sector),
		};
	}

	/// How far a sector's sealing is, 0 to 1.
	pub fn seal_progress(&self, sector: SectorNumber) -> f64 {
		let map = self.seal_progress.lock().unwrap_or_else(PoisonError::into_inner);
		map.get(&sector).copied().unwrap_or(0.0)
	}

	/// The present timing, for estimates.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn schedule(&self) -> Result<Schedule, StoreError> {
		let sealing = self
			.store
			.open_sectors()?
			.iter()
			.filter(|sector| {
				sector.spec.tier == Tier::Sealed
					&& matches!(sector.state, SectorState::Packed | SectorState::Sealing { .. })
			})
			.count();
		let rate = self.store.seal_seconds_per_byte()?;
		Ok(Schedule {
			batching: self.config.deals.batch_wait_blocks,
			per_transaction: self.config.deals.blocks_per_transaction,
			seal_seconds_per_byte: rate.unwrap_or(self.config.sealing.assumed_seconds_per_byte),
			seal_queue: (sealing / self.config.sealing.workers) as u32,
			block_seconds: self.view().block_seconds,
		})
	}

	/// Hash of a proposal on this chain.
	pub fn hash_of(&self, proposal: &Proposal) -> ProposalHash {
		proposal_hash(&proposal.signing_bytes(&self.chain.identity().genesis_hash))
	}

	/// Takes a proposed deal, or says why not. Proposing again gives the deal's present state.
	///
	/// # Errors
	/// Each objection with its kind and a hint.
	pub async fn propose(&self, request: ProposeDeal) -> Result<ProposedDeal, Problem> {
		let decoded = request.decode_proposal().map_err(|error| {
			Problem::new(
				ErrorKind::Malformed,
				format!("the proposal is not a SCALE-encoded deal proposal: {error}"),
			)
			.hint("encode the chain's DealProposal, or make the proposal with `cairn deal propose`")
		})?;
		let hash = match (&request, &decoded) {
			(ProposeDeal::OnChain { proposal_hash }, _) => proposal_hash.0,
			(_, Some(proposal)) => self.hash_of(proposal),
			_ => {
				return Err(Problem::new(
					ErrorKind::Malformed,
					"the request holds no proposal",
				))
			}
		};
		let _place = self.proposals.try_acquire().map_err(|_| {
			Problem::new(ErrorKind::Busy, "too many proposals are being decided")
				.hint("try again in a moment")
		})?;
		let deal = match (request, decoded) {
			(ProposeDeal::Signed { signature, .. }, Some(proposal)) => {
				verify_client_signature(&proposal, &self.chain.identity().genesis_hash, &signature.0)
					.map_err(|error| {
						Problem::new(ErrorKind::BadSignature, error.to_string()).hint(
							"sign domain, genesis hash and SCALE of the proposal with the client's key, or propose on chain",
						)
					})?;
				self.admit(hash, proposal, Origin::Signed(signature.0)).await?
			}
			_ => self.admit_on_chain(&hash).await?,
		};
		Ok(ProposedDeal {
			schema: PROPOSED_SCHEMA.into(),
			proposal_hash: Hash32(hash),
			upload: upload::path(&Hash32(hash)),
			progress: self.progress(&hash, &deal),
		})
	}

	/// Takes a proposal that its client made on chain.
	///
	/// # Errors
	/// [`ErrorKind::NotFound`] if there is none of that hash; else as [`Self::propose`].
	pub async fn admit_on_chain(&self, hash: &ProposalHash) -> Result<Deal, Problem> {
		if let Some(deal) = self.known(hash).await? {
			return Ok(deal);
		}
		let proposal = self
			.chain
			.proposal(hash)
			.await
			.map_err(chain_problem)?
			.ok_or_else(|| {
				Problem::new(
					ErrorKind::NotFound,
					"no deal of that hash is known here or waits on chain",
				)
				.hint("propose the deal with cairn_v1_proposeDeal or Market.propose_deal first")
			})?;
		self.admit(*hash, proposal, Origin::OnChain).await
	}

	/// A deal that is here already and need not be decided again.
	async fn known(&self, hash: &ProposalHash) -> Result<Option<Deal>, Problem> {
		let hash = *hash;
		let deal = self
			.store
			.run(move |store| store.deal(&hash))
			.await
			.map_err(store_problem)?;
		Ok(deal.filter(|deal| !deal.may_be_tried_again()))
	}

	async fn admit(&self, hash: ProposalHash, proposal: Proposal, origin: Origin) -> Result<Deal, Problem> {
		let _one_at_a_time = self.admission.lock().await;
		if let Some(deal) = self.known(&hash).await? {
			return Ok(deal);
		}
		let view = self.refresh_view().await.map_err(|error| {
			Problem::new(ErrorKind::ChainUnavailable, error.to_string()).hint("try again in a moment")
		})?;
		let client_escrow = match origin {
			Origin::Signed(_) => Some(self.chain.escrow(&proposal.client).await.map_err(chain_problem)?),
			Origin::OnChain => None,
		};
		let provider_escrow = self.chain.escrow(&self.owner).await.map_err(chain_problem)?;
		let open = self
			.store
			.run(|store| store.open_deals())
			.await
			.map_err(store_problem)?;
		let promised = Promised::of(&open, &proposal, &view, |hash| self.uploads.received(hash));
		// One client must not take every place.
		let own_share = self.config.deals.max_pending.div_ceil(4);
		if promised.pending >= self.config.deals.max_pending || promised.pending_of_client >= own_share {
			return Err(
				Problem::new(ErrorKind::Busy, "too many deals wait for their sectors here")
					.hint("try again later or choose another provider"),
			);
		}
		let available = self.disk().available().map_err(|error| {
			tracing::error!(%error, "the disk cannot be asked for its free space");
			Problem::new(ErrorKind::Internal, "the provider's disk is not available")
		})?;
		let snapshot = Snapshot {
			owner: &self.owner,
			now: view.finalized,
			parameters: &view.parameters,
			proof_types: &view.proof_types,
			asks: &view.asks,
			client_escrow: client_escrow.map(|escrow| escrow.saturating_sub(promised.by_client)),
			provider_escrow: provider_escrow.saturating_sub(promised.collateral),
			waiting_collateral: promised.waiting_collateral,
			waiting_collateral_of_client: promised.waiting_collateral_of_client,
			disk_available: available.saturating_sub(promised.disk),
			max_payload: self.config.uploads.max_payload.0,
			max_collateral_ppm: self.config.deals.max_collateral_ppm,
			max_client_collateral_ppm: self.config.deals.max_client_collateral_ppm,
			hot_piece_stored: promised.hot_piece,
			schedule: self.schedule().map_err(store_problem)?,
		};
		let proof_type = admit(&proposal, &snapshot)?;
		let deal = Deal::accepted(proposal, origin, proof_type, view.finalized);
		tracing::info!(
			deal = %Hash32(hash),
			client = cairn_keystore::address::encode_default(&deal.proposal.client),
			bytes = deal.proposal.piece.payload_size,
			proof_type = proof_type.0,
			"deal accepted"
		);
		let stored = self
			.store
			.run(move |store| {
				if store.deal(&hash)?.is_some() {
					store.reopen_deal(&hash, &deal)?;
					return Ok(deal);
				}
				store.insert_deal(&hash, &deal)
			})
			.await
			.map_err(store_problem)?;
		Ok(stored)
	}

	/// A deal's state with what its upload and its sector add to it.
	pub fn progress(&self, hash: &ProposalHash, deal: &Deal) -> DealProgress {
		match deal.progress() {
			DealProgress::Accepted => match self.uploads.received(hash) {
				0 => DealProgress::Accepted,
				bytes => DealProgress::Receiving {
					bytes,
					of: deal.proposal.piece.payload_size,
				},
			},
			progress @ (DealProgress::Sealing { .. } | DealProgress::Active { .. }) => {
				let Some(sector) = deal.sector() else {
					return progress;
				};
				// Without the sector's record the deal's own is the best there is.
				let state = self
					.store
					.sector(sector)
					.ok()
					.flatten()
					.map(|sector| sector.state);
				self.refine(progress, state)
			}
			progress => progress,
		}
	}

	fn refine(&self, progress: DealProgress, state: Option<SectorState>) -> DealProgress {
		match (progress, state) {
			(
				DealProgress::Sealing { deal_id, sector, .. },
				Some(SectorState::PreCommitted { .. } | SectorState::Active { .. }),
			) => DealProgress::PreCommitted { deal_id, sector },
			(DealProgress::Sealing { deal_id, sector, .. }, Some(state)) => {
				let progress = match state {
					SectorState::Packed | SectorState::Sealing { .. } => self.seal_progress(sector),
					_ => 1.0,
				};
				DealProgress::Sealing {
					deal_id,
					sector,
					progress,
				}
			}
			(
				DealProgress::Active {
					deal_id,
					sector,
					since,
					ends,
					..
				},
				Some(SectorState::Active { health, .. }),
			) => DealProgress::Active {
				deal_id,
				sector,
				since,
				ends,
				faulty: health != Health::Proving,
			},
			(progress, _) => progress,
		}
	}

	/// A deal as clients see it.
	pub fn status(&self, hash: &ProposalHash, deal: &Deal) -> DealStatus {
		deal.status(hash, self.progress(hash, deal))
	}
}

/// What accepted deals will draw that the chain and the disk do not show yet.
struct Promised {
	/// Deals that are not active.
	pending: usize,
	/// Those of the proposal's client.
	pending_of_client: usize,
	/// Total price of this client's deals that are not published.
	by_client: Balance,
	/// Collateral of deals that are not published.
	collateral: Balance,
	/// Collateral of all deals that are not active.
	waiting_collateral: Balance,
	/// That of this client's.
	waiting_collateral_of_client: Balance,
	/// Bytes of disk.
	disk: u64,
	/// Whether a live hot deal holds the proposal's piece.
	hot_piece: bool,
}

impl Promised {
	fn of(
		open: &[(ProposalHash, Deal)],
		proposal: &Proposal,
		view: &View,
		received: impl Fn(&ProposalHash) -> u64,
	) -> Promised {
		let mut promised = Promised {
			pending: 0,
			pending_of_client: 0,
			by_client: 0,
			collateral: 0,
			waiting_collateral: 0,
			waiting_collateral_of_client: 0,
			disk: 0,
			hot_piece: false,
		};
		for (hash, deal) in open {
			let other = &deal.proposal;
			if other.tier == Tier::Hot && other.piece.commitment == proposal.piece.commitment {
				promised.hot_piece = true;
			}
			if matches!(deal.state, DealState::Active { .. }) {
				continue;
			}
			promised.pending += 1;
			let bound = &mut promised.waiting_collateral;
			*bound = bound.saturating_add(other.provider_collateral);
			if other.client == proposal.client {
				promised.pending_of_client += 1;
				let bound = &mut promised.waiting_collateral_of_client;
				*bound = bound.saturating_add(other.provider_collateral);
			}
			let unpublished = matches!(
				deal.state,
				DealState::Accepted | DealState::Received | DealState::Publishing { .. }
			);
			if unpublished {
				promised.collateral = promised.collateral.saturating_add(other.provider_collateral);
				if other.client == proposal.client && matches!(deal.origin, Origin::Signed(_)) {
					let total = other.total_price().unwrap_or(Balance::MAX);
					promised.by_client = promised.by_client.saturating_add(total);
				}
			}
			let Some(registered) = view.proof_types.iter().find(|known| known.id == deal.proof_type) else {
				continue;
			};
			let mut needed = disk_needed(other, &registered.spec);
			if deal.state == DealState::Accepted {
				needed = needed.saturating_sub(received(hash));
			} else {
				needed = needed.saturating_sub(other.piece.payload_size);
			}
			promised.disk = promised.disk.saturating_add(needed);
		}
		promised
	}
}

/// A failure to ask the chain, as clients see it.
pub fn chain_problem(error: ChainError) -> Problem {
	tracing::warn!(%error, "the chain could not be asked");
	Problem::new(
		ErrorKind::ChainUnavailable,
		"the provider cannot reach its chain at the moment",
	)
	.hint("try again in a moment")
}

/// A failure of the database, as clients see it.
pub fn store_problem(error: StoreError) -> Problem {
	tracing::error!(error = &error as &dyn std::error::Error, "the database failed");
	if error.is_full() {
		return Problem::new(ErrorKind::StorageFull, "the provider's disk is full")
			.hint("try again later or choose another provider");
	}
	Problem::new(ErrorKind::Internal, "the provider's database failed")
		.hint("try again later or choose another provider")
}
