//! Networks of many hosts: discovery, limits, bans, transports, NATs.

mod dht;
mod harness;
mod hostile;
mod limits;
mod nat;
mod providers;
mod reachability;
mod transports;
