//! Secrets typed on a terminal. The test holds the other end of it: what it reads is what a person would see.

use cairn_keystore::PasswordSource;
use std::{
	env,
	fs::File,
	io::{self, Read, Write},
	mem::MaybeUninit,
	os::{
		fd::{AsRawFd, FromRawFd},
		unix::{fs::OpenOptionsExt, process::CommandExt},
	},
	process::{Child, Command, Stdio},
	thread,
	time::{Duration, Instant},
};

const SECRET: &str = "correct horse battery staple";
/// Written to the terminal when everything is typed.
const GOODBYE: &str = "goodbye";
/// Set for the process that asks: this test, run once more with the terminal as its own.
const ASKS: &str = "CAIRN_KEYSTORE_TEST_ASKS";
/// How long the other process may take to switch the echo off.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn typed_secrets_are_not_shown() {
	if env::var_os(ASKS).is_some() {
		let password = PasswordSource::Prompt.read_new("New password: ").unwrap();
		println!("typed: {}", password.as_str());
		let mut terminal = File::options().write(true).open("/dev/tty").unwrap();
		terminal.write_all(GOODBYE.as_bytes()).unwrap();
		return;
	}
	let mut terminal = Terminal::open();
	let child = terminal.run(
		Command::new(env::current_exe().unwrap())
			.args(["--exact", "typed_secrets_are_not_shown", "--nocapture"])
			.env(ASKS, "1")
			// All three are other files: the question goes to the terminal all the same.
			.stdin(Stdio::null())
			.stdout(Stdio::piped())
			.stderr(Stdio::piped()),
	);
	for question in ["New password: ", "Once more: "] {
		terminal.read_up_to(question);
		terminal.wait_until_silent();
		terminal.person.write_all(SECRET.as_bytes()).unwrap();
		terminal.person.write_all(b"\n").unwrap();
	}
	terminal.read_up_to(GOODBYE);
	let output = child.wait_with_output().unwrap();
	let told = String::from_utf8_lossy(&output.stdout);
	assert!(
		output.status.success(),
		"{told}{}",
		String::from_utf8_lossy(&output.stderr)
	);
	assert!(told.contains(&format!("typed: {SECRET}")), "{told}");

	let seen = String::from_utf8_lossy(&terminal.seen);
	assert!(
		seen.starts_with("New password: ") && seen.contains("Once more: "),
		"{seen:?}"
	);
	for word in SECRET.split(' ') {
		assert!(!seen.contains(word), "{seen:?}");
	}
}

/// A pseudo-terminal.
struct Terminal {
	/// The end at which a person sits.
	person: File,
	/// The end that is a program's terminal. Held open: between programs there would be nothing to read from.
	program: File,
	seen: Vec<u8>,
}

impl Terminal {
	fn open() -> Self {
		let mut name = [0; 64];
		// SAFETY: the calls take a descriptor, which is checked, and a buffer with its length.
		let person = unsafe {
			let fd = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
			assert!(fd >= 0, "{}", io::Error::last_os_error());
			let failed = libc::grantpt(fd) != 0
				|| libc::unlockpt(fd) != 0
				|| libc::ptsname_r(fd, name.as_mut_ptr(), name.len()) != 0;
			assert!(!failed, "{}", io::Error::last_os_error());
			File::from_raw_fd(fd)
		};
		let name: Vec<u8> = name
			.iter()
			.map(|byte| *byte as u8)
			.take_while(|byte| *byte != 0)
			.collect();
		let program = File::options()
			.read(true)
			.write(true)
			.custom_flags(libc::O_NOCTTY)
			.open(String::from_utf8(name).unwrap())
			.unwrap();
		Terminal {
			person,
			program,
			seen: Vec::new(),
		}
	}

	/// Starts a program whose terminal this is.
	fn run(&self, command: &mut Command) -> Child {
		let fd = self.program.as_raw_fd();
		// SAFETY: `setsid` and `ioctl` may be called between fork and exec; the descriptor is open until then.
		unsafe {
			command.pre_exec(move || {
				if libc::setsid() < 0 || libc::ioctl(fd, libc::TIOCSCTTY, 0) != 0 {
					return Err(io::Error::last_os_error());
				}
				Ok(())
			});
		}
		command.spawn().unwrap()
	}

	fn read_up_to(&mut self, text: &str) {
		let mut byte = [0];
		while !self.seen.ends_with(text.as_bytes()) {
			self.person.read_exact(&mut byte).unwrap();
			self.seen.extend(byte);
		}
	}

	/// Waits until what is typed is not shown any more.
	fn wait_until_silent(&self) {
		let start = Instant::now();
		loop {
			let mut settings = MaybeUninit::<libc::termios>::uninit();
			// SAFETY: the settings are read only after the call has filled them.
			let flags = unsafe {
				assert_eq!(libc::tcgetattr(self.person.as_raw_fd(), settings.as_mut_ptr()), 0);
				settings.assume_init().c_lflag
			};
			if flags & libc::ECHO == 0 {
				return;
			}
			assert!(start.elapsed() < PATIENCE, "typed secrets would be shown");
			thread::sleep(Duration::from_millis(5));
		}
	}
}
