//! The policies in the namespace of a trial only.

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::dry_run;
use crate::trial::{Trial, clean_up, eventually};

/// All policies, with names of the trial's own. They go with the value.
pub struct Policies {
    kubeconfig: std::path::PathBuf,
    client: Client,
    namespace: String,
    policies: Vec<ValidatingAdmissionPolicy>,
}

/// The objects of the files.
fn objects() -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    let kustomization: Value =
        serde_yaml::from_str(&std::fs::read_to_string(folder.join("kustomization.yaml")).unwrap()).unwrap();
    let files = kustomization["resources"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let texts = files.map(|file| std::fs::read_to_string(folder.join(file)).unwrap());
    texts.flat_map(|text| serde_yaml::from_multiple::<Value>(&text).unwrap()).collect()
}

impl Policies {
    /// Installs them for the trial's controller, with these variables, and waits until they are enforced.
    pub async fn install(trial: &Trial, variables: Value) -> Self {
        let (mut policies, mut bindings) = (Vec::new(), Vec::new());
        for mut object in objects() {
            let name = format!("{}.{}", object["metadata"]["name"].as_str().unwrap(), trial.namespace);
            object["metadata"]["name"] = json!(name);
            if object["kind"] == "ValidatingAdmissionPolicyBinding" {
                let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": trial.namespace}});
                object["spec"]["policyName"] = json!(name);
                object["spec"]["matchResources"] = json!({"namespaceSelector": namespace});
                bindings.push(serde_json::from_value::<ValidatingAdmissionPolicyBinding>(object).unwrap());
            } else {
                assign(&mut object, &json!({"controllers": ["limited"]}));
                assign(&mut object, &variables);
                policies.push(serde_json::from_value::<ValidatingAdmissionPolicy>(object).unwrap());
            }
        }
        let installed = Self {
            kubeconfig: trial.kubeconfig.clone(),
            client: trial.client.clone(),
            namespace: trial.namespace.clone(),
            policies,
        };
        let api = installed.api();
        for policy in &installed.policies {
            api.create(&PostParams::default(), policy).await.unwrap();
        }
        let api = Api::<ValidatingAdmissionPolicyBinding>::all(trial.client.clone());
        // Those of lists come last: what shows that they are enforced shows it for all.
        bindings.sort_by_key(|binding| binding.metadata.name.as_deref().unwrap().starts_with("kube-prepull-lists"));
        for binding in &bindings {
            api.create(&PostParams::default(), binding).await.unwrap();
        }
        installed.are_well_typed().await;
        installed.are_enforced(trial).await;
        installed
    }

    /// Sets a variable of a policy, and waits until that counts: nobody may write lists for a moment.
    pub async fn set(&self, trial: &Trial, policy: &str, variable: &str, value: Value) {
        let lists = format!("kube-prepull-lists.{}", self.namespace);
        self.assign(policy, variable, value).await;
        self.assign("kube-prepull-lists", "listEditorGroups", json!(["nobody"])).await;
        let api: Api<ConfigMap> = trial.api();
        let list = list(json!({"data": {}}));
        let refused = async || api.create(&dry_run(), &list).await.err().map(drop);
        eventually(&format!("{lists} to have changed"), refused).await;
        self.assign("kube-prepull-lists", "listEditorGroups", json!(["system:authenticated"])).await;
        eventually("it to be as before", async || api.create(&dry_run(), &list).await.ok().map(drop)).await;
    }

    async fn assign(&self, policy: &str, variable: &str, value: Value) {
        let name = format!("{policy}.{}", self.namespace);
        let mut live = serde_json::to_value(self.api().get(&name).await.unwrap()).unwrap();
        assign(&mut live, &json!({variable: value}));
        let patch = Patch::Merge(json!({"spec": {"variables": live["spec"]["variables"]}}));
        self.api().patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }

    fn api(&self) -> Api<ValidatingAdmissionPolicy> {
        Api::all(self.client.clone())
    }

    /// The API server checks every expression against the types of the objects, and says in the status what is wrong with them.
    async fn are_well_typed(&self) {
        for policy in &self.policies {
            let name = policy.metadata.name.as_deref().unwrap();
            let checked = eventually(&format!("the types of {name} to be checked"), async || {
                let status = self.api().get(name).await.unwrap().status?;
                status.observed_generation.and(status.type_checking)
            })
            .await;
            let warnings = checked.expression_warnings.unwrap_or_default();
            assert!(warnings.is_empty(), "{name}: {warnings:#?}");
        }
    }

    async fn are_enforced(&self, trial: &Trial) {
        let binary = list(json!({"binaryData": {"a": "YQ=="}}));
        let api: Api<ConfigMap> = trial.api();
        eventually("the policies to be enforced", async || api.create(&dry_run(), &binary).await.err().map(drop)).await;
    }
}

/// An image list of that content.
pub fn list(mut content: Value) -> ConfigMap {
    content["metadata"] = json!({"name": "trying", "labels": {kube_prepull::list::IMAGE_LIST_LABEL: "true"}});
    serde_json::from_value(content).unwrap()
}

/// Sets those of a policy's variables that are named. JSON is CEL.
fn assign(policy: &mut Value, variables: &Value) {
    for variable in policy["spec"]["variables"].as_array_mut().unwrap() {
        let name = variable["name"].as_str().unwrap().to_owned();
        if let Some(value) = variables.get(&name) {
            variable["expression"] = json!(value.to_string());
        }
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        let names: Vec<_> = self.policies.iter().filter_map(|policy| policy.metadata.name.clone()).collect();
        clean_up(&self.kubeconfig, async move |client| {
            let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone());
            let policies = Api::<ValidatingAdmissionPolicy>::all(client);
            for name in names {
                drop(bindings.delete(&name, &DeleteParams::default()).await);
                drop(policies.delete(&name, &DeleteParams::default()).await);
            }
        });
    }
}
