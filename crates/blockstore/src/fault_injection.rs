//! Fault injection: points between two steps, at which tests make the process die or another thread
//! run.
//!
//! Set `CAIRN_BLOCKSTORE_CRASH_AT` to a point's name, or to `name:n` to die when the point is reached
//! for the n-th time. Works in debug builds and with the feature `fault-injection`; other builds
//! ignore the variable. The process aborts as by `kill -9`: no destructor runs, nothing is flushed.
//!
//! With [`with_observer`] a test sees the points that its own threads reach, and can hold a thread
//! there: that is how `tests/interleaving.rs` runs every order of two threads' steps. It also sees what
//! its threads do to the disk, and `tests/durability.rs` follows what is certainly on it.

use std::path::PathBuf;

/// Every point. The comment says what was done before and what comes next.
pub const POINTS: [&str; 31] = [
	// A new database, under another name ─ it is renamed.
	"open:created",
	// Repository just opened: unfinished uploads became deletions ─ checking.
	"open:recovered",
	// An upload's row ─ its first block.
	"upload:begun",
	// A batch's chunks are locked ─ its rows.
	"upload:locked",
	// Rows of a batch ─ chunks of the batch.
	"upload:rows",
	// Chunks of a batch ─ the next batch, or the commit.
	"upload:written",
	// Damaged chunks were replaced ─ they count as whole.
	"upload:healed",
	// All blocks are there ─ the dataset is visible.
	"upload:complete",
	// The dataset is visible ─ the caller knows.
	"upload:committed",
	// The dataset is invisible ─ the caller knows.
	"delete:marked",
	// Datasets past their time are invisible ─ they are collected.
	"expire:marked",
	// A dataset is invisible to make room ─ it is collected.
	"evict:marked",
	// A step's blocks are chosen ─ their chunks are locked.
	"collect:chosen",
	// A step's chunks are locked ─ their references are looked at.
	"collect:locked",
	// Chunks without other references are known ─ they are removed.
	"collect:compared",
	// Chunks are removed ─ their rows.
	"collect:removed",
	// Rows are removed ─ the next step.
	"collect:released",
	// A block can be read ─ its chunk is read.
	"read:found",
	// Its chunk is missing ─ the chunk is locked.
	"read:missed",
	// The chunk is locked ─ it is looked for again.
	"read:locked",
	// The database agrees with itself ─ the chunks are compared with it.
	"fsck:database",
	// Chunks that no block refers to are known ─ they are removed.
	"fsck:strays",
	// Blocks are known to be lost or recovered ─ they are marked.
	"fsck:probed",
	// A pin ─ the caller knows.
	"pin:set",
	// Everything of a transaction ─ its commit. Inside the transaction.
	"metadata:uncommitted",
	// A chunk's temporary file ─ the next one.
	"fs:temporary",
	// Temporary files are synced ─ the first is renamed.
	"fs:synced",
	// A chunk's file has its name ─ the next one.
	"fs:renamed",
	// A chunk's file is removed ─ the next one.
	"fs:removed",
	// A row of the chunk database ─ the commit. Inside the transaction.
	"sqlite:inserted",
	// A row of the chunk database is removed ─ the commit. Inside the transaction.
	"sqlite:deleted",
];

/// What a thread tells its observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
	/// It stands at a point, and holds no transaction and no mutex.
	Reached(&'static str),
	/// It cannot go on until another thread has released a chunk.
	Waiting,
	/// It has done something to the disk. It may hold a mutex.
	Disk(&'a DiskOperation),
}

/// What was done to files and folders outside the databases, which look after theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
	/// The file system was opened, to be synced through this handle.
	OpenedFileSystem {
		/// Differs from those of other handles.
		handle: u64,
	},
	/// A file was created and written.
	Wrote(PathBuf),
	/// A file's bytes, or a folder's names, were synced.
	Synced(PathBuf),
	/// Everything on the file system was synced.
	SyncedFileSystem {
		/// Through this handle, which tells of the writes that failed since it was opened.
		handle: u64,
	},
	/// A file got another name.
	Renamed {
		/// The name it had.
		from: PathBuf,
		/// The name it has.
		to: PathBuf,
	},
	/// A file lost its name.
	Removed(PathBuf),
	/// A folder was created.
	CreatedFolder(PathBuf),
}

