//! Sectors as the provider keeps them: their record, their state machine, and what goes into one.

pub mod packing;
mod record;
pub mod state;

pub use record::{Sector, SectorDeal};
pub use state::{Health, SectorEvent, SectorState};
