//! Answers that are made at most once a second, however often they are asked for.

use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, task::JoinError, time::Instant};

/// How long an answer is fresh.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer. Clones share it.
pub(super) struct Recent<T> {
	last: Arc<Mutex<Option<(Instant, T)>>>,
}

impl<T: Clone + Send + 'static> Recent<T> {
	/// The last answer if it is fresh; else what `make` makes, on a thread that may block. One makes it at a time, and
	/// the others wait for it.
	///
	/// # Errors
	/// If `make` panics.
	pub async fn get(&self, make: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
		let mut last = self.last.clone().lock_owned().await;
		if let Some((at, answer)) = &*last {
			if at.elapsed() < FRESH {
				return Ok(answer.clone());
			}
		}
		// It has the lock: also if nobody waits for it any more, none is made beside it.
		tokio::task::spawn_blocking(move || {
			let answer = make();
			*last = Some((Instant::now(), answer.clone()));
			answer
		})
		.await
	}
}

impl<T> Default for Recent<T> {
	fn default() -> Self {
		Recent { last: Arc::default() }
	}
}

impl<T> Clone for Recent<T> {
	fn clone(&self) -> Self {
		Recent {
			last: self.last.clone(),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use futures::{future::join_all, FutureExt};
	use std::sync::{
		atomic::{AtomicU32, Ordering},
		mpsc,
	};

	#[tokio::test]
	async fn one_answer_a_second_for_all() {
		let made = Arc::new(AtomicU32::new(0));
		let recent = Recent::default();
		let count = || {
			let made = made.clone();
			recent.get(move || made.fetch_add(1, Ordering::SeqCst))
		};
		let answers = join_all((0..100).map(|_| count())).await;
		assert!(answers.into_iter().all(|answer| answer.unwrap() == 0));
		tokio::time::pause();
		tokio::time::advance(FRESH).await;
		assert_eq!(count().await.unwrap(), 1);
		assert_eq!(count().await.unwrap(), 1);
	}

	#[tokio::test]
	async fn who_does_not_wait_lets_nobody_else_begin() {
		let recent = Recent::default();
		let (go, wait) = mpsc::channel::<()>();
		let mut first = Box::pin(recent.get(move || {
			wait.recv().unwrap();
			1
		}));
		assert!((&mut first).now_or_never().is_none());
		drop(first);
		let mut second = Box::pin(recent.get(|| 2));
		assert!((&mut second).now_or_never().is_none());
		go.send(()).unwrap();
		assert_eq!(second.await.unwrap(), 1);
	}
}
