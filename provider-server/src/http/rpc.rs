//! JSON-RPC: methods and types are those of `cairn_provider_api`.

use super::problem::Failure;
use crate::{
	chain::Ask,
	provider::{store_problem, Provider},
	sector::{Health, Sector, SectorState},
};
use axum::{
	body::Body,
	extract::Request,
	response::{IntoResponse, Response},
};
use cairn_chain_client::ProviderContact;
use cairn_provider_api::{
	deal::{DealList, ListDeals, ProposeDeal, LIST_SCHEMA, MAX_LISTED_DEALS},
	endpoint,
	info::{AskInfo, ChainInfo, Info, UploadLimits, SCHEMA},
	rpc,
	sector::{SectorList, SectorStatus, SECTORS_SCHEMA},
	Amount, DealStatus, ErrorKind, Hash32, Problem, ProposedDeal,
};
use http_body_util::{BodyExt, Limited};
use jsonrpsee::{
	core::RegisterMethodError,
	server::{stop_channel, BatchRequestConfig, Server, ServerHandle, StopHandle},
	types::{error::INVALID_PARAMS_CODE, ErrorObjectOwned, Params},
	Methods, RpcModule,
};
use std::{sync::Arc, time::Duration};
use tower_service::Service as _;

/// Largest request: a proposal has some hundred bytes.
const MAX_REQUEST: u32 = 64 << 10;
/// Largest response: a page of deals.
const MAX_RESPONSE: u32 = 8 << 20;
/// Most requests in a batch.
const MAX_BATCH: u32 = 32;

/// The JSON-RPC service.
#[derive(Clone)]
pub(super) struct Service {
	methods: Methods,
	stop: StopHandle,
	/// Time for a request's body.
	body_timeout: Duration,
	/// Keeps the service running as long as it exists.
	_handle: Arc<ServerHandle>,
}

impl Service {
	/// Registers every method.
	pub fn new(provider: Arc<Provider>) -> Result<Self, RegisterMethodError> {
		let (stop, handle) = stop_channel();
		Ok(Service {
			body_timeout: Duration::from_secs(provider.config.server.body_timeout_seconds),
			methods: module(provider)?.into(),
			stop,
			_handle: Arc::new(handle),
		})
	}

	/// Answers a request.
	pub async fn handle(self, request: Request) -> Response {
		// Bounded here: the limit below trusts the announced length.
		let (parts, body) = request.into_parts();
		let body = Limited::new(body, MAX_REQUEST as usize).collect();
		let body = match tokio::time::timeout(self.body_timeout, body).await {
			Ok(Ok(body)) => body,
			Ok(Err(_)) => {
				let problem = Problem::new(
					ErrorKind::TooLarge,
					format!("requests are limited to {MAX_REQUEST} bytes"),
				)
				.hint("send fewer or smaller requests in a batch");
				return Failure::from(problem).into_response();
			}
			Err(_) => {
				let seconds = self.body_timeout.as_secs();
				let problem = Problem::new(
					ErrorKind::IdleTimeout,
					format!("the request was not complete after {seconds} s"),
				)
				.hint("send it again at once, with the content-length that it has");
				return Failure::from(problem).into_response();
			}
		};
		let request = Request::from_parts(parts, Body::from(body.to_bytes()));
		let mut service = Server::builder()
			.http_only()
			.max_request_body_size(MAX_REQUEST)
			.max_response_body_size(MAX_RESPONSE)
			.set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
			.to_service_builder()
			.build(self.methods, self.stop);
		match service.call(request).await {
			Ok(response) => response.map(Body::new),
			Err(error) => {
				tracing::warn!(error, "a JSON-RPC request failed");
				Failure::from(Problem::new(ErrorKind::Internal, "the request failed")).into_response()
			}
		}
	}
}

