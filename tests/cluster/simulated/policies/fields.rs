//! Field by field: who may set what in the controller's DaemonSets.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use kube_prepull::naming::labels;
use serde_json::{Value, json};

use super::super::trial;
use super::installed::Policies;
use super::{BREAK_GLASS, admin_of_namespace, as_new, controllers_client, dry_run, holding, refusal, with};

const CONTAINER: &str = "/spec/template/spec/containers/0";
const INIT: &str = "/spec/template/spec/initContainers/0";

/// A field with another value, and the beginning of the refusal of the controller that sets it; nothing if it may.
fn cases() -> Vec<(String, Value, Option<&'static str>)> {
    let probe = json!({"exec": {"command": ["/bin/sh"]}});
    let secret = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
    let privileged = json!({"privileged": true});
    let host = json!([{"name": "holder", "emptyDir": {}}, {"name": "host", "hostPath": {"path": "/"}}]);
    let pod = |field: &str, value: Value, refused| (format!("/spec/template/spec/{field}"), value, refused);
    let container = |field: &str, value: Value, refused| (format!("{CONTAINER}/{field}"), value, refused);
    let security = |field: &str, value: Value| {
        let path = format!("{CONTAINER}/securityContext/{field}");
        (path, value, Some("spec.template.spec.containers.securityContext: "))
    };
    let hooks = Some("spec.template.spec.containers: holders have no probes");
    vec![
        ("/spec/minReadySeconds".to_owned(), json!(5), None),
        ("/spec/revisionHistoryLimit".to_owned(), json!(3), None),
        ("/spec/updateStrategy".to_owned(), json!({"type": "RollingUpdate"}), Some("spec.updateStrategy: ")),
        ("/spec/template/metadata/labels/team".to_owned(), json!("a"), None),
        ("/spec/template/metadata/annotations/team".to_owned(), json!("a"), None),
        pod("affinity", json!(null), None),
        pod("automountServiceAccountToken", json!(true), Some("spec.template.spec.automountServiceAccountToken: ")),
        pod("dnsPolicy", json!("Default"), None),
        pod("enableServiceLinks", json!(true), None),
        pod("hostIPC", json!(true), Some("spec.template.spec.hostIPC: ")),
        pod("hostNetwork", json!(true), Some("spec.template.spec.hostNetwork: ")),
        pod("hostPID", json!(true), Some("spec.template.spec.hostPID: ")),
        pod("shareProcessNamespace", json!(true), Some("spec.template.spec.shareProcessNamespace: ")),
        pod("imagePullSecrets", json!([{"name": "a"}]), None),
        pod("nodeSelector", json!({"a": "b"}), None),
        pod("priorityClassName", json!("system-node-critical"), None),
        pod("runtimeClassName", json!("a"), None),
        pod("schedulerName", json!("a"), None),
        pod("securityContext", json!({}), Some("spec.template.spec.securityContext: ")),
        pod("securityContext/runAsUser", json!(0), Some("spec.template.spec.securityContext: ")),
        pod("securityContext/seccompProfile/type", json!("Unconfined"), Some("spec.template.spec.securityContext: ")),
        pod("serviceAccountName", json!("limited"), Some("serviceAccountName: no list may use limited")),
        pod("serviceAccountName", json!("other"), None),
        pod("terminationGracePeriodSeconds", json!(30), None),
        pod("tolerations", json!([{"operator": "Exists"}]), None),
        pod("volumes", host, Some("spec.template.spec.volumes: ")),
        container("args", json!(["run"]), Some("spec.template.spec.containers.args: ")),
        container("command", json!(["/bin/sh"]), Some("spec.template.spec.containers.command: ")),
        container("command", json!(["/kube-prepull-of-the-image/it"]), Some("spec.template.spec.containers.command: ")),
        container("volumeMounts", json!([]), Some("spec.template.spec.containers.command: ")),
        container("env", secret, Some("spec.template.spec.containers.env: ")),
        container("envFrom", json!([{"configMapRef": {"name": "a"}}]), Some("spec.template.spec.containers.env: ")),
        container("image", json!("nginx:1.28"), None),
        container("imagePullPolicy", json!("IfNotPresent"), None),
        container("lifecycle", json!({"postStart": probe}), hooks),
        container("livenessProbe", probe.clone(), hooks),
        container("readinessProbe", probe.clone(), hooks),
        container("startupProbe", probe, hooks),
        container("ports", json!([{"containerPort": 80}]), Some("spec.template.spec.containers.ports: ")),
        container("resources", json!({"requests": {"cpu": "5"}}), None),
        container("securityContext", json!(null), Some("spec.template.spec.containers.securityContext: ")),
        container("securityContext", privileged, Some("spec.template.spec.containers.securityContext: ")),
        security("allowPrivilegeEscalation", json!(true)),
        security("capabilities", json!({"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
        security("capabilities", json!({"drop": ["NET_RAW"]})),
        security("readOnlyRootFilesystem", json!(false)),
        security("runAsUser", json!(0)),
        security("seccompProfile", json!({"type": "Unconfined"})),
        container("terminationMessagePolicy", json!("FallbackToLogsOnError"), None),
        container("workingDir", json!("/tmp"), None),
        (format!("{INIT}/command"), json!(["/bin/sh"]), Some("spec.template.spec.initContainers: ")),
        (format!("{INIT}/args"), json!(["-c", "true"]), Some("spec.template.spec.initContainers: ")),
        (format!("{INIT}/image"), json!("evil.test/kube-prepull:1"), Some("spec.template.spec.initContainers.image: ")),
        (
            format!("{INIT}/securityContext/capabilities"),
            json!({}),
            Some("spec.template.spec.containers.securityContext: "),
        ),
    ]
}

/// The part of the specification that nobody else may change, as it is called in the refusal.
fn part(pointer: &str) -> &'static str {
    match pointer {
        it if it.starts_with("/spec/template/spec") => "spec.template.spec: ",
        it if it.starts_with("/spec/template") => "spec.template.metadata: ",
        it if it.starts_with("/spec/updateStrategy") => "spec.updateStrategy: ",
        _ => "spec: ",
    }
}

#[tokio::test]
async fn each_field_of_a_daemon_set_is_the_controllers_alone_and_its_account_sets_only_what_holders_need() {
    let trial = trial("fields").await;
    let _policies = Policies::install(&trial, json!({"holderImages": ["docker.io/library/*"]})).await;
    let (_proxy, controller, held) = holding(&trial).await;
    controller.kill();
    let name = held.name_any();
    // With what the controller has noted on it since.
    let mut live: DaemonSet = trial.api().get(&name).await.unwrap();
    live.metadata.resource_version = None;
    live.metadata.managed_fields = None;
    let own: Api<DaemonSet> = Api::namespaced(controllers_client(&trial).await, &trial.namespace);
    let editor: Api<DaemonSet> = Api::namespaced(admin_of_namespace(&trial, &[]).await, &trial.namespace);
    let breaker: Api<DaemonSet> = Api::namespaced(admin_of_namespace(&trial, &[BREAK_GLASS]).await, &trial.namespace);
    own.create(&dry_run(), &as_new(&live)).await.unwrap();
    own.replace(&name, &dry_run(), &live).await.unwrap();
    editor.replace(&name, &dry_run(), &live).await.unwrap();
    for (pointer, value, refused) in cases() {
        let what = format!("{pointer}: {value}");
        let changed = with(&live, &pointer, value);
        let (policy, text) = refusal(editor.replace(&name, &dry_run(), &changed).await, &what);
        if policy == "kube-prepull-daemonsets" {
            assert!(text.starts_with(part(&pointer)), "{what}: {text}");
        } else {
            assert_eq!(policy, "kube-prepull-requests", "{what}: {text}");
        }
        breaker.replace(&name, &dry_run(), &changed).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        for (verb, answer) in [
            ("update", own.replace(&name, &dry_run(), &changed).await),
            ("create", own.create(&dry_run(), &as_new(&changed)).await),
        ] {
            match refused {
                None => drop(answer.unwrap_or_else(|error| panic!("{verb} {what}: {error}"))),
                Some(beginning) => {
                    let (policy, text) = refusal(answer, &what);
                    assert!(text.starts_with(beginning), "{verb} {what}: {text}");
                    assert!(["kube-prepull-holders", "kube-prepull-requests"].contains(&&*policy), "{what}: {policy}");
                }
            }
        }
    }
}

#[tokio::test]
async fn of_the_metadata_others_change_what_is_theirs_and_only_the_controller_creates_and_deletes() {
    let trial = trial("fields-metadata").await;
    let _policies = Policies::install(&trial, json!({})).await;
    let (_proxy, controller, live) = holding(&trial).await;
    controller.kill();
    let name = live.name_any();
    let client = admin_of_namespace(&trial, &[]).await;
    let editor: Api<DaemonSet> = Api::namespaced(client.clone(), &trial.namespace);
    let patched = async |metadata: Value| {
        let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
        editor.patch(&name, &parameters, &Patch::Merge(json!({"metadata": metadata}))).await
    };
    for theirs in
        [json!({"labels": {"app.kubernetes.io/instance": "argocd"}}), json!({"annotations": {"example.com/note": "a"}})]
    {
        patched(theirs).await.unwrap();
    }
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"});
    for (metadata, field) in [
        (json!({"labels": {labels::MANAGED_BY: null}}), "metadata.labels: "),
        (json!({"labels": {labels::LIST: "other"}}), "metadata.labels: "),
        (json!({"labels": {"kube-prepull.io/new": "a"}}), "metadata.labels: "),
        (json!({"annotations": {labels::IMAGES: "a=b"}}), "metadata.annotations: "),
        (json!({"annotations": {labels::TAG_CHECKS: "{}"}}), "metadata.annotations: "),
        (json!({"annotations": {labels::REVISION: null}}), "metadata.annotations: "),
        (json!({"ownerReferences": [owner]}), "metadata.ownerReferences: "),
        (json!({"finalizers": ["example.com/stay"]}), "metadata.finalizers: "),
    ] {
        let (policy, text) = refusal(patched(metadata.clone()).await, &metadata.to_string());
        assert!(policy == "kube-prepull-daemonsets" && text.starts_with(field), "{metadata}: {text}");
    }
    let (_, text) = refusal(editor.create(&dry_run(), &as_new(&live)).await, "creating");
    assert!(text.starts_with("metadata.labels: only kube-prepull creates"), "{text}");
    let mut unlabelled = as_new(&live);
    unlabelled.labels_mut().clear();
    editor.create(&dry_run(), &unlabelled).await.unwrap();
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    let (_, text) = refusal(editor.delete(&name, &dry).await, "deleting");
    assert!(text.starts_with("only kube-prepull deletes"), "{text}");

    let versions: Api<ControllerRevision> = Api::namespaced(client, &trial.namespace);
    let version = trial.revisions().await.remove(0);
    let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = async |patch: Value| versions.patch(&version.name_any(), &parameters, &Patch::Merge(patch)).await;
    let mut injected = version.clone();
    injected.metadata.name = Some("injected".to_owned());
    injected.metadata.uid = None;
    injected.metadata.resource_version = None;
    injected.revision = 1_000;
    let missing = json!({"metadata": {"annotations": {labels::MISSING_SINCE: "2020-01-01T00:00:00Z"}}});
    for (answer, what) in [
        (versions.create(&PostParams::default(), &injected).await, "injecting a version"),
        (patch(json!({"revision": 1_000})).await, "another revision"),
        (patch(missing).await, "a note"),
        (patch(json!({"metadata": {"labels": {labels::LIST: null}}})).await, "no label"),
    ] {
        assert_eq!(refusal(answer, what).0, "kube-prepull-versions", "{what}");
    }
    assert_eq!(refusal(versions.delete(&version.name_any(), &dry).await, "deleting").0, "kube-prepull-versions");
}
