//! What is read of a workload.

use super::*;

fn decoded(kind: WorkloadKind, metadata: Value, spec: Value) -> Option<Workload> {
    let object = json!({"apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"replicas": 1}});
    let object: SlimWorkload = serde_json::from_value(object).expect("a workload");
    Workload::of(kind, &object)
}

#[test]
fn a_workload_names_the_images_of_its_containers_and_init_containers() {
    let pods = json!({
        "initContainers": [{"name": "i", "image": "init:1"}, {"name": "none"}],
        "containers": [{"name": "c", "image": "app:1", "env": []}, {"name": "blank", "image": " "}],
        "volumes": [{"name": "v", "image": {"reference": "volume:1"}}],
        "imagePullSecrets": [{"name": "s"}, {}, {"name": "Not a name"}],
    });
    let metadata = json!({"namespace": "shop", "name": "web", "labels": {"a": "b"}});
    for (_, kind) in WorkloadKind::ALL {
        let template = json!({"template": {"spec": pods}});
        let spec = if kind == WorkloadKind::CronJob { json!({"jobTemplate": {"spec": template}}) } else { template };
        let workload = decoded(kind, metadata.clone(), spec).expect("a workload");
        assert_eq!(workload.images, texts(&["app:1", "init:1"]), "{workload}");
        assert_eq!(workload.pull_secrets, texts(&["s"]));
        assert_eq!(workload.labels, [("a".to_owned(), "b".to_owned())].into());
        assert_eq!(workload.to_string(), format!("{} shop/web", kind.name()));
        assert_eq!(Workload::namespace_in(&workload.to_string()), Some("shop"));
    }
}

#[test]
fn a_workload_names_images_in_its_annotation() {
    let metadata =
        json!({"namespace": "shop", "name": "web", "annotations": {"kube-prepull.io/images": "a:1, b:1\n\tc:1,,"}});
    let workload = decoded(WorkloadKind::Deployment, metadata, json!({})).expect("a workload");
    assert_eq!(workload.images, texts(&["a:1", "b:1", "c:1"]));
}

#[test]
fn one_workload_names_a_limited_number_of_images_of_limited_length() {
    let many: Vec<String> = (0..1_000).map(|number| format!("a:{number}")).collect();
    let long = "l".repeat(Workload::MAX_REFERENCE);
    let containers = json!([{"image": "own:1"}, {"image": long}, {"image": format!("{long}l")}]);
    let metadata =
        json!({"namespace": "shop", "name": "web", "annotations": {"kube-prepull.io/images": many.join(" ")}});
    let spec = json!({"template": {"spec": {"containers": containers}}});
    let images = decoded(WorkloadKind::Deployment, metadata, spec).expect("a workload").images;
    assert_eq!(images.len(), Workload::MAX_IMAGES);
    assert!(images.contains("own:1") && images.contains(&long) && images.contains("a:0"));
}

#[test]
fn what_needs_no_discovery_is_no_workload() {
    let metadata = |more: Value| {
        let mut metadata = json!({"namespace": "shop", "name": "it"});
        metadata.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        metadata
    };
    let owner = |kind: &str, api: &str| {
        let owner = json!({"apiVersion": api, "kind": kind, "name": "o", "uid": "u"});
        json!({"ownerReferences": [owner]})
    };
    let job = |more: Value| decoded(WorkloadKind::Job, metadata(more), json!({}));
    assert_eq!(job(owner("CronJob", "batch/v1")), None);
    assert!(job(owner("CronJob", "example.com/v1")).is_some(), "a CronJob of others is not watched");
    assert!(job(owner("Workflow", "example.com/v1")).is_some());
    assert_eq!(job(json!({"labels": {"app.kubernetes.io/managed-by": "kube-prepull"}})), None);
    assert!(job(json!({"deletionTimestamp": "2026-03-01T12:00:00Z"})).is_some(), "it counts until it is gone");
}
