use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;
use tempfile::tempdir;

use crate::{
    holder::Holder,
    process::{Outcome, Process, files, send, stop_and_continue, until, until_waiting},
};

on_every_architecture![
    a_start_delay_that_is_over_is_not_waited_for,
    without_a_spread_there_is_no_wait,
    without_the_name_of_the_node_there_is_no_wait,
    a_start_delay_ahead_is_waited_for,
    an_epoch_in_the_far_future_costs_the_spread_and_no_more,
    the_copy_is_in_place_before_the_wait_and_a_signal_ends_it_at_once,
    being_stopped_makes_a_wait_neither_shorter_nor_longer,
];

/// Far longer than any test waits, so whoever waits for it does not pass by luck.
const AN_HOUR: &str = "3600";
/// In the year 2286.
const FAR_FUTURE: &str = "9999999999";
/// Its start delay is one second of a spread of two.
const NODE: &str = "node-1";

fn install(holder: &Holder, folder: &Path, start_delay: &[&str]) -> Command {
    let mut command = holder.command(["install", "v1", "holder"]);
    command.args(start_delay).current_dir(folder);
    command
}

/// How long the program takes.
fn time(holder: &Holder, start_delay: &[&str]) -> Duration {
    let folder = tempdir().expect("a folder");
    let start = Instant::now();
    Process::run(&mut install(holder, folder.path(), start_delay)).assert_good();
    start.elapsed()
}

fn a_start_delay_that_is_over_is_not_waited_for(holder: &Holder) {
    time(holder, &["1", AN_HOUR, NODE]);
}

fn without_a_spread_there_is_no_wait(holder: &Holder) {
    time(holder, &[FAR_FUTURE, "0", NODE]);
}

fn without_the_name_of_the_node_there_is_no_wait(holder: &Holder) {
    time(holder, &[FAR_FUTURE, AN_HOUR, ""]);
    time(holder, &[FAR_FUTURE, AN_HOUR]);
}

fn a_start_delay_ahead_is_waited_for(holder: &Holder) {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set").as_secs();
    let epoch = now();
    time(holder, &[&epoch.to_string(), "2", NODE]);
    assert!(now() > epoch, "the start delay ended a second after the epoch");
}

fn an_epoch_in_the_far_future_costs_the_spread_and_no_more(holder: &Holder) {
    for epoch in [FAR_FUTURE, &u64::MAX.to_string()] {
        assert!(time(holder, &[epoch, "1", NODE]) >= Duration::from_secs(1));
    }
}

/// Starts a program with a long start delay, and waits until it does nothing but wait.
fn waiting(holder: &Holder, folder: &Path) -> Process {
    let process = Process::start(&mut install(holder, folder, &[FAR_FUTURE, AN_HOUR, NODE]));
    until_waiting(process.id());
    assert_eq!(files(folder), ["holder"], "the copy is in place");
    process
}

fn the_copy_is_in_place_before_the_wait_and_a_signal_ends_it_at_once(holder: &Holder) {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let folder = tempdir().expect("a folder");
        let process = waiting(holder, folder.path());
        send(signal, process.id());
        let expected = Outcome { code: Some(code), output: String::new(), error: String::new() };
        assert_eq!(process.outcome(), expected);
    }
}

fn being_stopped_makes_a_wait_neither_shorter_nor_longer(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let start = Instant::now();
    // Nobody waits here until it waits: on a busy machine its second may be over by then.
    let mut process = Process::start(&mut install(holder, folder.path(), &[FAR_FUTURE, "1", NODE]));
    until("it has waited although it is stopped all the time", || {
        stop_and_continue(process.id());
        process.has_ended().then_some(())
    });
    process.outcome().assert_good();
    assert!(start.elapsed() >= Duration::from_secs(1));
}
