//! The checks of the ImageCache, which both formats share.
//!
//! The ranges are those of the resource (`imagecaches.eci.alibabacloud.com`, see `config/crd/imagecache.yaml`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::cache_platform::CachePlatform;
use super::config::{Group, GroupName, ImageCache, PlatformSettings};
use super::group::in_range;
use super::names::ResourceName;
use super::problem::{Code, Severity, quoted};
use super::reader::{At, Place, Problems};
use super::refresh::interval_within;
use super::schedule::Schedule;
use super::suggest;

/// The fields that the user wrote about the ImageCache.
#[derive(Debug, Default)]
pub struct ImageCacheFields {
    /// Whether the list asks for one.
    pub enabled: bool,
    /// The names of groups.
    pub groups: Option<Vec<(Place, String)>>,
    /// The platforms, if there is one ImageCache for each.
    pub platforms: Vec<PlatformFields>,
    /// Size of an ImageCache, in GiB.
    pub size: Option<(Place, i128)>,
    /// Days.
    pub retention_days: Option<(Place, i128)>,
    /// Annotations for the ImageCaches.
    pub annotations: BTreeMap<String, String>,
    /// Secrets in addition to those of the groups.
    pub image_pull_secrets: Vec<ResourceName>,
    /// An interval.
    pub keep_previous_for: Option<(Place, String)>,
}

/// What the user wrote about the ImageCache of one platform.
#[derive(Debug)]
pub struct PlatformFields {
    /// Where it is written.
    pub place: Place,
    /// The name of the platform.
    pub name: String,
    /// The names of groups.
    pub groups: Option<Vec<(Place, String)>>,
    /// Annotations in addition to those of all ImageCaches.
    pub annotations: BTreeMap<String, String>,
}

impl PlatformFields {
    /// A platform of which only the name is written.
    pub fn named(place: Place, name: &str) -> Self {
        Self { place, name: name.to_owned(), groups: None, annotations: BTreeMap::new() }
    }
}

/// Checks all fields, and returns an [`ImageCache`] if the list asks for one.
pub fn parse(written: ImageCacheFields, groups: &[Group], problems: &mut Problems) -> Option<ImageCache> {
    let all = || groups.iter().map(|group| group.name.clone()).collect();
    let mut cache = ImageCache {
        groups: written.groups.map_or_else(all, |named| chosen(named, groups, problems)),
        platforms: Vec::new(),
        size: in_range(written.size, ImageCache::SIZES, "ImageCache size in GiB", problems),
        retention_days: in_range(
            written.retention_days,
            ImageCache::RETENTIONS,
            "ImageCache retention in days",
            problems,
        ),
        annotations: written.annotations,
        image_pull_secrets: written.image_pull_secrets,
        keep_previous_for: written
            .keep_previous_for
            .and_then(|written| {
                let range = SignedDuration::ZERO..=Schedule::MAX_INTERVAL;
                interval_within(written, &range, "an ImageCache cannot be kept for", problems)
            })
            .unwrap_or(ImageCache::KEEP_PREVIOUS_FOR),
    };
    cache.platforms = platforms(written.platforms, &cache, groups, problems);
    written.enabled.then_some(cache)
}

fn platforms(
    written: Vec<PlatformFields>,
    cache: &ImageCache,
    groups: &[Group],
    problems: &mut Problems,
) -> Vec<PlatformSettings> {
    let mut found: Vec<PlatformSettings> = Vec::new();
    for fields in written {
        let Some(platform) = platform(&fields.place, &fields.name, problems) else { continue };
        if found.iter().any(|it| it.platform == platform) {
            let message = format!("the platform {platform} is listed twice");
            problems.error(fields.place, Code::DuplicateName, message, "list it once, with all of its groups");
            continue;
        }
        let annotations = platform_annotations(platform, cache, &fields, problems);
        let groups = match fields.groups {
            Some(named) => chosen_for(platform, named, groups, problems),
            None => suitable(platform, &fields.place, cache, groups, problems),
        };
        found.push(PlatformSettings { platform, groups, annotations });
    }
    found
}

/// Whether an ImageCache for nodes of another OS than Linux is built from a group. Its pods need not match any node.
pub fn is_for_other_os(cache: Option<&ImageCache>, group: &GroupName) -> bool {
    let Some(cache) = cache else { return false };
    let mut platforms = cache.platforms.iter();
    let says_windows = || cache.annotations.values().any(|value| value.eq_ignore_ascii_case("windows"));
    platforms.any(|it| it.platform.os() != "linux" && it.groups.contains(group))
        || (cache.platforms.is_empty() && cache.groups.contains(group) && says_windows())
}

