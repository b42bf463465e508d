//! ImageCaches, as the API server sees them. Here the tests say what becomes of them.

use std::collections::BTreeSet;
use std::pin::pin;

use eci_simulator::ImageCache;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use kube_prepull::image_cache::object::DEFINITION;
use kube_prepull::naming::labels;
use serde_json::json;

use super::conditions::{as_limited, rights};
use super::trial;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::nodes::{NODES_OF, Nodes, simulated, virtual_node};
use crate::proxy::Proxy;
use crate::serverless::Serverless;
use crate::trial::eventually;

pub(super) const LIST: &str = "images: [nginx:1.27, redis:7]\nimageCache: {enabled: true, keepPreviousFor: 0s}\n";

impl Serverless {
    /// Waits until there are so many.
    pub(super) async fn number(&self, number: usize) -> Vec<ImageCache> {
        eventually(&format!("{number} ImageCaches"), async || Some(self.all().await).filter(|it| it.len() == number))
            .await
    }

    /// Whether the list's accepted version says that the first was made.
    async fn is_kept(&self) -> bool {
        let kept = |annotations: &std::collections::BTreeMap<String, String>| {
            annotations.get("kube-prepull.io/image-caches").is_some_and(|it| it.contains("\"attempts\":1"))
        };
        self.trial.revisions().await.iter().any(|revision| kept(revision.annotations()))
    }

    pub(super) async fn becomes(&self, cache: &ImageCache, status: serde_json::Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.image_caches.patch_status(&cache.name_any(), &PatchParams::default(), &patch).await.unwrap();
    }

    pub(super) async fn becomes_ready(&self, cache: &ImageCache) {
        let id = format!("imc-{}", cache.name_any());
        self.becomes(cache, json!({"phase": "Ready", "progress": "100%", "imageCacheId": id})).await;
    }

    /// Waits until there is another one.
    pub(super) async fn newest_other_than(&self, known: &ImageCache) -> ImageCache {
        let another = async || self.all().await.into_iter().rev().find(|cache| cache.name_any() != known.name_any());
        eventually("another ImageCache", another).await
    }
}

/// A list with an ImageCache that is ready, which was reported.
pub(super) async fn one_ready(name: &str) -> (Serverless, Controller, ImageCache) {
    let it = Serverless::begin(name).await;
    let controller = Controller::start(&it.trial).await;
    it.trial.write_list("tools", LIST).await;
    let cache = it.number(1).await.remove(0);
    it.becomes_ready(&cache).await;
    it.trial.reported("ImageCacheReady").await;
    (it, controller, cache)
}

#[tokio::test]
async fn a_list_becomes_an_image_cache_and_an_edit_takes_its_place_when_it_is_ready() {
    let it = Serverless::begin("cache").await;
    let _controller = Controller::start(&it.trial).await;
    it.trial.write_list("tools", LIST).await;
    let first = it.number(1).await.remove(0);
    assert_eq!(first.spec.images, ["nginx:1.27", "redis:7"]);
    assert!(first.name_any().starts_with(&format!("{}-tools-", it.trial.namespace)));
    assert_eq!(first.spec.image_cache_size, Some(20));
    it.becomes(&first, json!({"phase": "Creating", "progress": "30%"})).await;
    assert!(it.trial.reported("ImageCacheProgress").await.contains("30%"));
    it.becomes_ready(&first).await;
    let reported = it.trial.reported("ImageCacheReady").await;
    for annotation in
        ["eci-auto-imc: \"true\"", "eci-imc-id: imc-", "eci-image-cache: \"true\"", "eci-image-snapshot-id"]
    {
        assert!(reported.contains(annotation), "{reported}");
    }
    it.trial.write_list("tools", &LIST.replace("1.27", "1.28")).await;
    // Both may be of the same second, and are in the order of their names then.
    let both = it.number(2).await;
    let second = both.into_iter().find(|cache| cache.name_any() != first.name_any()).unwrap();
    assert_eq!(second.spec.images, ["nginx:1.28", "redis:7"]);
    it.becomes_ready(&second).await;
    let left = it.number(1).await;
    assert_eq!(left[0].name_any(), second.name_any());
    it.trial.write_list("tools", "images: [nginx:1.28, redis:7]").await;
    it.number(0).await;
    it.trial.settled_on(&["nginx:1.28", "redis:7"]).await;
}

#[tokio::test]
async fn lists_with_equal_content_have_one_each_and_each_goes_with_its_own() {
    let it = Serverless::begin("cachetwo").await;
    let _controller = Controller::start(&it.trial).await;
    it.trial.write_list("one", LIST).await;
    it.trial.write_list("two", LIST).await;
    let both = it.number(2).await;
    assert_ne!(both[0].name_any(), both[1].name_any());
    it.trial.write_list("one", "images: [nginx:1.27, redis:7]").await;
    let left = it.number(1).await;
    assert_eq!(left[0].labels()["kube-prepull.io/list"], "two");
}

