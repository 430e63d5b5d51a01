//! Calls of the system pallet.

use super::calls;

calls! { "System";
	/// Does nothing but carry bytes.
	pub fn remark(remark: &[u8]);
	/// Like [`remark`], with an event.
	pub fn remark_with_event(remark: &[u8]);
}
