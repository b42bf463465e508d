//! `clean-up`: deletes what uninstalling the controller would leave behind. The chart runs it before.

use super::Outcome;
use super::arguments::ClusterArguments;
use super::connection::connect;
use crate::cluster::clean_up::clean_up as delete_all;

/// Deletes the ImageCaches of the lists in a namespace.
///
/// # Errors
/// If one of them cannot be deleted.
pub async fn clean_up(arguments: ClusterArguments) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments).await?;
    let deleted = delete_all(&client, &namespace).await?;
    deleted.iter().for_each(|name| println!("deleted the ImageCache {name}"));
    if deleted.is_empty() {
        println!("there is no ImageCache of the lists in {namespace}");
    }
    Ok(Outcome::Good)
}
