//! Supervises the programs of a local network: nodes, providers, clients.
//!
//! A [`Supervisor`] starts each program in a process group of its own, with its own log file. However the
//! command ends (normally, with an error, by a panic or by Ctrl-C), the programs and what they started end
//! with it; only `kill -9` of xtask itself leaves them running. A [`Process`] is waited for by a line or JSON
//! event in its log, by an HTTP endpoint, or by anything that can be asked; waiting ends early, with the end
//! of the log, when the program dies.
//!
//! Programs are signalled through their handle only, and never after they were reaped: their number may
//! belong to another by then.

mod group;
mod http;
mod log;

pub use http::{json_rpc, put_file, responds};
pub use log::Log;

use anyhow::{bail, Context, Result};
use group::Group;
use rustix::process::Signal;
use serde_json::Value;
use signal_hook::{
	consts::{SIGHUP, SIGINT, SIGTERM},
	iterator::Signals,
};
use std::{
	fs::{self, OpenOptions},
	io::{ErrorKind, Write},
	path::{Path, PathBuf},
	process::{Command, ExitStatus, Stdio},
	sync::{Arc, Mutex, MutexGuard, PoisonError},
	thread,
	time::{Duration, Instant},
};

/// How long programs have to end by themselves before they are killed.
pub const GRACE: Duration = Duration::from_secs(10);

/// How often a waiting command looks.
const POLL: Duration = Duration::from_millis(50);

/// Lines of a dead program's log in the error.
const LAST_LINES: usize = 20;

/// Starts programs and ends them when the command ends.
#[derive(Clone, Default)]
pub struct Supervisor {
	shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
	groups: Vec<Arc<Group>>,
	/// Set by a signal: nothing is started any more.
	is_stopping: bool,
}

impl Supervisor {
	/// A supervisor that ends its programs when they are dropped.
	pub fn new() -> Self {
		Self::default()
	}

	/// A supervisor that also ends them, and then this command, on Ctrl-C, SIGTERM and SIGHUP. Make one per
	/// command.
	///
	/// # Errors
	/// When the signals cannot be caught.
	pub fn ending_on_signals() -> Result<Self> {
		let supervisor = Self::new();
		let shared = Arc::clone(&supervisor.shared);
		let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot catch signals")?;
		thread::Builder::new().name("signals".into()).spawn(move || {
			if let Some(signal) = signals.forever().next() {
				let groups = {
					let mut shared = lock(&shared);
					shared.is_stopping = true;
					std::mem::take(&mut shared.groups)
				};
				eprintln!(
					"\n==> Stopping {} programs",
					groups.iter().filter(|group| group.is_running()).count()
				);
				stop_all(&groups, GRACE);
				// What shells report of a command that a signal ended.
				std::process::exit(128 + signal);
			}
		})?;
		Ok(supervisor)
	}

	/// Starts a program.
	///
	/// # Errors
	/// When it cannot be started, its log cannot be created, or the command is ending.
	pub fn start(&self, spec: Spec) -> Result<Process> {
		let Spec {
			name,
			mut command,
			log,
			stdout,
			stdin,
		} = spec;
		let log = Log::create(log)?;
		let stdout = stdout.map(Log::create).transpose()?;
		let append = |log: &Log| OpenOptions::new().append(true).open(log.path());
		command
			.stderr(append(&log)?)
			.stdout(append(stdout.as_ref().unwrap_or(&log))?);
		command.stdin(if stdin.is_some() {
			Stdio::piped()
		} else {
			Stdio::null()
		});

		// Under the lock, so that a signal finds every program that was started.
		let mut shared = lock(&self.shared);
		if shared.is_stopping {
			bail!("cannot start {name}: the command is ending");
		}
		let (group, pipe) = Group::start(&mut command).with_context(|| format!("cannot start {name}"))?;
		let group = Arc::new(group);
		shared.groups.retain(|group| group.is_running());
		shared.groups.push(Arc::clone(&group));
		drop(shared);

		let process = Process {
			name,
			group,
			log,
			stdout,
		};
		if let (Some(mut pipe), Some(input)) = (pipe, stdin) {
			// From a thread, because a program may not read before it wrote.
			thread::spawn(move || match pipe.write_all(&input) {
				Err(error) if error.kind() != ErrorKind::BrokenPipe => {
					eprintln!("    cannot write input: {error}")
				}
				_ => {}
			});
		}
		Ok(process)
	}

	/// Asks every program to end, all at once, and kills those that have not after `grace`.
	pub fn stop_all(&self, grace: Duration) {
		let groups = std::mem::take(&mut lock(&self.shared).groups);
		stop_all(&groups, grace);
	}
}

fn stop_all(groups: &[Arc<Group>], grace: Duration) {
	for group in groups {
		group.signal(Signal::TERM);
	}
	let deadline = Instant::now() + grace;
	for group in groups {
		group.stop(deadline);
	}
}

/// A panic while the lock was held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
	mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to start.
pub struct Spec {
	name: String,
	command: Command,
	log: PathBuf,
	stdout: Option<PathBuf>,
	stdin: Option<Vec<u8>>,
}

