//! The quota: bytes in use, bytes promised, and the limit on both together.
//!
//! What is in use is in the metadata database, and counted here from there. What is promised lives in
//! this process's memory alone: a [`Reservation`] gives back what it did not use when it is dropped,
//! by return, error or panic, and a crash forgets all of them with the process.
//!
//! Bytes move from promised to used only after the transaction that made them used is on disk, and
//! leave used only after the transaction that freed them is. So the sum here is never less than what
//! is stored, and `used + reserved <= limit` holds at any time for new promises.
//!
//! Every transaction that changes what is in use hands over the sum that it left, and transactions
//! hand over in the order in which they were committed. Differences would add up to a drift: a commit
//! that is reported as failed may be on disk nevertheless.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
	"the store's quota is exhausted: {needed} bytes more are needed, and {available} of {limit} are free"
)]
pub struct QuotaExceeded {
	/// Bytes asked for.
	pub needed: u64,
	/// Bytes that are neither used nor reserved.
	pub available: u64,
	/// The quota.
	pub limit: u64,
}

/// Counts against the limit. Clones share the counters.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
	counters: Arc<Mutex<Counters>>,
}

/// The state of the quota, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
	pub(crate) limit: u64,
	pub(crate) used: u64,
	pub(crate) reserved: u64,
}

impl Counters {
	fn available(&self) -> u64 {
		self.limit.saturating_sub(self.used.saturating_add(self.reserved))
	}
}

impl Ledger {
	/// Starts with what the database counts.
	pub(crate) fn new(limit: u64, used: u64) -> Self {
		Self {
			counters: Arc::new(Mutex::new(Counters {
				limit,
				used,
				reserved: 0,
			})),
		}
	}

	fn lock(&self) -> MutexGuard<'_, Counters> {
		// Every change below is complete when it could panic.
		self.counters.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// The counters now.
	pub(crate) fn counters(&self) -> Counters {
		*self.lock()
	}

	/// Bytes that are neither used nor reserved.
	pub(crate) fn available(&self) -> u64 {
		self.lock().available()
	}

	/// Promises `bytes`. Exactly what is left is granted.
	pub(crate) fn reserve(&self, bytes: u64) -> Result<Reservation, QuotaExceeded> {
		let mut reservation = Reservation {
			ledger: self.clone(),
			left: 0,
		};
		reservation.grow(bytes)?;
		Ok(reservation)
	}

	/// Takes over what a transaction, now on disk, left in use.
	pub(crate) fn settle(&self, used: u64) {
		self.lock().used = used;
	}
}

/// Bytes of the quota that are set aside for its holder, until it is dropped.
#[derive(Debug)]
#[must_use = "a reservation ends when it is dropped"]
pub struct Reservation {
	ledger: Ledger,
	left: u64,
}

impl Reservation {
	/// Bytes still set aside.
	pub fn left(&self) -> u64 {
		self.left
	}

	/// Sets aside `bytes` more.
	///
	/// # Errors
	/// If they are not free; the reservation stays as it was.
	pub fn grow(&mut self, bytes: u64) -> Result<(), QuotaExceeded> {
		let mut counters = self.ledger.lock();
		let available = counters.available();
		if bytes > available {
			return Err(QuotaExceeded {
				needed: bytes,
				available,
				limit: counters.limit,
			});
		}
		counters.reserved += bytes;
		self.left += bytes;
		Ok(())
	}

	/// Adds what another one of the same repository has set aside.
	pub fn absorb(&mut self, mut other: Self) {
		self.left += std::mem::take(&mut other.left);
	}

	/// Cuts off `bytes`, or all that is left if that is less, as one of its own.
	pub fn split(&mut self, bytes: u64) -> Self {
		let bytes = bytes.min(self.left);
		self.left -= bytes;
		Self {
			ledger: self.ledger.clone(),
			left: bytes,
		}
	}

	/// Gives `bytes` back, or all that is left if that is less. Returns what was given back.
	pub fn release(&mut self, bytes: u64) -> u64 {
		let bytes = bytes.min(self.left);
		self.ledger.lock().reserved -= bytes;
		self.left -= bytes;
		bytes
	}

	/// Grows, if need be, to hold at least `bytes`.
	pub(crate) fn ensure(&mut self, bytes: u64) -> Result<(), QuotaExceeded> {
		self.grow(bytes.saturating_sub(self.left))
	}

	/// A transaction, now on disk, took `bytes` of the reservation and left `used` in use. They must
	/// have been [ensured](Self::ensure).
	pub(crate) fn spend(&mut self, bytes: u64, used: u64) {
		let mut counters = self.ledger.lock();
		let from_reservation = bytes.min(self.left);
		counters.reserved -= from_reservation;
		counters.used = used;
		self.left -= from_reservation;
	}
}

impl Drop for Reservation {
	fn drop(&mut self) {
		self.release(self.left);
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn reserved(ledger: &Ledger) -> u64 {
		ledger.counters().reserved
	}

	#[test]
	fn an_exact_fit_is_granted_and_one_byte_more_is_not() {
		let ledger = Ledger::new(100, 40);
		assert_eq!(
			ledger.reserve(61).unwrap_err(),
			QuotaExceeded {
				needed: 61,
				available: 60,
				limit: 100
			}
		);
		let all = ledger.reserve(60).unwrap();
		assert_eq!(ledger.available(), 0);
		assert!(ledger.reserve(1).is_err());
		assert!(ledger.reserve(0).is_ok());
		drop(all);
		assert_eq!(ledger.available(), 60);
	}

	#[test]
	fn a_reservation_gives_back_what_it_did_not_use() {
		let ledger = Ledger::new(100, 0);
		let mut reservation = ledger.reserve(50).unwrap();
		reservation.spend(20, 20);
		assert_eq!(
			ledger.counters(),
			Counters {
				limit: 100,
				used: 20,
				reserved: 30
			}
		);
		reservation.ensure(30).unwrap();
		assert_eq!(reservation.left(), 30);
		reservation.ensure(70).unwrap();
		assert_eq!(reservation.left(), 70);
		assert!(reservation.ensure(81).is_err());
		assert_eq!(reservation.release(1000), 70);
		assert_eq!(reservation.release(1), 0);
		drop(reservation);
		assert_eq!(
			ledger.counters(),
			Counters {
				limit: 100,
				used: 20,
				reserved: 0
			}
		);
	}

	#[test]
	fn a_panic_releases_it() {
		let ledger = Ledger::new(100, 0);
		let held = ledger.clone();
		let result = std::panic::catch_unwind(move || {
			let _reservation = held.reserve(70).unwrap();
			panic!("the holder fails");
		});
		assert!(result.is_err());
		assert_eq!(reserved(&ledger), 0);
	}

	#[test]
	fn a_store_that_is_over_its_quota_promises_nothing_and_does_not_overflow() {
		let ledger = Ledger::new(10, 50);
		assert_eq!(ledger.available(), 0);
		assert!(ledger.reserve(1).is_err());
		ledger.settle(5);
		assert!(ledger.reserve(5).is_ok());
		assert!(ledger.reserve(u64::MAX).is_err());
	}
}
