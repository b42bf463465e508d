//! Nodes as large as real ones. Those that kwok makes by itself have four labels and no images, and hide what nodes cost.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use test_bed::Simulated;

use crate::trial::within;
use crate::{IMAGES, PATIENCE, progress, reference};

/// The label that all of them have.
const LABEL: &str = "bench.kube-prepull.io/node";
/// A kubelet reports the 50 largest.
const REPORTED: usize = 50;
/// How many different ones the cluster has besides those of the list.
const OTHERS: usize = 80;
const AT_A_TIME: usize = 16;

/// The nodes of this benchmark, in place of the bed's own.
pub struct Nodes<'c> {
    cluster: &'c Simulated,
    api: Api<Node>,
    /// How many nodes the bed had.
    before: u32,
    count: usize,
}

impl<'c> Nodes<'c> {
    /// Takes the bed's own nodes away.
    pub fn begin(cluster: &'c Simulated, client: Client) -> Self {
        let names = cluster.kubectl(["get", "nodes", "--selector", "type=kwok", "-o", "name"]).unwrap();
        cluster.scale(0).unwrap();
        Self { cluster, api: Api::all(client), before: names.lines().count().try_into().unwrap(), count: 0 }
    }

    /// Adds nodes until there are so many, and waits until all are ready.
    pub async fn grow(&mut self, count: usize) {
        progress(&format!("{count} nodes"));
        let api = &self.api;
        let created = stream::iter(self.count..count)
            .map(|index| async move { api.create(&PostParams::default(), &node(index)).await });
        created.buffer_unordered(AT_A_TIME).try_for_each(async |_| Ok(())).await.unwrap();
        self.count = count;
        within(PATIENCE, "all nodes to be ready", async || {
            let path = r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
            let found = self.cluster.kubectl(["get", "nodes", "--selector", LABEL, "-o", path]).unwrap();
            (found.lines().filter(|line| *line == "True").count() == count).then_some(())
        })
        .await;
    }

    /// The bytes of one Node as the API server sends it.
    pub fn bytes(&self) -> usize {
        self.cluster.kubectl(["get", "--raw", &format!("/api/v1/nodes/{}", name(0))]).unwrap().len()
    }

    /// Gives the bed its own nodes back.
    pub async fn end(self) {
        let ours = ListParams::default().labels(LABEL);
        // A busy API server closes connections.
        within(PATIENCE, "the nodes to be deleted", async || {
            self.api.delete_collection(&DeleteParams::default(), &ours).await.ok()
        })
        .await;
        self.cluster.scale(self.before).unwrap();
    }
}

fn name(index: usize) -> String {
    format!("ip-10-{}-{}-{}.eu-central-1.compute.internal", index / 65_536, index / 256 % 256, index % 256)
}

fn node(index: usize) -> Node {
    let manifest = json!({
        "metadata": {"name": name(index), "labels": labels(index), "annotations": annotations(index)},
        "spec": {"podCIDR": format!("10.{}.{}.0/24", index / 256, index % 256), "providerID": format!("aws:///{}", hex(index, 17))},
        "status": {"images": images(index), "nodeInfo": {
            "architecture": "amd64", "operatingSystem": "linux", "kernelVersion": "6.12.58-82.121.amzn2023.x86_64",
            "osImage": "Amazon Linux 2023.9.20251117", "containerRuntimeVersion": "containerd://2.1.5",
            "kubeletVersion": "v1.34.2-eks-ecaa3a6", "kubeProxyVersion": "", "bootID": hex(index, 32),
            "machineID": hex(index + 1, 32), "systemUUID": hex(index + 2, 32),
        }},
    });
    serde_json::from_value(manifest).unwrap()
}

/// 25 of them, as a node of a large provider has.
fn labels(index: usize) -> Value {
    let zone = ["eu-central-1a", "eu-central-1b", "eu-central-1c"][index % 3];
    let mut labels = json!({
        LABEL: "true",
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/instance-type": "m7i.4xlarge",
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name(index),
        "node.kubernetes.io/instance-type": "m7i.4xlarge", "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": zone, "topology.k8s.aws/zone-id": zone, "k8s.io/cloud-provider-aws": hex(0, 32),
    });
    for number in 0..25 - labels.as_object().unwrap().len() {
        labels[format!("karpenter.k8s.aws/instance-property-{number}")] =
            json!(format!("value-{}", index % (number + 2)));
    }
    labels
}

fn annotations(index: usize) -> Value {
    json!({
        // kwok plays only nodes that have this.
        "kwok.x-k8s.io/node": "fake",
        "csi.volume.kubernetes.io/nodeid": json!({"ebs.csi.aws.com": format!("i-{}", hex(index, 17)), "efs.csi.aws.com": hex(index, 17)}).to_string(),
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        "alpha.kubernetes.io/provided-node-ip": format!("10.{}.{}.1", index / 256, index % 256),
        "karpenter.sh/nodepool-hash": hex(7, 20),
        "network.example.com/addresses": (0..20).map(|it| hex(index * 31 + it, 32)).collect::<Vec<_>>().join(","),
    })
}

/// The list's own images, and others of the cluster, with a digest and a tag each.
fn images(index: usize) -> Vec<Value> {
    let own = (0..IMAGES).map(reference);
    let others = (0..REPORTED - IMAGES).map(|number| (index * 7 + number) % OTHERS).map(|number| {
        format!("0123456789.dkr.ecr.eu-central-1.amazonaws.com/platform/production/service-{number}:2026.11.{number}")
    });
    let image = |(number, tag): (usize, String)| {
        let (repository, _) = tag.rsplit_once(':').unwrap();
        json!({"names": [format!("{repository}@sha256:{}", hex(number, 64)), tag], "sizeBytes": 900_000_000 - number * 1_234_567})
    };
    own.chain(others).enumerate().map(image).collect()
}

/// Digits that look random.
fn hex(seed: usize, length: usize) -> String {
    let mut state = seed as u64;
    let mut digit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_digit((state >> 60) as u32, 16).unwrap()
    };
    (0..length).map(|_| digit()).collect()
}
