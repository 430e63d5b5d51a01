//! Block exchange.

pub mod fair;
pub mod framing;
pub mod scheduler;
pub mod server;
pub mod walk;
pub mod wire;
