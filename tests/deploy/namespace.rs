//! A namespace of a cluster, and what its API server says to manifests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use test_bed::{Kubectl, Real, Simulated, programs, wait};

/// A namespace that enforces "restricted". It is deleted when this is dropped.
pub struct Namespace {
    pub name: String,
    kubeconfig: PathBuf,
    kubectl: Kubectl,
    /// The real cluster: while this exists, no other test has exclusive access to it.
    _real: Option<Real>,
}

impl Namespace {
    pub fn create(name: &str) -> Self {
        let cluster = Simulated::running().unwrap();
        Self::of(cluster.kubeconfig(), None, name)
    }

    pub fn of_real(cluster: &Real, name: &str) -> Self {
        Self::of(cluster.kubeconfig(), Some(cluster.clone()), name)
    }

    fn of(kubeconfig: &Path, real: Option<Real>, name: &str) -> Self {
        let cache = kubeconfig.with_file_name("kubectl-deploy");
        let kubectl = Kubectl::new(&programs::build(&["kubectl"]).unwrap(), kubeconfig, cache);
        let name = format!("deploy-{name}-{}", std::process::id());
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        });
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        kubectl.apply(&namespace.to_string()).unwrap();
        Self { name, kubeconfig: kubeconfig.to_owned(), kubectl, _real: real }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let all = [&["--namespace", &self.name], arguments].concat();
        self.kubectl.run(all).map_err(|error| format!("{error:#}"))
    }

    /// Makes or changes an object of this namespace.
    pub fn apply(&self, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.name);
        self.kubectl.apply(&object.to_string()).unwrap();
    }

    /// Has the API server check objects, and their pods as "restricted" asks, without keeping anything.
    pub fn accepts(&self, objects: &[Value]) {
        // A pod is accepted only where its account is.
        for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
            self.apply(account);
        }
        // kubectl takes no object of another namespace than the one it is given.
        let is_elsewhere = |object: &&Value| object["metadata"]["namespace"].as_str().is_some_and(|it| it != self.name);
        let (elsewhere, here): (Vec<&Value>, Vec<&Value>) = objects.iter().partition(is_elsewhere);
        let groups = [(here, vec!["--namespace", self.name.as_str()]), (elsewhere, Vec::new())];
        for (objects, namespace) in groups.iter().filter(|(objects, _)| !objects.is_empty()) {
            self.accepts_all(objects, namespace);
        }
    }

    fn accepts_all(&self, objects: &[&Value], namespace: &[&str]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let mut command = self.kubectl.command();
        command.args(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"]);
        command.args(namespace).args(["--filename", "-"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{list}");
        // A workload whose pods would violate "restricted" is accepted with a warning.
        assert!(!said.contains("Warning"), "{said}\n{list}");
    }

    /// The text at a JSON path of an object; nothing if there is no object.
    pub fn get(&self, object: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.kubectl(&["get", object, "--ignore-not-found", "-o", &path]).unwrap()
    }

    /// Everything that is in the namespace, and what the cluster has that is named after it, of every type: kinds and names.
    pub fn everything(&self) -> Vec<String> {
        // Nodes and some others are the cluster's own.
        let of_cluster = self.get_all(false).into_iter().filter(|name| name.contains(&self.name));
        let mut all: Vec<_> = self.get_all(true).into_iter().chain(of_cluster).collect();
        all.sort();
        all
    }

    /// All objects that are in namespaces, or are not. A type may go between the two questions, with another test's
    /// definition of it.
    fn get_all(&self, namespaced: bool) -> Vec<String> {
        let all = wait::until("all types to be there while they are listed", Duration::from_secs(60), || {
            let listed = self.types(namespaced).and_then(|types| {
                let types = types.join(",");
                self.kubectl(&["get", &types, "--ignore-not-found", "-o", "name"])
            });
            Ok(listed.ok())
        });
        all.unwrap().lines().map(str::to_owned).collect()
    }

    /// The types of objects that are in namespaces, or are not. kubectl fails while the API server does not know all of a group that
    /// comes or goes.
    fn types(&self, namespaced: bool) -> Result<Vec<String>, String> {
        let namespaced = format!("--namespaced={namespaced}");
        let types = self.kubectl(&["api-resources", &namespaced, "--verbs=list", "-o", "name"])?;
        // Events are about the past.
        Ok(types.lines().filter(|name| !name.starts_with("events")).map(str::to_owned).collect())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.kubectl.run(["delete", "namespace", &self.name, "--wait=false"]));
    }
}
