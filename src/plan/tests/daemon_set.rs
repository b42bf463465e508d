//! A generation's DaemonSet in full. The snapshots are the specification's "A generation's DaemonSet" in YAML.

use k8s_openapi::api::apps::v1::DaemonSet;

use super::{accepted, at, named, owner, settings};
use crate::list::Config;
use crate::plan::daemon_set::build;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, content_hash};
use crate::plan::{Platform, Record, Settings};

const SMALLEST: &str = "[nginx]";

/// Uses every key of a list.
const EVERYTHING: &str = r#"
apiVersion: kube-prepull.io/v1
images: [busybox]
groups:
- name: gpu
  images:
  - {name: cuda, image: "nvcr.io/nvidia/cuda:12.6-runtime"}
  - ghcr.io/acme/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  - ghcr.io/acme/app:1.2.3@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
  - localhost:5000/tools/a_b
  nodeSelector: {accelerator: nvidia}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: zone, operator: In, values: [a, b]}]
        - matchFields: [{key: metadata.name, operator: In, values: [node-7]}]
        - {}
      preferredDuringSchedulingIgnoredDuringExecution:
      - {weight: 5, preference: {matchExpressions: [{key: disk, operator: Exists}]}}
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
      - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {noisy: "true"}}}
  tolerations:
  - {key: nvidia.com/gpu, operator: Exists}
  - {key: dedicated, operator: Equal, value: ml, effect: NoSchedule}
  architectures: [amd64, arm64]
  imagePullSecrets: [nvcr, {name: ghcr}]
  serviceAccountName: puller
  resources: {requests: {cpu: 2m, memory: 3Mi, ephemeral-storage: 1Mi}, limits: {cpu: 50m, memory: 64Mi, ephemeral-storage: 2Mi}}
  priorityClassName: prepull
  runtimeClassName: sandboxed
  hostUsers: false
  podLabels: {team: ml}
  podAnnotations: {example.com/cost-centre: "42"}
  imagesPerPod: 50
  parallelPulls: 2
refresh: {schedule: "0 3 * * 1-5", timeZone: Europe/Berlin, mode: Recreate}
pullRate: 60
daemonSetAnnotations: {example.com/owner: platform}
"#;

fn of_group(config: &Config, group: usize, settings: &Settings) -> DaemonSet {
    let group = &config.groups[group];
    let record = Record {
        revision: 1,
        content: content_hash(group),
        epoch: at("2026-03-01T12:00:00Z"),
        spread_seconds: config.pull_rate.spread_seconds(90),
        holder_image: settings.own_images.holder.clone(),
        format: FORMAT,
        folder: Default::default(),
        refresh_request: None,
        pulled_always: PulledAlways::all_of(group),
        gate_taints: Default::default(),
    }
    .with_own_folder("tools", group, &settings.seed);
    build(named(config), group, &record, settings)
}

#[test]
fn the_smallest_list_on_kubernetes() {
    insta::assert_yaml_snapshot!(of_group(&accepted(SMALLEST), 0, &settings()));
}

#[test]
fn the_smallest_list_on_openshift() {
    let settings = Settings { platform: Platform::OpenShift, ..settings() };
    insta::assert_yaml_snapshot!(of_group(&accepted(SMALLEST), 0, &settings));
}

#[test]
fn a_list_that_uses_everything_on_kubernetes() {
    let settings =
        Settings { service_account_name: Some("kube-prepull-pods".to_owned()), owner: Some(owner()), ..settings() };
    let config = accepted(EVERYTHING);
    insta::assert_yaml_snapshot!("everything_on_kubernetes_default_group", of_group(&config, 0, &settings));
    insta::assert_yaml_snapshot!("everything_on_kubernetes_named_group", of_group(&config, 1, &settings));
}

#[test]
fn a_list_that_uses_everything_on_openshift() {
    let settings = Settings { platform: Platform::OpenShift, owner: Some(owner()), ..settings() };
    insta::assert_yaml_snapshot!("everything_on_openshift_named_group", of_group(&accepted(EVERYTHING), 1, &settings));
}

/// The template's label and annotation with this key.
fn on_pods(daemon_set: &DaemonSet, key: &str) -> (Option<String>, Option<String>) {
    let metadata = daemon_set.spec.as_ref().and_then(|spec| spec.template.metadata.clone()).unwrap_or_default();
    let of = |map: Option<std::collections::BTreeMap<String, String>>| map.unwrap_or_default().remove(key);
    (of(metadata.labels), of(metadata.annotations))
}

#[test]
fn a_user_who_wants_a_sidecar_gets_it_by_label_or_annotation() {
    let with =
        |group: &str| of_group(&accepted(&format!("groups: [{{name: a, images: [nginx], {group}}}]")), 0, &settings());
    let istio = "sidecar.istio.io/inject";
    let by_label = with(r#"podLabels: {sidecar.istio.io/inject: "true"}"#);
    assert_eq!(on_pods(&by_label, istio), (Some("true".to_owned()), None));
    let by_annotation = with(r#"podAnnotations: {sidecar.istio.io/inject: "true"}"#);
    assert_eq!(on_pods(&by_annotation, istio), (None, Some("true".to_owned())));
    let linkerd = with("podAnnotations: {linkerd.io/inject: enabled}");
    assert_eq!(on_pods(&linkerd, "linkerd.io/inject").1.as_deref(), Some("enabled"));
}

#[test]
fn the_same_arguments_always_give_the_same_object() {
    let config = accepted(EVERYTHING);
    assert_eq!(of_group(&config, 1, &settings()), of_group(&config, 1, &settings()));
}
