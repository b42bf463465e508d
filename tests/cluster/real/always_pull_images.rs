//! Admission that makes every pod ask the registry each time, as the plugin AlwaysPullImages does: nothing can be held from a disk
//! in an outage, but nothing is made worse either.
//!
//! They take minutes, so `make test-faults` runs them.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;
use test_bed::real::{Fault, Watch};

use super::RealTrial;
use super::faults::{HEALING, Outage};
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::trial::{eventually, within};

/// Waits until kubelets have tried some times to pull, and the controller has done all that it would do about that.
async fn tried_again(outage: &Outage) {
    within(HEALING, "kubelets to have tried four times", async || {
        let events = outage.real.trial.events("BackOff").await;
        let tries = |event: &Event| {
            let series = event.series.as_ref().map(|series| series.count);
            series.or(event.deprecated_count).unwrap_or(1)
        };
        (events.iter().map(tries).sum::<i32>() >= 4).then_some(())
    })
    .await;
    outage.controller.has_reconciled(&outage.real.trial, "tools").await;
}

/// The plugin's mutation of pods (`plugin/pkg/admission/alwayspullimages`) as a policy, for the namespace of one test. It goes
/// with the test.
struct AlwaysPullImages<'a>(&'a RealTrial);

impl<'a> AlwaysPullImages<'a> {
    async fn begin(real: &'a RealTrial) -> Self {
        let all = |field: &str| {
            format!(
                r#"{field}: object.spec.{field}.map(it, Object.spec.{field}{{name: it.name, imagePullPolicy: "Always"}})"#
            )
        };
        let expression = format!("Object{{spec: Object.spec{{{}, {}}}}}", all("containers"), all("initContainers"));
        let name = &real.trial.namespace;
        let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods"]}]);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "resourceRules": rules},
                "failurePolicy": "Fail", "reinvocationPolicy": "IfNeeded",
                "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": {"policyName": name},
        });
        let policy = Self(real).apply(&[policy, binding]);
        eventually("the policy to be in effect", async || policy.is_enforced().await.then_some(())).await;
        policy
    }

    fn apply(self, objects: &[serde_json::Value]) -> Self {
        objects.iter().for_each(|object| drop(self.0.bed.apply(&object.to_string()).unwrap()));
        self
    }

    async fn is_enforced(&self) -> bool {
        let container = json!({"name": "it", "image": "it:1", "imagePullPolicy": "IfNotPresent", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
        let security = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
        let pod = json!({"metadata": {"name": "trying"}, "spec": {
            "securityContext": security, "containers": [container], "initContainers": [{"name": "init", "image": "it:1",
            "securityContext": container["securityContext"]}]}});
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let Ok(made) = self.0.trial.api::<Pod>().create(&dry_run, &serde_json::from_value(pod).unwrap()).await else {
            return false;
        };
        let spec = made.spec.unwrap();
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.into_iter().all(|it| it.image_pull_policy.as_deref() == Some("Always"))
    }
}

impl Drop for AlwaysPullImages<'_> {
    fn drop(&mut self) {
        for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
            let _ = self.0.bed.kubectl(["delete", kind, &self.0.trial.namespace, "--wait=false"]);
        }
    }
}

/// The pods that were created in the namespace since the audit log had `from` bytes.
fn created_since(log: &AuditLog, from: usize, namespace: &str) -> usize {
    log.since(from, namespace, |request| request.is_in(namespace) && request.creates_pod()).len()
}

/// Deletes the only pod of a generation on the first node.
async fn delete_pod_of(outage: &Outage, generation: &impl ResourceExt) {
    let of = format!("kube-prepull.io/generation={}", generation.labels()["kube-prepull.io/generation"]);
    let on_node = ListParams::default().labels(&of).fields("spec.nodeName=node1");
    let pods = outage.real.trial.api::<Pod>();
    let [pod] = &pods.list(&on_node).await.unwrap().items[..] else { panic!("one pod") };
    pods.delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_pod_that_is_deleted_in_an_outage_is_replaced_once_and_holds_all_when_the_registry_is_back() {
    let outage = Outage::begin("always").await;
    let _admission = AlwaysPullImages::begin(&outage.real).await;
    let (one, two) = (outage.push("one:1", "one"), outage.push("two:1", "two"));
    outage.list(&["one:1", "two:1"], "").await;
    outage.await_held(&[&one, &two]).await;
    outage.real.trial.noted_as_reported("complete").await;
    let reported = outage.real.trial.reported("AlwaysPullEnforced").await;
    assert!(reported.contains("AlwaysPullImages"), "{reported}");
    let other = vec![outage.real.nodes[1].clone()];
    let watch = Watch::begin(other, &outage.real.trial.namespace, &[&[one.as_str()], &[two.as_str()]]);
    outage.faulty.set(Fault::Closed);
    let log = AuditLog::of(outage.real.bed.audit_log());
    let from = log.length();
    let [generation] = &outage.generations().await[..] else { panic!("one generation") };
    delete_pod_of(&outage, generation).await;
    outage.failing_on("1", "node1").await;
    tried_again(&outage).await;
    assert_eq!(created_since(&log, from, &outage.real.trial.namespace), 1);
    assert!(outage.real.trial.events("Sealed").await.is_empty());
    assert_eq!(
        outage.generations().await[0].metadata.generation,
        generation.metadata.generation,
        "its spec is as it was"
    );
    outage.faulty.set(Fault::None);
    outage.await_held(&[&one, &two]).await;
    watch.assert_no_gap();
}

/// Here the registry of our own image is away too, so what is created in the outage does not even begin.
#[tokio::test]
#[ignore = "make test-faults"]
async fn a_retiring_generation_is_kept_though_its_pod_cannot_even_begin() {
    let real = RealTrial::begin("always-retiring").await;
    let faulty = real.bed.faulty_registry(&format!("{}.test", real.trial.namespace)).unwrap();
    let holder = real.reference_at(faulty.name(), "kube-prepull:1");
    let controller = Controller::start_with(&real.trial, &["--holder-image", &holder]).await;
    let outage = Outage { real, faulty, controller };
    let _admission = AlwaysPullImages::begin(&outage.real).await;
    let one = outage.hold("one:1", "one").await;
    outage.real.trial.noted_as_reported("complete").await;
    let other = vec![outage.real.nodes[1].clone()];
    let watch = Watch::begin(other, &outage.real.trial.namespace, &[&[one.as_str()]]);
    let log = AuditLog::of(outage.real.bed.audit_log());
    let from = log.length();
    outage.faulty.set(Fault::Closed);
    let oldest = outage.generations().await.remove(0);
    outage.refresh("two").await;
    eventually("the second generation's pods", async || (outage.real.trial.pods().await.len() == 4).then_some(()))
        .await;
    delete_pod_of(&outage, &oldest).await;
    tried_again(&outage).await;
    assert_eq!(
        created_since(&log, from, &outage.real.trial.namespace),
        3,
        "two of the second generation, and one replaced"
    );
    assert!(outage.real.trial.events("Sealed").await.is_empty());
    let uids: Vec<_> = outage.generations().await.into_iter().map(|it| it.uid()).collect();
    assert!(uids.len() == 2 && uids.contains(&oldest.uid()), "{uids:?}");
    outage.faulty.set(Fault::None);
    outage.settled("2").await;
    outage.await_held(&[&one]).await;
    watch.assert_no_gap();
}