fn platform(place: &Place, name: &str, problems: &mut Problems) -> Option<CachePlatform> {
    let found = CachePlatform::ALL.into_iter().find(|platform| platform.name() == name);
    if found.is_none() {
        problems.error(
            place.clone(),
            Code::InvalidValue,
            format!("Alibaba Cloud builds no ImageCache for the platform {}", quoted(name)),
            suggest::value_remedy(name, &CachePlatform::ALL.map(CachePlatform::name)),
        );
    }
    found
}

/// The annotations of a platform's ImageCache. What they say of the platform themselves stays as it is written.
fn platform_annotations(
    platform: CachePlatform,
    cache: &ImageCache,
    fields: &PlatformFields,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut annotations = cache.annotations.clone();
    annotations.extend(fields.annotations.clone());
    for (key, value) in platform.annotations() {
        let written = annotations.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        if !written.eq_ignore_ascii_case(value) {
            problems.error(
                fields.place.clone(),
                Code::Conflict,
                format!("the platform is {platform}, but the annotation {key} is {}", quoted(written)),
                "remove the annotation: kube-prepull sets it for each platform",
            );
        }
    }
    annotations
}

/// The groups that a platform names. None of them may be for other nodes only.
fn chosen_for(
    platform: CachePlatform,
    named: Vec<(Place, String)>,
    groups: &[Group],
    problems: &mut Problems,
) -> BTreeSet<GroupName> {
    for (place, name) in &named {
        if groups.iter().any(|group| group.name.as_str() == name && !may_run_on(platform, group)) {
            problems.error(
                place.clone(),
                Code::Conflict,
                format!("the group {} is not for {platform}: see its architectures and its nodeSelector", quoted(name)),
                "remove the group here, or correct where it belongs",
            );
        }
    }
    chosen(named, groups, problems)
}

/// The groups of a platform that names none: those that its nodes can run. Windows runs no images of Linux, so a group is only
/// for Windows if it says so.
fn suitable(
    platform: CachePlatform,
    place: &Place,
    cache: &ImageCache,
    groups: &[Group],
    problems: &mut Problems,
) -> BTreeSet<GroupName> {
    let says_so = |group: &Group| platform.os() == "linux" || selected(group, "kubernetes.io/os").is_some();
    let fitting = groups.iter().filter(|group| may_run_on(platform, group) && says_so(group));
    let found: BTreeSet<GroupName> =
        fitting.map(|group| &group.name).filter(|name| cache.groups.contains(*name)).cloned().collect();
    if found.is_empty() && !cache.groups.is_empty() {
        let remedy = match platform.os() {
            "linux" => "remove the platform, or add a group for it".to_owned(),
            os => format!("name the platform's groups, or give a group the nodeSelector {{kubernetes.io/os: {os}}}"),
        };
        let message =
            format!("no group of the ImageCache is for {platform}, by its architectures and its nodeSelector");
        problems.error(place.clone(), Code::InvalidValue, message, remedy);
    }
    found
}

/// Whether nodes of that platform can be those of the group, as far as its architectures and its nodeSelector say.
fn may_run_on(platform: CachePlatform, group: &Group) -> bool {
    let architectures = &group.placement.architectures;
    (architectures.is_empty() || architectures.iter().any(|it| it.name() == platform.architecture()))
        && selected(group, "kubernetes.io/arch").is_none_or(|it| it == platform.architecture())
        && selected(group, "kubernetes.io/os").is_none_or(|it| it == platform.os())
}

fn selected<'g>(group: &'g Group, label: &str) -> Option<&'g str> {
    group.placement.node_selector.get(label).map(String::as_str)
}

fn chosen(named: Vec<(Place, String)>, groups: &[Group], problems: &mut Problems) -> BTreeSet<GroupName> {
    let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let by_name: BTreeMap<&str, &Group> = groups.iter().rev().map(|group| (group.name.as_str(), group)).collect();
    let mut chosen = BTreeSet::new();
    for (place, name) in named {
        match by_name.get(name.as_str()) {
            Some(group) => drop(chosen.insert(group.name.clone())),
            None if problems.is_full() => problems.count(Severity::Error),
            None => problems.error(
                place,
                Code::InvalidValue,
                format!("unknown group {}", quoted(&name)),
                suggest::value_remedy(&name, &known),
            ),
        }
    }
    chosen
}

/// The names of groups in a sequence. It must not be empty: `enabled: false` asks for no ImageCache.
pub fn groups(at: &At, problems: &mut Problems) -> Vec<(Place, String)> {
    let items = at.some_items("groups", "name at least one group, or remove the key for all of them", problems);
    items.iter().filter_map(|item| Some((item.place(), item.text(problems)?.to_owned()))).collect()
}
