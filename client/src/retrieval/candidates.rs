//! Providers that may have an object, likeliest first.
//!
//! Who delivered already, then what the user named, then what the local record knows, then what the chain says: providers with a
//! deal for the object, and at last every other provider, who may have it as part of something larger.
//! The chain is asked only when the others did not deliver.

use crate::error::CliError;
use cairn_chain_client::{ChainClient, ChainError, ProviderContact, ProviderView};
use cairn_network::address::PeerAddress;
use cairn_provider_api::endpoint;
use futures::future::BoxFuture;
use std::{
	collections::{HashSet, VecDeque},
	fmt,
};
use url::Url;

/// Providers read from the chain in one request.
const PAGE: u32 = 64;
/// Deals of a provider read in one request.
const DEAL_PAGE: u32 = 128;
/// Most providers that are searched.
const MAX_PROVIDERS: usize = 1024;
/// Most deals of one provider that are searched.
const MAX_DEALS: usize = 16_384;
/// Most providers without a deal for the object that are asked all the same.
const MAX_OTHERS: usize = 64;

/// Why a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
	/// It delivered something of the same object.
	Delivered,
	/// The user named it.
	Named,
	/// The local record has a deal with it.
	Recorded,
	/// The chain has a deal for the object with it.
	Deal,
	/// It is a provider.
	Other,
}

impl fmt::Display for Reason {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(match self {
			Reason::Delivered => "delivered before",
			Reason::Named => "named",
			Reason::Recorded => "in the local record",
			Reason::Deal => "has a deal",
			Reason::Other => "a provider",
		})
	}
}

/// A server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
	/// Where it is.
	pub url: Url,
	/// Why it is asked.
	pub reason: Reason,
}

/// Hands out candidates, each server once.
pub struct Candidates<'a> {
	ready: VecDeque<Candidate>,
	offered: HashSet<Url>,
	search: Option<Search<'a>>,
	/// Why the chain could not be searched.
	pub chain_error: Option<CliError>,
}

struct Search<'a> {
	/// Connects; nothing happens before it is needed.
	connect: BoxFuture<'a, Result<ChainClient, CliError>>,
	/// Binary CID of the object's root.
	root: Vec<u8>,
}

impl<'a> Candidates<'a> {
	/// The servers known without the chain.
	pub fn new(known: impl IntoIterator<Item = Candidate>) -> Self {
		let mut candidates = Candidates {
			ready: VecDeque::new(),
			offered: HashSet::new(),
			search: None,
			chain_error: None,
		};
		known
			.into_iter()
			.for_each(|candidate| candidates.offer(candidate));
		candidates
	}

	/// When the known servers are used up, connects to the chain and searches it for deals whose payload's
	/// root is `root`.
	pub fn search_chain(&mut self, connect: BoxFuture<'a, Result<ChainClient, CliError>>, root: Vec<u8>) {
		self.search = Some(Search { connect, root });
	}

	/// The next server, or `None` when there is no more.
	pub async fn next(&mut self) -> Option<Candidate> {
		if self.ready.is_empty() {
			if let Some(search) = self.search.take() {
				match search.run().await {
					Ok(found) => found.into_iter().for_each(|candidate| self.offer(candidate)),
					Err(error) => self.chain_error = Some(error),
				}
			}
		}
		self.ready.pop_front()
	}

	/// The next server, if it is known without searching the chain now and `is_wanted`.
	pub fn next_known(&mut self, is_wanted: impl FnOnce(&Candidate) -> bool) -> Option<Candidate> {
		match self.ready.front() {
			Some(candidate) if is_wanted(candidate) => self.ready.pop_front(),
			_ => None,
		}
	}

	/// Does not hand these out.
	pub fn exclude(&mut self, urls: &[Url]) {
		self.ready.retain(|candidate| !urls.contains(&candidate.url));
		self.offered.extend(urls.iter().cloned());
	}

	fn offer(&mut self, candidate: Candidate) {
		if self.offered.insert(candidate.url.clone()) {
			self.ready.push_back(candidate);
		}
	}
}

