//! What the ConfigMap of a list says of its images, and what tools that know nothing of kube-prepull make of it.

use std::fs;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, clean_up, eventually};

const VERSION: &str = "kube-prepull.io/version";

/// A list of that data, which is called that version.
async fn write(trial: &Trial, images_yaml: &str, version: &str) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "tools", "labels": {kube_prepull::list::IMAGE_LIST_LABEL: "true"}, "annotations": {VERSION: version},
        },
        "data": {"images.yaml": images_yaml},
    });
    let parameters = PatchParams::apply("user").force();
    trial.api::<ConfigMap>().patch("tools", &parameters, &Patch::Apply(object)).await.unwrap();
}

/// Waits until the list has that label, and has those words in its annotation.
async fn says(trial: &Trial, is_warm: &str, words: &str) -> ConfigMap {
    eventually(&format!("the list to say {is_warm}: {words}"), async || {
        let list = trial.list("tools").await;
        let label = list.labels().get("kube-prepull.io/warm").is_some_and(|label| label == is_warm);
        let said = list.annotations().get("kube-prepull.io/warm").is_some_and(|said| said.contains(words));
        (label && said).then_some(list)
    })
    .await
}

fn kubectl_wait(trial: &Trial, version: &str, timeout: &str) -> Command {
    let programs = test_bed::Simulated::running().unwrap().programs().unwrap().to_owned();
    let mut command = Command::new(programs.join("kubectl"));
    command.arg("--kubeconfig").arg(&trial.kubeconfig).args([
        "--namespace",
        &trial.namespace,
        "wait",
        "configmap/tools",
    ]);
    let condition = format!(r"--for=jsonpath={{.metadata.annotations.kube-prepull\.io/warm-version}}={version}");
    command.arg(condition).arg(format!("--timeout={timeout}")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ended(child: std::process::Child) -> Output {
    tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn kubectl_waits_until_the_version_that_was_just_written_is_warm() {
    let trial = trial("warmwait").await;
    let _controller = Controller::start(&trial).await;
    write(&trial, "images: [nginx:1.27]", "v1").await;
    let waited = ended(kubectl_wait(&trial, "v1", "120s").spawn().unwrap()).await;
    assert!(waited.status.success(), "{waited:?}");
    let list = says(&trial, "true", "1/1 images on ").await;
    assert_eq!(list.annotations()["kube-prepull.io/warm-data-hash"], list.annotations()["kube-prepull.io/data-hash"]);

    write(&trial, "images: [nginx:1.27, redis:7]", "v2").await;
    let waiting = kubectl_wait(&trial, "v2", "120s").spawn().unwrap();
    let waited = ended(waiting).await;
    assert!(waited.status.success(), "{waited:?}");
    assert_eq!(trial.status()["warm"], true);
    says(&trial, "true", "2/2 images on ").await;
    let earlier = ended(kubectl_wait(&trial, "v1", "1s").spawn().unwrap()).await;
    assert!(!earlier.status.success(), "{earlier:?}");
}

#[tokio::test]
async fn a_result_of_a_list_that_is_rejected_or_empty_says_so_and_nothing_else_of_the_list_changes() {
    let trial = trial("warmother").await;
    let _controller = Controller::start(&trial).await;
    write(&trial, "images: []", "v0").await;
    says(&trial, "true", "no images yet").await;
    write(&trial, "images: [nginx:1.27]", "v1").await;
    let warm = says(&trial, "true", "1/1 images on ").await;
    write(&trial, "images: [NGINX]", "v2").await;
    let rejected = says(&trial, "false", "rejected").await;
    let version = rejected.annotations().get("kube-prepull.io/warm-version");
    assert!(version.is_none_or(String::is_empty), "{rejected:?}");
    assert_eq!(rejected.labels()["kube-prepull.io/state"], "rejected", "the other result stays");
    assert_eq!((warm.annotations()[VERSION].as_str(), rejected.annotations()[VERSION].as_str()), ("v1", "v2"));
    assert_eq!(rejected.data.unwrap()["images.yaml"], "images: [NGINX]");
}

/// The states of a list that other tools distinguish, each with its ConfigMap.
async fn states(name: &str) -> (Trial, [(&'static str, ConfigMap); 4]) {
    let trial = trial(name).await;
    let controller = Controller::start(&trial).await;
    write(&trial, "images: [nginx:1.27]", "v1").await;
    eventually("the version to be warm", async || {
        let list = trial.list("tools").await;
        list.annotations().get("kube-prepull.io/warm-version").is_some_and(|version| version == "v1").then_some(())
    })
    .await;
    let warm = trial.list("tools").await;
    write(&trial, "images: [NGINX]", "v2").await;
    let rejected = says(&trial, "false", "rejected").await;
    write(&trial, "images: [nginx:1.27]", "v1").await;
    says(&trial, "true", "1/1 images on ").await;
    // Nobody has seen this edit yet.
    controller.kill();
    write(&trial, "images: [nginx:1.28]", "v3").await;
    let edited = trial.list("tools").await;
    trial.create::<ConfigMap>(json!({"metadata": {"name": "other"}, "data": {"a": "b"}})).await;
    let other = trial.list("other").await;
    (trial, [("Healthy", warm), ("Degraded", rejected), ("Progressing", edited), ("Healthy", other)])
}

/// A value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Array(items) => format!("{{{}}}", items.iter().map(lua).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("[{}] = {}", lua(&json!(key)), lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => {
            let bytes = text.bytes().map(|byte| format!("\\{byte:03}"));
            format!("\"{}\"", bytes.collect::<String>())
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn configuration(file: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_health_check_for_argo_cd_distinguishes_the_states_of_lists_and_leaves_other_config_maps_alone() {
    let (_trial, states) = states("warmargo").await;
    let file = configuration("argocd-health.yaml");
    let check = file["data"]["resource.customizations.health.ConfigMap"].as_str().unwrap();
    test_bed::programs::require(&["lua5.4"]).unwrap();
    for (expected, list) in states {
        let object = lua(&serde_json::to_value(&list).unwrap());
        let script = format!(
            "obj = {object}\nlocal health = (function()\n{check}\nend)()\nprint(health.status)\nprint(health.message)\n"
        );
        let output = Command::new("lua5.4").args(["-e", &script]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().next(), Some(expected), "{list:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(expected == "Degraded", said.contains("NGINX"), "{said}");
    }
}

/// Policies whose expressions the API server evaluates, in a namespace of their own. They go with the value.
struct Expressions {
    kubeconfig: std::path::PathBuf,
    name: String,
}

impl Expressions {
    /// Lets the API server accept ConfigMaps in the namespace only if the expression is true.
    async fn install(trial: &Trial, expression: &str) -> Self {
        let name = format!("flux.{}", trial.namespace);
        let rule =
            json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
        // Flux names the parts of the object only.
        let expression = expression.replace("metadata.?", "object.metadata.?");
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]},
        }))
        .unwrap();
        let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": trial.namespace}});
        let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {
                "policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": namespace}},
        }))
        .unwrap();
        let installed = Self { kubeconfig: trial.kubeconfig.clone(), name };
        let create = PostParams::default();
        Api::<ValidatingAdmissionPolicy>::all(trial.client.clone()).create(&create, &policy).await.unwrap();
        Api::<ValidatingAdmissionPolicyBinding>::all(trial.client.clone()).create(&create, &binding).await.unwrap();
        installed
    }
}

