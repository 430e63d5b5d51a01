//! Progress on standard error: what is being done, how long it takes, how long it took.

use anyhow::{bail, Context, Result};
use std::{
	ffi::OsStr,
	process::Command,
	time::{Duration, Instant},
};

/// Does `work`, saying what and how long it is expected to take (`"about 20 minutes the first time"`), and
/// afterwards how long it did.
///
/// # Errors
/// Those of `work`.
pub fn step<T>(what: &str, expected: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
	eprintln!("==> {what} ({expected})");
	let start = Instant::now();
	let result = work();
	let took = duration(start.elapsed());
	match &result {
		Ok(_) => eprintln!("    done in {took}"),
		Err(_) => eprintln!("    failed after {took}"),
	}
	result
}

/// A line about something worth knowing that is no step of its own.
pub fn note(text: &str) {
	eprintln!("    {text}");
}

/// Shows a command and runs it; its output goes to the terminal.
///
/// # Errors
/// When it cannot be started, and when it fails.
pub fn run(command: &mut Command) -> Result<()> {
	let shown = shown(command);
	eprintln!("    $ {shown}");
	let status = command
		.status()
		.with_context(|| format!("cannot start `{shown}`"))?;
	if !status.success() {
		bail!("`{shown}` failed: {status}");
	}
	Ok(())
}

/// Runs a command without showing it and returns what it printed on standard output.
///
/// # Errors
/// When it cannot be started, and, with what it printed on standard error, when it fails.
pub fn output(command: &mut Command) -> Result<String> {
	let output = command
		.output()
		.with_context(|| format!("cannot start `{}`", shown(command)))?;
	if !output.status.success() {
		let message = String::from_utf8_lossy(&output.stderr);
		bail!(
			"`{}` failed: {}\n{}",
			shown(command),
			output.status,
			message.trim_end()
		);
	}
	String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", shown(command)))
}

fn shown(command: &Command) -> String {
	let words: Vec<_> = std::iter::once(command.get_program())
		.chain(command.get_args())
		.map(OsStr::to_string_lossy)
		.collect();
	words.join(" ")
}

/// `0.4 s`, `12.3 s`, `4 min 5 s`, `1 h 2 min`.
pub fn duration(duration: Duration) -> String {
	let seconds = duration.as_secs();
	match seconds {
		0..60 => format!("{:.1} s", duration.as_secs_f64()),
		60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
		_ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn durations_read_well() {
		assert_eq!(duration(Duration::from_millis(412)), "0.4 s");
		assert_eq!(duration(Duration::from_secs(59)), "59.0 s");
		assert_eq!(duration(Duration::from_secs(245)), "4 min 5 s");
		assert_eq!(duration(Duration::from_secs(3720)), "1 h 2 min");
	}

	#[test]
	fn failures_name_the_command_and_what_it_said() {
		assert_eq!(
			output(Command::new("sh").args(["-c", "echo out"])).unwrap(),
			"out\n"
		);
		let error = output(Command::new("sh").args(["-c", "echo reason >&2; exit 3"]))
			.unwrap_err()
			.to_string();
		assert!(
			error.contains("sh -c") && error.contains("reason") && error.contains('3'),
			"{error}"
		);
		assert!(run(&mut Command::new("false")).is_err());
		assert!(run(&mut Command::new("/nonexistent/program"))
			.unwrap_err()
			.to_string()
			.contains("cannot start"));
	}
}
