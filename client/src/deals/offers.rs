//! Reading what providers offer from the chain.

use super::placement::Offer;
use crate::{
	account::display,
	error::{CliError, ErrorKind},
	retrieval::candidates::{all_providers, urls},
};
use cairn_chain_client::{ChainClient, ProviderView};
use futures::{stream, StreamExt, TryStreamExt};

/// Most providers that are considered.
const MAX_PROVIDERS: usize = 1024;
/// Requests to the node at the same time.
const CONCURRENT_REQUESTS: usize = 8;

/// The offers of the named providers, or of all if none is named.
///
/// # Errors
/// If the chain cannot be read, or a named account is no provider.
pub async fn gather(chain: &ChainClient, named: &[[u8; 32]]) -> Result<Vec<Offer>, CliError> {
	let providers = match named {
		[] => all_providers(chain, MAX_PROVIDERS).await?,
		_ => {
			let mut providers: Vec<ProviderView> = Vec::new();
			for owner in named {
				providers.push(provider(chain, owner).await?);
			}
			providers
		}
	};
	let types = chain.query().proof_types().await?;
	let offers: Vec<Vec<Offer>> = stream::iter(providers)
		.map(|provider| {
			let types = &types;
			async move {
				let asks = chain.query().asks(&provider.owner).await?;
				let endpoints = urls(&provider);
				let offers = asks.into_iter().filter_map(|(proof_type, ask)| {
					let known = types.iter().find(|known| known.id == proof_type)?;
					Some(Offer {
						provider: provider.owner,
						endpoints: endpoints.clone(),
						proof_type,
						spec: known.spec,
						accepts_new_sectors: known.accepts_new_sectors,
						ask,
					})
				});
				Ok::<_, CliError>(offers.collect())
			}
		})
		.buffered(CONCURRENT_REQUESTS)
		.try_collect()
		.await?;
	Ok(offers.into_iter().flatten().collect())
}

/// A registered provider, by its owner or worker.
///
/// # Errors
/// If the chain cannot be read, or the account is no provider.
pub async fn provider(chain: &ChainClient, account: &[u8; 32]) -> Result<ProviderView, CliError> {
	let query = chain.query();
	let missing = || {
		CliError::new(
			ErrorKind::NotFound,
			format!("{} is no provider", display(account)),
		)
		.hint("`cairn chain providers` lists the providers")
	};
	let owner = query.provider_of(account).await?.ok_or_else(missing)?;
	query.provider(&owner).await?.ok_or_else(missing)
}
