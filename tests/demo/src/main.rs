//! `demo`: shows on a real node of this machine what kube-prepull does, and fails if it does not.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cluster;
mod controller;
mod images;
mod list;
mod process;
mod real;
mod screen;
mod serverless;
mod simulated;
mod story;
mod text;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use test_bed::wait;

/// Shows what kube-prepull does, on a real node that is started for it. Needs root.
#[derive(Parser)]
#[command(name = "demo", version, after_help = "Exit codes: 0 all of it happened, 1 it did not, 2 wrong usage.")]
struct Arguments {
    /// Leave cluster, controller and list running at the end.
    #[arg(long)]
    keep: bool,
    /// On a simulated cluster, where nothing is pulled. Needs no root.
    #[arg(long)]
    simulated: bool,
}

const NO_ROOT: &str = "a real node needs root, for namespaces and containers.
  sudo make demo            shows all of it
  make demo SIMULATED=1     shows without root what a simulated cluster can show: nothing is pulled there";

/// What shells say of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match show(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            if wait::interrupted() { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn show(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.simulated || nix::unistd::geteuid().is_root(), NO_ROOT);
    wait::heed_signals()?;
    match arguments.simulated {
        true => simulated::show(arguments.keep),
        false => real::show(arguments.keep),
    }
}
