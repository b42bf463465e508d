//! Groups that take their images from workloads.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_prepull::naming::labels;
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::nodes::placement_of;
use crate::proxy::Proxy;
use crate::trial::{Trial, eventually, images};

/// A namespace with workloads, and one with a list that discovers them.
pub struct Shop {
    pub list: Trial,
    pub shop: Trial,
}

impl Shop {
    pub async fn begin(name: &str) -> Self {
        Self { list: trial(name).await, shop: trial(&format!("{name}-shop")).await }
    }

    async fn start(&self) -> Controller {
        Controller::start_with(&self.list, &["--discover-namespaces", &self.shop.namespace]).await
    }

    /// Writes a list that discovers what is in the shop; `rest` are further keys of `discover`.
    pub async fn discover(&self, rest: &str) {
        let (shop, placement) = (&self.shop.namespace, placement_of(&self.list));
        let discover = format!("discover: {{namespaces: [{shop}], settle: 1s{rest}}}");
        self.list.write_list("tools", &format!("groups: [{{name: shop, {discover}, {placement}}}]")).await;
    }

    /// A Deployment that runs no pod.
    pub async fn deploy(&self, name: &str, image: &str, annotations: Value) {
        let spec = json!({
            "replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template(name, image),
        });
        let metadata = json!({"name": name, "labels": {"app": name}, "annotations": annotations});
        self.shop.create::<Deployment>(json!({"metadata": metadata, "spec": spec})).await;
    }

    pub async fn redeploy(&self, name: &str, image: &str) {
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
        let deployments = self.shop.api::<Deployment>();
        deployments.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    }

