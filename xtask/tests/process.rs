//! Supervision of real processes.

use std::{
	env, fs,
	path::Path,
	process::Command,
	thread,
	time::{Duration, Instant},
};
use tempfile::TempDir;
use xtask::process::{Process, Spec, Supervisor};

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
	let mut command = Command::new("sh");
	command.args(["-c", script]);
	command
}

fn start(supervisor: &Supervisor, folder: &TempDir, script: &str) -> Process {
	supervisor
		.start(Spec::new(
			"program",
			shell(script),
			folder.path().join("logs/program.log"),
		))
		.unwrap()
}

/// Whether a process exists and is not merely waiting to be reaped.
fn is_alive(pid: &str) -> bool {
	// The state is the first field after the name, which is in parentheses.
	fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
		stat.rsplit_once(") ")
			.is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
	})
}

fn dies(pid: &str) -> bool {
	let deadline = Instant::now() + SOON;
	while is_alive(pid) {
		if Instant::now() > deadline {
			return false;
		}
		thread::sleep(Duration::from_millis(20));
	}
	true
}

fn child_of(process: &Process) -> String {
	process
		.wait_for_line("naming its child", SOON, |line| {
			line.strip_prefix("child ").map(str::to_owned)
		})
		.unwrap()
}

#[test]
fn waits_for_lines_and_events() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let script =
		r#"echo starting; sleep 0.2; echo '{"event":"ready","port":7}' ; echo trouble >&2; sleep 60"#;
	let process = start(&supervisor, &folder, script);
	let port = process.wait_for_event("ready", SOON, |event| {
		(event["event"] == "ready").then(|| event["port"].as_u64())?
	});
	assert_eq!(port.unwrap(), 7);
	process
		.wait_for_line("in trouble", SOON, |line| (line == "trouble").then_some(()))
		.unwrap();
	// Earlier lines are found as well.
	process
		.wait_for_line("starting", SOON, |line| (line == "starting").then_some(()))
		.unwrap();
	assert!(process.exit_status().is_none());
}

#[test]
fn a_death_ends_waiting_and_shows_the_log() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let process = start(&supervisor, &folder, "echo no such file >&2; exit 3");
	let error = process
		.wait_for_line("ready", SOON, |line| (line == "ready").then_some(()))
		.unwrap_err();
	let error = error.to_string();
	assert!(
		error.contains("no such file") && error.contains("exit status: 3"),
		"{error}"
	);
	assert_eq!(process.wait(SOON).unwrap().code(), Some(3));
}

#[test]
fn the_last_words_of_a_dead_program_are_heard() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let process = start(&supervisor, &folder, "echo ready");
	process.wait(SOON).unwrap();
	process
		.wait_for_line("ready", SOON, |line| (line == "ready").then_some(()))
		.unwrap();
}

#[test]
fn waiting_has_an_end() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let process = start(&supervisor, &folder, "sleep 60");
	let soon = Duration::from_millis(100);
	let error = process
		.wait_for_line("ready", soon, |_| None::<()>)
		.unwrap_err()
		.to_string();
	assert!(error.contains("not ready after 0.1 s"), "{error}");
	assert!(process.wait(soon).is_err());
}

#[test]
fn input_and_output_are_separate() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let file = |name| folder.path().join(name);
	let spec = Spec::new("cat", shell("cat; echo done >&2"), file("log")).stdout(file("out"));
	// More than a pipe holds.
	let input = "0123456789abcde\n".repeat(20_000);
	let process = supervisor.start(spec.stdin(input.clone())).unwrap();
	assert!(process.wait(SOON).unwrap().success());
	assert_eq!(fs::read_to_string(file("out")).unwrap(), input);
	assert_eq!(fs::read_to_string(file("log")).unwrap(), "done\n");
}

#[test]
fn a_restarted_program_has_a_log_of_its_own_in_the_same_file() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let first = start(&supervisor, &folder, "echo first");
	first.wait(SOON).unwrap();
	let second = start(&supervisor, &folder, "echo second");
	let line = second
		.wait_for_line("a line", SOON, |line| Some(line.to_owned()))
		.unwrap();
	assert_eq!(line, "second");
	assert_eq!(
		fs::read_to_string(second.log().path()).unwrap(),
		"first\nsecond\n"
	);
}

#[test]
fn ending_a_program_ends_what_it_started() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let with_child = "sleep 60 & echo child $!; wait";

	let killed = start(&supervisor, &folder, with_child);
	let child = child_of(&killed);
	killed.kill();
	assert!(!killed.exit_status().unwrap().success());
	assert!(dies(&child));

	let dropped = start(&supervisor, &folder, with_child);
	let child = child_of(&dropped);
	drop(dropped);
	assert!(dies(&child));

	// It ends by itself and leaves a child behind.
	let ended = start(&supervisor, &folder, "sleep 60 & echo child $!");
	let child = child_of(&ended);
	assert!(ended.wait(SOON).unwrap().success());
	assert!(dies(&child));
}

