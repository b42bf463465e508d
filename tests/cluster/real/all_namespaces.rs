//! One controller for the lists of all namespaces.
//!
//! It sees the lists of all other tests, so these run alone, by `make test-faults`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_bed::real::Sample;
use test_bed::{Digest, Image};

use super::faults::HEALING;
use super::workloads::{private, pull_secret};
use super::{RealTrial, content};
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::simulated::conditions::{as_limited, rights};
use crate::trial::{Trial, clean_up, eventually, images, may_list, within};

/// The controller's namespace, and another one with a list of the same name.
struct Both {
    home: RealTrial,
    tenant: Trial,
    ours: Digest,
    theirs: Digest,
    controller: Controller,
}

impl Both {
    async fn begin(name: &str) -> Self {
        let home = RealTrial::begin_alone(name).await;
        let tenant = Trial::begin(home.bed.kubeconfig(), &format!("{name}-tenant")).await;
        let [ours, theirs] =
            ["ours", "theirs"].map(|it| home.push(&format!("{it}:1"), &content(&format!("{name} {it}"))));
        let controller = start(&home).await;
        home.trial.write_list("tools", &home.list(&["ours:1"])).await;
        tenant.write_list("tools", &home.list(&["theirs:1"])).await;
        let it = Self { home, tenant, ours, theirs, controller };
        it.hold().await;
        it
    }

    /// Waits until both lists are held, each in its own namespace.
    async fn hold(&self) {
        self.home.only_held_everywhere(&[self.ours.as_str()]).await;
        self.tenant_holds(&[&self.theirs]).await;
    }

    async fn tenant_holds(&self, digests: &[&Digest]) {
        let wanted: BTreeSet<&str> = digests.iter().map(|digest| digest.as_str()).collect();
        within(HEALING, &format!("{wanted:?} to be held for {}", self.tenant.namespace), async || {
            let held = |node| Sample::take(node, &self.tenant.namespace).unwrap().held;
            let mut held = self.home.nodes.iter().map(held);
            held.all(|held| held.iter().map(|it| it.digest.as_str()).collect::<BTreeSet<_>>() == wanted).then_some(())
        })
        .await;
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.controller.get("/status").unwrap().1).unwrap()
    }

    /// The namespaces of the lists that the controller reports.
    fn reported_namespaces(&self) -> BTreeSet<String> {
        let report = self.report();
        let lists = report["lists"].as_array().unwrap().iter();
        lists.map(|list| list["namespace"].as_str().unwrap().to_owned()).collect()
    }
}

impl RealTrial {
    fn list(&self, images: &[&str]) -> String {
        let images: Vec<String> = images.iter().map(|image| self.reference(image)).collect();
        format!("images: [{}]\n", images.join(", "))
    }
}

