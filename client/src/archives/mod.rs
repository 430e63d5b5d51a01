//! Archives as commands read and write them: files, or standard input and output.

mod create;
mod input;
mod object;
mod output;
mod size;

pub use create::{create, Sources};
pub use input::{is_standard, open, read_options, stream, ArchiveInput};
pub use object::{export, find, without_scheme, Exporting, Object};
pub use output::ArchiveOutput;
pub use size::parse_size;
