//! What the commands print: results on standard output, everything else on standard error.
//!
//! With `--json` a result is one JSON object with a `schema` field, on one line; a stream of results
//! is one such line each. With `--quiet` a command prints nothing but the one thing scripts want (the
//! root CID of `put`, for instance).
//!
//! Providers, archives and the chain supply names and messages. Whatever people read goes through
//! [`printable`], so that none of them can steer the terminal.

use crate::error::CliError;
use comfy_table::{presets, CellAlignment, Table};
use serde::Serialize;
use std::{
	borrow::Cow,
	io::{self, IsTerminal, Write},
};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
	/// Text for people.
	Human,
	/// JSON lines.
	Json,
}

/// Where results, notes and warnings go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
	format: Format,
	quiet: bool,
}

/// A result with its schema, as it appears in JSON.
#[derive(Serialize)]
struct Tagged<'a, T> {
	schema: &'a str,
	#[serde(flatten)]
	value: &'a T,
}

impl Output {
	/// Prints in `format`; `quiet` drops notes and all but the essential of results.
	pub fn new(format: Format, quiet: bool) -> Self {
		Output { format, quiet }
	}

	/// Whether results are JSON.
	pub fn is_json(&self) -> bool {
		self.format == Format::Json
	}

	/// Whether progress bars may be drawn: a person looks at standard error.
	pub fn shows_progress(&self) -> bool {
		!self.quiet && !self.is_json() && io::stderr().is_terminal()
	}

	/// Prints a result: as JSON, or by `human`. Quiet does not suppress it.
	pub fn result<T: Serialize>(
		&self,
		schema: &str,
		value: &T,
		human: impl FnOnce(&mut dyn Write) -> io::Result<()>,
	) -> Result<(), CliError> {
		let mut out = io::stdout().lock();
		match self.format {
			Format::Json => {
				let mut line = serde_json::to_vec(&Tagged { schema, value }).map_err(io::Error::from)?;
				line.push(b'\n');
				out.write_all(&line)?;
			}
			Format::Human => human(&mut Printable(&mut out))?,
		}
		out.flush()?;
		Ok(())
	}

	/// Prints a result of which `--quiet` leaves one line: `essential`.
	pub fn result_or_line<T: Serialize>(
		&self,
		schema: &str,
		value: &T,
		essential: &str,
		human: impl FnOnce(&mut dyn Write) -> io::Result<()>,
	) -> Result<(), CliError> {
		if self.quiet && !self.is_json() {
			let mut out = io::stdout().lock();
			writeln!(out, "{essential}")?;
			out.flush()?;
			return Ok(());
		}
		self.result(schema, value, human)
	}

	/// Tells what happens, on standard error. Silent with `--quiet` and `--json`.
	pub fn note(&self, message: impl AsRef<str>) {
		if !self.quiet && !self.is_json() {
			// Nobody can be told that standard error is closed.
			let _ = writeln!(io::stderr(), "{}", printable(message.as_ref()));
		}
	}

	/// Warns, on standard error, always: with `--json` by an object on one line.
	pub fn warn(&self, message: impl AsRef<str>) {
		let message = message.as_ref();
		let _ = match self.format {
			Format::Json => {
				let value = serde_json::json!({ "schema": "cairn.warning/1", "message": message });
				writeln!(io::stderr(), "{value}")
			}
			Format::Human => writeln!(io::stderr(), "warning: {}", printable(message)),
		};
	}
}

/// The text without characters that steer a terminal or reorder what is read: a `?` stands for each.
pub fn printable(text: &str) -> Cow<'_, str> {
	let steers = |c: char| {
		(c.is_control() && c != '\n' && c != '\t')
			|| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
	};
	match text.contains(steers) {
		true => text.chars().map(|c| if steers(c) { '?' } else { c }).collect(),
		false => text.into(),
	}
}

/// Passes on what is [`printable`].
pub struct Printable<W>(pub W);

impl<W: Write> Write for Printable<W> {
	/// Takes all of `bytes`: formatting writes whole strings.
	fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
		let text = String::from_utf8_lossy(bytes);
		self.0.write_all(printable(&text).as_bytes())?;
		Ok(bytes.len())
	}

	fn flush(&mut self) -> io::Result<()> {
		self.0.flush()
	}
}

/// A table without lines, its first row the header. Columns whose header ends in a space are numbers
/// and align right.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Table {
	let mut table = Table::new();
	table.load_preset(presets::NOTHING);
	table.set_header(header.map(|name| name.trim_end().to_uppercase()));
	table.add_rows(rows);
	for (index, name) in header.iter().enumerate() {
		if let Some(column) = table.column_mut(index) {
			column.set_padding((0, 2));
			if name.ends_with(' ') {
				column.set_cell_alignment(CellAlignment::Right);
			}
		}
	}
	table
}

/// Writes a table without the spaces that would fill its last column.
pub fn write_table(out: &mut dyn Write, table: &Table) -> io::Result<()> {
	for line in table.to_string().lines() {
		writeln!(out, "{}", line.trim_end())?;
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn json_results_carry_their_schema_first() {
		#[derive(Serialize)]
		struct Result {
			value: u8,
		}
		let json = serde_json::to_string(&Tagged {
			schema: "cairn.test/1",
			value: &Result { value: 7 },
		});
		assert_eq!(json.unwrap(), r#"{"schema":"cairn.test/1","value":7}"#);
	}

	#[test]
	fn nothing_steers_the_terminal() {
		for (text, expected) in [
			("plain\ttext\n", "plain\ttext\n"),
			("\x1b[2J\x1b]0;title\x07", "?[2J?]0;title?"),
			("over\rwritten", "over?written"),
			("\u{9b}31m\x7f", "?31m?"),
			("evil\u{202e}gpj.exe", "evil?gpj.exe"),
			("\u{e4}\u{1f424}", "\u{e4}\u{1f424}"),
		] {
			assert_eq!(printable(text), expected);
			let mut out = Vec::new();
			write!(Printable(&mut out), "{text}").unwrap();
			assert_eq!(out, expected.as_bytes());
		}
	}

	#[test]
	fn tables_align() {
		let table = table(
			["name", "price "],
			[
				["a".to_owned(), "7".to_owned()],
				["longer".to_owned(), "1000".to_owned()],
			],
		);
		let mut out = Vec::new();
		write_table(&mut out, &table).unwrap();
		assert_eq!(
			String::from_utf8(out).unwrap(),
			"NAME    PRICE\na           7\nlonger   1000\n"
		);
	}
}
