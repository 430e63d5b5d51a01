//! Block exchange: the engines under random schedules, and both protocols between hosts.

mod arrivals;
mod bitswap_ledger;
mod dying;
mod fetching;
mod framing;
mod hostile;
mod hostile_ranges;
mod native_server;
mod nodes;
mod ranges;
mod relayed;
mod scheduling;
mod stream_limits;
mod swarm;
mod swarm_model;
mod versions;