async fn start(home: &RealTrial) -> Controller {
    let holder = home.reference("kube-prepull:1");
    let arguments = ["--all-namespaces", "--holder-image", &holder, "--pod-service-account", "default"];
    Controller::start_with(&home.trial, &arguments).await
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn lists_of_the_same_name_are_each_kept_warm_in_their_own_namespace() {
    let it = Both::begin("anywhere").await;
    let found = it.tenant.daemon_sets().await;
    let [daemon_set] = &found[..] else { panic!("one DaemonSet: {found:?}") };
    let pod = daemon_set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    assert!(daemon_set.owner_references().is_empty());
    assert_eq!((pod.service_account_name.as_deref(), pod.automount_service_account_token), (None, Some(false)));
    it.tenant.reported("RolloutStarted").await;

    let both = BTreeSet::from([it.home.trial.namespace.clone(), it.tenant.namespace.clone()]);
    eventually("both lists to be reported", async || (it.reported_namespaces() == both).then_some(())).await;
    let series = format!("kube_prepull_list_images_desired{{namespace=\"{}\",list=\"tools\"}}", it.tenant.namespace);
    eventually(&series, async || it.controller.get("/metrics")?.1.contains(&series).then_some(())).await;
    assert_eq!(it.tenant.status()["lists"].as_array().unwrap().len(), 1);

    // An edit of one is no matter of the other.
    let before = it.home.trial.daemon_sets().await;
    let next = it.home.push("theirs:2", &content("next"));
    it.tenant.write_list("tools", &it.home.list(&["theirs:1", "theirs:2"])).await;
    it.tenant_holds(&[&it.theirs, &next]).await;
    let names = |found: &[_]| found.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
    assert_eq!(names(&it.home.trial.daemon_sets().await), names(&before));
    it.tenant.write_list("tools", "images: [nginx]\nnodeGate: {}\n").await;
    let rejected = it.tenant.validated("tools", "rejected").await;
    assert!(rejected.annotations()["kube-prepull.io/problems"].contains("nodeGate"), "{rejected:?}");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_namespace_that_is_deleted_takes_its_list_along_and_no_other() {
    let it = Both::begin("deleted").await;
    let namespaces = Api::<Namespace>::all(it.tenant.client.clone());
    namespaces.delete(&it.tenant.namespace, &DeleteParams::default()).await.unwrap();
    within(HEALING, "the namespace to be gone", async || {
        namespaces.get_opt(&it.tenant.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
    let home = BTreeSet::from([it.home.trial.namespace.clone()]);
    eventually("the list not to be reported any more", async || (it.reported_namespaces() == home).then_some(())).await;
    it.home.only_held_everywhere(&[it.ours.as_str()]).await;
    // And it may come again.
    let again = Trial::begin_in(it.home.bed.kubeconfig(), it.tenant.namespace.clone()).await;
    again.write_list("tools", &it.home.list(&["theirs:1"])).await;
    it.hold().await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn cleaning_up_deletes_what_is_elsewhere_and_leaves_the_rest_to_the_owner() {
    let Both { home, tenant, ours, controller, .. } = Both::begin("cleanup").await;
    let before = home.trial.daemon_sets().await.len();
    drop(controller);
    let mut clean_up = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    clean_up.args(["clean-up", "--all-namespaces", "--namespace", &home.trial.namespace, "--kubeconfig"]);
    let output = clean_up.arg(&tenant.kubeconfig).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("deleted the DaemonSet {}/tools-", tenant.namespace)), "{said}");
    assert!(!said.contains(&format!("{}/", home.trial.namespace)), "{said}");
    eventually("everything to be gone", async || {
        let versions = tenant.api::<ControllerRevision>().list(&ListParams::default()).await.unwrap().items;
        let pods = tenant.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        (tenant.daemon_sets().await.is_empty() && versions.is_empty() && pods.is_empty()).then_some(())
    })
    .await;
    assert_eq!(home.trial.daemon_sets().await.len(), before);
    home.only_held_everywhere(&[ours.as_str()]).await;
}

/// Lets all pods without a ServiceAccount of their own pull from a private registry.
async fn let_pull(namespace: &Trial, registry: &str) {
    namespace.create::<Secret>(pull_secret("pull", registry, "right")).await;
    let patch = Patch::Merge(json!({"imagePullSecrets": [{"name": "pull"}]}));
    let accounts = namespace.api::<ServiceAccount>();
    eventually("the ServiceAccount to be there", async || {
        accounts.patch("default", &PatchParams::default(), &patch).await.ok().map(drop)
    })
    .await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn credentials_that_a_namespace_lacks_for_our_own_image_are_named_on_its_list() {
    let home = RealTrial::begin_alone("ownsecret").await;
    let tenant = Trial::begin(&home.trial.kubeconfig, "ownsecret-tenant").await;
    let registry = home.bed.faulty_registry(&format!("{}.test", home.trial.namespace)).unwrap();
    // Kubelets know by its digest who pulled an image.
    let holder = [home.bed.holder().unwrap().as_slice(), home.trial.namespace.as_bytes()].concat();
    home.push("private:1", &Image::of_holder(holder));
    let [ours, theirs] =
        ["ours", "theirs"].map(|it| home.push(&format!("{it}:1"), &content(&format!("ownsecret {it}"))));
    registry.set(private());
    let_pull(&home.trial, registry.name()).await;
    let own = home.reference_at(registry.name(), "private:1");
    let arguments = ["--all-namespaces", "--holder-image", &own, "--pod-service-account", "default"];
    let controller = Controller::start_with(&home.trial, &arguments).await;
    home.trial.write_list("tools", &home.list(&["ours:1"])).await;
    home.only_held_everywhere(&[ours.as_str()]).await;

    tenant.write_list("tools", &home.list(&["theirs:1"])).await;
    let said = tenant.said_within(HEALING, "InitContainerFailing", &[&own]).await;
    assert!(said.contains("give the ServiceAccount default a pull secret"), "{said}");
    let_pull(&tenant, registry.name()).await;
    let both = Both { home, tenant, ours, theirs, controller };
    // A pod keeps the pull secrets that its ServiceAccount had when it was created.
    let pods = both.tenant.api::<Pod>();
    pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    both.hold().await;
}

/// The rights of the component for kustomize, for the account `limited` of a namespace. They go with the value.
struct Everywhere {
    kubeconfig: PathBuf,
    role: ClusterRole,
    binding: ClusterRoleBinding,
}

impl Everywhere {
    async fn grant(home: &Trial) -> Self {
        let manifests = include_str!("../../../deploy/kustomize/all-namespaces/rights.yaml");
        let [mut role, mut binding] = <[Value; 2]>::try_from(serde_yaml::from_multiple(manifests).unwrap()).unwrap();
        role["metadata"]["name"] = json!(home.namespace);
        binding["metadata"]["name"] = json!(home.namespace);
        binding["roleRef"]["name"] = json!(home.namespace);
        binding["subjects"] = json!([{"kind": "ServiceAccount", "name": "limited", "namespace": home.namespace}]);
        let (role, binding) = (serde_json::from_value(role).unwrap(), serde_json::from_value(binding).unwrap());
        let granted = Self { kubeconfig: home.kubeconfig.clone(), role, binding };
        Api::<ClusterRole>::all(home.client.clone()).create(&PostParams::default(), &granted.role).await.unwrap();
        granted.give_back(home).await;
        granted
    }

    async fn withdraw(&self, home: &Trial) {
        let bindings = Api::<ClusterRoleBinding>::all(home.client.clone());
        bindings.delete(&self.binding.name_any(), &DeleteParams::default()).await.unwrap();
    }

    async fn give_back(&self, home: &Trial) {
        let bindings = Api::<ClusterRoleBinding>::all(home.client.clone());
        bindings.create(&PostParams::default(), &self.binding).await.unwrap();
    }
}

impl Drop for Everywhere {
    fn drop(&mut self) {
        let name = self.role.name_any();
        clean_up(&self.kubeconfig, async move |client| {
            drop(Api::<ClusterRoleBinding>::all(client.clone()).delete(&name, &DeleteParams::default()).await);
            drop(Api::<ClusterRole>::all(client).delete(&name, &DeleteParams::default()).await);
        });
    }
}

/// A list that no node matches.
fn nowhere(image: &str) -> String {
    format!(
        "groups: [{{name: tools, images: [\"{image}\"], nodeSelector: {{kubernetes.io/hostname: no-such-node}}}}]\n"
    )
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn rights_that_are_withdrawn_release_nothing_and_when_they_are_back_edits_are_taken_up() {
    let home = RealTrial::begin_alone("withdrawn").await.trial;
    let tenant = Trial::begin(&home.kubeconfig, "withdrawn-tenant").await;
    let everywhere = Everywhere::grant(&home).await;
    let proxy = as_limited(&home, &rights()).await;
    let account = home.client_as(&format!("system:serviceaccount:{}:limited", home.namespace)).await;
    may_list::<ConfigMap>(&account, &tenant.namespace).await;
    let controller = Controller::start_through_with(&home, &proxy.kubeconfig, &["--all-namespaces"]).await;
    tenant.write_list("tools", &nowhere("nginx:1.27")).await;
    let held = tenant.settled_on(&["nginx:1.27"]).await;
    let cannot_watch = || controller.log().contains("cannot watch image lists");
    assert!(!cannot_watch(), "{}", controller.log());

    everywhere.withdraw(&home).await;
    eventually("the right to be gone", async || {
        let lists = Api::<ConfigMap>::namespaced(account.clone(), &tenant.namespace);
        lists.list_metadata(&ListParams::default()).await.err().map(drop)
    })
    .await;
    proxy.disconnect();
    eventually("the missing right to be reported", async || cannot_watch().then_some(())).await;
    tenant.write_list("tools", &nowhere("nginx:1.28")).await;
    let found = tenant.daemon_sets().await;
    assert_eq!(found.iter().map(ResourceExt::uid).collect::<Vec<_>>(), [held.uid()]);

    everywhere.give_back(&home).await;
    tenant.settled_on(&["nginx:1.28"]).await;
    tenant.validated("tools", "accepted").await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn an_edit_elsewhere_whose_controller_is_killed_before_any_request_is_finished_by_the_next_one() {
    let home = RealTrial::begin_alone("killed").await.trial;
    let tenant = Trial::begin(&home.kubeconfig, "killed-tenant").await;
    let proxy = Proxy::start(home.client.clone()).await;
    let start = || Controller::start_through_with(&home, &proxy.kubeconfig, &["--all-namespaces"]);
    let mut controller = start().await;
    home.write_list("tools", &nowhere("redis:7")).await;
    let untouched = home.settled_on(&["redis:7"]).await.uid();
    tenant.write_list("tools", &nowhere("nginx:0")).await;
    tenant.settled_on(&["nginx:0"]).await;
    for request in 1.. {
        assert!(request < 100, "it asks again and again");
        let image = format!("nginx:{request}");
        proxy.kill_before(request, controller.id());
        tenant.write_list("tools", &nowhere(&image)).await;
        let killed = within(HEALING, "the edit to be finished or the controller to be killed", async || {
            let found = tenant.daemon_sets().await;
            assert!(!found.is_empty(), "everything is released");
            let is_done = found.len() == 1 && images(&found[0]) == [image.as_str()];
            (is_done || controller.has_ended()).then_some(controller.has_ended())
        })
        .await;
        proxy.spare();
        if killed {
            controller = start().await;
        }
        tenant.settled_within(HEALING, &[&image]).await;
        tenant.validated("tools", "accepted").await;
        assert_eq!(home.settled_on(&["redis:7"]).await.uid(), untouched);
        if !killed {
            return assert!(request > 4, "a version, two DaemonSets and an Event are written");
        }
    }
}