    async fn remove(&self, name: &str) {
        self.shop.api::<Deployment>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Sets the label `team` of the shop's namespace, or removes it.
    async fn label(&self, team: Option<&str>) {
        let patch = json!({"metadata": {"labels": {"team": team}}});
        let namespaces = Api::<Namespace>::all(self.shop.client.clone());
        namespaces.patch(&self.shop.namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Waits until generations have these images and no others.
    pub async fn discovered(&self, wanted: &[&str]) {
        eventually(&format!("{wanted:?} to be discovered"), async || {
            let daemon_sets = self.list.daemon_sets().await;
            let mut found: Vec<String> = daemon_sets.iter().flat_map(images).collect();
            found.sort();
            (found == wanted).then_some(())
        })
        .await;
    }

    /// What `status` says of an image.
    fn said(&self, image: &str) -> Option<Value> {
        let report = self.list.status();
        let images = report["lists"][0]["groups"][0]["images"].as_array()?.clone();
        images.into_iter().find(|it| it["reference"] == image)
    }
}

fn template(name: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

fn never() -> Value {
    json!({"kubernetes.io/hostname": "no-such-node"})
}

#[tokio::test]
async fn images_of_every_kind_of_workload_are_discovered_and_those_that_an_annotation_names() {
    let it = Shop::begin("kinds").await;
    it.deploy("web", "web:1", json!({"kube-prepull.io/images": "kernel:1, kernel:2"})).await;
    let mut pods = template("db", "db:1");
    pods["spec"]["initContainers"] = json!([{"name": "init", "image": "init:1"}]);
    pods["spec"]["volumes"] = json!([{"name": "v", "image": {"reference": "volume:1"}}]);
    let selector = json!({"matchLabels": {"app": "db"}});
    let spec = json!({"replicas": 0, "serviceName": "db", "selector": selector, "template": pods});
    it.shop.create::<StatefulSet>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let mut pods = template("agent", "agent:1");
    pods["spec"]["nodeSelector"] = never();
    let spec = json!({"selector": {"matchLabels": {"app": "agent"}}, "template": pods});
    it.shop.create::<DaemonSet>(json!({"metadata": {"name": "agent"}, "spec": spec})).await;
    let mut pods = template("night", "night:1");
    pods["spec"]["restartPolicy"] = json!("Never");
    let spec = json!({"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": {"template": pods}}});
    it.shop.create::<CronJob>(json!({"metadata": {"name": "night"}, "spec": spec})).await;
    let mut pods = template("once", "once:1");
    pods["spec"]["restartPolicy"] = json!("Never");
    it.shop.create::<Job>(json!({"metadata": {"name": "once"}, "spec": {"suspend": true, "template": pods}})).await;
    let _controller = it.start().await;
    it.discover("").await;
    let all = ["agent:1", "db:1", "init:1", "kernel:1", "kernel:2", "night:1", "once:1", "web:1"];
    it.discovered(&all).await;
    let note = it.list.reported("ImagesDiscovered").await;
    let shop = &it.shop.namespace;
    assert!(note.starts_with(&format!("from workloads: 8 images added: agent:1 by DaemonSet {shop}/agent")), "{note}");
    let by = it.said("init:1").unwrap()["discovered"]["by"].clone();
    assert_eq!(by, json!([format!("StatefulSet {shop}/db")]));
    it.discover(", kinds: [StatefulSet, Job], exclude: [\"docker.io/library/once\"], keepFor: 0s").await;
    it.discovered(&["db:1", "init:1"]).await;
}

#[tokio::test]
async fn edits_are_gathered_and_what_no_workload_names_stays_for_a_while() {
    let it = Shop::begin("gather").await;
    for (name, image) in [("a", "a:1"), ("b", "b:1")] {
        it.deploy(name, image, json!({})).await;
    }
    let _controller = it.start().await;
    it.discover(", keepFor: 1h").await;
    it.discovered(&["a:1", "b:1"]).await;
    let before = it.list.revisions().await.len();
    // The same image, named by one more workload, and by one less.
    it.deploy("c", "a:1", json!({})).await;
    it.redeploy("a", "a:2").await;
    it.redeploy("b", "b:2").await;
    it.discovered(&["a:1", "a:2", "b:1", "b:2"]).await;
    let after = it.list.revisions().await.len();
    assert!(after <= before + 2, "{before} versions became {after}");
    let said = it.said("b:1").unwrap();
    assert!(said["discovered"]["unnamedSince"].is_string(), "{said}");
    assert!(it.said("a:1").unwrap()["discovered"]["unnamedSince"].is_null());
    it.discover(", keepFor: 1s").await;
    it.discovered(&["a:1", "a:2", "b:2"]).await;
}

#[tokio::test]
async fn what_cannot_be_read_any_more_stays_until_it_can_be_read_again() {
    let it = Shop::begin("unread").await;
    it.deploy("a", "a:1", json!({})).await;
    it.deploy("b", "b:1", json!({})).await;
    let proxy = Proxy::start(it.list.client.clone()).await;
    let arguments = ["--discover-namespaces", it.shop.namespace.as_str()];
    let controller = Controller::start_through_with(&it.list, &proxy.kubeconfig, &arguments).await;
    it.discover(", keepFor: 0s").await;
    it.discovered(&["a:1", "b:1"]).await;
    proxy.know_nothing_of(Some("/deployments"));
    proxy.disconnect();
    it.remove("a").await;
    let note = it.list.reported("DiscoveryIncomplete").await;
    assert!(note.contains(&it.shop.namespace), "{note}");
    it.discovered(&["a:1", "b:1"]).await;
    // Neither does a process that has never read them release anything.
    controller.kill();
    let _controller = Controller::start_through_with(&it.list, &proxy.kubeconfig, &arguments).await;
    it.list.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
    it.discovered(&["a:1", "b:1"]).await;
    proxy.know_nothing_of(None);
    it.discovered(&["b:1"]).await;
}

#[tokio::test]
async fn a_namespace_without_workloads_releases_nothing_until_the_list_drops_it() {
    let it = Shop::begin("vanish").await;
    it.deploy("a", "a:1", json!({})).await;
    let _controller = it.start().await;
    it.discover(", keepFor: 0s").await;
    it.discovered(&["a:1"]).await;
    it.remove("a").await;
    let note = it.list.reported("DiscoveryIncomplete").await;
    assert!(note.contains(&it.shop.namespace), "{note}");
    it.discovered(&["a:1"]).await;
    it.list.write_list("tools", &format!("groups: [{{name: g, images: [own:1], {}}}]", placement_of(&it.list))).await;
    it.discovered(&["own:1"]).await;
}

#[tokio::test]
async fn the_images_of_a_namespace_come_with_its_label_and_go_with_it() {
    let it = Shop::begin("labels").await;
    it.deploy("a", "a:1", json!({})).await;
    let _controller = Controller::start_with(&it.list, &["--discover-namespaces", "*"]).await;
    // Of all namespaces of the cluster, which other tests have too, no other one has this label.
    let team = it.list.namespace.as_str();
    let discover =
        format!("discover: {{namespaceSelector: {{matchLabels: {{team: {team}}}}}, settle: 1s, keepFor: 0s}}");
    let list = format!("groups: [{{name: shop, images: [own:1], {discover}, {}}}]", placement_of(&it.list));
    it.list.write_list("tools", &list).await;
    it.discovered(&["own:1"]).await;
    it.label(Some(team)).await;
    it.discovered(&["a:1", "own:1"]).await;
    let note = it.list.reported("ImagesDiscovered").await;
    assert!(note.contains(&format!("a:1 by Deployment {}/a", it.shop.namespace)), "{note}");
    it.redeploy("a", "a:2").await;
    it.discovered(&["a:2", "own:1"]).await;
    it.label(None).await;
    it.discovered(&["own:1"]).await;
}

#[tokio::test]
async fn a_list_never_discovers_its_own_holders() {
    let trial = trial("selfish").await;
    let _controller = Controller::start_with(&trial, &["--discover-namespaces", &trial.namespace]).await;
    let discover = format!("discover: {{namespaces: [{}], settle: 1s, keepFor: 0s}}", trial.namespace);
    let list = |images: &str| format!("groups: [{{name: g, {discover}, {images}{}}}]", placement_of(&trial));
    trial.write_list("tools", &list("images: [a:1, b:1], ")).await;
    trial.settled_on(&["a:1", "b:1"]).await;
    trial.write_list("tools", &list("images: [b:1], ")).await;
    trial.settled_on(&["b:1"]).await;
    let versions = trial.revisions().await;
    let found = |it: &k8s_openapi::api::apps::v1::ControllerRevision| it.data.as_ref().unwrap().0["found"].to_string();
    assert!(versions.iter().all(|it| !found(it).contains("a:1")), "{versions:?}");
}

#[tokio::test]
async fn without_the_option_a_list_is_accepted_with_a_warning_and_discovers_nothing() {
    let it = Shop::begin("off").await;
    it.deploy("a", "a:1", json!({})).await;
    let _controller = Controller::start(&it.list).await;
    it.discover("").await;
    let list = it.list.validated("tools", "accepted").await;
    let problems = &list.metadata.annotations.unwrap()[labels::PROBLEMS];
    assert!(problems.contains("discovery"), "{problems}");
    assert!(it.list.daemon_sets().await.is_empty());
}

/// What `render` prints for a list with that name and text.
fn render(trial: &Trial, name: &str, text: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["render", "--file", "-", "--namespace", &trial.namespace, "--name", name]).args(more);
    command.arg("--kubeconfig").arg(&trial.kubeconfig);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = piped.spawn().unwrap();
    program.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    program.wait_with_output().unwrap()
}

#[tokio::test]
async fn render_shows_what_was_discovered_and_by_whom() {
    let it = Shop::begin("rendered").await;
    it.deploy("web", "web:1", json!({"kube-prepull.io/images": "Bad"})).await;
    let _controller = it.start().await;
    it.discover(", keepFor: 1h").await;
    it.discovered(&["web:1"]).await;
    it.redeploy("web", "web:2").await;
    it.discovered(&["web:1", "web:2"]).await;
    let list = it.list.list("tools").await.data.unwrap()["images.yaml"].clone();
    let with = render(&it.list, "tools", &list, &["--discovered"]);
    assert!(with.status.success(), "{with:?}");
    let printed = String::from_utf8(with.stdout).unwrap();
    let web = format!("Deployment {}/web", it.shop.namespace);
    for comment in [
        format!("\n# web:1: discovered in {web}; no workload has named it since 2"),
        format!("\n# web:2: discovered in {web}\n"),
        "\n# left out: Bad: ".to_owned(),
    ] {
        assert!(printed.contains(&comment), "{comment:?} is not in {printed}");
    }
    let daemon_set: DaemonSet = serde_yaml::from_str(&printed).unwrap();
    assert_eq!(images(&daemon_set), ["web:1", "web:2"]);
    let without = render(&it.list, "tools", &list, &[]);
    assert_eq!((without.status.code(), without.stdout.as_slice()), (Some(0), &b""[..]), "{without:?}");
    assert!(String::from_utf8(without.stderr).unwrap().contains("1 group discovered in workloads is not shown"));
    let unknown = render(&it.list, "other", &list, &["--discovered"]);
    assert_eq!((unknown.status.code(), unknown.stdout.as_slice()), (Some(1), &b""[..]), "{unknown:?}");
    let why = format!("no accepted version of the list {}/other", it.list.namespace);
    assert!(String::from_utf8(unknown.stderr).unwrap().contains(&why));
}
