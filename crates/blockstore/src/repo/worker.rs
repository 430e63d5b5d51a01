//! The thread that collects in the background.

use super::{collect::STEP_BLOCKS, CollectStep, MaintainError, Repo};
use std::{
	io,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc, Condvar, Mutex, PoisonError,
	},
	thread::{self, JoinHandle},
	time::{Duration, Instant},
};

/// Longest the worker sleeps: clocks are set, and machines are suspended.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How long it waits after a failure: a full disk does not empty itself in a moment.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How often it tries again to remove chunks that could not be removed.
const RETRY: Duration = Duration::from_secs(60);

/// Wakes the worker. Rung before it sleeps, it keeps it awake.
#[derive(Debug, Default)]
pub(super) struct Bell {
	rung: Mutex<bool>,
	heard: Condvar,
}

impl Bell {
	pub(super) fn ring(&self) {
		*self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
		self.heard.notify_all();
	}

	fn wait(&self, at_most: Duration) {
		let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
		let (mut rung, _) = self
			.heard
			.wait_timeout_while(rung, at_most, |rung| !*rung)
			.unwrap_or_else(PoisonError::into_inner);
		*rung = false;
	}
}

/// Collects what is deleted and expired, on its own thread, until dropped. It ends after the step it
/// is in.
#[derive(Debug)]
#[must_use = "the worker stops when it is dropped"]
pub struct Worker {
	repo: Repo,
	stop: Arc<AtomicBool>,
	thread: Option<JoinHandle<()>>,
}

impl Repo {
	/// Starts a worker. One is enough; several do no harm.
	///
	/// # Errors
	/// If the operating system gives no thread.
	pub fn start_worker(&self) -> io::Result<Worker> {
		let stop = Arc::new(AtomicBool::new(false));
		let thread = thread::Builder::new()
			.name("blockstore-collector".into())
			.spawn({
				let (repo, stop) = (self.clone(), stop.clone());
				move || work(&repo, &stop)
			})?;
		Ok(Worker {
			repo: self.clone(),
			stop,
			thread: Some(thread),
		})
	}
}

fn work(repo: &Repo, stop: &AtomicBool) {
	let mut retried = Instant::now();
	while !stop.load(Ordering::SeqCst) {
		let stepped = match retried.elapsed() >= RETRY {
			true => {
				retried = Instant::now();
				repo.retry_failed().map_err(Into::into).and_then(|()| step(repo))
			}
			false => step(repo),
		};
		match stepped {
			Ok(None) => {}
			Ok(Some(sleep)) => repo.inner.bell.wait(sleep),
			Err(error) => {
				tracing::warn!(%error, "collecting failed, and is tried again");
				repo.inner.bell.wait(AFTER_FAILURE);
			}
		}
	}
}

/// A step; for how long to sleep if there was nothing to do.
fn step(repo: &Repo) -> Result<Option<Duration>, MaintainError> {
	let collected = repo.collect_step(STEP_BLOCKS);
	let expired = match &collected {
		Ok(step) if !step.idle && !is_stuck(step) => return Ok(None),
		// Whatever keeps chunks from being removed, what is past its time is to be invisible.
		_ => repo.expire_step()?,
	};
	let step = collected?;
	if is_stuck(&step) {
		return Ok(Some(AFTER_FAILURE));
	}
	if expired > 0 || repo.shrink_step()? {
		return Ok(None);
	}
	let now = repo.inner.clock.now();
	Ok(Some(match repo.next_expiry()? {
		// Not at once: a dataset that is due was not there a moment ago.
		Some(at) => Duration::from_secs(at.saturating_sub(now).max(1)).min(LONGEST_SLEEP),
		None => LONGEST_SLEEP,
	}))
}

/// Whether a step only found chunks that cannot be removed: the next ones may be no better.
fn is_stuck(step: &CollectStep) -> bool {
	step.failed_blocks > 0 && step.freed_blocks == 0
}

impl Drop for Worker {
	fn drop(&mut self) {
		self.stop.store(true, Ordering::SeqCst);
		self.repo.inner.bell.ring();
		if let Some(thread) = self.thread.take() {
			// A panic of the worker was printed when it happened.
			let _ = thread.join();
		}
	}
}
