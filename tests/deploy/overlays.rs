//! Overlays that install into another namespace: what they become, and that the rights in them suffice for a controller and its
//! users.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use test_bed::{Process, free_address, wait};

use super::kustomize::{Folder, documented_file};
use super::manifests::find;
use super::namespace::Namespace;

/// An overlay in that namespace, with the optional rights.
fn overlay(folder: &Folder, namespace: &str) -> Vec<Value> {
    let text = format!(
        "resources: [../deploy/kustomize, imagecaches.yaml]\n\
         components: [../deploy/kustomize/node-gate, ../deploy/kustomize/discovery]\n\
         namespace: {namespace}\ntransformers: [../deploy/kustomize/names]\n"
    );
    let image_caches = fs::read_to_string(folder.path("deploy/kustomize/imagecaches.yaml")).unwrap();
    folder.overlay(namespace, &[("kustomization.yaml", &text), ("imagecaches.yaml", &image_caches)])
}

/// Kind, namespace and name of each object.
fn identities(objects: &[Value]) -> BTreeSet<String> {
    let identity = |object: &Value| {
        let metadata = &object["metadata"];
        format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"])
    };
    objects.iter().map(identity).collect()
}

#[test]
fn the_api_server_accepts_overlays_in_two_namespaces_that_have_nothing_in_common() {
    let folder = Folder::create("two");
    let namespaces = ["first", "second"].map(Namespace::create);
    let built = namespaces.each_ref().map(|namespace| overlay(&folder, &namespace.name));
    let shared: Vec<_> = identities(&built[0]).intersection(&identities(&built[1])).cloned().collect();
    assert_eq!(shared, [""; 0]);
    for (namespace, objects) in namespaces.iter().zip(&built) {
        assert_eq!(find(objects, "Namespace", &namespace.name)["metadata"]["labels"].as_object().unwrap().len(), 3);
        let bindings = objects.iter().filter(|object| !object["subjects"].is_null());
        for binding in bindings {
            assert_eq!(binding["subjects"][0]["namespace"], namespace.name.as_str(), "{binding:#}");
            // A role that is not there would be accepted.
            let role = &binding["roleRef"];
            let role = find(objects, role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
            let of_role = &role["metadata"]["namespace"];
            assert!(of_role.is_null() || *of_role == binding["metadata"]["namespace"], "{binding:#}");
        }
        // Wherever the controller is, Events about nodes are stored in this namespace, and the workloads of the example are there.
        let elsewhere = objects.iter().filter(|object| object["metadata"]["namespace"] == "default");
        let mut elsewhere: Vec<&str> = elsewhere.filter_map(|object| object["kind"].as_str()).collect();
        elsewhere.sort_unstable();
        assert_eq!(elsewhere, ["Role", "Role", "RoleBinding", "RoleBinding"]);
        namespace.accepts(objects);
    }
}

#[test]
fn the_overlay_of_the_documentation_sets_namespace_and_image() {
    let folder = Folder::create("documented");
    let text = documented_file("docs/install.md", "overlay/kustomization.yaml");
    let objects = folder.overlay("overlay", &[("kustomization.yaml", &text)]);
    let deployment = find(&objects, "Deployment", "kube-prepull");
    let namespace = deployment["metadata"]["namespace"].as_str().unwrap();
    assert_ne!(namespace, "kube-prepull");
    find(&objects, "ClusterRoleBinding", &format!("kube-prepull:{namespace}:kube-prepull"));
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let variable =
        |name: &str| &container["env"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap()["value"];
    assert_eq!((variable("CONTROLLER_IMAGE"), variable("HOLDER_IMAGE")), (&container["image"], &json!("")));
    assert!(container["image"].as_str().unwrap().starts_with("registry.example.com/"), "{container:#}");
}

#[test]
fn the_overlay_of_the_page_on_node_gates_has_them_in_its_namespace() {
    let text = documented_file("docs/node-gate.md", "gated/kustomization.yaml");
    let objects = Folder::create("gated").overlay("gated", &[("kustomization.yaml", &text)]);
    let binding = find(&objects, "RoleBinding", "kube-prepull:images:kube-prepull:node-gate");
    assert_eq!(binding["metadata"]["namespace"], "default");
    assert_eq!(binding["subjects"][0]["namespace"], "images");
    let container = &find(&objects, "Deployment", "kube-prepull")["spec"]["template"]["spec"]["containers"][0];
    let taints = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == "NODE_GATE_TAINTS");
    assert!(taints.is_some(), "{container:#}");
}

#[test]
fn the_overlay_of_the_page_on_discovery_has_its_rights_where_the_workloads_are() {
    let text = documented_file("docs/discovery.md", "discovering/kustomization.yaml");
    let folder = Folder::create("documented-discovery");
    let objects = folder.overlay("discovering", &[("kustomization.yaml", &text)]);
    let binding = find(&objects, "RoleBinding", "kube-prepull:images:kube-prepull:discovery");
    assert_eq!(binding["metadata"]["namespace"], "default");
    assert_eq!(binding["subjects"][0]["namespace"], "images");
    let container = &find(&objects, "Deployment", "kube-prepull")["spec"]["template"]["spec"]["containers"][0];
    let named = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == "DISCOVER_NAMESPACES");
    assert_eq!(named.unwrap()["value"], "default");
}

