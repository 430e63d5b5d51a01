//! What is known of one gateway, and what becomes of it when it fails.

use super::{
	candidates::{Candidate, Reason},
	fetch::FetchError,
	flow::Flow,
	pieces::{Ask, Speaks},
	work::{Ended, Job, Offer},
};
use crate::provider::{ProviderClient, ProviderError};
use cairn_car::ReadError;
use std::time::{Duration, Instant};

/// Requests to one gateway at the same time.
const CONCURRENT_REQUESTS: usize = 4;
/// A gateway is owed what it delivers in this time, within bounds.
const WINDOW: Duration = Duration::from_secs(2);
const SMALLEST_WINDOW: u64 = 1 << 20;
const LARGEST_WINDOW: u64 = 32 << 20;
/// Before anything is known of how fast it is.
const FIRST_WINDOW: u64 = 4 << 20;
/// Times in a row that a gateway may fail in the middle before it is set aside.
const MAX_FAILURES: u32 = 8;
/// Rest after the first failure; doubles with each.
const FIRST_REST: Duration = Duration::from_millis(100);
/// Longest rest that a gateway is granted.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A gateway that may have the object.
pub(super) struct Gateway {
	pub candidate: Candidate,
	pub provider: ProviderClient,
	pub speaks: Speaks,
	pub state: State,
	/// Requests that are running.
	pub running: usize,
	/// Bytes of new blocks that it delivered.
	pub delivered: u64,
	/// Whether it answered last, without the block that it was asked for.
	pub lacks_blocks: bool,
	failures: u32,
	/// Of one of its transfers.
	rate: Option<f64>,
	latency: Option<Duration>,
}

/// Whether a gateway is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
	/// It is.
	Ready,
	/// Not before this.
	Resting(Instant),
	/// Not as long as others are. So many bytes had been received when it was set aside.
	Aside(u64),
	/// Never again: it lied.
	Banned,
}

/// What follows from how a job ended.
#[derive(Debug)]
pub(super) enum Verdict {
	/// Nothing.
	Fine,
	/// It is asked otherwise.
	Otherwise(FetchError),
	/// It is not asked for this block again.
	Lacks(FetchError),
	/// It is asked later, or not at all.
	Failed(FetchError),
}

impl Gateway {
	pub fn new(http: reqwest::Client, candidate: Candidate) -> Self {
		Gateway {
			provider: ProviderClient::new(http, candidate.url.clone()),
			candidate,
			speaks: Speaks::Ranges,
			state: State::Ready,
			running: 0,
			delivered: 0,
			lacks_blocks: false,
			failures: 0,
			rate: None,
			latency: None,
		}
	}

	/// Whether it may be asked now. Ends a rest that is over.
	pub fn is_ready(&mut self) -> bool {
		if matches!(self.state, State::Resting(until) if until <= Instant::now()) {
			self.state = State::Ready;
		}
		self.state == State::Ready
	}

	/// What it can take, if anything.
	pub fn offer(&mut self, gateway: usize) -> Option<Offer> {
		if !self.is_ready() || self.running >= CONCURRENT_REQUESTS {
			return None;
		}
		let window = self.rate.map_or(FIRST_WINDOW, |rate| {
			// A rate beyond what 64 bits hold is cut to it, and then to the bound.
			(rate * WINDOW.as_secs_f64()) as u64
		});
		Some(Offer {
			gateway,
			speaks: self.speaks,
			window: window.clamp(SMALLEST_WINDOW, LARGEST_WINDOW),
			latency: self.latency.unwrap_or_default(),
			rate: self.rate,
		})
	}

	/// Learns from a transfer.
	pub fn learn(&mut self, flow: &Flow) {
		let new = flow.new_bytes();
		self.delivered += new;
		if new > 0 {
			if let Some(rate) = flow.rate() {
				self.rate = Some(self.rate.map_or(rate, |known| 0.5 * known + 0.5 * rate));
			}
		}
		if let Some(latency) = flow.latency() {
			self.latency = Some(self.latency.map_or(latency, |known| (known + latency) / 2));
		}
	}

