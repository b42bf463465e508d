//! Builds a generation's DaemonSet.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector,
    Pod, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, SecurityContext,
    Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::ObjectMeta;

use super::affinity::on_real_linux_nodes;
use super::context::{AcceptedList, Platform, Settings};
use super::generation::{
    FIRST_FORMAT_WITH_OWN_FOLDER, Generation, Record, content_hash, images_to_text, placement_hash, taints_to_text,
};
use crate::list::Config;
use crate::list::config::{Group, Image, Resources, TaintKey};
use crate::list::names::ObjectName;
use crate::naming::{INIT_CONTAINER, labels};

/// Path of the holder in kube-prepull's own image.
const HOLDER_IN_IMAGE: &str = "/holder";
/// The volume that the holder is installed into.
const VOLUME: &str = "holder";
/// Templates of earlier formats leave devices to the image. They are not changed: that would be a rollout.
const FIRST_FORMAT_WITHOUT_DEVICES: u32 = 3;
/// Templates of earlier formats leave what the init container logged to the node.
const FIRST_FORMAT_WITH_LOGS: u32 = 3;
/// Templates of earlier formats leave the working directory to the image, which can name one that does not exist, that the user
/// may not enter, or that leads out of the container (CVE-2024-21626).
const FIRST_FORMAT_WITH_WORKING_DIRECTORY: u32 = 4;
/// A resource's name in requests and limits.
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
/// The user of every container: "nonroot" in distroless images. Any user but 0 works.
const USER: i64 = 65532;

/// The name of a generation's DaemonSet.
pub fn name(list: AcceptedList, group: &Group, record: &Record) -> String {
    format!("{}-{}", name_prefix(list.config, group), record.hash(list.label, group.name.as_str(), group.shard))
}

/// Whether a generation was built from this group of this version of the list.
pub fn was_built_from(list: AcceptedList, group: &Group, generation: &Generation, record: &Record) -> bool {
    record.content == content_hash(group) && name(list, group, record) == generation.name
}

/// The prefix of the names of a group's DaemonSets.
pub fn name_prefix(config: &Config, group: &Group) -> String {
    match group.name.is_default() {
        true => config.name.to_string(),
        false => ObjectName::shortened(&format!("{}-{}", config.name, group.name)).to_string(),
    }
}

/// Builds a generation's DaemonSet. The same arguments always return the same object.
pub fn build(list: AcceptedList, group: &Group, record: &Record, settings: &Settings) -> DaemonSet {
    let selector = selector(list, group, record);
    DaemonSet {
        metadata: ObjectMeta {
            name: Some(name(list, group, record)),
            namespace: Some(list.namespace.to_owned()),
            labels: Some(object_labels(selector.clone())),
            annotations: Some(annotations(list.config, group, record, settings.platform)),
            owner_references: settings.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(spec(selector.clone(), template(selector, group, record, settings))),
        status: None,
    }
}

/// A DaemonSet that never replaces pods when its template changes.
pub(super) fn spec(selector: BTreeMap<String, String>, template: PodTemplateSpec) -> DaemonSetSpec {
    DaemonSetSpec {
        selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
        template,
        update_strategy: Some(DaemonSetUpdateStrategy { type_: Some("OnDelete".to_owned()), rolling_update: None }),
        ..DaemonSetSpec::default()
    }
}

/// The labels of a DaemonSet with this selector.
pub(super) fn object_labels(mut selector: BTreeMap<String, String>) -> BTreeMap<String, String> {
    selector.extend(string_map([(labels::NAME, labels::PROGRAM), (labels::MANAGED_BY, labels::PROGRAM)]));
    selector
}

/// A pod as the DaemonSet controller creates it for a generation, without node and owner.
pub fn pod(list: AcceptedList, group: &Group, record: &Record, settings: &Settings) -> Pod {
    let template = template(selector(list, group, record), group, record, settings);
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", name(list, group, record))),
            namespace: Some(list.namespace.to_owned()),
            ..template.metadata.unwrap_or_default()
        },
        spec: template.spec,
        status: None,
    }
}

fn selector(list: AcceptedList, group: &Group, record: &Record) -> BTreeMap<String, String> {
    string_map([
        (labels::LIST, list.label),
        (labels::GROUP, group.name.as_str()),
        (labels::SHARD, &group.shard.to_string()),
        (labels::GENERATION, &record.hash(list.label, group.name.as_str(), group.shard)),
    ])
}

