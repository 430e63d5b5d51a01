//! JSON-RPC 2.0 methods, served by HTTP POST at [`PATH`]. Each takes at most one positional
//! parameter.

/// Path of the JSON-RPC endpoint.
pub const PATH: &str = "/rpc";

/// No parameter → [`crate::Info`].
pub const INFO: &str = "cairn_v1_info";
/// [`crate::ProposeDeal`] → [`crate::ProposedDeal`]. Proposing the same deal again gives its present
/// state.
pub const PROPOSE_DEAL: &str = "cairn_v1_proposeDeal";
/// Proposal hash ([`crate::Hash32`]) → [`crate::DealStatus`].
pub const DEAL_STATUS: &str = "cairn_v1_dealStatus";
/// [`crate::deal::ListDeals`] → [`crate::DealList`].
pub const LIST_DEALS: &str = "cairn_v1_listDeals";
/// No parameter → [`crate::sector::SectorList`].
pub const LIST_SECTORS: &str = "cairn_v1_listSectors";

/// Code of JSON-RPC errors that carry a [`crate::Problem`] as `data`.
pub const PROBLEM_CODE: i32 = -32000;