#[test]
fn the_overlay_of_the_page_on_all_namespaces_gives_its_controller_the_rights() {
    let text = documented_file("docs/all-namespaces.md", "everywhere/kustomization.yaml");
    let objects = Folder::create("documented-everywhere").overlay("everywhere", &[("kustomization.yaml", &text)]);
    let binding = find(&objects, "ClusterRoleBinding", "kube-prepull-all-namespaces");
    assert_eq!(binding["subjects"][0]["namespace"], "prepull");
    find(&objects, "ClusterRole", binding["roleRef"]["name"].as_str().unwrap());
    let container = &find(&objects, "Deployment", "kube-prepull")["spec"]["template"]["spec"]["containers"][0];
    let variable = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == "ALL_NAMESPACES");
    assert_eq!(variable.unwrap()["value"], "true");
}

/// An overlay on a base with the component runs the transformer a second time.
#[test]
fn a_copy_of_the_component_for_discovery_has_rights_in_several_namespaces() {
    let folder = Folder::create("copied-discovery");
    let component = folder.path("deploy/kustomize/discovery");
    let rights = fs::read_to_string(component.join("rights.yaml")).unwrap();
    let shop = rights.replace("workload-namespace: default", "workload-namespace: shop");
    let rights = format!("{rights}---\n{}", shop.replace(":discovery", ":discovery:shop"));
    fs::create_dir_all(folder.path("discovery")).unwrap();
    fs::copy(component.join("kustomization.yaml"), folder.path("discovery/kustomization.yaml")).unwrap();
    fs::write(folder.path("discovery/rights.yaml"), rights).unwrap();
    let base =
        "resources: [../deploy/kustomize]\ncomponents: [../discovery]\ntransformers: [../deploy/kustomize/names]\n";
    folder.overlay("base", &[("kustomization.yaml", &format!("{base}namespace: kube-prepull\n"))]);
    let overlay = "resources: [../base]\nnamespace: images\ntransformers: [../deploy/kustomize/names]\n";
    let objects = folder.overlay("overlay", &[("kustomization.yaml", overlay)]);
    for (suffix, namespace) in [("", "default"), (":shop", "shop")] {
        let name = format!("kube-prepull:images:kube-prepull:discovery{suffix}");
        let (role, binding) = (find(&objects, "Role", &name), find(&objects, "RoleBinding", &name));
        assert_eq!([&role["metadata"]["namespace"], &binding["metadata"]["namespace"]], [namespace; 2]);
        assert_eq!([&binding["roleRef"]["name"], &binding["subjects"][0]["namespace"]], [name.as_str(), "images"]);
    }
}