impl Drop for Expressions {
    fn drop(&mut self) {
        let name = self.name.clone();
        clean_up(&self.kubeconfig, async move |client| {
            drop(
                Api::<ValidatingAdmissionPolicyBinding>::all(client.clone())
                    .delete(&name, &DeleteParams::default())
                    .await,
            );
            drop(Api::<ValidatingAdmissionPolicy>::all(client).delete(&name, &DeleteParams::default()).await);
        });
    }
}

/// Whether the API server takes a copy of the ConfigMap.
async fn is_taken(trial: &Trial, list: &ConfigMap) -> bool {
    let mut copy = list.clone();
    copy.metadata.name = Some("copy".to_owned());
    copy.metadata.uid = None;
    copy.metadata.resource_version = None;
    copy.metadata.creation_timestamp = None;
    copy.metadata.managed_fields = None;
    trial.api().create(&PostParams { dry_run: true, ..PostParams::default() }, &copy).await.is_ok()
}

#[tokio::test]
async fn the_expressions_for_flux_distinguish_the_states_of_lists_and_leave_other_config_maps_alone() {
    let (trial, states) = states("warmflux").await;
    let file = configuration("flux-kustomization.yaml");
    let expressions = &file["spec"]["healthCheckExprs"][0];
    let current = Expressions::install(&trial, expressions["current"].as_str().unwrap()).await;
    let rejected = &states[1].1;
    eventually("the expression to count", async || (!is_taken(&trial, rejected).await).then_some(())).await;
    for (expected, list) in &states {
        assert_eq!(is_taken(&trial, list).await, *expected == "Healthy", "{list:?}");
    }
    drop(current);
    eventually("it to count no longer", async || is_taken(&trial, rejected).await.then_some(())).await;
    let _failed = Expressions::install(&trial, expressions["failed"].as_str().unwrap()).await;
    let warm = &states[0].1;
    eventually("the other expression to count", async || (!is_taken(&trial, warm).await).then_some(())).await;
    for (expected, list) in &states {
        assert_eq!(is_taken(&trial, list).await, *expected == "Degraded", "{list:?}");
    }
}
