//! `render`: prints the manifests of a list, offline; or with what it has discovered, which only the cluster knows.
//!
//! - [`version`]: the version of the list in the cluster, which has what was discovered
//! - [`origins`]: where the images come from that were discovered

mod origins;
mod version;

use std::fmt::Display;
use std::io::Write;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Client;
use serde::Serialize;

use super::arguments::{ManifestFormat, RenderArguments};
use super::connection::connect_to;
use super::outcome::{Outcome, wrong_usage};
use super::terminal::print_error;
use super::{seed, source};
use crate::image_cache::{self, ImageCacheObject};
use crate::list::config::{Group, ImageCache};
use crate::list::{self, Config, ListData, Severity};
use crate::messages::number;
use crate::naming::labels;
use crate::plan::generation::holder_folder::{HolderFolder, Seed};
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, content_hash};
use crate::plan::{AcceptedList, Platform, Record, Settings, daemon_set, sharding};
use crate::text::{CleanText, json};

/// The namespace of a list, if neither its manifest, nor the arguments, nor the configuration of a cluster names one.
const DEFAULT_NAMESPACE: &str = "default";

/// Prints the manifests of a list, and its problems to standard error.
///
/// # Errors
/// If the output cannot be written, the operating system gives no random numbers, or what was discovered cannot be read.
pub async fn render(arguments: &RenderArguments) -> anyhow::Result<Outcome> {
    let cluster = match arguments.discovered {
        true => Some(connect_to(&arguments.kubeconfig).await?),
        false => None,
    };
    let default_namespace = cluster.as_ref().map_or(DEFAULT_NAMESPACE, |(_, namespace)| namespace.as_str());
    let namespace = arguments.namespace.as_deref().unwrap_or(default_namespace);
    let list = match source::read(&arguments.file, namespace, &arguments.name) {
        Ok(list) => list,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let parsed = list::parse(&list);
    for problem in &parsed.problems {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        print_error(format!("{severity}: {problem}"));
    }
    let Some(config) = parsed.config else { return Ok(Outcome::Not) };
    let config = match &cluster {
        Some((client, _)) if !config.discoveries.is_empty() => with_found(client, &list, config).await?,
        _ => config,
    };
    report_discoveries(&config, arguments.discovered);
    let label = labels::list_value(&list.name);
    let accepted = AcceptedList { namespace: &list.namespace, label: &label, config: &config };
    let daemon_sets = daemon_sets(arguments, accepted, seed_of(arguments)?);
    let uncommented = |it: ImageCacheObject| CommentedManifest { comments: Vec::new(), manifest: it.into() };
    let image_caches = image_cache::offline(accepted, &list.name).into_iter().map(uncommented);
    if let Some(image_cache) = &config.image_cache {
        assumptions(image_cache).iter().for_each(note);
    }
    let manifests: Vec<CommentedManifest> = daemon_sets.into_iter().chain(image_caches).collect();
    print(&manifests, arguments.output, &mut std::io::stdout().lock()).context("cannot write the manifests")?;
    Ok(Outcome::Good)
}

/// What the user should know besides the manifests.
fn note(text: impl Display) {
    print_error(format!("note: {text}"));
}

/// The list with what its version in the cluster has found.
async fn with_found(client: &Client, list: &ListData, config: Config) -> anyhow::Result<Config> {
    let version = version::in_effect(client, list).await?;
    version::notes(&version, &config).iter().for_each(note);
    // What was found makes no list invalid.
    let with_it = list::parse(&ListData { found: version.list.found.clone(), ..list.clone() });
    Ok(with_it.config.unwrap_or(config))
}

/// Says what no manifest shows of what groups discover.
fn report_discoveries(config: &Config, is_read: bool) {
    match (config.discoveries.len(), is_read) {
        (0, true) => note("no group of the list discovers images, so --discovered changes nothing"),
        (0, false) => {}
        (_, true) => origins::of_groups_without_images(config).iter().for_each(note),
        (groups, false) => note(format!(
            "what {} discovered in workloads is not shown; --discovered reads it from the cluster",
            number(groups, "group")
        )),
    }
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

/// An object that a list becomes, and what is to be known of it.
struct CommentedManifest {
    /// A line each.
    comments: Vec<CleanText>,
    manifest: Manifest,
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

fn daemon_sets(arguments: &RenderArguments, accepted: AcceptedList, seed: Seed) -> Vec<CommentedManifest> {
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
        CommentedManifest {
            comments: origins::of_group(config, group),
            manifest: daemon_set::build(accepted, group, &record, &settings).into(),
        }
    };
    sharding::split(config, &[]).groups.iter().map(build).collect()
}

fn print(manifests: &[CommentedManifest], format: ManifestFormat, output: &mut impl Write) -> anyhow::Result<()> {
    match format {
        ManifestFormat::Json => {
            // JSON has no comments.
            manifests.iter().flat_map(|it| &it.comments).for_each(note);
            let items: Vec<&Manifest> = manifests.iter().map(|it| &it.manifest).collect();
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
            writeln!(output, "{}", json::escaped(&serde_json::to_string_pretty(&list)?))?;
        }
        ManifestFormat::Yaml => {
            for CommentedManifest { comments, manifest } in manifests {
                writeln!(output, "---")?;
                // Each is clean, so it has no line break that would end the comment.
                comments.iter().try_for_each(|comment| writeln!(output, "# {comment}"))?;
                write!(output, "{}", yaml(manifest)?)?;
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
