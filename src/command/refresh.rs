//! `refresh`: asks the controller to check a list's tags again.

use anyhow::ensure;

use super::arguments::RefreshArguments;
use super::connection::connect;
use super::outcome::Outcome;
use super::rights::lacking;
use super::terminal::print_line;
use crate::cluster::refresh::request_refresh;

/// Requests a refresh of a list.
///
/// # Errors
/// If there is no such list, or the request cannot be written.
pub async fn refresh(arguments: RefreshArguments) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments.cluster).await?;
    let name = &arguments.list;
    let requested = request_refresh(&client, &namespace, name).await;
    let is_there = requested.map_err(|error| lacking(error, "get and patch configmaps", &namespace))?;
    ensure!(is_there, "there is no ConfigMap {name} in the namespace {namespace}; choose another with --namespace");
    print_line(format!(
        "Requested a refresh of {namespace}/{name}. `kubectl prepull status --namespace {namespace} {name}` shows the result."
    ));
    Ok(Outcome::Good)
}
