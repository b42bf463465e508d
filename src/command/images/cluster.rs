//! Reads the lists of a namespace, and what nodes hold of their images.

use std::sync::Arc;

use anyhow::{bail, ensure};
use futures::StreamExt;
use futures::stream;
use kube::Client;

use super::read_list::ReadList;
use crate::cluster::command_reader;
use crate::cluster::leader_report::LeaderReports;
use crate::command::arguments::ClusterArguments;
use crate::command::connection::connect;
use crate::command::status::view::unreadable;
use crate::list::{Config, ListData, parse};
use crate::plan::validation_result::data_hash;
use crate::status::Report;
use crate::status::report::ListReport;

/// How many ConfigMaps are read at a time.
const AT_A_TIME: usize = 10;
/// What to do if a list is not there.
const HINT: &str = "choose another with --namespace";

/// The lists of these names, or all of the namespace.
///
/// # Errors
/// If something cannot be read, or there is no such list.
pub async fn read(arguments: &ClusterArguments, names: &[String]) -> anyhow::Result<Vec<ReadList>> {
    let (client, namespace) = connect(arguments).await?;
    let mut lists = match of_leader(&client, &namespace, names).await {
        Some(lists) => lists,
        None => of_objects(&client, &namespace, names).await?,
    };
    if let Some(unknown) = names.iter().find(|name| lists.iter().all(|list| list.name != **name)) {
        bail!("there is no image list {unknown} in the namespace {namespace}; {HINT}");
    }
    ensure!(!lists.is_empty(), "there is no image list in the namespace {namespace}; {HINT}");
    lists.retain(|list| is_wanted(names, &list.name));
    Ok(lists)
}

fn is_wanted(names: &[String], list: &str) -> bool {
    names.is_empty() || names.iter().any(|name| name == list)
}

/// The name of the only list that is wanted.
fn only(names: &[String]) -> Option<&str> {
    match names {
        [name] => Some(name),
        _ => None,
    }
}

/// What the leader reports, which takes less than a second however many nodes there are. `None` if the objects have to be read, also
/// because the version in effect of a list is not what its ConfigMap says now: a report does not say what groups select.
async fn of_leader(client: &Client, namespace: &str, names: &[String]) -> Option<Vec<ReadList>> {
    let report = LeaderReports::new(client.clone()).report_if_any(namespace, only(names)).await?;
    let wanted = report.lists.into_iter().filter(|list| is_wanted(names, &list.name));
    let lists = stream::iter(wanted).map(|list| with_config(client, namespace, list)).buffered(AT_A_TIME);
    lists.collect::<Vec<_>>().await.into_iter().collect()
}

async fn with_config(client: &Client, namespace: &str, report: ListReport) -> Option<ReadList> {
    let Some(hash) = report.data_hash.clone() else { return Some(read_list(report, None)) };
    let list = command_reader::list(client, namespace, &report.name).await.ok()??;
    let data = list.data.unwrap_or_default();
    if hash != data_hash(&data) {
        return None;
    }
    let list = ListData { namespace: namespace.to_owned(), name: (&report.name).into(), data, found: None };
    let config = parse(&list).config?;
    // What its groups discovered is stored in the version in effect only.
    if !config.discoveries.is_empty() {
        return None;
    }
    Some(read_list(report, Some(Arc::new(config))))
}

async fn of_objects(client: &Client, namespace: &str, names: &[String]) -> anyhow::Result<Vec<ReadList>> {
    let inputs = command_reader::read(client, &[namespace.to_owned()], only(names)).await;
    let inputs = inputs.map_err(|errors| unreadable(&format!(" in the namespace {namespace}"), &errors))?;
    let lists = inputs.iter().flat_map(|(input, coverage)| {
        // The report has all lists of its input, in the same order.
        let configs = input.lists.iter().map(|list| list.config.clone());
        Report::new(input, coverage).lists.into_iter().zip(configs)
    });
    Ok(lists.map(|(report, config)| read_list(report, config)).collect())
}

fn read_list(report: ListReport, config: Option<Arc<Config>>) -> ReadList {
    ReadList { namespace: (&report.namespace).into(), name: (&report.name).into(), config, report: Some(report) }
}