fn module(provider: Arc<Provider>) -> Result<RpcModule<Arc<Provider>>, RegisterMethodError> {
	let mut module = RpcModule::new(provider);
	module.register_async_method(rpc::INFO, |_, provider, _| async move {
		info(&provider).await.map_err(rpc_error)
	})?;
	module.register_async_method(rpc::PROPOSE_DEAL, |params, provider, _| async move {
		let request: ProposeDeal = one(&params)?;
		provider.propose(request).await.map_err(rpc_error) as Result<ProposedDeal, _>
	})?;
	module.register_async_method(rpc::DEAL_STATUS, |params, provider, _| async move {
		let hash: Hash32 = one(&params)?;
		deal_status(&provider, hash).await.map_err(rpc_error)
	})?;
	module.register_async_method(rpc::LIST_DEALS, |params, provider, _| async move {
		let request: Option<ListDeals> = params.sequence().optional_next().map_err(malformed)?;
		let request = request.unwrap_or_default();
		list_deals(&provider, request).await.map_err(rpc_error)
	})?;
	module.register_async_method(rpc::LIST_SECTORS, |_, provider, _| async move {
		list_sectors(&provider).await.map_err(rpc_error)
	})?;
	Ok(module)
}

/// The one positional parameter.
fn one<T: serde::de::DeserializeOwned>(params: &Params) -> Result<T, ErrorObjectOwned> {
	params.one().map_err(malformed)
}

fn malformed(error: ErrorObjectOwned) -> ErrorObjectOwned {
	let detail = error
		.data()
		.map_or_else(|| error.message().to_owned(), |data| data.get().to_owned());
	let problem = Problem::new(ErrorKind::Malformed, detail)
		.hint("the parameters of each method are in the reference of the provider's JSON-RPC");
	ErrorObjectOwned::owned(INVALID_PARAMS_CODE, "invalid parameters", Some(problem))
}

fn rpc_error(problem: Problem) -> ErrorObjectOwned {
	ErrorObjectOwned::owned(rpc::PROBLEM_CODE, problem.message.clone(), Some(problem))
}

/// Who this provider is and what it takes.
async fn info(provider: &Arc<Provider>) -> Result<Info, Problem> {
	let view = provider.view();
	let identity = provider.chain.identity();
	let schedule = {
		let provider = provider.clone();
		tokio::task::spawn_blocking(move || provider.schedule())
			.await
			.map_err(|error| Problem::new(ErrorKind::Internal, error.to_string()))?
			.map_err(store_problem)?
	};
	let asks = view.asks.iter().filter_map(|(id, ask)| {
		let registered = view.proof_types.iter().find(|known| known.id == *id)?;
		let Ask::V1 {
			price_per_gib,
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			accepting,
		} = *ask;
		let size = |log2: u8| 1u64.checked_shl(log2.into()).unwrap_or(0);
		Some(AskInfo {
			proof_type: id.0,
			tier: registered.spec.tier.into(),
			sector_size: registered.spec.sector_size(),
			price_per_gib: Amount(price_per_gib),
			min_piece_size: size(min_piece_log2),
			max_piece_size: size(max_piece_log2.min(registered.spec.sector_size_log2)),
			min_duration: min_duration.max(view.parameters.min_deal_duration),
			max_duration: max_duration.min(view.parameters.max_deal_duration),
			accepting: accepting && registered.accepts_new_sectors,
			min_start_delay: schedule.blocks_to_activate(&registered.spec, view.parameters.pre_commit_delay),
			max_collateral_ppm: provider
				.config
				.deals
				.max_collateral_ppm
				.max(view.parameters.min_collateral_ppm),
		})
	});
	let ProviderContact::V1 { addresses, .. } = &view.provider.contact;
	let address = |key: &[u8; 32]| {
		cairn_keystore::address::encode(key, identity.ss58_prefix)
			.unwrap_or_else(|_| cairn_keystore::address::encode_default(key))
	};
	Ok(Info {
		schema: SCHEMA.into(),
		version: env!("CARGO_PKG_VERSION").into(),
		chain: ChainInfo {
			name: identity.name.clone(),
			genesis_hash: Hash32(identity.genesis_hash),
			spec_version: identity.spec_version,
			finalized: view.finalized,
		},
		owner: address(&provider.owner),
		owner_key: Hash32(provider.owner),
		worker: address(&provider.worker),
		asks: asks.collect(),
		limits: UploadLimits {
			max_payload_size: provider.config.uploads.max_payload.0,
			max_concurrent: provider
				.config
				.uploads
				.max_concurrent
				.try_into()
				.unwrap_or(u32::MAX),
			idle_timeout_seconds: provider
				.config
				.uploads
				.idle_timeout_seconds
				.try_into()
				.unwrap_or(u32::MAX),
		},
		addresses: addresses
			.iter()
			.filter_map(|bytes| endpoint::text(bytes))
			.collect(),
	})
}

