//! Who fetches what: the division of a download among gateways.
//!
//! The first gateway is asked for everything, and delivers it from the front. Others take work away from its
//! back, as much at once as they bring in a moment, until the two meet: a transfer ends when nothing that it
//! owes is missing any more. So one gateway alone gets one request, several share the work by how fast each is,
//! and towards the end the parts become small. What cannot be divided further is handed over when it does not
//! come for a while. What a gateway owes when its transfer ends early waits in a queue for the next one.

use super::{
	blocks::BlockStore,
	flow::Flow,
	missing::{ObjectError, Part, Wanted},
	pieces::{Ask, Pieces, Speaks, View},
};
use cairn_dag::Cid;
use std::{
	collections::{BTreeMap, HashMap, HashSet},
	sync::Arc,
	time::Duration,
};

/// How work is divided.
#[derive(Clone, Copy, Debug)]
pub struct Division {
	/// Bytes that are taken over at once at most.
	pub largest_part: u64,
	/// Fewest bytes of a file that are divided. Above the size of blocks: who cuts one fetches it twice.
	pub least_divided: u64,
	/// Least time that taking work away must save, beside what a request takes.
	pub least_gain: Duration,
	/// How long what cannot be divided may not come before another gateway is asked for it too. Doubles each time.
	pub patience: Duration,
}

impl Default for Division {
	fn default() -> Self {
		Division {
			largest_part: 8 << 20,
			least_divided: 2 << 20,
			least_gain: Duration::from_millis(20),
			patience: Duration::from_secs(1),
		}
	}
}

/// What a transfer needs to count as one, in bytes per second.
const LEAST_RATE: f64 = 16.0 * 1024.0;

/// A request to a gateway.
#[derive(Clone, Debug)]
pub(super) struct Job {
	/// Its number in the division.
	pub id: u64,
	/// Whom to ask.
	pub gateway: usize,
	/// For what.
	pub ask: Ask,
	/// What it answers, as far as was known.
	pub speaks: Speaks,
	/// How it goes.
	pub flow: Arc<Flow>,
}

/// What a gateway that has nothing to do can take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
	/// The gateway.
	pub gateway: usize,
	/// What it answers.
	pub speaks: Speaks,
	/// Bytes that it is owed at the same time.
	pub window: u64,
	/// From a request to the first byte, as far as is known.
	pub latency: Duration,
	/// Bytes per second of one of its transfers, as far as is known.
	pub rate: Option<f64>,
}

/// What became of what a job owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
	/// All of it is there.
	Done,
	/// Some is missing, and waits for another job.
	Left,
	/// Another job owed it.
	Relieved,
}

/// The division of one object's download.
pub(super) struct Work {
	blocks: BlockStore,
	wanted: Wanted,
	division: Division,
	seen: HashSet<Cid>,
	/// Blocks that gateways were asked for and do not have.
	lacking: HashMap<usize, HashSet<Cid>>,
	/// What nobody fetches.
	queue: Pieces,
	jobs: BTreeMap<u64, Running>,
	next: u64,
}

struct Running {
	gateway: usize,
	duty: Duty,
	/// Times that what it owes was handed over.
	handed_over: u32,
	flow: Arc<Flow>,
}

enum Duty {
	/// It owes what is missing of these.
	Owes(Pieces),
	/// That job owes it now. Whatever comes first is taken.
	Relieved(u64),
}

impl Work {
	/// Everything that is missing of `wanted`, and nobody at work.
	pub fn new(blocks: BlockStore, wanted: Wanted, division: Division) -> Self {
		Work {
			blocks,
			wanted,
			division,
			seen: HashSet::new(),
			lacking: HashMap::new(),
			queue: Pieces::everything(),
			jobs: BTreeMap::new(),
			next: 0,
		}
	}

	/// Whether something is missing that nobody fetches.
	///
	/// # Errors
	/// If the object is not what it should be.
	pub fn is_anything_waiting(&mut self) -> Result<bool, ObjectError> {
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		self.queue.trim_front(&mut view)
	}

	/// Takes note that a gateway does not have a block: it is not asked for it again.
	pub fn lacks(&mut self, gateway: usize, cid: Cid) {
		self.lacking.entry(gateway).or_default().insert(cid);
	}