/// An overlay that is installed. What is not in its namespace goes with the value.
struct Installed {
    namespace: Namespace,
    folder: Folder,
    /// Kinds and names of what belongs to the whole cluster, and of what is in the namespace `default`.
    elsewhere: [Vec<String>; 2],
}

impl Installed {
    fn new(name: &str) -> Self {
        let (namespace, folder) = (Namespace::create(name), Folder::create(name));
        let mut installed = Self { namespace, folder, elsewhere: Default::default() };
        for object in overlay(&installed.folder, &installed.namespace.name) {
            let kind = object["kind"].as_str().unwrap();
            let namespace = object["metadata"]["namespace"].as_str();
            let name = format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap());
            match namespace {
                None if kind.starts_with("ClusterRole") => installed.elsewhere[0].push(name),
                Some("default") => installed.elsewhere[1].push(name),
                Some(_) => {}
                None => continue,
            }
            installed.apply(&object);
        }
        installed
    }

    fn apply(&self, object: &Value) {
        let file = self.folder.path("object.json");
        fs::write(&file, object.to_string()).unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&self.namespace.name);
        let apply = ["apply", "--server-side", "--namespace", namespace, "--filename", file.to_str().unwrap()];
        self.namespace.kubectl(&apply).unwrap();
    }

    fn role(&self, name: &str) -> String {
        format!("kube-prepull:{}:kube-prepull:{name}", self.namespace.name)
    }

    /// A ServiceAccount to which only that ClusterRole is bound in the namespace, and a way to the cluster in its name.
    fn user(&self, name: &str) -> PathBuf {
        self.namespace.kubectl(&["create", "serviceaccount", name]).unwrap();
        let (role, account) = (self.role(name), format!("{}:{name}", self.namespace.name));
        let binding = ["create", "rolebinding", name, "--clusterrole", &role, "--serviceaccount", &account];
        self.namespace.kubectl(&binding).unwrap();
        self.way_of(name)
    }

    /// A kubeconfig with a token of that ServiceAccount.
    fn way_of(&self, account: &str) -> PathBuf {
        let way = self.folder.path(&format!("{account}.kubeconfig"));
        fs::copy(self.namespace.kubeconfig(), &way).unwrap();
        let token = self.namespace.kubectl(&["create", "token", account]).unwrap();
        let file = way.to_str().unwrap();
        let set = |arguments: &[&str]| {
            self.namespace.kubectl(&[&["--kubeconfig", file, "config"], arguments].concat()).unwrap();
        };
        set(&["set-credentials", account, "--token", token.trim()]);
        set(&["set-context", "--current", "--user", account]);
        way
    }

    /// Starts the controller with the rights of its ServiceAccount, once these have taken effect.
    fn start(&self) -> Process {
        let account = format!("system:serviceaccount:{}:kube-prepull", self.namespace.name);
        self.eventually("the controller to have its rights", || {
            self.may("list", "pods", &account) && self.may("list", "nodes", &account)
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(["run", "--deployment", "kube-prepull", "--pod-service-account", "kube-prepull-holder"]);
        command.args(["--namespace", &self.namespace.name]);
        for listen in ["--probe-listen", "--metrics-listen", "--status-listen"] {
            command.args([listen, &free_address().unwrap()]);
        }
        command.arg("--kubeconfig").arg(self.way_of("kube-prepull"));
        Process::start(command, &self.folder.path("controller.log")).unwrap()
    }

    fn run(&self, way: &PathBuf, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(arguments).args(["--namespace", &self.namespace.name]).arg("--kubeconfig").arg(way);
        command.output().unwrap()
    }

    /// Whether the nodes are known to the report that this user gets.
    fn nodes_known(&self, way: &PathBuf) -> bool {
        let output = self.run(way, &["status", "--output", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        report["nodesKnown"].as_bool().unwrap()
    }

    fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let waited = wait::until(what, Duration::from_secs(120), || Ok(holds().then_some(())));
        let log = || fs::read_to_string(self.folder.path("controller.log")).unwrap_or_default();
        waited.unwrap_or_else(|error| panic!("{error}; the controller's log:\n{}", log()));
    }

    fn may(&self, verb: &str, resource: &str, user: &str) -> bool {
        self.namespace.kubectl(&["auth", "can-i", verb, resource, "--as", user]).is_ok()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let delete = ["delete", "--ignore-not-found", "--wait=false", "--namespace", "default"];
        for names in &self.elsewhere {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            drop(self.namespace.kubectl(&[&delete, &names[..]].concat()));
        }
    }
}

fn list(image: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "tools", "labels": {"kube-prepull.io/image-list": "true"}},
        "data": {"images.yaml": format!("images: ['{image}']")}})
}