#[tokio::test]
async fn what_is_left_of_a_list_goes_when_a_controller_finds_it_gone() {
    let (it, controller, _) = one_ready("cachegone").await;
    controller.kill();
    it.trial.api::<ConfigMap>().delete("tools", &DeleteParams::default()).await.unwrap();
    // It was away for longer than the grace.
    let revision = it.trial.revisions().await.remove(0);
    let long_ago = json!({"metadata": {"annotations": {"kube-prepull.io/missing-since": "2020-01-01T00:00:00Z"}}});
    let revisions = it.trial.api::<k8s_openapi::api::apps::v1::ControllerRevision>();
    revisions.patch(&revision.name_any(), &PatchParams::default(), &Patch::Merge(long_ago)).await.unwrap();
    let _controller = Controller::start(&it.trial).await;
    it.number(0).await;
    eventually("the rest to be gone", async || it.trial.revisions().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_new_controller_makes_nothing_again() {
    let (it, controller, cache) = one_ready("cacherestart").await;
    controller.kill();
    let _controller = Controller::start(&it.trial).await;
    it.trial.write_list("other", LIST).await;
    let both = it.number(2).await;
    assert!(both.iter().any(|it| it.metadata.uid == cache.metadata.uid));
    assert_eq!(it.trial.events("ImageCacheReady").await.len(), 1, "it is reported once");
}

#[tokio::test]
async fn without_the_resource_nodes_are_kept_warm_and_it_is_found_when_it_appears() {
    let it = Serverless::begin("cachenone").await;
    let proxy = Proxy::start(it.trial.client.clone()).await;
    proxy.know_nothing_of(Some("/imagecaches"));
    let controller = Controller::start_through(&it.trial, &proxy.kubeconfig).await;
    it.trial.write_list("tools", LIST).await;
    it.trial.settled_on(&["nginx:1.27", "redis:7"]).await;
    assert!(it.trial.reported("ImageCacheUnavailable").await.contains(DEFINITION));
    assert_eq!(controller.get("/readyz").unwrap().0, 200);
    proxy.know_nothing_of(None);
    it.number(1).await;
    // It is removed: that is reported once more, and nodes stay warm.
    proxy.know_nothing_of(Some("/imagecaches"));
    it.trial.write_list("tools", &LIST.replace("1.27", "1.28")).await;
    it.trial.settled_on(&["nginx:1.28", "redis:7"]).await;
}

#[tokio::test]
async fn a_missing_right_to_them_is_named_and_keeps_nothing_from_the_nodes() {
    let it = Serverless::begin("cacheright").await;
    let proxy = as_limited(&it.trial, &rights()).await;
    let _controller = Controller::start_through(&it.trial, &proxy.kubeconfig).await;
    it.trial.write_list("tools", LIST).await;
    it.trial.settled_on(&["nginx:1.27", "redis:7"]).await;
    let reported = it.trial.reported("MissingRight").await;
    assert!(
        reported.contains("imagecaches") && reported.contains("verbs: [list, watch, create, delete]"),
        "{reported}"
    );
    assert_eq!(it.all().await.len(), 0);
    let role = format!("image-caches-{}", it.trial.namespace);
    let rule = json!({"apiGroups": ["eci.alibabacloud.com"], "resources": ["imagecaches"], "verbs": ["list", "watch", "create", "delete"]});
    let roles: Api<ClusterRole> = Api::all(it.trial.client.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(it.trial.client.clone());
    let granted = json!({"metadata": {"name": role}, "rules": [rule]});
    roles.create(&PostParams::default(), &serde_json::from_value(granted).unwrap()).await.unwrap();
    let subject = json!({"kind": "ServiceAccount", "name": "limited", "namespace": it.trial.namespace});
    let to = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
    let bound = json!({"metadata": {"name": role}, "roleRef": to, "subjects": [subject]});
    bindings.create(&PostParams::default(), &serde_json::from_value(bound).unwrap()).await.unwrap();
    let made = it.number(1).await;
    bindings.delete(&role, &DeleteParams::default()).await.unwrap();
    roles.delete(&role, &DeleteParams::default()).await.unwrap();
    assert_eq!(made.len(), 1);
}

#[tokio::test]
async fn uninstalling_cleans_up_while_the_controller_still_runs() {
    let it = Serverless::begin("cacheclean").await;
    let controller = Controller::start_with(&it.trial, &["--leader-elect=true"]).await;
    it.trial.write_list("tools", LIST).await;
    let cache = it.number(1).await.remove(0);
    it.becomes_ready(&cache).await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["clean-up", "--namespace", &it.trial.namespace, "--kubeconfig"]).arg(&it.trial.kubeconfig);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&cache.name_any()));
    assert_eq!(it.all().await.len(), 0);
    // The controller sees that its ImageCache is gone, and may not write.
    it.trial.write_list("tools", &LIST.replace("1.27", "1.28")).await;
    eventually("the controller to notice that it does not lead", async || {
        let (_, metrics) = controller.get("/metrics").unwrap();
        metrics.lines().any(|line| line == "kube_prepull_leader 0").then_some(())
    })
    .await;
    assert_eq!(it.all().await.len(), 0);
}

