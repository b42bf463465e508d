use std::fs;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::{
    holder::Holder,
    process::{Process, first_child, send, stop_and_continue, unshare, until_waiting, waits_with},
};

on_every_architecture![
    it_ends_well_when_it_is_asked_to,
    it_ends_well_as_process_1_too,
    being_stopped_and_continued_does_not_end_it,
];

const HOLD: [&str; 2] = ["hold", "v1"];
/// The signals by which runtimes end containers.
const ENDING: [Signal; 2] = [Signal::TERM, Signal::INT];

fn holding(holder: &Holder) -> Process {
    let process = Process::start(&mut holder.command(HOLD));
    until_waiting(process.id());
    process
}

fn it_ends_well_when_it_is_asked_to(holder: &Holder) {
    for signal in ENDING {
        let process = holding(holder);
        send(signal, process.id());
        process.outcome().assert_good();
    }
}

fn it_ends_well_as_process_1_too(holder: &Holder) {
    for signal in ENDING {
        let mut command = unshare(&["--pid", "--fork", "--kill-child"]);
        command.args(holder.words(&holder.path)).args(HOLD);
        let process = Process::start(&mut command);
        let process_1 = first_child(process.id());
        until_waiting(process_1);
        send(signal, process_1);
        process.outcome().assert_good();
    }
}

fn being_stopped_and_continued_does_not_end_it(holder: &Holder) {
    let process = holding(holder);
    stop_and_continue(process.id());
    until_waiting(process.id());
    send(Signal::TERM, process.id());
    process.outcome().assert_good();
}

/// As in a container of an image that is built from scratch: no shell, no libraries, no `/proc`. (An emulator would have to
/// be in there too, hence only natively.)
#[test]
fn it_needs_nothing_in_the_image_but_itself() {
    let holder = Holder::native();
    let root = tempdir().expect("a folder");
    fs::copy(&holder.path, root.path().join("holder")).expect("a copy of the program");
    let mut command = unshare(&["--pid", "--fork", "--kill-child", "--root"]);
    command.arg(root.path()).arg("/holder").args(HOLD);
    let process = Process::start(&mut command);
    let process_1 = first_child(process.id());
    until_waiting(process_1);
    send(Signal::TERM, process_1);
    process.outcome().assert_good();
}

/// The value of a line of a file of `/proc`, a number.
fn value(process: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {name} in {file}:\n{text}"))
}

#[test]
fn it_is_one_thread_and_a_few_pages_of_memory() {
    let process = holding(&Holder::native());
    assert_eq!(value(process.id(), "status", "Threads"), 1);
    let kilobytes = value(process.id(), "smaps_rollup", "Rss");
    assert!(kilobytes <= 32, "{kilobytes} kB");
}

#[test]
fn it_has_no_timer_that_would_wake_it_up() {
    let process = holding(&Holder::native());
    let [_set, _details, timeout, _size] = waits_with(process.id()).expect("it waits");
    assert_eq!(timeout, "0x0", "no timeout");
}
