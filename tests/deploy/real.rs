//! The chart on a real node: the controller is a pod, under its own account and in a namespace that enforces "restricted".

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};
use test_bed::real::Container;
use test_bed::{Image, Layer, Node, Real};

use super::namespace::Namespace;
use super::release::{CONTROLLER, IMAGE, Sequence};

struct Install {
    it: Sequence,
    bed: Real,
    node: Node,
}

impl Install {
    fn begin(name: &str) -> Self {
        let bed = Real::running().unwrap();
        let it = Sequence::begin(Namespace::of_real(&bed, name));
        Self { it, node: bed.node("node1").unwrap(), bed }
    }

    /// A reference that no other test uses.
    fn reference(&self, image: &str) -> String {
        format!("registry.test/{}/{image}", self.it.namespace.name)
    }

    fn push(&self, image: &str, content: &Image) -> String {
        self.bed.registry().unwrap().push(&self.reference(image), content).unwrap().to_string()
    }

    /// Values with kube-prepull's image of that tag.
    fn values(&self, tag: &str) -> String {
        json!({"image": {"repository": self.reference("kube-prepull"), "tag": tag}}).to_string()
    }

    /// The containers of the list's images that run, without the controller.
    fn holding(&self) -> Vec<Container> {
        let all = self.node.containers().unwrap().into_iter();
        let ours = all.filter(|it| it.namespace == self.it.namespace.name && it.running && it.name != "kube-prepull");
        ours.collect()
    }

    fn held(&self, digest: &str) {
        let is_held = || self.holding().iter().any(|container| container.digest.as_deref() == Some(digest));
        self.it.eventually(&format!("{digest} to be held"), is_held);
    }

    /// What the controller's account may do, as the Roles say: verb, group and resource.
    fn granted(&self) -> BTreeSet<String> {
        let roles = ["role", "clusterrole"].map(|kind| {
            let all = self.it.namespace.kubectl(&["get", kind, "-o", "json"]).unwrap();
            let all: Value = serde_json::from_str(&all).unwrap();
            all["items"].as_array().unwrap().clone()
        });
        let ours = |role: &&Value| {
            let metadata = &role["metadata"];
            metadata["namespace"] == self.it.namespace.name.as_str()
                || metadata["name"].as_str().unwrap().contains(&self.it.namespace.name)
        };
        let rules = roles.iter().flatten().filter(ours).flat_map(|role| role["rules"].as_array().unwrap());
        rules.flat_map(rights).collect()
    }

    /// What the controller's account has asked for, as the audit log says; and of that, what it was not allowed to do.
    fn asked(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let account = format!("system:serviceaccount:{}:k8s-image-puller", self.it.namespace.name);
        let log = fs::read_to_string(self.bed.audit_log()).unwrap();
        let records = log.lines().filter_map(|line| serde_json::from_str::<Request>(line).ok());
        let ours: Vec<_> = records.filter(|it| it.user.username == account && it.object_ref.is_some()).collect();
        let refused =
            ours.iter().filter(|it| it.response_status.as_ref().is_some_and(|status| status.code == Some(403)));
        (ours.iter().map(Request::right).collect(), refused.map(Request::right).collect())
    }
}

/// Rights that the controller needs, and that need not show in the audit log of this test.
const NOT_ASKED_FOR_HERE: [&str; 5] = [
    // Asked for by an apply of what is not there yet; the log says "patch".
    "create apps/daemonsets",
    "create apps/controllerrevisions",
    // After many edits.
    "delete apps/controllerrevisions",
    // By the probe.
    "create /pods",
    "delete /pods",
];

/// Verb, group and resource of everything that a rule allows.
fn rights(rule: &Value) -> Vec<String> {
    let texts = |key: &str| rule[key].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
    let of_group = |group: String| {
        texts("resources").flat_map(move |resource| {
            let group = group.clone();
            texts("verbs").map(move |verb| format!("{verb} {group}/{resource}"))
        })
    };
    texts("apiGroups").flat_map(of_group).collect()
}

/// The part of an audit record that says who asked for what.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    verb: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    #[serde(default)]
    api_group: String,
    resource: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Request {
    fn right(&self) -> String {
        let object = self.object_ref.as_ref().unwrap();
        format!("{} {}/{}", self.verb, object.api_group, object.resource)
    }
}

/// kube-prepull's own image with the program that is tested, and with the libraries that it loads: the one that
/// deploy/image.sh builds is static, and takes minutes.
fn own_image(bed: &Real, version: &str) -> Image {
    let program = env!("CARGO_BIN_EXE_kube-prepull");
    let listed = Command::new("ldd").arg(program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let layer = Layer::new().file("/bin/kube-prepull", fs::read(program).unwrap(), 0o755).file(
        "/holder",
        fs::read(bed.holder()).unwrap(),
        0o755,
    );
    let layer = libraries.fold(layer, |layer, path| layer.file(path, fs::read(path).unwrap(), 0o755));
    Image::from_scratch().layer(layer).user("65532:65532").label("version", version)
}

/// An image without a shell or anything else that could run.
fn content(text: &str) -> Image {
    Image::from_scratch().layer(Layer::new().file("/content", text.as_bytes(), 0o644))
}

#[test]
fn images_arrive_and_stay_through_upgrade_and_rollback_and_nothing_is_left_of_them() {
    let install = Install::begin("real");
    let it = &install.it;
    for version in ["1", "2"] {
        install.push(&format!("kube-prepull:{version}"), &own_image(&install.bed, version));
    }
    let (one, two) = (install.push("one:1", &content("one")), install.push("two:1", &content("two")));

    it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    it.edit(&format!("one={};", install.reference("one:1")));
    install.held(&one);
    it.edit(&format!("one={}; two={}", install.reference("one:1"), install.reference("two:1")));
    install.held(&two);
    let test = it.helm.run(&["test", super::helm::RELEASE, "--logs"]).unwrap();
    assert!(test.contains("Succeeded"), "{test}");

    it.eventually("one generation to be left", || install.holding().len() == 2);
    let before = install.holding();
    it.helm.with_chart("upgrade", &install.values("2"), &["--wait", "--timeout", "3m"]).unwrap();
    assert_eq!(it.namespace.get(CONTROLLER, IMAGE), install.reference("kube-prepull:2"));
    assert_eq!(install.holding(), before);
    it.helm.run(&["rollback", super::helm::RELEASE, "1", "--wait", "--timeout", "3m"]).unwrap();
    assert_eq!(it.namespace.get(CONTROLLER, IMAGE), install.reference("kube-prepull:1"));
    assert_eq!(install.holding(), before);

    let ((asked, refused), granted) = (install.asked(), install.granted());
    assert_eq!(refused, BTreeSet::new());
    let unused: Vec<_> = granted.difference(&asked).map(String::as_str).collect();
    assert!(unused.iter().all(|right| NOT_ASKED_FOR_HERE.contains(right)), "{unused:?}");
    it.uninstall();
    it.eventually("nothing to run any more", || install.holding().is_empty());
}
