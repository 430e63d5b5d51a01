//! Input that no honest client sends, and disks that are full: each a clear error, bounded memory, nothing
//! half-written, and the same process serving afterwards as before.
//!
//! | file | what |
//! |---|---|
//! | `uploads` | data that is not what was proposed, or without an end |
//! | `slow` | clients that send or read a byte now and then |
//! | `connections` | a thousand clients at once |
//! | `paths` | URLs that lead elsewhere, requests that are none |
//! | `proposals` | deals that cannot be kept or paid, malformed ones |
//! | `chain` | malformed transactions at the node |
//! | `proofs` | proofs of any wrong length |
//! | `disk` | full disks |
//!
//! `target` is the provider that all of it is done to, `offer` the deals that it is offered.

mod chain;
mod connections;
mod disk;
mod offer;
mod paths;
mod proofs;
mod proposals;
mod slow;
mod target;
mod uploads;
