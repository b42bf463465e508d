//! Coverage while nodes come, go, and change in the middle of rollouts, against a recount of what the API server has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::conditions::{as_limited, grant, rights};
use super::trial;
use crate::controller::Controller;
use crate::nodes::{Nodes, is_ready, simulated};
use crate::trial::{Trial, eventually, images};

/// A taint that the list does not tolerate.
const OTHER_TAINT: &str = "kube-prepull.test/other";

/// Nodes by number.
pub struct Pool<'t> {
    trial: &'t Trial,
    nodes: Nodes<'t>,
}

impl<'t> Pool<'t> {
    pub fn of(trial: &'t Trial) -> Self {
        Self { trial, nodes: Nodes::of(trial) }
    }

    pub async fn add(&self, indices: Range<usize>) {
        let node = simulated("arm64");
        futures::future::join_all(indices.map(|index| self.nodes.add(index, node.clone()))).await;
    }

    async fn remove(&self, indices: Range<usize>) {
        futures::future::join_all(indices.map(|index| self.nodes.remove(index))).await;
    }

    async fn cordon(&self, indices: Range<usize>, cordoned: bool) {
        self.patch(indices, &json!({"spec": {"unschedulable": cordoned}})).await;
    }

    /// Adds [`OTHER_TAINT`], or takes it away.
    async fn taint(&self, indices: Range<usize>, tainted: bool) {
        let mut taints = vec![json!(self.nodes.taint())];
        if tainted {
            taints.push(json!({"key": OTHER_TAINT, "effect": "NoSchedule"}));
        }
        self.patch(indices, &json!({"spec": {"taints": taints}})).await;
    }

    async fn patch(&self, indices: Range<usize>, patch: &Value) {
        futures::future::join_all(indices.map(|index| self.nodes.patch(index, patch))).await;
    }

    /// A list of these images on these nodes.
    pub fn list(&self, images: &[&str]) -> String {
        let (images, placement) = (images.join(", "), self.nodes.placement());
        format!("pullRate: 0\ngroups: [{{name: pool, images: [{images}], {placement}}}]")
    }
}

/// What became of an image on nodes, as far as simulated kubelets distinguish it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recount {
    warm: usize,
    tainted: BTreeSet<String>,
    /// Waiting, pulling, not scheduled yet, or without a pod. How long the DaemonSet controller may take to create a
    /// pod before it counts as displaced is a question of time, which two readings do not share.
    not_yet: BTreeSet<String>,
    aside: usize,
}

/// What the API server has.
struct Seen {
    nodes: Vec<Node>,
    pods: BTreeMap<String, Vec<Pod>>,
    /// The newest generation's name and images.
    newest: Option<(String, Vec<String>)>,
}

impl Seen {
    async fn now(pool: &Pool<'_>) -> Self {
        let mut pods: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
        for pod in pool.trial.pods().await.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            pods.entry(made_for(&pod)).or_default().push(pod);
        }
        let mut daemon_sets = pool.trial.daemon_sets().await;
        daemon_sets.sort_by_key(|it| it.annotations()["kube-prepull.io/revision"].parse::<u32>().unwrap());
        let newest = daemon_sets.last().map(|newest| (newest.name_any(), images(newest)));
        Self { nodes: pool.nodes.all().await, pods, newest }
    }

    /// All that may change a count. Equal counts at two instants are no sign that nothing happened in between.
    fn facts(&self) -> impl PartialEq {
        let node =
            |node: &Node| (node.uid(), node.spec.clone(), node.metadata.deletion_timestamp.clone(), is_ready(node));
        let pods = |pods: &Vec<Pod>| pods.iter().map(|pod| (pod.uid(), all_run(pod))).collect::<Vec<_>>();
        let nodes: Vec<_> = self.nodes.iter().map(node).collect();
        let pods: Vec<_> = self.pods.values().map(pods).collect();
        (self.newest.clone(), nodes, pods)
    }

    /// Counts by hand.
    fn recount(&self, image: &str) -> Recount {
        let mut recount = Recount::default();
        for node in &self.nodes {
            let (name, spec) = (node.name_any(), node.spec.as_ref().unwrap());
            let here = self.pods.get(&name).map(Vec::as_slice).unwrap_or_default();
            let tainted = spec.taints.iter().flatten().any(|taint| taint.key == OTHER_TAINT);
            if tainted && here.is_empty() {
                continue;
            }
            if node.metadata.deletion_timestamp.is_some() || !is_ready(node) {
                recount.aside += 1;
            } else if here.iter().any(|pod| runs(pod, image) == Some(true)) {
                recount.warm += 1;
            } else if spec.unschedulable == Some(true) {
                recount.aside += 1;
            } else if tainted {
                recount.tainted.insert(name);
            } else {
                recount.not_yet.insert(name);
            }
        }
        recount
    }
}

/// Simulated kubelets start all containers at once.
fn all_run(pod: &Pod) -> bool {
    pod.spec.iter().flat_map(|spec| &spec.containers).all(|it| runs(pod, it.image.as_deref().unwrap()) == Some(true))
}