	/// Decides what follows from the end of a job. `received` is what all gateways have brought so far.
	pub fn judge(
		&mut self,
		job: &Job,
		result: Result<(), FetchError>,
		ended: Ended,
		received: u64,
	) -> Verdict {
		let new = job.flow.new_bytes();
		let error = match result {
			Ok(()) if ended == Ended::Done || new > 0 => {
				self.failures = 0;
				return Verdict::Fine;
			}
			Ok(()) if ended == Ended::Relieved => return Verdict::Fine,
			Ok(()) => FetchError::NothingNew,
			Err(error) => error,
		};
		if self.state == State::Banned {
			return Verdict::Fine;
		}
		if is_lie(&error) {
			self.state = State::Banned;
			return Verdict::Failed(error);
		}
		if is_about_the_request(&error) {
			if let Some(lesser) = lesser(job, &error) {
				self.speaks = self.speaks.min(lesser);
				return Verdict::Otherwise(error);
			}
			if matches!(job.ask, Ask::Block(_)) {
				self.lacks_blocks = true;
				// Who has brought some may have others. Who has brought none is asked when nobody else is left.
				if self.delivered == 0 && self.candidate.reason != Reason::Delivered {
					self.state = State::Aside(received);
				}
				return Verdict::Lacks(error);
			}
			self.state = State::Aside(received);
			return Verdict::Failed(error);
		}
		self.lacks_blocks = false;
		// When a connection breaks, or it has too much to do, several requests fail at once.
		let is_resting = matches!(self.state, State::Resting(_));
		self.failures += u32::from(!is_resting);
		let rest = match &error {
			FetchError::Provider(ProviderError::Busy { wait, .. }) => Some(*wait),
			_ if new > 0 || is_resting => Some(FIRST_REST * (1 << self.failures.min(6))),
			_ => None,
		};
		self.state = match rest {
			Some(rest) if rest <= LONGEST_REST && self.failures <= MAX_FAILURES => {
				let until = Instant::now() + rest;
				match self.state {
					State::Resting(already) => State::Resting(until.max(already)),
					_ => State::Resting(until),
				}
			}
			_ => State::Aside(received),
		};
		Verdict::Failed(error)
	}
}

/// How to ask instead of what was not answered.
fn lesser(job: &Job, error: &FetchError) -> Option<Speaks> {
	match job.ask {
		Ask::Bytes(..) => Some(Speaks::Subtrees),
		Ask::Subtree(_) => Some(Speaks::Whole),
		// It does not know the object, however it is asked.
		Ask::Target | Ask::Block(_) if is_absence(error) => None,
		Ask::Target | Ask::Block(_) => (job.speaks > Speaks::Whole).then_some(Speaks::Whole),
	}
}

/// Whether an honest gateway would not have done that.
fn is_lie(error: &FetchError) -> bool {
	match error {
		FetchError::Car(ReadError::Truncated { .. }) => false,
		FetchError::Car(_) | FetchError::Unrequested { .. } | FetchError::TooMany => true,
		_ => false,
	}
}

/// Whether another request may be answered where this one was not.
fn is_about_the_request(error: &FetchError) -> bool {
	match error {
		FetchError::IgnoresRange | FetchError::NothingNew => true,
		FetchError::Provider(error) => matches!(status(error), Some(400 | 404..=406 | 410 | 416 | 422 | 501)),
		_ => false,
	}
}

fn is_absence(error: &FetchError) -> bool {
	match error {
		FetchError::Provider(error) => matches!(status(error), Some(404 | 410)),
		_ => matches!(error, FetchError::NothingNew),
	}
}

