//! Progress bars of long work, on standard error, when a person looks at it.

use crate::output::Output;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// The bars of one command.
#[derive(Clone)]
pub struct Progress {
	bars: MultiProgress,
	visible: bool,
}

impl Progress {
	/// Draws when `output` allows, otherwise keeps silent.
	pub fn new(output: &Output) -> Self {
		let visible = output.shows_progress();
		let target = if visible {
			ProgressDrawTarget::stderr()
		} else {
			ProgressDrawTarget::hidden()
		};
		Progress {
			bars: MultiProgress::with_draw_target(target),
			visible,
		}
	}

	/// A bar over `total` bytes.
	pub fn bytes(&self, label: impl Into<String>, total: u64) -> ProgressBar {
		let bar = self.bars.add(ProgressBar::new(total));
		bar.set_style(style(
			"{prefix:<28} {wide_bar} {binary_bytes:>10} / {binary_total_bytes:<10} {binary_bytes_per_sec:>12} {eta:>4}",
		));
		bar.set_prefix(label.into());
		bar
	}

	/// A spinner that counts bytes whose total is unknown.
	pub fn counted_bytes(&self, label: impl Into<String>) -> ProgressBar {
		self.spinner_with(
			label,
			"{prefix:<28} {spinner} {binary_bytes} {binary_bytes_per_sec} {msg}",
		)
	}

	/// A spinner with a message that changes.
	pub fn spinner(&self, label: impl Into<String>) -> ProgressBar {
		self.spinner_with(label, "{prefix:<28} {spinner} {msg} [{elapsed}]")
	}

	fn spinner_with(&self, label: impl Into<String>, template: &str) -> ProgressBar {
		let bar = self.bars.add(ProgressBar::new_spinner());
		bar.set_style(style(template));
		bar.set_prefix(label.into());
		if self.visible {
			bar.enable_steady_tick(Duration::from_millis(120));
		}
		bar
	}
}

/// The template, or the library's default should the template be wrong.
fn style(template: &str) -> ProgressStyle {
	ProgressStyle::with_template(template)
		.unwrap_or_else(|_| ProgressStyle::default_bar())
		.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
	use super::*;

	/// A wrong template would silently fall back.
	#[test]
	fn templates_are_valid() {
		for template in [
			"{prefix:<28} {wide_bar} {binary_bytes:>10} / {binary_total_bytes:<10} {binary_bytes_per_sec:>12} {eta:>4}",
			"{prefix:<28} {spinner} {binary_bytes} {binary_bytes_per_sec} {msg}",
			"{prefix:<28} {spinner} {msg} [{elapsed}]",
		] {
			assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
		}
	}
}