#[test]
fn the_rights_of_an_overlay_suffice_for_its_controller_and_for_a_reader_and_an_editor_of_its_lists() {
    let it = Installed::new("overlay");
    let _controller = it.start();
    let (reader, editor) = (it.user("reader"), it.user("editor"));
    it.namespace.apply(&list("nginx:1.27"));

    // The controller leads, accepts the list and creates its DaemonSet.
    it.eventually("the list to be accepted", || {
        it.namespace.get("configmap/tools", r".metadata.labels.kube-prepull\.io/state") == "accepted"
    });
    it.eventually("a DaemonSet", || !it.namespace.get("daemonsets", ".items[*].metadata.name").is_empty());
    let log = fs::read_to_string(it.folder.path("controller.log")).unwrap();
    assert!(!log.contains("not allowed") && !log.contains("forbidden"), "{log}");

    for way in [&reader, &editor] {
        let waited = it.run(way, &["wait", "tools", "--timeout", "120s"]);
        assert!(waited.status.success(), "{waited:?}");
        assert!(!it.nodes_known(way), "a right in a namespace does not reach nodes");
    }
    let refused = it.run(&reader, &["refresh", "tools"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for words in
        ["not allowed to annotate the ConfigMap tools", "cannot patch resource \"configmaps\"", "grant this user"]
    {
        assert!(said.contains(words), "{said}");
    }
    let refreshed = it.run(&editor, &["refresh", "tools"]);
    assert!(refreshed.status.success(), "{refreshed:?}");
    let edit = json!({"data": list("nginx:1.28")["data"]}).to_string();
    let way = editor.to_str().unwrap();
    let patch = ["--kubeconfig", way, "patch", "configmap", "tools", "--type", "merge", "--patch", &edit];
    it.namespace.kubectl(&patch).unwrap();
    let waited = it.run(&reader, &["wait", "tools", "--timeout", "120s"]);
    assert!(waited.status.success(), "{waited:?}");

    for (verb, resource) in [("delete", "daemonsets.apps"), ("create", "pods"), ("get", "secrets")] {
        let account = format!("system:serviceaccount:{}:editor", it.namespace.name);
        assert!(!it.may(verb, resource, &account), "{verb} {resource}");
    }
    let lease = |verb: &str, name: &str| {
        let account = format!("system:serviceaccount:{}:kube-prepull", it.namespace.name);
        it.may(verb, &format!("leases.coordination.k8s.io/{name}"), &account)
    };
    assert!(lease("update", "kube-prepull") && !lease("update", "another") && !lease("delete", "kube-prepull"));

    // With `view` for the whole cluster, nodes count too.
    let binding = it.namespace.name.clone();
    let account = format!("{}:reader", it.namespace.name);
    it.namespace
        .kubectl(&["create", "clusterrolebinding", &binding, "--clusterrole=view", "--serviceaccount", &account])
        .unwrap();
    it.eventually("the role to be a part of view", || it.nodes_known(&reader));
    it.namespace.kubectl(&["delete", "clusterrolebinding", &binding]).unwrap();
}
