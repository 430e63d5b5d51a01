//! Block exchange: the engines under random schedules, and both protocols between hosts.

mod bitswap_ledger;
mod fetching;
mod hostile;
mod native_server;
mod nodes;
mod ranges;
mod relayed;
mod scheduling;
mod swarm;
mod swarm_model;
mod versions;
