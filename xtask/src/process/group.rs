//! One program and what it starts, as a process group.

use super::{lock, POLL};
use anyhow::{Context, Result};
use rustix::process::{kill_process_group, waitid, Pid, Signal, WaitId, WaitIdOptions};
use std::{
	os::unix::process::{CommandExt, ExitStatusExt},
	process::{Child, ChildStdin, Command, ExitStatus},
	sync::Mutex,
	thread,
	time::Instant,
};

/// A program that leads a process group. Its number stays its own until it is reaped, which happens under
/// the lock only, after a last signal to the group.
pub(super) struct Group {
	pid: Pid,
	state: Mutex<State>,
}

enum State {
	Running(Child),
	Reaped(ExitStatus),
}

impl Group {
	/// Starts the command as the leader of a new group, and hands over its standard input if it is piped.
	pub(super) fn start(command: &mut Command) -> Result<(Self, Option<ChildStdin>)> {
		let mut child = command.process_group(0).spawn()?;
		let pipe = child.stdin.take();
		let pid = Pid::from_raw(child.id() as i32).context("a process number is positive")?;
		Ok((
			Self {
				pid,
				state: Mutex::new(State::Running(child)),
			},
			pipe,
		))
	}

	pub(super) fn id(&self) -> u32 {
		self.pid.as_raw_nonzero().get() as u32
	}

	pub(super) fn is_running(&self) -> bool {
		self.exit_status().is_none()
	}

	/// How the leader ended, if it has. What it left behind in its group is killed then.
	pub(super) fn exit_status(&self) -> Option<ExitStatus> {
		let mut state = lock(&self.state);
		let child = match &mut *state {
			State::Reaped(status) => return Some(*status),
			State::Running(child) => child,
		};
		// NOWAIT leaves the ended leader as it is: until it is reaped, nobody else gets its number.
		let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
		let status = match waitid(WaitId::Pid(self.pid), options) {
			Ok(None) => return None,
			Ok(Some(_)) => {
				// Fails when nothing is left.
				let _ = kill_process_group(self.pid, Signal::KILL);
				child.wait().unwrap_or_else(|_| lost_status())
			}
			// The kernel reaped it already: whoever started this command told it to ignore its children.
			Err(_) => lost_status(),
		};
		*state = State::Reaped(status);
		Some(status)
	}

	/// Signals the leader and what it started, unless the leader was reaped.
	pub(super) fn signal(&self, signal: Signal) {
		if let State::Running(_) = &*lock(&self.state) {
			// Fails when all have ended, which is as good.
			let _ = kill_process_group(self.pid, signal);
		}
	}

	/// Waits for the leader's end, and kills the group if it has not come by `deadline`.
	pub(super) fn stop(&self, deadline: Instant) {
		let mut is_killed = false;
		while self.is_running() {
			if !is_killed && Instant::now() >= deadline {
				self.signal(Signal::KILL);
				is_killed = true;
			}
			thread::sleep(POLL / 5);
		}
	}
}

/// The status of a program of which the kernel does not say how it ended: a failure.
fn lost_status() -> ExitStatus {
	ExitStatus::from_raw(1 << 8)
}

impl Drop for Group {
	fn drop(&mut self) {
		self.signal(Signal::KILL);
		self.stop(Instant::now());
	}
}
