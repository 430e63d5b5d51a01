//! Showing what happens during a retrieval.

use crate::{
	context::Context,
	progress::Progress,
	retrieval::{
		candidates::Candidate,
		fetch::{FetchError, Observer},
	},
};
use indicatif::ProgressBar;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shows what happens.
pub struct Watcher<'a> {
	context: &'a Context,
	bar: ProgressBar,
	/// Bytes that came in another way, before.
	before: AtomicU64,
}

impl<'a> Watcher<'a> {
	/// With a bar, where one may be drawn.
	pub fn new(context: &'a Context) -> Self {
		Watcher {
			context,
			bar: Progress::new(&context.output).counted_bytes("fetching"),
			before: AtomicU64::new(0),
		}
	}

	/// The bar, to be suspended while something is printed.
	pub fn bar(&self) -> ProgressBar {
		self.bar.clone()
	}

	/// Says what is being done.
	pub fn doing(&self, what: impl Into<String>) {
		self.bar.set_message(what.into());
	}

	/// Tells something that is worth a line.
	pub fn note(&self, text: impl AsRef<str>) {
		self.bar.suspend(|| self.context.output.note(text));
	}

	/// So many bytes came already; what comes from now on is counted anew.
	pub fn begin_at(&self, bytes: u64) {
		self.before.store(bytes, Ordering::Relaxed);
	}

	/// Removes the bar.
	pub fn finish(&self) {
		self.bar.finish_and_clear();
	}
}

impl Observer for Watcher<'_> {
	fn asking(&self, candidates: &[&Candidate]) {
		self.doing(match candidates {
			[candidate] => format!("from {} ({})", candidate.url, candidate.reason),
			several => format!("from {} gateways", several.len()),
		});
	}

	fn received(&self, bytes: u64) {
		self.bar.set_position(self.before.load(Ordering::Relaxed) + bytes);
	}

	fn failed(&self, candidate: &Candidate, error: &FetchError) {
		let text = error.to_string();
		self.note(match text.contains(candidate.url.as_str()) {
			true => text,
			false => format!("{}: {text}", candidate.url),
		});
	}
}