impl Search<'_> {
	async fn run(self) -> Result<Vec<Candidate>, CliError> {
		let chain = self.connect.await?;
		let found = search(&chain, &self.root).await?;
		Ok(candidates(&found))
	}
}

/// Registered providers that may have an object: those with a deal for its root, a binary CID, then some others.
///
/// # Errors
/// If the chain cannot be read.
pub async fn search(chain: &ChainClient, root: &[u8]) -> Result<Vec<(ProviderView, Reason)>, ChainError> {
	let (mut with_deal, mut others) = (Vec::new(), Vec::new());
	for provider in all_providers(chain, MAX_PROVIDERS).await? {
		if urls(&provider).is_empty() && peer(&provider).is_none() {
			continue;
		}
		if has_deal(chain, &provider, root).await? {
			with_deal.push((provider, Reason::Deal));
		} else if others.len() < MAX_OTHERS {
			others.push((provider, Reason::Other));
		}
	}
	with_deal.append(&mut others);
	Ok(with_deal)
}

/// The servers of providers, in their order.
pub fn candidates(providers: &[(ProviderView, Reason)]) -> Vec<Candidate> {
	let of_one = |(provider, reason): &(ProviderView, Reason)| {
		let reason = *reason;
		let urls = urls(provider).into_iter();
		urls.map(move |url| Candidate { url, reason })
	};
	providers.iter().flat_map(of_one).collect()
}

/// Whether a provider has a deal whose payload's root is `root`.
async fn has_deal(chain: &ChainClient, provider: &ProviderView, root: &[u8]) -> Result<bool, ChainError> {
	let query = chain.query();
	let (mut after, mut read) = (None, 0);
	loop {
		let deals = query.deals_of(&provider.owner, after, DEAL_PAGE).await?;
		read += deals.len();
		if deals
			.iter()
			.any(|view| view.deal.provider == provider.owner && view.deal.payload.root() == root)
		{
			return Ok(true);
		}
		match deals.last() {
			Some(last) if deals.len() as u32 >= DEAL_PAGE && read < MAX_DEALS => after = Some(last.id),
			_ => return Ok(false),
		}
	}
}

/// Every registered provider, up to `limit`.
pub async fn all_providers(chain: &ChainClient, limit: usize) -> Result<Vec<ProviderView>, ChainError> {
	let query = chain.query();
	let mut providers: Vec<ProviderView> = Vec::new();
	loop {
		let after = providers.last().map(|provider| provider.owner);
		let page = query.providers(after, PAGE).await?;
		let is_last = (page.len() as u32) < PAGE;
		providers.extend(page);
		if is_last || providers.len() >= limit {
			providers.truncate(limit);
			return Ok(providers);
		}
	}
}

/// The servers that a provider registered.
pub fn urls(provider: &ProviderView) -> Vec<Url> {
	let ProviderContact::V1 { addresses, .. } = &provider.contact;
	endpoint::urls(addresses.iter().map(|address| address.as_slice()))
}

/// The peer that a provider registered, with its addresses. `None` if it is no peer that could be reached.
pub fn peer(provider: &ProviderView) -> Option<PeerAddress> {
	let ProviderContact::V1 { peer_id, addresses } = &provider.contact;
	PeerAddress::from_registered(peer_id, addresses.iter().map(|address| address.as_slice())).ok()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[tokio::test]
	async fn each_server_once_in_order() {
		let candidate = |url: &str, reason| Candidate {
			url: url.parse().unwrap(),
			reason,
		};
		let known = [
			candidate("http://a/", Reason::Named),
			candidate("http://b/", Reason::Recorded),
			candidate("http://a/", Reason::Recorded),
			candidate("http://c/", Reason::Other),
		];
		let mut candidates = Candidates::new(known);
		candidates.exclude(&["http://c/".parse().unwrap()]);
		assert_eq!(candidates.next_known(|known| known.reason == Reason::Other), None);
		assert_eq!(candidates.next().await.unwrap().url.as_str(), "http://a/");
		let second = candidates.next().await.unwrap();
		assert_eq!(second.reason, Reason::Recorded);
		assert!(candidates.next().await.is_none());
	}
}