#[cfg(any(debug_assertions, feature = "fault-injection"))]
pub use active::*;
#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
pub(crate) use active::*;

#[cfg(any(debug_assertions, feature = "fault-injection"))]
mod active {
	use super::{DiskOperation, Event, POINTS};
	use std::{
		cell::RefCell,
		rc::Rc,
		sync::{
			atomic::{AtomicU32, AtomicU64, Ordering},
			LazyLock,
		},
	};

	type Observer = Rc<dyn Fn(Event<'_>)>;

	thread_local! {
		static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
	}

	/// Runs `work` with an observer of what this thread does.
	pub fn with_observer<T>(observer: impl Fn(Event<'_>) + 'static, work: impl FnOnce() -> T) -> T {
		OBSERVER.with_borrow_mut(|slot| *slot = Some(Rc::new(observer)));
		let result = work();
		OBSERVER.with_borrow_mut(|slot| *slot = None);
		result
	}

	fn observe(event: Event<'_>) {
		// Without the borrow: the observer may run code that reaches a point.
		if let Some(observer) = OBSERVER.with_borrow(Clone::clone) {
			observer(event);
		}
	}

	/// Dies here if the environment says so; tells the thread's observer.
	pub(crate) fn reached(point: &'static str) {
		reached_in_transaction(point);
		observe(Event::Reached(point));
	}

	/// As [`reached`], where no other thread can be let run.
	pub(crate) fn reached_in_transaction(point: &'static str) {
		static TARGET: LazyLock<Option<(&'static str, u32)>> = LazyLock::new(|| {
			let text = std::env::var("CAIRN_BLOCKSTORE_CRASH_AT").ok()?;
			let parsed = POINTS.iter().find_map(|point| {
				let rest = text.strip_prefix(point)?;
				match rest.strip_prefix(':') {
					None if rest.is_empty() => Some(1),
					Some(count) => count.parse().ok(),
					None => None,
				}
				.map(|count| (*point, count))
			});
			if parsed.is_none() {
				tracing::error!(text, "CAIRN_BLOCKSTORE_CRASH_AT names no known point");
			}
			parsed
		});
		static REACHED: AtomicU32 = AtomicU32::new(0);
		debug_assert!(POINTS.contains(&point), "{point} is not listed");
		if let Some((target, count)) = &*TARGET {
			if *target == point && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
				eprintln!("fault injection: dying at {point}");
				std::process::abort();
			}
		}
	}

	/// Whether this thread has an observer. It must then not block, but say that it is
	/// [`waiting`] and look again.
	pub(crate) fn is_observed() -> bool {
		OBSERVER.with_borrow(Option::is_some)
	}

	/// Tells the observer, if there is one, what was done to the disk.
	pub(crate) fn disk(operation: impl FnOnce() -> DiskOperation) {
		if is_observed() {
			observe(Event::Disk(&operation()));
		}
	}

	/// A number for a handle that the observer hears of.
	pub(crate) fn next_handle() -> u64 {
		static NEXT: AtomicU64 = AtomicU64::new(0);
		NEXT.fetch_add(1, Ordering::Relaxed)
	}

	/// Lets the observer run another thread.
	pub(crate) fn waiting() {
		observe(Event::Waiting);
	}
}

#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
mod active {
	/// Does nothing in this build.
	#[inline]
	pub(crate) fn reached(_point: &'static str) {}

	/// Does nothing in this build.
	#[inline]
	pub(crate) fn reached_in_transaction(_point: &'static str) {}

	/// Nobody observes in this build.
	#[inline]
	pub(crate) fn is_observed() -> bool {
		false
	}

	/// Does nothing in this build.
	#[inline]
	pub(crate) fn waiting() {}

	/// Does nothing in this build.
	#[inline]
	pub(crate) fn disk(_operation: impl FnOnce() -> super::DiskOperation) {}

	/// Nobody tells handles apart in this build.
	#[inline]
	pub(crate) fn next_handle() -> u64 {
		0
	}
}
