//! Printing results.

use super::CliError;
use serde::Serialize;
use std::io::{self, Write};

/// Where results go, and how they look.
#[derive(Clone, Copy)]
pub(crate) struct Output {
	json: bool,
}

/// A result with its schema.
#[derive(Serialize)]
struct Tagged<'a, T> {
	schema: &'a str,
	#[serde(flatten)]
	value: &'a T,
}

impl Output {
	/// Prints JSON or text.
	pub fn new(json: bool) -> Self {
		Output { json }
	}

	/// Prints a result: as JSON, or by `text`.
	pub fn result<T: Serialize>(
		&self,
		schema: &str,
		value: &T,
		text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
	) -> Result<(), CliError> {
		let mut out = io::stdout().lock();
		if self.json {
			let mut line = serde_json::to_vec(&Tagged { schema, value }).map_err(io::Error::from)?;
			line.push(b'\n');
			out.write_all(&line)?;
		} else {
			text(&mut out)?;
		}
		out.flush()?;
		Ok(())
	}

	/// Tells what happens, on standard error.
	pub fn note(&self, message: impl AsRef<str>) {
		if !self.json {
			eprintln!("{}", message.as_ref());
		}
	}
}

/// Writes rows in columns as wide as their widest cell.
pub(crate) fn columns(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
	let count = rows.iter().map(Vec::len).max().unwrap_or(0);
	let widths: Vec<usize> = (0..count)
		.map(|column| {
			rows.iter()
				.filter_map(|row| row.get(column))
				.map(|cell| cell.chars().count())
				.max()
				.unwrap_or(0)
		})
		.collect();
	for row in rows {
		let mut line = String::new();
		for (cell, width) in row.iter().zip(&widths) {
			line.push_str(&format!("{cell:<width$}  "));
		}
		writeln!(out, "{}", line.trim_end())?;
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn columns_align() {
		let mut out = Vec::new();
		let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
		columns(&mut out, &[row(["A", "LONG"]), row(["wide cell", "1"])]).unwrap();
		assert_eq!(String::from_utf8(out).unwrap(), "A          LONG\nwide cell  1\n");
	}
}
