//! `render`: prints the manifests of a list, offline.

use std::io::Write;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use serde::Serialize;

use super::arguments::{ManifestFormat, RenderArguments};
use super::outcome::{Outcome, wrong_usage};
use super::terminal::print_error;
use super::{seed, source};
use crate::image_cache::{self, ImageCacheObject};
use crate::list::config::{Group, ImageCache};
use crate::list::{self, Severity};
use crate::naming::labels;
use crate::plan::generation::holder_folder::{HolderFolder, Seed};
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, content_hash};
use crate::plan::{AcceptedList, Platform, Record, Settings, daemon_set, sharding};
use crate::text::json;

/// Prints the manifests of a list, and its problems to standard error.
///
/// # Errors
/// If the output cannot be written, or the operating system gives no random numbers.
pub fn render(arguments: &RenderArguments, output: &mut impl Write) -> anyhow::Result<Outcome> {
    let list = match source::read(&arguments.file, &arguments.namespace, &arguments.name) {
        Ok(list) => list,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let parsed = list::parse(&list);
    for problem in &parsed.problems {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        print_error(format!("{severity}: {problem}"));
    }
    let Some(config) = parsed.config else { return Ok(Outcome::Not) };
    let label = labels::list_value(&list.name);
    let accepted = AcceptedList { namespace: &list.namespace, label: &label, config: &config };
    let daemon_sets = daemon_sets(arguments, accepted, seed_of(arguments)?).into_iter().map(Manifest::from);
    let image_caches = image_cache::offline(accepted, &list.name).into_iter().map(Manifest::from);
    if let Some(image_cache) = &config.image_cache {
        assumptions(image_cache).iter().for_each(|assumption| print_error(format!("note: {assumption}")));
    }
    let manifests: Vec<Manifest> = daemon_sets.chain(image_caches).collect();
    print(&manifests, arguments.output, output).context("cannot write the manifests")?;
    Ok(Outcome::Good)
}

/// What is assumed of the ImageCaches, because only nodes know it.
fn assumptions(image_cache: &ImageCache) -> Vec<String> {
    let names =
        "the ImageCaches are named as if no node reported a digest; the controller's own names depend on the digests";
    let size = format!(
        "imageCache.size is not set, so the ImageCaches are of {} GiB; the controller takes twice the sizes that nodes report, \
         if that is more",
        ImageCache::SIZES.start()
    );
    std::iter::once(names.to_owned()).chain(image_cache.size.is_none().then_some(size)).collect()
}

/// An object that a list becomes.
#[derive(Serialize)]
#[serde(untagged)]
enum Manifest {
    DaemonSet(Box<DaemonSet>),
    ImageCache(Box<ImageCacheObject>),
}

impl From<DaemonSet> for Manifest {
    fn from(daemon_set: DaemonSet) -> Self {
        Self::DaemonSet(Box::new(daemon_set))
    }
}

impl From<ImageCacheObject> for Manifest {
    fn from(image_cache: ImageCacheObject) -> Self {
        Self::ImageCache(Box::new(image_cache))
    }
}

/// Whoever names the epoch wants the same manifests each time, to compare them or to keep them in version control.
fn seed_of(arguments: &RenderArguments) -> anyhow::Result<Seed> {
    match (&arguments.seed, arguments.epoch) {
        (Some(text), _) => Ok(Seed::of_text(text)),
        (None, Some(_)) => Ok(Seed::default()),
        (None, None) => seed::random(),
    }
}

fn daemon_sets(arguments: &RenderArguments, accepted: AcceptedList, seed: Seed) -> Vec<DaemonSet> {
    let config = accepted.config;
    let settings = Settings {
        own_images: arguments.holder.own_images(),
        service_account_name: arguments.holder.pod_service_account.clone(),
        platform: if arguments.openshift { Platform::OpenShift } else { Platform::Kubernetes },
        owner: None,
        seed,
    };
    let epoch = arguments.epoch.unwrap_or_else(Timestamp::now);
    let build = |group: &Group| {
        let record = Record {
            revision: 1,
            content: content_hash(group),
            epoch: Timestamp::from_second(epoch.as_second()).unwrap_or(epoch),
            spread_seconds: config.pull_rate.spread_seconds(arguments.nodes),
            holder_image: settings.own_images.holder.clone(),
            format: FORMAT,
            folder: HolderFolder::default(),
            refresh_request: None,
            pulled_always: PulledAlways::all_of(group),
            gate_taints: group.placement.gate_taints.clone(),
        }
        .with_own_folder(accepted.label, group, &settings.seed);
        daemon_set::build(accepted, group, &record, &settings)
    };
    sharding::split(config, &[]).groups.iter().map(build).collect()
}

fn print(manifests: &[Manifest], format: ManifestFormat, output: &mut impl Write) -> anyhow::Result<()> {
    match format {
        ManifestFormat::Json => {
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": manifests});
            writeln!(output, "{}", json::escaped(&serde_json::to_string_pretty(&list)?))?;
        }
        ManifestFormat::Yaml => {
            for manifest in manifests {
                write!(output, "---\n{}", yaml(manifest)?)?;
            }
        }
    }
    Ok(())
}

/// A text of the list's, such as a pod annotation, may hold what YAML cannot escape. JSON can, and it is YAML too.
fn yaml(manifest: &Manifest) -> anyhow::Result<String> {
    let text = serde_yaml::to_string(manifest)?;
    if json::is_plain(&text) {
        return Ok(text);
    }
    Ok(format!("{}\n", json::escaped(&serde_json::to_string_pretty(manifest)?)))
}
