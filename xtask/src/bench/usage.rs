//! Memory and processor time that programs use, as Linux counts them.

use super::MEGABYTE;
use crate::process::Process;
use anyhow::{ensure, Context, Result};
use std::{
	fs,
	process::{Command, Stdio},
	thread,
	time::Duration,
};

/// How often a running program is looked at. Its peak only rises: what is missed is what it takes just before its end.
const SAMPLING: Duration = Duration::from_millis(5);

/// Ticks of a second in `/proc/PID/stat`: Linux's `USER_HZ`, on every architecture of today.
const TICKS: f64 = 100.0;

/// Peak of a process's resident memory since its start, in MB.
///
/// # Errors
/// When the process is gone.
pub(super) fn peak(process: &Process) -> Result<f64> {
	field(process.id(), "VmHWM:")
}

/// A process's resident memory, in MB.
///
/// # Errors
/// When the process is gone.
pub(super) fn resident(process: &Process) -> Result<f64> {
	field(process.id(), "VmRSS:")
}

/// Processor time of a process since its start, in all of its threads, in seconds.
///
/// # Errors
/// When the process is gone.
pub(super) fn processor_time(process: u32) -> Result<f64> {
	let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
	find_ticks(&stat)
		.map(|ticks| ticks as f64 / TICKS)
		.context("no processor time")
}

/// User and system time in a process's stat. The name before the other fields may hold spaces and parentheses.
fn find_ticks(stat: &str) -> Option<u64> {
	let (_, fields) = stat.rsplit_once(')')?;
	// Fields 14 and 15 of proc_pid_stat(5), of which the name is the second.
	let mut fields = fields.split_ascii_whitespace().skip(11);
	let user: u64 = fields.next()?.parse().ok()?;
	let system: u64 = fields.next()?.parse().ok()?;
	Some(user + system)
}

/// Runs a program to its end; what it printed on standard output, a few lines, and the peak of its resident memory in
/// MB.
///
/// # Errors
/// When it cannot be started, and, with what it printed on standard error, when it fails.
pub(super) fn output_and_peak(command: &mut Command) -> Result<(String, f64)> {
	let mut child = command
		.stdin(Stdio::null())
		.stdout(Stdio::piped())
		.stderr(Stdio::piped())
		.spawn()
		.with_context(|| format!("cannot start {}", command.get_program().display()))?;
	let mut peak = 0.0;
	// It is looked at before it can be reaped: its number is its own.
	loop {
		// One that has ended has no memory any more.
		peak = field(child.id(), "VmHWM:").unwrap_or(peak);
		if child.try_wait()?.is_some() {
			break;
		}
		thread::sleep(SAMPLING);
	}
	let output = child.wait_with_output()?;
	ensure!(
		output.status.success(),
		"{} failed: {}\n{}",
		command.get_program().display(),
		output.status,
		String::from_utf8_lossy(&output.stderr).trim_end()
	);
	Ok((String::from_utf8(output.stdout)?, peak))
}

fn field(process: u32, name: &str) -> Result<f64> {
	let status = fs::read_to_string(format!("/proc/{process}/status"))?;
	find(&status, name).with_context(|| format!("no {name}"))
}

/// A size in a process's status, in MB.
fn find(status: &str, name: &str) -> Option<f64> {
	let line = status.lines().find_map(|line| line.strip_prefix(name))?;
	let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
	Some(kib * 1024.0 / MEGABYTE)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn sizes_are_found() {
		let status = "Name:\tcat\nVmHWM:\t    1000 kB\nVmRSS:\t     500 kB\n";
		assert_eq!(find(status, "VmHWM:"), Some(1.024));
		assert_eq!(find(status, "VmRSS:"), Some(0.512));
		assert_eq!(find("Name:\tcat\n", "VmRSS:"), None);
	}

	#[test]
	fn processor_time_is_found() {
		let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 9 20 0 1 0 300 1000 10\n";
		assert_eq!(find_ticks(stat), Some(300));
		assert_eq!(find_ticks("42 (a) S 1"), None);
	}

	#[test]
	fn programs_run_to_their_end() {
		let (text, peak) = output_and_peak(Command::new("sh").args(["-c", "sleep 0.1; echo out"])).unwrap();
		assert_eq!(text, "out\n");
		assert!(peak > 0.0);
		let error = output_and_peak(Command::new("sh").args(["-c", "echo reason >&2; exit 3"])).unwrap_err();
		assert!(error.to_string().contains("reason"), "{error}");
	}
}
