//! Counts the memory that is allocated.

use std::{
	alloc::{GlobalAlloc, Layout, System},
	sync::atomic::{AtomicUsize, Ordering},
};

#[global_allocator]
static COUNTING: Counting = Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, under a count of all threads' bytes.
struct Counting;

fn add(bytes: usize) {
	let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
	PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
	unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
		add(layout.size());
		unsafe { System.alloc(layout) }
	}

	unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
		add(layout.size());
		unsafe { System.alloc_zeroed(layout) }
	}

	unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
		// Both exist while the content is moved.
		add(size);
		let moved = unsafe { System.realloc(memory, layout, size) };
		NOW.fetch_sub(layout.size(), Ordering::Relaxed);
		moved
	}

	unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
		unsafe { System.dealloc(memory, layout) };
		NOW.fetch_sub(layout.size(), Ordering::Relaxed);
	}
}

/// Most bytes that were allocated at once during `work`, beyond those before it.
pub fn peak_of(work: impl FnOnce()) -> usize {
	let before = NOW.load(Ordering::Relaxed);
	PEAK.store(before, Ordering::Relaxed);
	work();
	PEAK.load(Ordering::Relaxed).saturating_sub(before)
}
