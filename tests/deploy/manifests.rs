//! Manifests, and what an API server says to them.

use std::collections::BTreeMap;

use kube_prepull::list::ListData;
use serde_json::{Value, json};
use test_bed::{Kubectl, Simulated};

/// The objects of a text of YAML.
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_yaml::from_multiple(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// The only object of a kind and a name.
pub fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let only = found.next().unwrap_or_else(|| panic!("no {kind} {name} in {objects:#?}"));
    assert!(found.next().is_none(), "several {kind} {name}");
    only
}

/// The kinds and names of objects.
pub fn names(objects: &[Value]) -> Vec<String> {
    let name = |object: &Value| {
        format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
    };
    objects.iter().map(name).collect()
}

/// A ConfigMap as the controller reads it.
pub fn list_data(config_map: &Value) -> ListData {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let data: BTreeMap<String, String> = serde_json::from_value(config_map["data"].clone()).unwrap();
    let metadata = &config_map["metadata"];
    ListData { namespace: text(&metadata["namespace"]), name: text(&metadata["name"]), data }
}

/// A namespace of the simulated cluster that enforces "restricted" and goes with the value.
pub struct Namespace {
    pub cluster: Simulated,
    pub name: String,
}

impl Namespace {
    pub fn create(name: &str) -> Self {
        let cluster = Simulated::running().unwrap();
        let name = format!("deploy-{name}-{}", std::process::id());
        let level = "restricted";
        let labels = json!({"pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/warn": level});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&namespace.to_string()).unwrap();
        Self { cluster, name }
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let all = [&["--namespace", &self.name], arguments].concat();
        self.cluster.kubectl(all).map_err(|error| format!("{error:#}"))
    }

    /// Has the API server check objects, and their pods as "restricted" asks, without keeping anything.
    pub fn accepts(&self, objects: &[Value]) {
        // A pod is accepted only where its account is.
        for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
            let mut account = account.clone();
            account["metadata"]["namespace"] = json!(self.name);
            self.cluster.apply(&account.to_string()).unwrap();
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let kubeconfig = self.cluster.kubeconfig();
        let cache = kubeconfig.with_file_name("kubectl-deploy");
        let kubectl = Kubectl::new(&test_bed::programs::build(&["kubectl"]).unwrap(), kubeconfig, cache);
        let options = ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
        let mut command = kubectl.command();
        let mut child = command
            .arg("apply")
            .args(options)
            .args(["--namespace", &self.name, "--filename", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{list}");
        // A workload whose pods would violate "restricted" is accepted with a warning.
        assert!(!said.contains("Warning"), "{said}\n{list}");
    }

    /// The text at a JSON path of an object; nothing where there is no object.
    pub fn get(&self, object: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.kubectl(&["get", object, "--ignore-not-found", "-o", &path]).unwrap()
    }

    /// Everything that is in the namespace, of every type, and what the cluster has of the release: kinds and names.
    pub fn everything(&self) -> Vec<String> {
        let types = self.kubectl(&["api-resources", "--namespaced", "--verbs=list", "-o", "name"]).unwrap();
        // Events tell of what was; leases are other components'.
        let types: Vec<_> = types.lines().filter(|name| !name.starts_with("events")).collect();
        let of_namespace = self.kubectl(&["get", &types.join(","), "--ignore-not-found", "-o", "name"]).unwrap();
        let of_cluster = ["clusterroles", "clusterrolebindings", "priorityclasses"].map(|kind| {
            let all = self.kubectl(&["get", kind, "-o", "name"]).unwrap();
            all.lines().filter(|line| line.contains(&self.name)).map(str::to_owned).collect::<Vec<_>>()
        });
        let of_namespace = of_namespace.lines().map(str::to_owned);
        let mut all: Vec<_> = of_namespace.chain(of_cluster.into_iter().flatten()).collect();
        all.sort();
        all
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.cluster.kubectl(["delete", "namespace", &self.name, "--wait=false"]));
    }
}
