//! `render`: prints the manifests of a list, offline.

use std::io::Write;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use serde_json::json;

use super::arguments::{ManifestFormat, RenderArguments};
use super::outcome::{Outcome, wrong_usage};
use super::source;
use crate::list::config::Group;
use crate::list::{self, Config, ListData, Severity};
use crate::naming::labels;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, content_hash};
use crate::plan::{AcceptedList, Platform, Record, Settings, daemon_set};

/// Prints the manifests of a list, and its problems to standard error.
///
/// # Errors
/// If the output cannot be written.
pub fn render(arguments: &RenderArguments, output: &mut impl Write) -> anyhow::Result<Outcome> {
    let list = match source::read(&arguments.file, &arguments.namespace, &arguments.name) {
        Ok(list) => list,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let parsed = list::parse(&list);
    for problem in &parsed.problems {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        eprintln!("{severity}: {problem}");
    }
    let Some(config) = parsed.config else { return Ok(Outcome::Not) };
    let daemon_sets = daemon_sets(arguments, &list, &config);
    print(&daemon_sets, arguments.output, output).context("cannot write the manifests")?;
    Ok(Outcome::Good)
}

fn daemon_sets(arguments: &RenderArguments, list: &ListData, config: &Config) -> Vec<DaemonSet> {
    let settings = Settings {
        holder_image: arguments.holder.holder_image.clone(),
        service_account_name: arguments.holder.pod_service_account.clone(),
        platform: if arguments.openshift { Platform::OpenShift } else { Platform::Kubernetes },
        owner: None,
    };
    let label = labels::list_value(&list.name);
    let accepted = AcceptedList { namespace: &list.namespace, label: &label, config };
    let epoch = arguments.epoch.unwrap_or_else(Timestamp::now);
    let build = |group: &Group| {
        let record = Record {
            revision: 1,
            content: content_hash(group),
            epoch: Timestamp::from_second(epoch.as_second()).unwrap_or(epoch),
            spread_seconds: config.pull_rate.spread_seconds(arguments.nodes),
            holder_image: settings.holder_image.clone(),
            format: FORMAT,
            refresh_request: None,
            pulled_always: PulledAlways::all_of(group),
        };
        daemon_set::build(accepted, group, &record, &settings)
    };
    config.groups.iter().map(build).collect()
}

fn print(daemon_sets: &[DaemonSet], format: ManifestFormat, output: &mut impl Write) -> anyhow::Result<()> {
    match format {
        ManifestFormat::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": daemon_sets});
            serde_json::to_writer_pretty(&mut *output, &list)?;
            writeln!(output)?;
        }
        ManifestFormat::Yaml => {
            for daemon_set in daemon_sets {
                write!(output, "---\n{}", serde_yaml::to_string(daemon_set)?)?;
            }
        }
    }
    Ok(())
}
