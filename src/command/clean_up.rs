//! `clean-up`: what the chart runs before it uninstalls the controller.

use super::Outcome;
use super::arguments::ClusterArguments;
use crate::cluster::clean_up::clean_up as delete_all;
use crate::cluster::connect;

/// Deletes what would stay when the controller is uninstalled.
///
/// # Errors
/// Where something of it cannot be deleted.
pub async fn clean_up(arguments: ClusterArguments) -> anyhow::Result<Outcome> {
    let cluster = connect::ClusterArguments { kubeconfig: arguments.kubeconfig, context: arguments.context };
    let (client, default_namespace) = connect::connect(&cluster).await?;
    let namespace = arguments.namespace.unwrap_or(default_namespace);
    let deleted = delete_all(&client, &namespace).await?;
    deleted.iter().for_each(|name| println!("deleted the ImageCache {name}"));
    if deleted.is_empty() {
        println!("there is no ImageCache of the lists in {namespace}");
    }
    Ok(Outcome::Good)
}