/// The user's annotations never override kube-prepull's own, which have to describe the generation correctly.
fn annotations(config: &Config, group: &Group, record: &Record, platform: Platform) -> BTreeMap<String, String> {
    let mut annotations = config.daemon_set_annotations.clone();
    let images = group.images.iter().map(|image| (image.name.as_str(), image.reference.as_str()));
    annotations.extend(string_map([
        (labels::REVISION, &*record.revision.to_string()),
        (labels::IMAGES, &images_to_text(images)),
        (labels::CONTENT, &record.content),
        (labels::PLACEMENT, &placement_hash(&group.placement)),
        (labels::EPOCH, &record.epoch.to_string()),
        (labels::SPREAD, &record.spread_seconds.to_string()),
        (labels::HOLDER_IMAGE, &record.holder_image),
        (labels::FORMAT, &record.format.to_string()),
        (labels::PULLED_ALWAYS, &record.pulled_always.to_text()),
    ]));
    if record.format >= FIRST_FORMAT_WITH_OWN_FOLDER {
        annotations.insert(labels::HOLDER_FOLDER.to_owned(), record.folder.path().to_owned());
    }
    if group.parallel_pulls != Group::DEFAULT_PARALLEL_PULLS {
        annotations.insert(labels::PARALLEL_PULLS.to_owned(), group.parallel_pulls.to_string());
    }
    if !record.gate_taints.is_empty() {
        annotations.insert(labels::GATE_TAINTS.to_owned(), taints_to_text(&record.gate_taints));
    }
    if let Some(request) = &record.refresh_request {
        annotations.insert(labels::REFRESH_REQUESTED.to_owned(), request.clone());
    }
    if platform == Platform::OpenShift {
        annotations.insert(labels::PLATFORM.to_owned(), labels::OPENSHIFT.to_owned());
    }
    annotations
}

/// The labels that the pods of all generations of a group have.
pub(super) fn lasting_pod_labels(list: &str, group: &Group) -> BTreeMap<String, String> {
    let (mut pod_labels, _) = without_sidecars(group);
    pod_labels.extend(group.pod_labels.clone());
    pod_labels.extend(string_map([
        (labels::LIST, list),
        (labels::GROUP, group.name.as_str()),
        (labels::SHARD, &group.shard.to_string()),
        (labels::NAME, labels::PROGRAM),
        (labels::MANAGED_BY, labels::PROGRAM),
    ]));
    pod_labels
}

/// The template of pods with these labels. No other DaemonSet of the list may select them.
pub(super) fn template(
    selector: BTreeMap<String, String>,
    group: &Group,
    record: &Record,
    settings: &Settings,
) -> PodTemplateSpec {
    let (mut pod_labels, mut annotations) = without_sidecars(group);
    pod_labels.extend(group.pod_labels.clone());
    pod_labels.extend(selector);
    pod_labels.extend(string_map([(labels::NAME, labels::PROGRAM), (labels::MANAGED_BY, labels::PROGRAM)]));
    annotations.extend(group.pod_annotations.clone());
    annotations.insert(labels::PULL_POLICIES.to_owned(), record.pulled_always.hash());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod_spec(group, record, settings)),
    }
}

/// Labels and annotations that prevent sidecars. Sidecars would cost memory on every node, and some do not start beside
/// containers that use no network. Istio reads a label and an annotation of the same name; if the user sets one of
/// them, kube-prepull must not contradict it with the other.
fn without_sidecars(group: &Group) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    const ISTIO: &str = "sidecar.istio.io/inject";
    let mut pod_labels = BTreeMap::new();
    let mut annotations = string_map([("linkerd.io/inject", "disabled")]);
    if !group.pod_labels.contains_key(ISTIO) && !group.pod_annotations.contains_key(ISTIO) {
        pod_labels.extend(string_map([(ISTIO, "false")]));
        annotations.extend(string_map([(ISTIO, "false")]));
    }
    (pod_labels, annotations)
}

fn pod_spec(group: &Group, record: &Record, settings: &Settings) -> PodSpec {
    // Without `..`: whoever adds a field to groups decides here what it does to pods. Labels and annotations are in `template`.
    let Group {
        name: _,
        images,
        placement,
        image_pull_secrets,
        service_account_name,
        resources,
        priority_class_name,
        runtime_class_name,
        host_users,
        pod_labels: _,
        pod_annotations: _,
        images_per_pod: _,
        parallel_pulls: _,
        discover: _,
        shard: _,
    } = group;
    let secrets = image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.to_string() });
    let own_account = service_account_name.as_ref().map(ToString::to_string);
    let resources = resource_requirements(resources);
    PodSpec {
        affinity: Some(on_real_linux_nodes(placement)),
        automount_service_account_token: Some(false),
        containers: images.iter().map(|image| holder_container(image, record, &resources)).collect(),
        enable_service_links: Some(false),
        host_users: (!host_users).then_some(false),
        image_pull_secrets: some_unless_empty(secrets.collect()),
        init_containers: Some(vec![init_container(record, &resources)]),
        node_selector: Some(placement.node_selector.clone()).filter(|selector| !selector.is_empty()),
        priority_class_name: priority_class_name.as_ref().map(ToString::to_string),
        // Its overhead, node selector and tolerations are added to pods by admission, not to the template.
        runtime_class_name: runtime_class_name.as_ref().map(ToString::to_string),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: (settings.platform == Platform::Kubernetes).then_some(USER),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        service_account_name: own_account.or_else(|| settings.service_account_name.clone()),
        // A holder has nothing to clean up.
        termination_grace_period_seconds: Some(1),
        tolerations: some_unless_empty(tolerating(placement.tolerations.clone(), &record.gate_taints)),
        volumes: Some(vec![Volume {
            name: VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity("1Mi".to_owned())), medium: None }),
            ..Volume::default()
        }]),
        ..PodSpec::default()
    }
}

