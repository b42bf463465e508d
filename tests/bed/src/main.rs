//! `bed`: starts and ends the clusters of this checkout.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use test_bed::{down, forward, init, real, state::Kind, wait};

/// Starts and ends this checkout's test clusters
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Start real nodes (needs root)
    Node {
        /// How many nodes
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// The holder to use as the pause image
        #[arg(long)]
        holder: PathBuf,
    },
    /// End what runs
    Down,
    /// The first process of a machine
    #[command(hide = true)]
    Init { folder: PathBuf },
    /// Forward
    #[command(hide = true)]
    Forward { written_to: PathBuf, machine: i32, targets: Vec<SocketAddr> },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Subcommands) -> Result<()> {
    match command {
        Subcommands::Node { count, holder } => {
            wait::heed_signals()?;
            let options = real::Options { nodes: count, bed: std::env::current_exe()?, holder };
            let real = real::up(&options)?;
            println!("export KUBECONFIG={}", real.kubeconfig().display());
            Ok(())
        }
        Subcommands::Down => down::down(Kind::Real).map(drop),
        Subcommands::Init { folder } => init::run(&folder),
        Subcommands::Forward { written_to, machine, targets } => forward::run(machine, &targets, &written_to),
    }
}
