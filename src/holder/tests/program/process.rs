//! Processes, and what the tests ask of them.

use std::{
    env::consts::ARCH,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `check` finds something. Panics if that takes too long.
pub fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// How a process ended and what it printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// None if a signal killed it.
    pub code: Option<i32>,
    pub output: String,
    pub error: String,
}

impl Outcome {
    /// Panics unless the process succeeded and printed nothing.
    pub fn assert_good(&self) {
        assert_eq!(*self, Self { code: Some(0), output: String::new(), error: String::new() });
    }
}

/// A process that ends with its test, if not before.
pub struct Process(Option<Child>);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        match command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => Self(Some(child)),
            Err(error) => {
                let program = command.get_program().display();
                panic!("cannot run {program}: {error} (the tests need util-linux and qemu-user-static)")
            }
        }
    }

    /// Runs a process to its end.
    pub fn run(command: &mut Command) -> Outcome {
        Self::start(command).outcome()
    }

    pub fn id(&self) -> u32 {
        self.0.as_ref().expect("a process that has not been waited for").id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| child.try_wait().expect("one's own child").is_some())
    }

    /// Waits for the end, which must come by itself.
    pub fn outcome(mut self) -> Outcome {
        until("the process ends", || self.has_ended().then_some(()));
        let output = self.0.take().expect("as above").wait_with_output().expect("one's own child");
        Outcome {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).expect("text"),
            error: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended in between, which is as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn send(signal: Signal, process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("the id of a process");
    kill_process(process, signal).expect("the process is there");
}

/// Waits until the program has nothing left to do but to wait for a signal.
pub fn until_waiting(process: u32) {
    until("the program waits for a signal", || waits_with(process));
}

/// The first four arguments of the rt_sigtimedwait(2) in which the process is, if it is in one: proc_pid_syscall(5). An
/// emulator makes the call of the program it runs its own, so this holds for both.
pub fn waits_with(process: u32) -> Option<[String; 4]> {
    let number = if ARCH == "x86_64" { "128" } else { "137" };
    let call = fs::read_to_string(format!("/proc/{process}/syscall")).expect("the process is there");
    let mut words = call.split_whitespace().map(String::from);
    if words.next()? != number {
        return None;
    }
    Some([words.next()?, words.next()?, words.next()?, words.next()?])
}

/// Waits for the process to have a child.
pub fn first_child(process: u32) -> u32 {
    until("the process has a child", || {
        let path = format!("/proc/{process}/task/{process}/children");
        let children = fs::read_to_string(path).expect("the process is there");
        children.split_whitespace().next()?.parse().ok()
    })
}

/// Stops the process and lets it go on, as freezing and thawing a container does. The kernel ends its system call then.
/// Does nothing to one that has ended meanwhile.
pub fn stop_and_continue(process: u32) {
    send(Signal::STOP, process);
    until("the process has stopped", || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
        ["T", "Z"].into_iter().find(|state| status.contains(&format!("State:\t{state}")))
    });
    send(Signal::CONT, process);
}

/// A command that starts others in namespaces of their own, `--mount` or `--pid` for instance. Those are root's to make, or
/// anyone's who makes a user namespace first.
pub fn unshare(options: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(options);
    command
}

/// The names of the files in a folder.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("a folder to read");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")).collect();
    names.sort();
    names
}
