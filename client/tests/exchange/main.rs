//! The program against peers of the network on loopback: what they have, and how they fail.

#![cfg(unix)]

mod blocks;
mod failing;
mod getting;
mod nodes;
mod peers;
#[path = "../user/mod.rs"]
mod user;
mod walking;