/// The same tolerations and those of gates. What the list says of a gate now may differ: nothing takes a toleration from a generation.
pub(super) fn tolerating(mut tolerations: Vec<Toleration>, gate_taints: &BTreeSet<TaintKey>) -> Vec<Toleration> {
    let mut missing: Vec<Toleration> = gate_taints.iter().map(TaintKey::toleration).collect();
    missing.retain(|toleration| !tolerations.contains(toleration));
    tolerations.extend(missing);
    tolerations
}

/// Installs the holder, then waits for the node's start delay. The kubelet pulls the images of a pod's containers only
/// after its init containers have finished.
fn init_container(record: &Record, resources: &ResourceRequirements) -> Container {
    let arguments = [
        "install".to_owned(),
        holder::arguments::VERSION.to_owned(),
        record.folder.holder(),
        record.epoch.as_second().to_string(),
        record.spread_seconds.to_string(),
        "$(NODE_NAME)".to_owned(),
    ];
    let node_name = EnvVar {
        name: "NODE_NAME".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: "spec.nodeName".to_owned(),
            }),
            ..EnvVarSource::default()
        }),
        value: None,
    };
    Container {
        name: INIT_CONTAINER.to_owned(),
        image: Some(record.holder_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec![HOLDER_IN_IMAGE.to_owned()]),
        args: Some(arguments.to_vec()),
        env: Some([node_name].into_iter().chain(no_devices(record)).collect()),
        resources: Some(resources.clone()),
        security_context: Some(restricted()),
        // Without this, the pod's status only has an exit code.
        termination_message_policy: (record.format >= FIRST_FORMAT_WITH_LOGS)
            .then(|| "FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![mount(record, false)]),
        ..Container::default()
    }
}

fn holder_container(image: &Image, record: &Record, resources: &ResourceRequirements) -> Container {
    let policy = if record.pulled_always.contains(image.name.as_str()) { "Always" } else { "IfNotPresent" };
    Container {
        name: image.name.to_string(),
        image: Some(image.reference.to_string()),
        image_pull_policy: Some(policy.to_owned()),
        command: Some(vec![record.folder.holder()]),
        args: Some(vec!["hold".to_owned(), holder::arguments::VERSION.to_owned()]),
        env: some_unless_empty(no_devices(record).into_iter().collect()),
        resources: Some(resources.clone()),
        security_context: Some(restricted()),
        volume_mounts: Some(vec![mount(record, true)]),
        working_dir: (record.format >= FIRST_FORMAT_WITH_WORKING_DIRECTORY).then(|| "/".to_owned()),
        ..Container::default()
    }
}

/// Keeps the NVIDIA container runtime from injecting devices and drivers into a holder. Images of CUDA set this variable to `all`:
/// their holders would get all GPUs of the node, and would not start where the driver is older than the image requires. `void` is
/// the value for none at all (`github.com/NVIDIA/nvidia-container-toolkit`, `internal/config/image`).
fn no_devices(record: &Record) -> Option<EnvVar> {
    let variable =
        EnvVar { name: "NVIDIA_VISIBLE_DEVICES".to_owned(), value: Some("void".to_owned()), value_from: None };
    (record.format >= FIRST_FORMAT_WITHOUT_DEVICES).then_some(variable)
}

fn mount(record: &Record, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: record.folder.path().to_owned(),
        read_only: Some(read_only).filter(|it| *it),
        ..VolumeMount::default()
    }
}

/// The requirements of the Pod Security level "restricted" for every container, plus a read-only root file system.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

fn resource_requirements(resources: &Resources) -> ResourceRequirements {
    // Without `..`, as in `pod_spec`.
    let Resources {
        cpu_request,
        memory_request,
        cpu_limit,
        memory_limit,
        ephemeral_storage_request,
        ephemeral_storage_limit,
    } = resources;
    let map = |named: [(&str, Option<&Quantity>); 3]| -> BTreeMap<String, Quantity> {
        named.into_iter().filter_map(|(name, quantity)| Some((name.to_owned(), quantity?.clone()))).collect()
    };
    let requests = map([
        ("cpu", Some(cpu_request)),
        ("memory", Some(memory_request)),
        (EPHEMERAL_STORAGE, ephemeral_storage_request.as_ref()),
    ]);
    let limits = map([
        ("cpu", cpu_limit.as_ref()),
        ("memory", memory_limit.as_ref()),
        (EPHEMERAL_STORAGE, ephemeral_storage_limit.as_ref()),
    ]);
    ResourceRequirements {
        requests: Some(requests),
        limits: Some(limits).filter(|limits| !limits.is_empty()),
        claims: None,
    }
}

fn some_unless_empty<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// A map with owned keys and values.
pub(super) fn string_map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
