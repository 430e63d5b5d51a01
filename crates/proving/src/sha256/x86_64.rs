//! Two SHA-256 computations side by side with the SHA extensions.

use super::{Node, IV, K, PADDING_64_SCHEDULE};
use std::arch::x86_64::*;

/// Whether the processor has the instructions used here.
#[inline]
pub(super) fn available() -> bool {
	is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1")
}

#[repr(align(16))]
struct Aligned<T>(T);

static ROUND_CONSTANTS: Aligned<[u32; 64]> = Aligned(K);
static PADDING: Aligned<[u32; 64]> = Aligned(PADDING_64_SCHEDULE);

/// State of one computation, in the order that the round instruction wants.
#[derive(Clone, Copy)]
struct State {
	abef: __m128i,
	cdgh: __m128i,
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn byte_swap() -> __m128i {
	_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203)
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn initial() -> State {
	let [a, b, c, d, e, f, g, h] = IV.map(|word| word as i32);
	State {
		abef: _mm_set_epi32(a, b, e, f),
		cdgh: _mm_set_epi32(c, d, g, h),
	}
}

/// Writes the truncated digest.
///
/// # Safety
/// `out` must be writable for 32 bytes.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
unsafe fn store_truncated(state: State, out: *mut u8) {
	let feba = _mm_shuffle_epi32(state.abef, 0x1b);
	let dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
	let dcba = _mm_blend_epi16(feba, dchg, 0xf0);
	let hgfe = _mm_alignr_epi8(dchg, feba, 8);
	let low = _mm_shuffle_epi8(dcba, byte_swap());
	let mask = _mm_set_epi32(0x3fff_ffff, -1, -1, -1);
	let high = _mm_and_si128(_mm_shuffle_epi8(hgfe, byte_swap()), mask);
	// SAFETY: the caller's promise; unaligned stores.
	unsafe {
		_mm_storeu_si128(out.cast(), low);
		_mm_storeu_si128(out.add(16).cast(), high);
	}
}

/// Four rounds of both computations, schedule words with their constants added.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn rounds(s: &mut [State; 2], wk: [__m128i; 2]) {
	s[0].cdgh = _mm_sha256rnds2_epu32(s[0].cdgh, s[0].abef, wk[0]);
	s[1].cdgh = _mm_sha256rnds2_epu32(s[1].cdgh, s[1].abef, wk[1]);
	s[0].abef = _mm_sha256rnds2_epu32(s[0].abef, s[0].cdgh, _mm_shuffle_epi32(wk[0], 0x0e));
	s[1].abef = _mm_sha256rnds2_epu32(s[1].abef, s[1].cdgh, _mm_shuffle_epi32(wk[1], 0x0e));
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn schedule(v0: __m128i, v1: __m128i, v2: __m128i, v3: __m128i) -> __m128i {
	let t = _mm_add_epi32(_mm_sha256msg1_epu32(v0, v1), _mm_alignr_epi8(v3, v2, 4));
	_mm_sha256msg2_epu32(t, v3)
}

/// One block each.
///
/// # Safety
/// `a` and `b` must be readable for 64 bytes.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
unsafe fn compress(s: &mut [State; 2], a: *const u8, b: *const u8) {
	let saved = *s;
	let swap = byte_swap();
	macro_rules! load {
		($i:literal) => {
			// SAFETY: the caller's promise; unaligned loads.
			unsafe {
				[
					_mm_shuffle_epi8(_mm_loadu_si128(a.add(16 * $i).cast()), swap),
					_mm_shuffle_epi8(_mm_loadu_si128(b.add(16 * $i).cast()), swap),
				]
			}
		};
	}
	macro_rules! step {
		($w:ident, $i:literal) => {
			// SAFETY: aligned and within the table.
			let k = unsafe { _mm_load_si128(ROUND_CONSTANTS.0.as_ptr().add(4 * $i).cast()) };
			rounds(s, [_mm_add_epi32($w[0], k), _mm_add_epi32($w[1], k)]);
		};
	}
	macro_rules! scheduled_step {
		($w0:ident, $w1:ident, $w2:ident, $w3:ident, $i:literal) => {
			$w0 = [
				schedule($w0[0], $w1[0], $w2[0], $w3[0]),
				schedule($w0[1], $w1[1], $w2[1], $w3[1]),
			];
			step!($w0, $i);
		};
	}
	let (mut w0, mut w1, mut w2, mut w3) = (load!(0), load!(1), load!(2), load!(3));
	step!(w0, 0);
	step!(w1, 1);
	step!(w2, 2);
	step!(w3, 3);
	scheduled_step!(w0, w1, w2, w3, 4);
	scheduled_step!(w1, w2, w3, w0, 5);
	scheduled_step!(w2, w3, w0, w1, 6);
	scheduled_step!(w3, w0, w1, w2, 7);
	scheduled_step!(w0, w1, w2, w3, 8);
	scheduled_step!(w1, w2, w3, w0, 9);
	scheduled_step!(w2, w3, w0, w1, 10);
	scheduled_step!(w3, w0, w1, w2, 11);
	scheduled_step!(w0, w1, w2, w3, 12);
	scheduled_step!(w1, w2, w3, w0, 13);
	scheduled_step!(w2, w3, w0, w1, 14);
	scheduled_step!(w3, w0, w1, w2, 15);
	add(s, saved);
}

/// The padding block of a 64-byte message: its schedule is a constant.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress_padding(s: &mut [State; 2]) {
	let saved = *s;
	for i in 0..16 {
		// SAFETY: aligned and within the table.
		let wk = unsafe { _mm_load_si128(PADDING.0.as_ptr().add(4 * i).cast()) };
		rounds(s, [wk, wk]);
	}
	add(s, saved);
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn add(s: &mut [State; 2], saved: [State; 2]) {
	for (s, saved) in s.iter_mut().zip(saved) {
		s.abef = _mm_add_epi32(s.abef, saved.abef);
		s.cdgh = _mm_add_epi32(s.cdgh, saved.cdgh);
	}
}

/// # Safety
/// As `super::hash_pairs`, and the processor must have the instructions.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) unsafe fn hash_pairs(pairs: *const u8, parents: *mut u8, count: usize) {
	let mut i = 0;
	while i < count {
		// The last one of an odd count is hashed twice: the second result is not stored.
		let other = if i + 1 < count { i + 1 } else { i };
		let mut s = [initial(); 2];
		// SAFETY: within the caller's ranges. Both pairs are read before a parent is written.
		unsafe {
			compress(&mut s, pairs.add(64 * i), pairs.add(64 * other));
			compress_padding(&mut s);
			store_truncated(s[0], parents.add(32 * i));
			if other != i {
				store_truncated(s[1], parents.add(32 * other));
			}
		}
		i += 2;
	}
}

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) unsafe fn digest_two(a: &[[u8; 64]], b: &[[u8; 64]]) -> [Node; 2] {
	let mut s = [initial(); 2];
	for (a, b) in a.iter().zip(b) {
		// SAFETY: blocks are 64 bytes.
		unsafe { compress(&mut s, a.as_ptr(), b.as_ptr()) };
	}
	let mut out = [[0u8; 32]; 2];
	// SAFETY: 32 bytes each.
	unsafe {
		store_truncated(s[0], out[0].as_mut_ptr());
		store_truncated(s[1], out[1].as_mut_ptr());
	}
	out
}
