//! `bed`: starts and ends the clusters of this checkout.

mod run;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use test_bed::state::Kind;
use test_bed::{Started, down, forward, init, programs, real, simulated, wait};

/// Starts and ends this checkout's test clusters.
#[derive(Parser)]
#[command(name = "bed", version, after_help = "Exit codes: 0 good, 1 failed, 2 wrong usage.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a simulated cluster and leave it running. Needs no root.
    Cluster {
        /// How many nodes. One that already runs is scaled to this number.
        #[arg(long, value_name = "N", default_value_t = SIMULATED_NODES)]
        nodes: u32,
    },
    /// Start real nodes (kubelet, containerd, runc) and a registry, and leave them running. Needs root.
    Node {
        /// How many nodes.
        #[arg(long, value_name = "N", default_value_t = 1)]
        count: u32,
        #[command(flatten)]
        holder: Holder,
    },
    /// End what runs, and remove what a crash has left.
    Down(Which),
    /// Install programs of the system that are missing. Needs root only if one is.
    Require {
        /// Their names, such as qemu-aarch64-static.
        #[arg(required = true)]
        programs: Vec<String>,
    },
    /// Run a command with clusters up, and end those that were started for it.
    #[command(after_help = "Exits with the command's exit code.")]
    Run(run::Options),
    /// Play the first process of a machine.
    #[command(hide = true)]
    Init {
        /// The machine's folder.
        folder: PathBuf,
    },
    /// Forward ports of the host into a machine.
    #[command(hide = true)]
    Forward {
        /// Where to write the listening addresses.
        written_to: PathBuf,
        /// The process id of the machine's init.
        machine: i32,
        /// Where the connections go.
        targets: Vec<SocketAddr>,
    },
}

const SIMULATED_NODES: u32 = 5;

#[derive(Args)]
struct Holder {
    /// The holder, which real nodes use as their pause program [default: the one that src/holder/build.sh builds]
    #[arg(long, value_name = "FILE")]
    holder: Option<PathBuf>,
}

#[derive(Args)]
struct Which {
    /// Only the simulated cluster.
    #[arg(long)]
    simulated: bool,
    /// Only the real nodes.
    #[arg(long)]
    real: bool,
}

impl Which {
    /// Both, if none is named.
    fn kinds(&self) -> Vec<Kind> {
        let all = [(Kind::Simulated, self.simulated), (Kind::Real, self.real)];
        let none = !self.simulated && !self.real;
        all.into_iter().filter(|&(_, named)| named || none).map(|(kind, _)| kind).collect()
    }
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Cluster { nodes } => start_simulated(nodes)?,
        Command::Node { count, holder } => start_real(count, holder)?,
        Command::Down(which) => end(&which)?,
        Command::Require { programs } => programs::require(&programs)?,
        Command::Run(options) => return run::run(options),
        Command::Init { folder } => init::run(&folder)?,
        Command::Forward { written_to, machine, targets } => forward::run(machine, &targets, &written_to)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn start_simulated(nodes: u32) -> Result<()> {
    wait::heed_signals()?;
    let mut started = Started::default();
    let cluster = started.start(Kind::Simulated, || simulated::up(nodes))?;
    started.keep();
    cluster.scale(nodes)?;
    print_kubeconfig(cluster.kubeconfig());
    Ok(())
}

fn start_real(count: u32, holder: Holder) -> Result<()> {
    wait::heed_signals()?;
    let mut started = Started::default();
    let cluster = started.start(Kind::Real, || real::up(&real_options(count, holder)?))?;
    started.keep();
    print_kubeconfig(cluster.kubeconfig());
    Ok(())
}

fn real_options(nodes: u32, holder: Holder) -> Result<real::Options> {
    Ok(real::Options { nodes, bed: std::env::current_exe()?, holder: holder.holder })
}

fn print_kubeconfig(kubeconfig: &std::path::Path) {
    println!("export KUBECONFIG={}", kubeconfig.display());
    eprintln!("To end it: make down");
}

fn end(which: &Which) -> Result<()> {
    for kind in which.kinds() {
        let ended = down::down(kind)?;
        eprintln!("{kind}: {}", if ended { "ended" } else { "nothing was left" });
    }
    Ok(())
}
