//! Reading an object back from providers that are not trusted.
//!
//! Blocks come in either of two ways, from several providers at once in both: one by one over block exchange
//! ([`exchange`]), or as CARs from their trustless gateways ([`fetch`]). Each block is checked against its CID and
//! must belong to the DAG that was asked for, then kept on disk ([`blocks`]). What is missing is computed from
//! what is there ([`missing`], [`pieces`]), and divided among those who answer ([`work`]). The same happens when a
//! provider fails in the middle, when a later command takes up an interrupted one, and when one way is left for
//! the other. Whom to ask is found in [`candidates`].

pub mod archive;
#[cfg(test)]
mod archive_tests;
pub mod blocks;
pub mod candidates;
pub mod exchange;
pub mod fetch;
#[cfg(test)]
mod fetch_tests;
mod flow;
mod gateway;
pub mod missing;
mod pieces;
#[cfg(test)]
mod pieces_tests;
#[cfg(test)]
mod several_tests;
mod transfer;
pub mod work;
#[cfg(test)]
mod work_tests;
