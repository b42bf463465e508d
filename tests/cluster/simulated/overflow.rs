//! What the documentation advises for pods that overflow to virtual nodes, on a real scheduler.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::trial;
use crate::nodes::{NODES_OF, Nodes, is_ready, simulated, virtual_node};
use crate::trial::{Trial, eventually};

/// The pod limit of each real node.
const POD_LIMIT: usize = 4;

/// The YAML blocks of the page.
fn examples() -> Vec<Value> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/serverless.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_yaml::from_str(block).unwrap()).collect()
}

async fn add(nodes: &Nodes<'_>, name: &str, zone: &str, is_virtual: bool) {
    let mut node = simulated("amd64");
    node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
    let mut capacity = json!({"cpu": "32", "memory": "64Gi", "pods": POD_LIMIT.to_string()});
    if is_virtual {
        virtual_node(&mut node);
        // It claims to have capacity for everything, and so attracts pods.
        capacity = json!({"cpu": "10000", "memory": "10000Gi", "pods": "1000"});
    }
    node["status"] = json!({"allocatable": capacity, "capacity": capacity});
    nodes.add(name, node).await;
}

/// Until a node is ready, a taint keeps all pods off it.
async fn are_ready(nodes: &Nodes<'_>) {
    eventually("the nodes to be ready", async || {
        let kept_off = |node: &Node| {
            let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
            taints.into_iter().any(|taint| taint.key.starts_with("node.kubernetes.io/"))
        };
        nodes.all().await.iter().all(|node| is_ready(node) && !kept_off(node)).then_some(())
    })
    .await;
}

/// The example for the trial's own nodes and namespace, in so many replicas.
fn on_own_nodes(example: &Value, trial: &Trial, replicas: usize) -> Deployment {
    let mut deployment = example.clone();
    deployment["spec"]["replicas"] = json!(replicas);
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["nodeSelector"] = json!({NODES_OF: trial.namespace});
    pod["tolerations"].as_array_mut().unwrap().push(json!({"key": NODES_OF, "operator": "Exists"}));
    pod["securityContext"] =
        json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    serde_json::from_value(deployment).unwrap()
}

/// How many pods are on real and on virtual nodes, once all have a node.
async fn placed(trial: &Trial, replicas: usize) -> (usize, usize) {
    eventually("all pods to have a node", async || {
        let pods = trial.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        let nodes: Vec<String> = pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
        (nodes.len() == replicas).then(|| {
            let on_virtual = nodes.iter().filter(|node| node.contains("virtual")).count();
            (replicas - on_virtual, on_virtual)
        })
    })
    .await
}

#[tokio::test]
async fn every_example_is_accepted_by_the_api_server_as_it_is() {
    let trial = trial("overflow-dry").await;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let examples = examples();
    let [list, deployments @ .., platforms] = &examples[..] else { panic!("{} examples", examples.len()) };
    assert_eq!(deployments.len(), 2);
    for deployment in deployments {
        let deployment: Deployment = serde_json::from_value(deployment.clone()).unwrap();
        trial.api().create(&dry_run, &deployment).await.unwrap();
    }
    let list: k8s_openapi::api::core::v1::ConfigMap = serde_json::from_value(list.clone()).unwrap();
    trial.api().create(&dry_run, &list).await.unwrap();
    let data = kube_prepull::list::ListData {
        namespace: trial.namespace.clone(),
        name: list.name_any(),
        data: list.data.unwrap(),
        found: None,
    };
    let parsed = kube_prepull::list::parse(&data);
    assert_eq!(parsed.problems, []);
    assert!(parsed.config.unwrap().image_cache.is_some());
    let data = [("images.yaml".to_owned(), platforms.to_string())].into();
    let platforms =
        kube_prepull::list::ListData { namespace: trial.namespace.clone(), name: "shop".to_owned(), data, found: None };
    let image_cache = kube_prepull::list::parse(&platforms).config.unwrap().image_cache.unwrap();
    assert_eq!(image_cache.platforms.len(), 3);
}

/// All real nodes are filled first, and the rest goes to the virtual one.
async fn overflows(name: &str, example: usize) {
    let trial = trial(name).await;
    let nodes = Nodes::of(&trial);
    add(&nodes, "one", "zone-a", false).await;
    add(&nodes, "two", "zone-b", false).await;
    add(&nodes, "virtual", "zone-a", true).await;
    are_ready(&nodes).await;
    let replicas = 2 * POD_LIMIT + 1;
    let deployment = on_own_nodes(&examples()[example], &trial, replicas);
    trial.api::<Deployment>().create(&PostParams::default(), &deployment).await.unwrap();
    assert_eq!(placed(&trial, replicas).await, (2 * POD_LIMIT, 1));
}

#[tokio::test]
async fn the_first_example_fills_real_nodes_before_it_takes_a_virtual_one() {
    overflows("overflow", 1).await;
}

#[tokio::test]
async fn the_example_that_spreads_over_zones_fills_real_nodes_before_it_takes_a_virtual_one() {
    overflows("overflow-zones", 2).await;
}