	/// A job for who offers to do one: what waits, else a part of what others do. `None` if there is nothing worth a
	/// request.
	///
	/// # Errors
	/// If the object is not what it should be.
	pub fn next_job(&mut self, offer: &Offer) -> Result<Option<Job>, ObjectError> {
		if self.owed_by(offer.gateway)? >= offer.window {
			return Ok(None);
		}
		if let Some(job) = self.take_waiting(offer, 0)? {
			return Ok(Some(job));
		}
		// One that gives objects as a whole would bring what others are about to bring; one that does not deliver
		// what it owes would keep more from coming.
		if offer.speaks == Speaks::Whole || self.is_anything_late(offer.gateway) {
			return Ok(None);
		}
		self.take_from_others(offer)
	}

	fn is_anything_late(&self, gateway: usize) -> bool {
		let mut jobs = self.jobs.values().filter(|job| job.gateway == gateway);
		jobs.any(|job| job.flow.is_slow(self.division.patience, LEAST_RATE))
	}

	/// Bytes that a gateway has been asked for and that have not come.
	fn owed_by(&mut self, gateway: usize) -> Result<u64, ObjectError> {
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		let mut sum = 0u64;
		for running in self.jobs.values_mut().filter(|job| job.gateway == gateway) {
			if let Duty::Owes(pieces) = &mut running.duty {
				pieces.trim_front(&mut view)?;
				sum = sum.saturating_add(pieces.size());
			}
		}
		Ok(sum)
	}

	fn take_waiting(&mut self, offer: &Offer, handed_over: u32) -> Result<Option<Job>, ObjectError> {
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		let lacking = self.lacking.get(&offer.gateway);
		let taken = self.queue.take_front(&mut view, offer.speaks, lacking)?;
		Ok(taken.map(|(ask, pieces)| {
			let brings_more = match &ask {
				Ask::Target => {
					offer.speaks == Speaks::Whole || matches!(self.wanted.part, Part::Bytes(_) | Part::Block)
				}
				Ask::Block(_) => true,
				Ask::Subtree(_) => offer.speaks < Speaks::Ranges,
				Ask::Bytes(..) => false,
			};
			let job = self.begin(offer, ask, pieces, handed_over);
			if brings_more {
				// It is ended when what is owed is there.
				job.flow.contest();
			}
			job
		}))
	}

	fn begin(&mut self, offer: &Offer, ask: Ask, pieces: Pieces, handed_over: u32) -> Job {
		let job = Job {
			id: self.next,
			gateway: offer.gateway,
			ask,
			speaks: offer.speaks,
			flow: Arc::default(),
		};
		self.next += 1;
		let running = Running {
			gateway: offer.gateway,
			duty: Duty::Owes(pieces),
			handed_over,
			flow: job.flow.clone(),
		};
		self.jobs.insert(job.id, running);
		job
	}

	fn take_from_others(&mut self, offer: &Offer) -> Result<Option<Job>, ObjectError> {
		for (id, seconds) in self.victims(offer.gateway)? {
			let least = match offer.speaks {
				Speaks::Ranges => self.division.least_divided,
				Speaks::Subtrees | Speaks::Whole => u64::MAX,
			};
			let Some(victim) = self.jobs.get_mut(&id) else {
				continue;
			};
			let Duty::Owes(pieces) = &mut victim.duty else {
				continue;
			};
			if self
				.lacking
				.get(&offer.gateway)
				.is_some_and(|lacking| pieces.are_all_in(lacking))
			{
				continue;
			}
			let is_slow = victim.flow.is_slow(self.division.patience, LEAST_RATE);
			let gain = seconds - 2.0 * offer.latency.as_secs_f64();
			if !is_slow && gain < self.division.least_gain.as_secs_f64() {
				continue;
			}
			let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
			let half = pieces.size() / 2;
			let part = half.min(offer.window / 2).min(self.division.largest_part);
			let taken = pieces.take_back(&mut view, part, least)?;
			if !taken.is_empty() {
				victim.flow.contest();
				self.queue.prepend(taken);
				return self.take_waiting(offer, 0);
			}
			if pieces.is_one() && is_late(victim, offer, self.division.patience) {
				return self.relieve(id, offer);
			}
		}
		Ok(None)
	}

