//! Reading an object back from providers that are not trusted.
//!
//! Blocks come in either of two ways: one by one from several peers at once, over block exchange
//! ([`exchange`]), or as CARs from the trustless gateway of whichever provider answers ([`fetch`]). Each block
//! is checked against its CID and must belong to the DAG that was asked for, then kept on disk
//! ([`blocks`]). When a provider fails in the middle, what is missing is computed from what is there
//! ([`missing`]) and asked of the next one. The same happens when a later command takes up an
//! interrupted one, and when one way is left for the other. Whom to ask is found in [`candidates`].

pub mod blocks;
pub mod candidates;
pub mod exchange;
pub mod fetch;
#[cfg(test)]
mod fetch_tests;
pub mod missing;
