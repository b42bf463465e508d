//! A generation can be read back from its DaemonSet's metadata.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;

use super::{accepted, at, named, settings};
use crate::list::config::Group;
use crate::naming::labels;
use crate::plan::daemon_set::build;
use crate::plan::generation::holder_folder::{HolderFolder, Seed};
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, content_hash};
use crate::plan::{Generation, Record};

fn group(images_yaml: &str) -> Group {
    accepted(images_yaml).groups.remove(0)
}

fn record() -> Record {
    Record {
        revision: 7,
        content: content_hash(&group("[a:1, b:1]")),
        epoch: at("2026-03-01T12:00:00Z"),
        spread_seconds: 12,
        holder_image: "ghcr.io/acme/kube-prepull:1".to_owned(),
        format: FORMAT,
        folder: HolderFolder::new(&Seed::default(), "tools"),
        refresh_request: Some("by hand".to_owned()),
        pulled_always: PulledAlways::of(["b"]),
        gate_taints: Default::default(),
    }
}

/// The metadata as the API server stores it.
fn stored() -> ObjectMeta {
    let config = accepted("[a:1, b:1]");
    let mut metadata = build(named(&config), &config.groups[0], &record(), &settings()).metadata;
    metadata.uid = Some("u".to_owned());
    metadata.generation = Some(1);
    metadata.creation_timestamp = Some(Time(at("2026-03-01T12:00:01Z")));
    metadata
}

fn read(metadata: &ObjectMeta) -> Generation {
    Generation::from_metadata(metadata).expect("a generation")
}

#[test]
fn a_generation_round_trips() {
    let metadata = stored();
    let found = read(&metadata);
    assert_eq!(found.record, Some(record()));
    assert_eq!(Some(found.name), metadata.name);
    assert_eq!((found.uid.as_str(), found.group.as_str()), ("u", "default"));
    assert_eq!(found.created, Some(at("2026-03-01T12:00:01Z")));
    assert!(!found.deleting && found.altered.is_none());
    let images: Vec<_> = found.images.iter().map(|(name, image)| (name.as_str(), image.as_str())).collect();
    assert_eq!(images, [("a", "a:1"), ("b", "b:1")]);
}

#[test]
fn a_generation_without_a_refresh_request_round_trips_too() {
    let config = accepted("[a:1, b:1]");
    let record = Record { refresh_request: None, ..record() };
    let mut metadata = build(named(&config), &config.groups[0], &record, &settings()).metadata;
    metadata.uid = Some("u".to_owned());
    assert_eq!(read(&metadata).record, Some(record));
}

#[test]
fn a_daemon_set_that_is_not_ours_is_no_generation() {
    let mut metadata = stored();
    metadata.labels.get_or_insert_default().insert(labels::MANAGED_BY.to_owned(), "Helm".to_owned());
    assert_eq!(Generation::from_metadata(&metadata), None);
    metadata.labels = None;
    assert_eq!(Generation::from_metadata(&metadata), None);
}

#[test]
fn a_changed_or_removed_record_is_ignored() {
    for key in [
        labels::REVISION,
        labels::CONTENT,
        labels::EPOCH,
        labels::SPREAD,
        labels::HOLDER_IMAGE,
        labels::FORMAT,
        labels::HOLDER_FOLDER,
    ] {
        let mut metadata = stored();
        metadata.annotations.get_or_insert_default().remove(key);
        assert_eq!(read(&metadata).record, None, "without {key}");
    }
    for (key, value) in [
        (labels::REVISION, "8"),
        (labels::REVISION, "-1"),
        (labels::REVISION, "99999999999"),
        (labels::CONTENT, "other"),
        (labels::EPOCH, "2026-03-01T12:00:01Z"),
        (labels::EPOCH, "tomorrow"),
        (labels::SPREAD, "-12"),
        (labels::HOLDER_FOLDER, "/kube-prepull"),
        (labels::HOLDER_FOLDER, "/usr"),
    ] {
        let mut metadata = stored();
        metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        assert_eq!(read(&metadata).record, None, "{key}: {value}");
    }
}