#[tokio::test]
async fn pods_stay_off_virtual_nodes_even_with_a_toleration_for_everything() {
    let trial = trial("virtual").await;
    let nodes = Nodes::of(&trial);
    for real in 0..2 {
        nodes.add(real, simulated("amd64")).await;
    }
    // kwok starts every pod that is bound to it: one that is not kept off would run.
    let mut other = simulated("amd64");
    virtual_node(&mut other);
    nodes.add("virtual", other).await;
    let _controller = Controller::start(&trial).await;
    let placement = format!("nodeSelector: {{{NODES_OF}: {}}}, tolerations: [{{operator: Exists}}]", trial.namespace);
    trial.write_list("tools", &format!("groups: [{{name: all, images: [nginx:1.27], {placement}}}]")).await;
    eventually("two nodes that are wanted and have their pods", async || {
        let daemon_set = trial.daemon_sets().await.pop()?;
        let status = daemon_set.status?;
        let is_current = status.observed_generation == daemon_set.metadata.generation;
        (is_current && status.desired_number_scheduled == 2 && status.number_ready == 2).then_some(())
    })
    .await;
    let on: BTreeSet<String> = trial.pods().await.into_iter().filter_map(|pod| pod.spec?.node_name).collect();
    assert_eq!(on, [nodes.name(0), nodes.name(1)].into());
}

#[tokio::test]
async fn forms_whose_ledgers_are_equal_in_number_and_time_lead_to_no_writes_without_end() {
    let it = Serverless::begin("cacheledgers").await;
    let _controller = Controller::start(&it.trial).await;
    it.trial.write_list("tools", LIST).await;
    let cache = it.number(1).await.remove(0);
    eventually("it to be noted", async || it.is_kept().await.then_some(())).await;
    // Edits that ImageCaches have nothing to do with; each form keeps the ledger of its time.
    for (forms, rate) in [(2, 100), (3, 200)] {
        it.trial.write_list("tools", &format!("{LIST}pullRate: {rate}\n")).await;
        eventually("a ledger on each form", async || {
            let kept = it.trial.revisions().await;
            (kept.len() == forms && kept.iter().all(|it| it.annotations().contains_key(labels::IMAGE_CACHES)))
                .then_some(())
        })
        .await;
    }
    // The forms are listed by name, so this one comes before the others.
    let first = it.trial.revisions().await.into_iter().min_by_key(ResourceExt::name_any).unwrap();
    it.trial.write_data("tools", first.data.unwrap().0["data"].clone()).await;
    it.trial.validated("tools", "accepted").await;
    it.becomes_ready(&cache).await;
    it.trial.reported("ImageCacheReady").await;
    let log = AuditLog::open();
    let from = log.length();
    for tag in 1..4 {
        it.trial.write_list("other", &format!("images: [redis:{tag}]")).await;
        it.trial.validated("other", "accepted").await;
    }
    let mut writes = log.requests(from, &it.trial.namespace);
    writes.retain(|request| request.is_write() && request.uri.contains("/controllerrevisions/tools-"));
    assert!(writes.len() <= 1, "{writes:#?}");
}

/// A list that asks for an ImageCache while its controller is killed before the request of that number, and what another
/// controller makes of it: number and try of each ImageCache. Also says how many requests there were before it was done.
async fn killed_before(request: usize) -> (Vec<String>, usize) {
    let it = Serverless::begin(&format!("cachecrash{request}")).await;
    let proxy = Proxy::start(it.trial.client.clone()).await;
    let mut controller = Controller::start_through(&it.trial, &proxy.kubeconfig).await;
    it.trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    it.trial.settled_on(&["nginx:1.27", "redis:7"]).await;
    it.trial.validated("tools", "accepted").await;
    proxy.kill_before(request, controller.id());
    it.trial.write_list("tools", LIST).await;
    eventually("it to be done or the controller to be killed", async || {
        (controller.has_ended() || it.is_kept().await).then_some(())
    })
    .await;
    if controller.has_ended() {
        proxy.spare();
        controller = Controller::start_through(&it.trial, &proxy.kubeconfig).await;
    }
    eventually("it to be done", async || it.is_kept().await.then_some(())).await;
    let requests = proxy.requests();
    drop(controller);
    let made = |cache: &ImageCache| {
        let made: serde_json::Value = serde_json::from_str(&cache.annotations()["kube-prepull.io/made-from"]).unwrap();
        format!("number {}, try {}", made["serial"], made["attempt"])
    };
    (it.all().await.iter().map(made).collect(), requests)
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn an_image_cache_whose_controller_is_killed_before_any_request_is_made_once() {
    let (_, requests) = killed_before(usize::MAX).await;
    assert!((8..100).contains(&requests), "it took {requests} requests");
    let killed = async |request| (request, killed_before(request).await.0);
    let mut ends = pin!(stream::iter(1..=requests).map(killed).buffer_unordered(6));
    while let Some((request, found)) = ends.next().await {
        assert_eq!(found, ["number 1, try 1"], "killed before request {request} of {requests}");
    }
}
