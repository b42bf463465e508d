//! Admission that changes DaemonSets on their way into the cluster.

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::trial::{Trial, clean_up, eventually};

/// A policy that changes every DaemonSet of a trial's namespace which is created or updated. It goes with this value.
pub struct Mutation {
    kubeconfig: std::path::PathBuf,
    name: String,
}

impl Mutation {
    /// Changes them by that expression of a JSON patch, from when it has changed one that was only tried; `has_changed` says so.
    pub async fn begin(trial: &Trial, expression: &str, has_changed: impl Fn(&Value) -> bool) -> Self {
        let name = format!("mutate.{}", trial.namespace);
        let mutation = Self { kubeconfig: trial.kubeconfig.clone(), name: name.clone() };
        let of_namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": trial.namespace}});
        let policy = json!({"metadata": {"name": name}, "spec": {
            "matchConstraints": {"namespaceSelector": of_namespace, "resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["daemonsets"]}]},
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        }});
        let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name}});
        for (kind, object) in [("MutatingAdmissionPolicy", policy), ("MutatingAdmissionPolicyBinding", binding)] {
            let object: DynamicObject = serde_json::from_value(object).unwrap();
            api(trial.client.clone(), kind).create(&PostParams::default(), &object).await.unwrap();
        }
        eventually("the policy to be enforced", async || {
            let trying = trial.try_daemon_set("nginx:1.27").await.unwrap();
            has_changed(&serde_json::to_value(&trying.spec).unwrap()).then_some(())
        })
        .await;
        mutation
    }
}

impl Drop for Mutation {
    fn drop(&mut self) {
        let name = self.name.clone();
        clean_up(&self.kubeconfig, async move |client| {
            for kind in ["MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"] {
                drop(api(client.clone(), kind).delete(&name, &DeleteParams::default()).await);
            }
        });
    }
}

/// Kinds that the pinned API does not know yet.
fn api(client: kube::Client, kind: &str) -> Api<DynamicObject> {
    let plural = match kind {
        "MutatingAdmissionPolicy" => "mutatingadmissionpolicies",
        _ => "mutatingadmissionpolicybindings",
    };
    let resource = ApiResource {
        group: "admissionregistration.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "admissionregistration.k8s.io/v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::all_with(client, &resource)
}
