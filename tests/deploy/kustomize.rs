//! The kustomize manifests, built by the real kustomize, and overlays on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use test_bed::programs;

use super::helm::checkout;
use super::manifests::{documents, names};
use super::namespace::Namespace;

pub const NAMESPACE: &str = "kube-prepull";

/// What the folder of the install becomes.
pub fn built() -> Vec<Value> {
    built_from(&checkout("deploy/kustomize"))
}

/// What it becomes when everything that is commented out is not, but for the admission policies, which have tests of their own.
pub fn built_with_options() -> Vec<Value> {
    let folder = Folder::create("options");
    let options = fs::read_to_string(checkout("deploy/kustomize/kustomization.yaml")).unwrap();
    let options = options.replace("\n# - ../policy", "").replace("\n# - ", "\n- ");
    fs::create_dir_all(folder.path("install/names")).unwrap();
    for file in ["", "names"] {
        for entry in fs::read_dir(checkout(&format!("deploy/kustomize/{file}"))).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), folder.path(&format!("install/{file}")).join(entry.file_name())).unwrap();
            }
        }
    }
    fs::write(folder.path("install/kustomization.yaml"), options).unwrap();
    built_from(&folder.path("install"))
}

/// A folder beside a link to `deploy`, as in a checkout. It goes with the value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn create(name: &str) -> Self {
        // Several tests make the same at the same time.
        static CREATED: AtomicUsize = AtomicUsize::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("kube-prepull-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(checkout("deploy"), folder.join("deploy")).unwrap();
        Self(folder)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// What the overlay becomes, which is a text or several files.
    pub fn overlay(&self, name: &str, files: &[(&str, &str)]) -> Vec<Value> {
        fs::create_dir_all(self.path(name)).unwrap();
        for (file, text) in files {
            fs::write(self.path(name).join(file), text).unwrap();
        }
        built_from(&self.path(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What kustomize, as it is built into kubectl, makes of a folder.
pub fn built_from(folder: &Path) -> Vec<Value> {
    let kubectl = programs::build(&["kubectl"]).unwrap().join("kubectl");
    let output = std::process::Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).unwrap())
}

/// The block of YAML in a page of the documentation that begins with the name of a file.
pub fn documented_file(page: &str, name: &str) -> String {
    let page = fs::read_to_string(checkout(page)).unwrap();
    let begin = format!("```yaml\n# {name}");
    let (_, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {name}"));
    let (file, _) = rest.split_once("```").unwrap();
    format!("# {name}{file}")
}

/// What an overlay with the component for secure metrics becomes.
pub fn secured() -> Vec<Value> {
    let overlay = "resources: [../deploy/kustomize]\ncomponents: [../deploy/kustomize/secure-metrics]\n";
    Folder::create("secured").overlay("overlay", &[("kustomization.yaml", overlay)])
}

/// What an overlay with the component for node gates becomes.
pub fn gated() -> Vec<Value> {
    let overlay = "resources: [../deploy/kustomize]\ncomponents: [../deploy/kustomize/node-gate]\n";
    Folder::create("gated").overlay("overlay", &[("kustomization.yaml", overlay)])
}

/// What an overlay with the component for discovery becomes.
pub fn discovering() -> Vec<Value> {
    let overlay = format!(
        "resources: [../deploy/kustomize]\ncomponents: [../deploy/kustomize/discovery]\n\
         namespace: {NAMESPACE}\ntransformers: [../deploy/kustomize/names]\n"
    );
    Folder::create("discovering").overlay("overlay", &[("kustomization.yaml", &overlay)])
}

/// What an overlay with the component for lists in all namespaces becomes.
pub fn in_all_namespaces() -> Vec<Value> {
    let overlay = "resources: [../deploy/kustomize]\ncomponents: [../deploy/kustomize/all-namespaces]\n";
    Folder::create("everywhere").overlay("overlay", &[("kustomization.yaml", overlay)])
}

#[test]
fn the_api_server_accepts_the_component_for_all_namespaces() {
    let namespace = Namespace::create("everywhere");
    let mut objects = in_all_namespaces();
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

#[test]
fn the_api_server_accepts_the_component_for_discovery() {
    let namespace = Namespace::create("discovery");
    let mut objects = discovering();
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

#[test]
fn the_api_server_accepts_the_component_for_node_gates() {
    let namespace = Namespace::create("gates");
    let mut objects = gated();
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

#[test]
fn the_api_server_accepts_the_component_for_secure_metrics() {
    let namespace = Namespace::create("secure");
    let mut objects = secured();
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

#[test]
fn the_api_server_accepts_them() {
    let namespace = Namespace::create("kustomize");
    let mut objects = built();
    assert_eq!(names(&objects)[0], "Namespace kube-prepull");
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

/// A dry run makes no namespace that the others could be in.
fn moved_to(namespace: &Namespace, objects: &mut [Value]) {
    for object in objects {
        if object["metadata"]["namespace"] == NAMESPACE {
            object["metadata"]["namespace"] = Value::from(namespace.name.as_str());
        }
    }
}
