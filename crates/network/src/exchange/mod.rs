//! Block exchange.

pub mod fair;
pub mod fetch;
pub mod framing;
pub mod scheduler;
pub mod server;
pub mod service;
pub mod walk;
pub mod wire;
