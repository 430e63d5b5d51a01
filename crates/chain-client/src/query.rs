//! Reads of the chain's state at one block.

mod balances;
mod market;
mod storage_provider;

pub(crate) use balances::{events_key, reason_names};
pub use balances::{AccountBalance, Hold};

use crate::{error::decode_all, interface::Item, ChainClient, ChainError, Hash};
use codec::Decode;

pub(crate) const ITEMS: &[&[Item]] = &[balances::ITEMS, market::ITEMS, storage_provider::ITEMS];

/// Reads the state of one block. Made by [`ChainClient::query`] and [`ChainClient::query_at`].
///
/// Without a fixed block every read goes to the block that is the latest finalized at that moment:
/// two reads may see different blocks.
#[derive(Clone)]
pub struct Query {
	client: ChainClient,
	at: Option<Hash>,
}

impl Query {
	pub(crate) fn new(client: ChainClient, at: Option<Hash>) -> Self {
		Query { client, at }
	}

	/// The block to read at.
	async fn block(&self) -> Result<Hash, ChainError> {
		match self.at {
			Some(hash) => Ok(hash),
			None => Ok(self.client.rpc().finalized().await?.hash),
		}
	}

	/// Calls a method of a runtime API, named `Api_method`.
	async fn call<T: Decode>(&self, method: &str, arguments: &[u8]) -> Result<T, ChainError> {
		let answer = self
			.client
			.rpc()
			.call(method, arguments, self.block().await?)
			.await?;
		decode_all(method, &answer)
	}
}

/// Declares methods of a runtime API: a read for each, and their types in `ITEMS`.
macro_rules! runtime_api {
	($api:literal; $(
		$(#[$doc:meta])* $vis:vis fn $name:ident($($argument:ident: $ty:ty),* $(,)?) -> $result:ty = $method:literal;
	)*) => {
		impl $crate::Query {
			$(
				$(#[$doc])*
				///
				/// # Errors
				/// See [`ChainError`](crate::ChainError).
				$vis async fn $name(&self, $($argument: $ty),*) -> Result<$result, $crate::ChainError> {
					#[allow(unused_mut)]
					let mut arguments = Vec::new();
					$(codec::Encode::encode_to(&$argument, &mut arguments);)*
					self.call(concat!($api, "_", $method), &arguments).await
				}
			)*
		}

		pub(crate) const ITEMS: &[$crate::interface::Item] = &[$(
			$crate::interface::Item::RuntimeApi {
				api: $api,
				method: $method,
				arguments: || vec![$(scale_info::meta_type::<$ty>()),*],
				result: scale_info::meta_type::<$result>,
			}
		),*];
	};
}
use runtime_api;
