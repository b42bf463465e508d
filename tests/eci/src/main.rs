//! `eci-simulator`: acts upon the ImageCaches of a cluster, for the demo and for work by hand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use eci_simulator::{Behaviour, Options, Simulator};
use jiff::SignedDuration;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Acts upon the ImageCaches of a test cluster, as Alibaba Cloud would: nothing is pulled, but the whole status is reported.
#[derive(Parser)]
#[command(name = "eci-simulator", version, after_help = "Exit codes: 0 interrupted, 1 failed, 2 wrong usage.")]
struct Arguments {
    /// The kubeconfig file. The user's usual one is never used.
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// How long it takes until an ImageCache is ready, such as 10s or 10m.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    within: SignedDuration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eci-simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    ensure!(!arguments.within.is_negative(), "--within cannot be negative");
    let shown = arguments.kubeconfig.display();
    let kubeconfig = Kubeconfig::read_from(&arguments.kubeconfig).with_context(|| format!("cannot use {shown}"))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let behaviour = Behaviour::within(arguments.within);
    let _simulator = Simulator::start(&Client::try_from(config)?, Options { behaviour, ..Options::default() });
    eprintln!("Acting upon ImageCaches. Ctrl-C ends it.");
    tokio::signal::ctrl_c().await.context("cannot wait for the end")
}