fn status(error: &ProviderError) -> Option<u16> {
	match error {
		ProviderError::Refused { problem, .. } => Some(problem.kind.http_status()),
		ProviderError::Status { status, .. } => Some(*status),
		_ => None,
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::provider::http_client;
	use cairn_dag::Cid;
	use std::io;

	fn gateway() -> Gateway {
		let candidate = Candidate {
			url: "http://127.0.0.1:1/".parse().unwrap(),
			reason: Reason::Named,
		};
		Gateway::new(http_client().unwrap(), candidate)
	}

	fn job(ask: Ask, speaks: Speaks, new: usize) -> Job {
		let job = Job {
			id: 0,
			gateway: 0,
			ask,
			speaks,
			flow: Default::default(),
		};
		job.flow.count_new(new);
		job
	}

	fn status(status: u16) -> FetchError {
		let url = "http://127.0.0.1:1/".parse().unwrap();
		ProviderError::Status { url, status }.into()
	}

	fn busy(seconds: u64) -> FetchError {
		let url = "http://127.0.0.1:1/".parse().unwrap();
		let wait = Duration::from_secs(seconds);
		ProviderError::Busy { url, wait }.into()
	}

	fn broken() -> FetchError {
		FetchError::Broken(io::ErrorKind::ConnectionReset.into())
	}

	fn is_resting(gateway: &Gateway) -> bool {
		matches!(gateway.state, State::Resting(_))
	}

	#[test]
	fn liars_are_banned_for_good() {
		let cid = Cid::default();
		let truncated = FetchError::Car(ReadError::Truncated { offset: 1 });
		let damaged = FetchError::Car(ReadError::InvalidCid { offset: 1 });
		for (error, is_lie) in [
			(FetchError::Unrequested { cid }, true),
			(FetchError::TooMany, true),
			(damaged, true),
			(truncated, false),
			(FetchError::Stalled, false),
		] {
			let mut gateway = gateway();
			gateway.judge(&job(Ask::Target, Speaks::Ranges, 5), Err(error), Ended::Left, 9);
			assert_eq!(gateway.state == State::Banned, is_lie);
			gateway.judge(
				&job(Ask::Target, Speaks::Ranges, 5),
				Err(broken()),
				Ended::Left,
				9,
			);
			assert_eq!(gateway.state == State::Banned, is_lie);
		}
	}

	#[test]
	fn what_it_does_not_answer_is_asked_otherwise() {
		let cid = Cid::default();
		let mut gateway = gateway();
		let bytes = job(Ask::Bytes(cid, 0..9), Speaks::Ranges, 0);
		let verdict = gateway.judge(&bytes, Err(FetchError::IgnoresRange), Ended::Left, 0);
		assert!(matches!(verdict, Verdict::Otherwise(_)));
		assert_eq!((gateway.speaks, gateway.state), (Speaks::Subtrees, State::Ready));
		// Several at once.
		for _ in 0..3 {
			let subtree = job(Ask::Subtree(cid), Speaks::Subtrees, 0);
			gateway.judge(&subtree, Err(status(404)), Ended::Left, 0);
			assert_eq!((gateway.speaks, gateway.state), (Speaks::Whole, State::Ready));
		}
		gateway.judge(&bytes, Err(status(501)), Ended::Left, 0);
		assert_eq!(gateway.speaks, Speaks::Whole, "it does not rise again");
		let target = job(Ask::Target, Speaks::Whole, 0);
		gateway.judge(&target, Err(status(400)), Ended::Left, 7);
		assert_eq!(gateway.state, State::Aside(7));
	}

	#[test]
	fn who_does_not_have_the_object_is_set_aside() {
		for result in [Err(status(404)), Err(status(500)), Ok(()), Err(broken())] {
			let mut gateway = gateway();
			gateway.judge(&job(Ask::Target, Speaks::Ranges, 0), result, Ended::Left, 3);
			assert_eq!(gateway.state, State::Aside(3));
		}
	}

	#[test]
	fn who_does_not_have_a_block_may_have_others() {
		let block = || job(Ask::Block(Cid::default()), Speaks::Ranges, 0);
		for result in [|| Err(status(404)), || Ok(())] {
			let mut gateway = gateway();
			// It has not shown that it has any.
			let verdict = gateway.judge(&block(), result(), Ended::Left, 3);
			assert!(matches!(verdict, Verdict::Lacks(_)));
			assert_eq!((gateway.state, gateway.lacks_blocks), (State::Aside(3), true));
			gateway.state = State::Ready;
			gateway.delivered = 1;
			let verdict = gateway.judge(&block(), result(), Ended::Left, 3);
			assert!(matches!(verdict, Verdict::Lacks(_)));
			assert_eq!(gateway.state, State::Ready);
			// Who is not reached does not lack anything.
			gateway.judge(&block(), Err(broken()), Ended::Left, 3);
			assert!(!gateway.lacks_blocks);
		}
	}

	#[test]
	fn failures_in_the_middle_are_forgiven_so_many_times() {
		let mut gateway = gateway();
		let some = || job(Ask::Target, Speaks::Ranges, 10);
		for _ in 0..MAX_FAILURES {
			gateway.state = State::Ready;
			gateway.judge(&some(), Err(broken()), Ended::Left, 0);
			assert!(is_resting(&gateway));
			// Its other requests fail for the same reason.
			let other = job(Ask::Subtree(Cid::default()), Speaks::Ranges, 0);
			gateway.judge(&other, Err(broken()), Ended::Left, 0);
			assert!(is_resting(&gateway));
		}
		gateway.state = State::Ready;
		gateway.judge(&some(), Err(broken()), Ended::Left, 0);
		assert_eq!(gateway.state, State::Aside(0));
		// Unless it delivers in between.
		gateway.state = State::Ready;
		gateway.judge(&some(), Ok(()), Ended::Done, 0);
		gateway.judge(&some(), Err(broken()), Ended::Left, 0);
		assert!(is_resting(&gateway));
	}

	#[test]
	fn who_asks_to_wait_is_waited_for_within_bounds() {
		let mut gateway = gateway();
		gateway.judge(
			&job(Ask::Target, Speaks::Ranges, 0),
			Err(busy(60)),
			Ended::Left,
			0,
		);
		assert!(matches!(gateway.state, State::Resting(until)
			if until > Instant::now() + Duration::from_secs(50)));
		assert!(gateway.offer(0).is_none());
		gateway.state = State::Ready;
		gateway.judge(
			&job(Ask::Target, Speaks::Ranges, 0),
			Err(busy(61)),
			Ended::Left,
			0,
		);
		assert_eq!(gateway.state, State::Aside(0));
	}
}