impl Spec {
	/// A command, the name to call it by, and the file to append its output to. The file's folder is created.
	pub fn new(name: impl Into<String>, command: Command, log: impl Into<PathBuf>) -> Self {
		Self {
			name: name.into(),
			command,
			log: log.into(),
			stdout: None,
			stdin: None,
		}
	}

	/// Sends standard output to a file of its own, for programs that print results there and log elsewhere.
	pub fn stdout(mut self, file: impl Into<PathBuf>) -> Self {
		self.stdout = Some(file.into());
		self
	}

	/// Bytes for standard input, which is closed after them. Without this it is empty.
	pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
		self.stdin = Some(bytes.into());
		self
	}
}

/// A running program. Dropping it ends it.
pub struct Process {
	name: String,
	group: Arc<Group>,
	log: Log,
	stdout: Option<Log>,
}

impl Process {
	/// The name it was started under.
	pub fn name(&self) -> &str {
		&self.name
	}

	/// Its process number, which is its process group's as well.
	pub fn id(&self) -> u32 {
		self.group.id()
	}

	/// Its log, from its start on.
	pub fn log(&self) -> Log {
		self.log.clone()
	}

	/// Its standard output, from its start on; the log unless [`Spec::stdout`] said otherwise.
	pub fn stdout(&self) -> Log {
		self.stdout.as_ref().unwrap_or(&self.log).clone()
	}

	/// How it ended, if it has.
	pub fn exit_status(&self) -> Option<ExitStatus> {
		self.group.exit_status()
	}

	/// Waits for its end and returns how it ended, success or not.
	///
	/// # Errors
	/// When it is still running after `timeout`.
	pub fn wait(&self, timeout: Duration) -> Result<ExitStatus> {
		// None: later than the clock can tell, as of `Duration::MAX`.
		let deadline = Instant::now().checked_add(timeout);
		loop {
			if let Some(status) = self.exit_status() {
				return Ok(status);
			}
			if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
				bail!("{} is still running after {} s", self.name, timeout.as_secs_f32());
			}
			thread::sleep(POLL);
		}
	}

	/// Kills it and what it started at once, as a power cut would.
	pub fn kill(&self) {
		self.group.signal(Signal::KILL);
		self.group.stop(Instant::now());
	}

	/// Asks it to end, and kills it if it has not after `grace`.
	pub fn stop(&self, grace: Duration) {
		self.group.signal(Signal::TERM);
		self.group.stop(Instant::now() + grace);
	}

	/// Asks `poll` again and again until it answers.
	///
	/// # Errors
	/// When the program dies or `timeout` passes first; says what was waited for and how the log ends.
	pub fn wait_until<T>(
		&self,
		what: &str,
		timeout: Duration,
		mut poll: impl FnMut() -> Option<T>,
	) -> Result<T> {
		let deadline = Instant::now() + timeout;
		loop {
			// In this order, so that what it did last is still seen.
			let ended = self.exit_status();
			if let Some(answer) = poll() {
				return Ok(answer);
			}
			let failure = match ended {
				Some(status) => format!("{} ended ({status}) before {what}", self.name),
				None if Instant::now() >= deadline => {
					format!("{}: not {what} after {} s", self.name, timeout.as_secs_f32())
				}
				None => {
					thread::sleep(POLL);
					continue;
				}
			};
			let last = self.log.last_lines(LAST_LINES);
			bail!("{failure}; its log, {}, ends:\n{last}", self.log.path().display());
		}
	}

	/// Waits for a line of its log, from its start on, of which `find` makes something.
	///
	/// # Errors
	/// As [`Process::wait_until`].
	pub fn wait_for_line<T>(
		&self,
		what: &str,
		timeout: Duration,
		mut find: impl FnMut(&str) -> Option<T>,
	) -> Result<T> {
		let mut log = self.log();
		self.wait_until(what, timeout, || log.find(&mut find))
	}

	/// Waits for a JSON object, one to a line, on its standard output, from its start on. Lines that are no
	/// JSON objects are passed over.
	///
	/// # Errors
	/// As [`Process::wait_until`].
	pub fn wait_for_event<T>(
		&self,
		what: &str,
		timeout: Duration,
		mut find: impl FnMut(&Value) -> Option<T>,
	) -> Result<T> {
		let mut events = self.stdout();
		let mut find_in_line = |line: &str| {
			let event = line
				.trim_start()
				.starts_with('{')
				.then(|| serde_json::from_str(line).ok())??;
			find(&event)
		};
		self.wait_until(what, timeout, || events.find(&mut find_in_line))
	}

	/// Waits until a GET of `url` succeeds.
	///
	/// # Errors
	/// As [`Process::wait_until`].
	pub fn wait_for_http(&self, url: &str, timeout: Duration) -> Result<()> {
		self.wait_until(&format!("answering at {url}"), timeout, || {
			responds(url).then_some(())
		})
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		self.stop(GRACE);
	}
}

/// Creates the folder a file goes to.
fn create_parent(file: &Path) -> Result<()> {
	match file.parent() {
		Some(folder) => {
			fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
		}
		None => Ok(()),
	}
}
