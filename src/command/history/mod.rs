//! `history` and `rollback`: the accepted versions of a list, and back to one of them.
//!
//! - [`versions`]: what is known of each version. Pure
//! - [`rollback`]: writes the data of an earlier version

mod rollback;
mod versions;

use std::io::Write;

use anyhow::ensure;
use jiff::Timestamp;
use kube::Client;

use super::arguments::{HistoryArguments, HistoryFormat};
use super::connection::connect;
use super::outcome::Outcome;
use super::rights::lacking;
use crate::cluster::command_reader;
use crate::plan::versions::Revision;
pub use rollback::rollback;
use versions::{VersionReport, print};

/// Prints the accepted versions of a list, the newest first.
///
/// # Errors
/// If there are none, or they cannot be read.
pub async fn history(arguments: HistoryArguments, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments.cluster).await?;
    let versions = VersionReport::all(&read(&client, &namespace, &arguments.list).await?);
    match arguments.output {
        HistoryFormat::Table => print(&versions, Timestamp::now(), out)?,
        HistoryFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&versions)?)?,
    }
    Ok(Outcome::Good)
}

/// The accepted versions of a list, the newest first.
async fn read(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Vec<Revision>> {
    let versions = command_reader::versions(client, namespace, name).await;
    let mut versions = versions.map_err(|error| lacking(error, "list controllerrevisions.apps", namespace))?;
    ensure!(
        !versions.is_empty(),
        "the list {namespace}/{name} has no accepted version: it is not there, or the controller has not accepted it yet; choose \
         another namespace with --namespace"
    );
    versions.sort_by(|one, other| other.order().cmp(&one.order()));
    Ok(versions)
}
