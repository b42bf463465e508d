//! What held images cost on a real node, and how long it takes until a node has them. `make bench-nodes` starts the node.
//!
//! The pods are made here as the controller makes them, so that they can have more images than a list allows. `PARTS` chooses from
//! `pulls,held`.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

mod held;
mod memory;
mod pods;
mod pulls;
#[path = "../../cluster/trial.rs"]
mod trial;

use std::process::ExitCode;

use test_bed::Real;
use trial::Trial;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let parts = std::env::var("PARTS").unwrap_or_else(|_| "pulls,held".to_owned());
    let bed = Real::alone().unwrap();
    let trial = Trial::begin(bed.kubeconfig(), "bench").await;
    let good = !parts.contains("pulls") || pulls::measure(&bed, &trial).await;
    if parts.contains("held") {
        held::measure(&bed, &trial).await;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
