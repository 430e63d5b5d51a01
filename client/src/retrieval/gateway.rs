//! What is known of one gateway, and what becomes of it when it fails.

use super::{
	candidates::Candidate,
	fetch::FetchError,
	pieces::{Ask, Speaks},
	work::{Ended, Offer},
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
	pub fn learn(&mut self, flow: &super::flow::Flow) {
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
		ask: &Ask,
		result: Result<(), FetchError>,
		ended: Ended,
		new: u64,
		received: u64,
	) -> Verdict {
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
			if let Some(lesser) = self.lesser(ask, &error) {
				self.speaks = self.speaks.min(lesser);
				return Verdict::Otherwise(error);
			}
			self.state = State::Aside(received);
			return Verdict::Failed(error);
		}
		self.failures += 1;
		let rest = match &error {
			FetchError::Provider(ProviderError::Busy { wait, .. }) => Some(*wait),
			_ if new > 0 => Some(FIRST_REST * (1 << self.failures.min(6))),
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

	/// How to ask instead of what it did not answer.
	fn lesser(&self, ask: &Ask, error: &FetchError) -> Option<Speaks> {
		match ask {
			Ask::Bytes(..) => Some(Speaks::Subtrees),
			Ask::Subtree(_) if self.speaks > Speaks::Whole => Some(Speaks::Whole),
			// It does not know the object, however it is asked.
			Ask::Target if is_absence(error) => None,
			Ask::Target if self.speaks > Speaks::Whole => Some(Speaks::Whole),
			Ask::Subtree(_) | Ask::Target => None,
		}
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