#[test]
fn stopping_is_asking_first() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let ready = |process: &Process| {
		process
			.wait_for_line("ready", SOON, |line| (line == "ready").then_some(()))
			.unwrap()
	};

	let polite = start(
		&supervisor,
		&folder,
		"trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done",
	);
	ready(&polite);
	polite.stop(SOON);
	assert_eq!(polite.exit_status().unwrap().code(), Some(7));

	let stubborn = start(
		&supervisor,
		&folder,
		"trap '' TERM; echo ready; while :; do sleep 0.1; done",
	);
	ready(&stubborn);
	stubborn.stop(Duration::from_millis(300));
	assert_eq!(stubborn.exit_status().unwrap().code(), None, "it was killed");
}

#[test]
fn stopping_all_waits_once() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let stubborn = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
	let processes: Vec<_> = (0..4).map(|_| start(&supervisor, &folder, stubborn)).collect();
	for process in &processes {
		process
			.wait_for_line("ready", SOON, |line| (line == "ready").then_some(()))
			.unwrap();
	}
	let start = Instant::now();
	supervisor.stop_all(Duration::from_secs(1));
	assert!(start.elapsed() < Duration::from_secs(3));
	assert!(processes.iter().all(|process| process.exit_status().is_some()));
}

#[test]
fn what_cannot_be_started_is_an_error() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let spec = Spec::new(
		"nothing",
		Command::new("/nonexistent/program"),
		folder.path().join("log"),
	);
	let error = supervisor.start(spec).err().unwrap();
	assert!(error.to_string().contains("cannot start nothing"), "{error}");
}

const FOLDER_VARIABLE: &str = "XTASK_TEST_SUPERVISED_FOLDER";

/// The command of the two tests below: it supervises a program that does not end by itself.
#[test]
#[ignore = "a program for other tests"]
fn supervising_command() {
	let folder = env::var(FOLDER_VARIABLE).unwrap();
	let supervisor = Supervisor::ending_on_signals().unwrap();
	let spec = Spec::new(
		"program",
		shell("sleep 60 & echo child $!; wait"),
		Path::new(&folder).join("program.log"),
	);
	let process = supervisor.start(spec).unwrap();
	fs::write(Path::new(&folder).join("pid"), process.id().to_string()).unwrap();
	child_of(&process);
	fs::write(Path::new(&folder).join("ready"), "").unwrap();
	if Path::new(&folder).join("panic").exists() {
		panic!("as any bug would");
	}
	thread::sleep(SOON);
}

/// Runs [`supervising_command`] in a process of its own, started by a shell after a preparation.
fn run_supervising_command(supervisor: &Supervisor, folder: &TempDir, preparation: &str) -> Process {
	let mut command = shell(&format!("{preparation}; exec \"$0\" \"$@\""));
	command
		.arg(env::current_exe().unwrap())
		.args(["--exact", "supervising_command", "--ignored", "--nocapture"])
		.env(FOLDER_VARIABLE, folder.path());
	let process = supervisor
		.start(Spec::new("command", command, folder.path().join("command.log")))
		.unwrap();
	process
		.wait_until("ready", SOON, || {
			folder.path().join("ready").exists().then_some(())
		})
		.unwrap();
	process
}

fn programs_of(folder: &TempDir) -> [String; 2] {
	let log = fs::read_to_string(folder.path().join("program.log")).unwrap();
	let child = log.trim().strip_prefix("child ").unwrap().to_owned();
	[fs::read_to_string(folder.path().join("pid")).unwrap(), child]
}

#[test]
fn a_signal_ends_all_programs_and_the_command() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let command = run_supervising_command(&supervisor, &folder, "true");
	let programs = programs_of(&folder);
	assert!(programs.iter().all(|pid| is_alive(pid)));
	let status = Command::new("kill")
		.args(["-INT", &command.id().to_string()])
		.status()
		.unwrap();
	assert!(status.success());
	assert_eq!(command.wait(SOON).unwrap().code(), Some(128 + 2));
	assert!(programs.iter().all(|pid| dies(pid)));
}

#[test]
fn a_panic_ends_all_programs() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	fs::write(folder.path().join("panic"), "").unwrap();
	let command = run_supervising_command(&supervisor, &folder, "true");
	assert!(!command.wait(SOON).unwrap().success());
	assert!(programs_of(&folder).iter().all(|pid| dies(pid)));
}

/// Some runners start their commands with SIGCHLD ignored: the kernel then reaps children by itself.
#[test]
fn programs_end_where_children_are_ignored() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let command = run_supervising_command(&supervisor, &folder, "trap '' CHLD");
	let programs = programs_of(&folder);
	let status = Command::new("kill")
		.args(["-TERM", &command.id().to_string()])
		.status()
		.unwrap();
	assert!(status.success());
	assert_eq!(command.wait(SOON).unwrap().code(), Some(128 + 15));
	assert!(programs.iter().all(|pid| dies(pid)));
}

#[test]
fn an_end_can_be_waited_for_without_a_limit() {
	let (supervisor, folder) = (Supervisor::new(), TempDir::new().unwrap());
	let process = start(&supervisor, &folder, "exit 3");
	assert_eq!(process.wait(Duration::MAX).unwrap().code(), Some(3));
}
