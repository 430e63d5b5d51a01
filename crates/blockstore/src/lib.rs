//! Where a node keeps blocks: stores of chunks, and the repository over them.
//!
//! Two layers:
//!
//! - A [`ChunkStore`] keeps bytes by CID and knows nothing else: [`FsChunks`] (a file per chunk),
//!   [`SqliteChunks`] (one database), [`MemoryChunks`], and [`CachedChunks`], a read cache in front of
//!   another. What is damaged reads as an error, never as bytes.
//! - A [`Repo`] is a chunk store and one transactional metadata database. It knows datasets (blocks
//!   that came together under one root), counts references so that a block lives as long as one
//!   dataset holds it, keeps to a quota, lets datasets expire unless they are pinned, shows an upload
//!   when it is complete and not before, and mends itself ([`Repo::fsck`]).
//!
//! Everything here is synchronous: it is bound by disk and hashing. Asynchronous callers put calls on
//! blocking threads, never on an executor's.
//!
//! This crate does no networking, does not know what blocks mean (that is `cairn-dag`) and does not
//! serve blocks out of pieces (a provider does, from its own index).
//!
//! Start reading at [`chunks`], then [`repo`], whose head explains what keeps the two layers in step.

pub mod chunks;
pub mod clock;
mod disk;
pub mod fault_injection;
mod owner_lock;
pub mod quota;
pub mod repo;

pub use cairn_dag::cid::{self, Cid};
pub use chunks::{CachedChunks, ChunkError, ChunkStore, FsChunks, MemoryChunks, SqliteChunks};
pub use clock::{Clock, ManualClock, SystemClock};
pub use quota::{QuotaExceeded, Reservation};
pub use repo::{Dataset, Expiry, PinId, Repo, RepoConfig, Ttl, Upload};

/// The hash in a CID: what chunks are keyed by.
pub type Multihash = cid::multihash::Multihash<64>;
