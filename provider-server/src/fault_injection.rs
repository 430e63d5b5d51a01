//! Fault injection: dies at a named point, so that tests can show that a kill there loses nothing.
//!
//! Set `CAIRN_PROVIDER_CRASH_AT` to a point's name, or to `name:n` to die when the point is reached
//! for the n-th time. Works in debug builds and with the feature `fault-injection`; other builds
//! ignore the variable. The process aborts as by `kill -9`: no destructor runs, nothing is flushed.
//!
//! | point | between |
//! |---|---|
//! | `upload:adopted` | piece in the store ─ deal's state |
//! | `publish:persisted` | state ─ transaction sent |
//! | `publish:included` | transaction final ─ state |
//! | `sector:opened` | number taken ─ commitment |
//! | `sector:ticket` | ticket stored ─ sealing |
//! | `seal:layer` | in the middle of sealing |
//! | `sector:committed` | commitment computed ─ state |
//! | `pre_commit:persisted` | state ─ transaction sent |
//! | `pre_commit:included` | transaction final ─ state |
//! | `prove:persisted` | state ─ transaction sent |
//! | `prove:included` | transaction final ─ state |
//! | `finish:due` | sector active ─ its layers removed |
//! | `window:proven` | proof made ─ transaction sent |
//! | `window:included` | transaction final ─ noted |

/// Every point, in the order of the pipeline.
pub const POINTS: [&str; 14] = [
	"upload:adopted",
	"publish:persisted",
	"publish:included",
	"sector:opened",
	"sector:ticket",
	"seal:layer",
	"sector:committed",
	"pre_commit:persisted",
	"pre_commit:included",
	"prove:persisted",
	"prove:included",
	"finish:due",
	"window:proven",
	"window:included",
];

/// Dies here if the environment says so.
#[cfg(any(debug_assertions, feature = "fault-injection"))]
pub fn reached(point: &'static str) {
	use std::sync::{
		atomic::{AtomicU32, Ordering},
		LazyLock,
	};
	static TARGET: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
		let text = std::env::var("CAIRN_PROVIDER_CRASH_AT").ok()?;
		let parsed = POINTS.iter().find_map(|point| {
			let rest = text.strip_prefix(point)?;
			match rest.strip_prefix(':') {
				None if rest.is_empty() => Some(1),
				Some(count) => count.parse().ok(),
				None => None,
			}
			.map(|count| (point.to_string(), count))
		});
		if parsed.is_none() {
			tracing::error!(text, "CAIRN_PROVIDER_CRASH_AT names no known point");
		}
		parsed
	});
	static REACHED: AtomicU32 = AtomicU32::new(0);
	if let Some((target, count)) = &*TARGET {
		if target == point && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
			eprintln!("fault injection: dying at {point}");
			std::process::abort();
		}
	}
}

/// Does nothing in this build.
#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
pub fn reached(_point: &'static str) {}