/// The node that a pod is bound to, or to be bound to.
fn made_for(pod: &Pod) -> String {
    let spec = serde_json::to_value(&pod.spec).unwrap();
    let terms = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    let name = spec.pointer("/nodeName").or_else(|| spec.pointer(terms));
    name.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whether the image's container runs in the pod; `None` where the pod has none.
fn runs(pod: &Pod, image: &str) -> Option<bool> {
    let container = pod.spec.as_ref()?.containers.iter().find(|it| it.image.as_deref() == Some(image))?;
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let state = statuses.filter(|it| it.name == container.name).find_map(|it| it.state.as_ref());
    Some(state.is_some_and(|state| state.running.is_some()))
}

async fn status(trial: &Trial, arguments: &[&str]) -> Output {
    status_through(trial, &trial.kubeconfig, arguments).await
}

/// Does not keep the test's own thread, on which a proxy may run.
async fn status_through(trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["status", "--namespace", &trial.namespace, "--kubeconfig"]).arg(kubeconfig).args(arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// What `status` says of each image of the list.
async fn reported(trial: &Trial) -> Vec<Recount> {
    let output = status(trial, &["-o", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["nodesKnown"], true);
    report["lists"][0]["groups"][0]["images"].as_array().unwrap().iter().map(reported_image).collect()
}

fn reported_image(image: &Value) -> Recount {
    let nodes = |states: &[&str]| -> BTreeSet<String> {
        let behind = image["behind"].as_array().unwrap().iter();
        let wanted = behind.filter(|it| states.contains(&it["state"].as_str().unwrap()));
        wanted.flat_map(|it| it["nodes"].as_array().unwrap()).map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let count = |state: &str| usize::try_from(image["nodes"][state].as_u64().unwrap()).unwrap();
    Recount {
        warm: count("warm"),
        tainted: nodes(&["tainted"]),
        not_yet: nodes(&["waiting", "pulling", "noCapacity", "displaced"]),
        aside: count("notReady") + count("cordoned") + count("deleting"),
    }
}

/// Asserts that `status` and a recount agree on an instant at which nothing changes.
async fn agree(pool: &Pool<'_>, images: &[&str]) -> Vec<Recount> {
    eventually("an instant at which nothing changes", async || {
        let (before, said, after) = (Seen::now(pool).await, reported(pool.trial).await, Seen::now(pool).await);
        (before.facts() == after.facts()).then(|| {
            let recount: Vec<_> = images.iter().map(|image| before.recount(image)).collect();
            assert_eq!(said, recount);
            said
        })
    })
    .await
}

pub async fn all_warm(pool: &Pool<'_>, images: &[&str], nodes: usize) {
    eventually(&format!("{nodes} warm nodes"), async || {
        let said = agree(pool, images).await;
        said.iter().all(|it| it.warm == nodes && it.not_yet.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn while_200_nodes_come_go_and_change_in_waves_status_equals_a_recount() {
    let trial = trial("coverage").await;
    let pool = Pool::of(&trial);
    pool.add(0..150).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", &pool.list(&["nginx:1.27", "redis:7"])).await;
    trial.validated("tools", "accepted").await;
    all_warm(&pool, &["nginx:1.27", "redis:7"], 150).await;

    let images = ["nginx:1.28", "redis:7"];
    trial.write_list("tools", &pool.list(&images)).await;
    trial.validated("tools", "accepted").await;
    agree(&pool, &images).await;
    pool.add(150..200).await;
    agree(&pool, &images).await;
    pool.taint(0..20, true).await;
    agree(&pool, &images).await;
    pool.cordon(20..40, true).await;
    agree(&pool, &images).await;
    pool.remove(40..60).await;
    agree(&pool, &images).await;
    trial.write_list("tools", &pool.list(&["nginx:1.29", "redis:7"])).await;
    trial.validated("tools", "accepted").await;
    let images = ["nginx:1.29", "redis:7"];
    pool.taint(0..20, false).await;
    agree(&pool, &images).await;
    pool.cordon(20..40, false).await;
    agree(&pool, &images).await;
    all_warm(&pool, &images, 180).await;
    eventually("everything to be warm", async || (status(&trial, &[]).await.status.code() == Some(0)).then_some(()))
        .await;
}

#[tokio::test]
async fn without_the_right_to_read_nodes_status_goes_by_pods_and_other_rights_are_named() {
    let trial = trial("statusrights").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let proxy = as_limited(&trial, &rights()).await;
    let nodes = |report: &Value| report["lists"][0]["groups"][0]["images"][0]["nodes"].clone();
    // Other tests' nodes come and go between two readings.
    let (all, by_pods) = eventually("a warm list, however it is read", async || {
        let output = status(&trial, &["-o", "json"]).await;
        let warm = output.status.code() == Some(0);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let by_pods = status_through(&trial, &proxy.kubeconfig, &["-o", "json"]).await;
        let by_pods: Value = serde_json::from_slice(&by_pods.stdout).unwrap();
        (warm && nodes(&by_pods) == nodes(&all)).then_some((all, by_pods))
    })
    .await;
    assert_eq!((&all["nodesKnown"], &by_pods["nodesKnown"]), (&json!(true), &json!(false)));

    let mut less = rights();
    less.retain(|right| right["resources"] != json!(["pods"]) && right["resources"] != json!(["configmaps"]));
    grant(&trial, &less).await;
    // Rights go while it asks for one thing after the other.
    eventually("the rights to be gone, and that to be reported", async || {
        let output = status_through(&trial, &proxy.kubeconfig, &[]).await;
        let reported = String::from_utf8(output.stderr).unwrap();
        let words =
            ["cannot list resource \"pods\"", "cannot list resource \"configmaps\"", "grant this user the right"];
        (output.status.code() == Some(1) && words.iter().all(|words| reported.contains(words))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_list_that_is_not_there_is_reported() {
    let trial = trial("statusnone").await;
    for named in [&["--list", "nothing"][..], &["nothing"]] {
        let output = status(&trial, named).await;
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("there is no image list nothing in the namespace"), "{message}");
    }
}