	/// Jobs of other gateways, each with the seconds that it still needs; that which needs the longest first.
	fn victims(&mut self, gateway: usize) -> Result<Vec<(u64, f64)>, ObjectError> {
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		let mut victims = Vec::new();
		for (id, running) in self.jobs.iter_mut().filter(|(_, job)| job.gateway != gateway) {
			let Duty::Owes(pieces) = &mut running.duty else {
				continue;
			};
			if !pieces.trim_front(&mut view)? || !pieces.trim_back(&mut view)? {
				continue;
			}
			let seconds = match running.flow.rate() {
				Some(rate) if rate > 0.0 => pieces.size() as f64 / rate,
				_ => f64::INFINITY,
			};
			victims.push((*id, seconds));
		}
		victims.sort_by(|(_, one), (_, other)| other.total_cmp(one));
		Ok(victims)
	}

	/// Hands what a job owes to another gateway.
	fn relieve(&mut self, id: u64, offer: &Offer) -> Result<Option<Job>, ObjectError> {
		let next = self.next;
		let Some(victim) = self.jobs.get_mut(&id) else {
			return Ok(None);
		};
		let Duty::Owes(pieces) = std::mem::replace(&mut victim.duty, Duty::Relieved(next)) else {
			return Ok(None);
		};
		let handed_over = victim.handed_over + 1;
		self.queue.prepend(pieces);
		let job = self.take_waiting(offer, handed_over)?;
		if let Some(job) = &job {
			job.flow.contest();
		}
		Ok(job)
	}

	/// Whether nothing that a job owes is missing any more, so that its transfer can end.
	pub fn is_settled(&mut self, id: u64) -> bool {
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		match self.jobs.get_mut(&id).map(|job| &mut job.duty) {
			// What it owes comes in order: the last piece comes last. An object that cannot be read is noticed by
			// who divides the work.
			Some(Duty::Owes(pieces)) => matches!(pieces.trim_back(&mut view), Ok(false)),
			Some(Duty::Relieved(_)) => false,
			None => true,
		}
	}

	/// Takes note that a job's transfer has ended, and ends those that others have no need of any more.
	///
	/// # Errors
	/// If the object is not what it should be.
	pub fn finish(&mut self, id: u64) -> Result<Ended, ObjectError> {
		let Some(running) = self.jobs.remove(&id) else {
			return Ok(Ended::Relieved);
		};
		let was_stopped = running.flow.is_stopped();
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		let ended = match running.duty {
			Duty::Relieved(_) => Ended::Relieved,
			Duty::Owes(mut pieces) => match pieces.trim_front(&mut view)? {
				false => Ended::Done,
				true => {
					self.queue.prepend(pieces);
					Ended::Left
				}
			},
		};
		for job in self.jobs.values_mut() {
			let is_needless = match &mut job.duty {
				// It may have been relieved by one that was relieved itself.
				Duty::Relieved(by) => *by == id && (ended == Ended::Done || was_stopped),
				Duty::Owes(pieces) => job.flow.is_contested() && !pieces.trim_back(&mut view)?,
			};
			if is_needless {
				job.flow.stop();
			}
		}
		Ok(ended)
	}

	/// Whether somebody fetches something that is missing.
	///
	/// # Errors
	/// If the object is not what it should be.
	pub fn is_anything_owed(&mut self) -> Result<bool, ObjectError> {
		let mut view = View::new(&self.blocks, &self.wanted, &mut self.seen);
		for job in self.jobs.values_mut() {
			if let Duty::Owes(pieces) = &mut job.duty {
				if pieces.trim_back(&mut view)? {
					return Ok(true);
				}
			}
		}
		Ok(false)
	}

	/// Ends all transfers.
	pub fn stop_all(&self) {
		self.jobs.values().for_each(|job| job.flow.stop());
	}

	/// Ends a gateway's transfers.
	pub fn stop(&self, gateway: usize) {
		let jobs = self.jobs.values().filter(|job| job.gateway == gateway);
		jobs.for_each(|job| job.flow.stop());
	}
}

/// Whether what a job owes, which is indivisible, is worth a second request.
fn is_late(job: &Running, offer: &Offer, patience: Duration) -> bool {
	let patience = patience.saturating_mul(1 << job.handed_over.min(16));
	if job.flow.is_slow(patience, LEAST_RATE) {
		return true;
	}
	let Duty::Owes(pieces) = &job.duty else {
		return false;
	};
	match (job.flow.rate(), offer.rate) {
		(Some(own), Some(others)) => {
			let seconds = pieces.size() as f64 / own;
			job.flow.age() >= patience && seconds > patience.as_secs_f64() && others > 2.0 * own
		}
		_ => false,
	}
}