async fn deal_status(provider: &Arc<Provider>, hash: Hash32) -> Result<DealStatus, Problem> {
	let asked = provider.clone();
	let found = provider
		.store
		.run(move |store| Ok(store.deal(&hash.0)?.map(|deal| asked.status(&hash.0, &deal))))
		.await
		.map_err(store_problem)?;
	found.ok_or_else(|| {
		Problem::new(ErrorKind::NotFound, "no deal of that hash is known here")
			.hint("propose the deal with cairn_v1_proposeDeal first")
	})
}

async fn list_deals(provider: &Arc<Provider>, request: ListDeals) -> Result<DealList, Problem> {
	let limit = request
		.limit
		.unwrap_or(MAX_LISTED_DEALS)
		.clamp(1, MAX_LISTED_DEALS) as usize;
	let asked = provider.clone();
	let (deals, more) = provider
		.store
		.run(move |store| {
			let page = store.list_deals(request.after.map(|hash| hash.0), limit)?;
			let deals = page
				.deals
				.iter()
				.map(|(hash, deal)| asked.status(hash, deal))
				.collect();
			Ok((deals, page.more))
		})
		.await
		.map_err(store_problem)?;
	Ok(DealList {
		schema: LIST_SCHEMA.into(),
		deals,
		more,
	})
}

async fn list_sectors(provider: &Arc<Provider>) -> Result<SectorList, Problem> {
	let asked = provider.clone();
	let sectors = provider
		.store
		.run(move |store| {
			let mut sectors: Vec<SectorStatus> = Vec::new();
			for sector in store.open_sectors()?.iter().chain(&store.closed_sectors()?) {
				sectors.push(sector_status(sector, asked.seal_progress(sector.number)));
			}
			sectors.sort_by_key(|sector| sector.sector);
			Ok(sectors)
		})
		.await
		.map_err(store_problem)?;
	Ok(SectorList {
		schema: SECTORS_SCHEMA.into(),
		sectors,
	})
}

/// A sector as operators see it.
pub(crate) fn sector_status(sector: &Sector, progress: f64) -> SectorStatus {
	let used: u64 = sector.deals.iter().map(|deal| deal.piece.padded_size()).sum();
	SectorStatus {
		sector: sector.number,
		proof_type: sector.proof_type.0,
		tier: sector.spec.tier.into(),
		size: sector.spec.sector_size(),
		used,
		state: sector.state.name().into(),
		seal_progress: match sector.state {
			SectorState::Sealing { .. } => Some(progress),
			_ => None,
		},
		active_since: match sector.state {
			SectorState::Active { since, .. } => Some(since),
			_ => None,
		},
		faulty: matches!(
			sector.state,
			SectorState::Active {
				health: Health::Faulty | Health::Recovering,
				..
			}
		),
		deals: sector.deals.iter().map(|deal| deal.deal_id).collect(),
		failure: match &sector.state {
			SectorState::Failed { reason } => Some(reason.clone()),
			_ => None,
		},
		delayed_by: sector.backoff.delayed_by.clone(),
	}
}
