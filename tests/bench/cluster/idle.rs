//! A minute in which nothing happens.

use std::time::Duration;

use crate::controller::Controller;
use crate::process::Process;

const MINUTE: Duration = Duration::from_secs(60);

/// The share of a core that the controller takes meanwhile, in percent.
pub async fn cpu(controller: &Controller) -> f64 {
    let process = Process(controller.id());
    let before = process.cpu();
    tokio::time::sleep(MINUTE).await;
    100.0 * (process.cpu() - before).as_secs_f64() / MINUTE.as_secs_f64()
}