#[test]
fn somebody_elses_change_of_the_spec_is_detected() {
    let altered = |generation, noted: Option<&str>| {
        let mut metadata = stored();
        metadata.generation = Some(generation);
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.extend(noted.map(|noted| (labels::SPEC_GENERATION.to_owned(), noted.to_owned())));
        read(&metadata).altered.is_some()
    };
    assert!(!altered(1, None));
    assert!(altered(2, None));
    assert!(!altered(2, Some("2")));
    assert!(altered(3, Some("2")));
    assert!(altered(1, Some("no number")));
}

#[test]
fn a_generation_that_is_being_deleted_is_marked_as_such() {
    let mut metadata = stored();
    metadata.deletion_timestamp = Some(Time(at("2026-03-01T13:00:00Z")));
    assert!(read(&metadata).deleting);
}

#[test]
fn the_revision_orders_generations_whatever_the_clocks_showed() {
    let generation = |revision: u32, epoch: &str, created: &str| {
        let record = Record { revision, epoch: at(epoch), ..record() };
        Generation { record: Some(record), created: Some(at(created)), ..read(&stored()) }
    };
    let older = generation(1, "2040-01-01T00:00:00Z", "2040-01-01T00:00:00Z");
    let newer = generation(2, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    let unknown = Generation { record: None, ..older.clone() };
    let mut all = [&unknown, &older, &newer];
    all.sort_by_cached_key(|generation| generation.newest_first());
    assert_eq!(all, [&newer, &older, &unknown]);
}

#[test]
fn the_content_hash_depends_on_the_group_as_written() {
    let group_of = |rest: &str| content_hash(&group(&format!("groups: [{{name: a, images: [a:1, b:1]{rest}}}]")));
    let plain = group_of("");
    assert_eq!(
        plain,
        group_of(", tolerations: [], resources: {requests: {cpu: 1m}}, hostUsers: true"),
        "explicit defaults"
    );
    for change in [
        ", nodeSelector: {a: b}",
        ", tolerations: [{operator: Exists}]",
        ", imagePullSecrets: [s]",
        ", priorityClassName: p",
        ", runtimeClassName: r",
        ", hostUsers: false",
        ", resources: {requests: {ephemeral-storage: 1Mi}}",
        ", resources: {limits: {ephemeral-storage: 1Mi}}",
        ", podLabels: {a: b}",
        ", architectures: [arm64]",
    ] {
        assert_ne!(plain, group_of(change), "{change}");
    }
    assert_eq!(
        plain,
        group_of(", imagesPerPod: 7, parallelPulls: 2"),
        "they only decide which images are in which pod"
    );
    let of = |images: &str| content_hash(&group(images));
    assert_ne!(of("[a:1, b:1]"), of("[b:1, a:1]"), "kubelets pull in order");
    assert_ne!(of("[a:1]"), of("[docker.io/library/a:1]"), "pods contain the reference as written");
}

/// The hash is part of DaemonSet names in clusters, so another value would start a rollout of every list when the
/// controller is upgraded.
#[test]
fn the_content_hash_stays_the_same_from_version_to_version() {
    assert_eq!(content_hash(&group("[nginx:1.27]")), "pn8jpq26vw");
}

/// A new version of the controller alone must not start a rollout. So this hash may only change if there is a reason to
/// pull all images on all nodes again.
#[test]
fn the_hash_of_a_groups_content_never_changes() {
    assert_eq!(content_hash(&group("[a:1, b:1]")), "nglntw5gnh");
    let everything = group(
        "{groups: [{name: a, images: [a:1], nodeSelector: {b: c}, tolerations: [{operator: Exists}], architectures: [arm64], \
         imagePullSecrets: [d], serviceAccountName: e, priorityClassName: f, podLabels: {g: h}, podAnnotations: {i: j}, \
         resources: {requests: {cpu: 2m}, limits: {memory: 9Mi}}}]}",
    );
    assert_eq!(content_hash(&everything), "mhwtkkbwzh");
}
