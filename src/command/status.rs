//! `status`: what is warm where, and why not.

use std::io::Write;

use anyhow::{Context, bail};

use super::Outcome;
use super::arguments::{StatusArguments, StatusFormat};
use crate::cluster::connect::{self, ClusterArguments};
use crate::cluster::{Error, look};
use crate::status::{Report, print};

/// Looks at everything once and prints what is warm where.
///
/// # Errors
/// Where something cannot be read, or there is no such list.
pub async fn status(arguments: StatusArguments, output: &mut impl Write) -> anyhow::Result<Outcome> {
    let cluster = ClusterArguments { kubeconfig: arguments.cluster.kubeconfig, context: arguments.cluster.context };
    let (client, default_namespace) = connect::connect(&cluster).await?;
    let namespace = arguments.cluster.namespace.unwrap_or(default_namespace);
    let (facts, coverage) = match look::look(&client, &namespace, arguments.list.as_deref()).await {
        Ok(looked) => looked,
        Err(errors) => bail!(in_words(&namespace, &errors)),
    };
    if facts.lists.is_empty() {
        match arguments.list {
            Some(list) => bail!("there is no image list {list} in the namespace {namespace}"),
            None => bail!("there is no image list in the namespace {namespace}; choose another with --namespace"),
        }
    }
    let report = Report::new(&facts, &coverage);
    let printed = match arguments.output {
        StatusFormat::Table => print(&report, output),
        StatusFormat::Json => {
            serde_json::to_writer_pretty(&mut *output, &report).map_err(Into::into).and_then(|()| writeln!(output))
        }
    };
    printed.context("cannot write the report")?;
    Ok(if report.warm { Outcome::Good } else { Outcome::Not })
}

/// Rights that are missing are told together, since whoever grants them wants to do so once.
fn in_words(namespace: &str, errors: &[Error]) -> String {
    let missing: Vec<&str> = errors
        .iter()
        .filter_map(|error| match error {
            Error::Forbidden { message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    if missing.is_empty() {
        return errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    }
    format!(
        "not allowed to read what the report is made from:\n  {}\n\
         grant this user the right to list configmaps, pods, daemonsets.apps and controllerrevisions.apps in the namespace \
         {namespace}, and nodes if possible",
        missing.join("\n  ")
    )
}
