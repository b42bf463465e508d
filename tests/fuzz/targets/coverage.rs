//! Watch events of pods: four bytes each. What is folded from them equals what is counted from the pods that there are.

use std::collections::BTreeMap;

use kube_prepull::coverage::{Coverage, Hold, SlimPod};
use serde_json::{Value, json};

const LIST: &str = "tools";
const PODS: u8 = 8;
const PHASES: [&str; 4] = ["Pending", "Running", "Failed", "Succeeded"];
/// More would only take longer.
const EVENTS: usize = 64;

/// The pods that the API server has, and all versions that there were of them.
#[derive(Default)]
struct Cluster {
    pods: BTreeMap<u8, SlimPod>,
    versions: Vec<SlimPod>,
    /// How often each pod was created. Each time, it has another uid.
    created: [u8; PODS as usize],
}

/// Applies the events, and compares after each.
pub fn run(input: &[u8]) {
    let (mut coverage, mut cluster) = (Coverage::default(), Cluster::default());
    for event in input.chunks_exact(4).take(EVENTS) {
        let (what, name, first, second) = (event[0] % 8, event[1] % PODS, event[2], event[3]);
        match what {
            0..=3 => coverage.apply(&cluster.change(name, first, second)),
            // An older version, or the last one of a deleted pod, arrives once more.
            4 | 5 => {
                if let Some(late) = cluster.versions.get(usize::from(first) % cluster.versions.len().max(1)) {
                    coverage.apply(late);
                }
            }
            6 => {
                if let Some(pod) = cluster.pods.remove(&name) {
                    coverage.delete(&pod);
                }
            }
            // The watch is restarted, after pods have gone unseen.
            _ => {
                if first.is_multiple_of(2) {
                    cluster.pods.remove(&name);
                }
                coverage.replace(cluster.recount());
            }
        }
        assert_eq!(essentials(&coverage), essentials(&cluster.recount()), "after {event:?}");
    }
}

impl Cluster {
    /// Creates a pod, or a new version of it.
    fn change(&mut self, name: u8, first: u8, second: u8) -> SlimPod {
        let created = &mut self.created[usize::from(name)];
        *created += u8::from(!self.pods.contains_key(&name));
        let uid = format!("uid-{name}-{created}");
        let version = self.versions.len() + 1;
        let pod = pod(name, &uid, version, first, second);
        self.pods.insert(name, pod.clone());
        self.versions.push(pod.clone());
        pod
    }

    fn recount(&self) -> Coverage {
        let mut coverage = Coverage::default();
        self.pods.values().for_each(|pod| coverage.apply(pod));
        coverage
    }
}

fn pod(name: u8, uid: &str, version: usize, first: u8, second: u8) -> SlimPod {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "tools-a", "uid": "d", "controller": true});
    let is_deleting = second & 0x80 != 0;
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("tools-a-{name}"),
            "uid": uid,
            "resourceVersion": version.to_string(),
            "labels": {"kube-prepull.io/list": LIST},
            "ownerReferences": [owner],
            "deletionTimestamp": is_deleting.then_some("2026-01-01T00:00:00Z"),
        },
        "spec": {
            "nodeName": (second & 0x40 == 0).then(|| format!("node-{}", second % 4)),
            "containers": [{"name": "one", "image": "one:1"}, {"name": "two", "image": "two:1"}],
        },
        "status": {
            "phase": PHASES[usize::from(second >> 4) % PHASES.len()],
            "initContainerStatuses": [container("install-holder", second >> 2)],
            "containerStatuses": [container("one", first), container("two", first >> 4)],
        },
    }))
    .unwrap()
}

/// A container in one of sixteen states.
fn container(name: &str, state: u8) -> Value {
    let waiting = |reason: &str| json!({"waiting": {"reason": reason, "message": "not found"}});
    let ended =
        |code: i32| json!({"terminated": {"exitCode": code, "containerID": "containerd://a", "reason": "Error"}});
    let (state, last, id) = match state % 16 {
        0 => (json!({}), json!({}), ""),
        1 => (waiting("ContainerCreating"), json!({}), ""),
        2 => (waiting("PodInitializing"), json!({}), ""),
        3 => (waiting("ErrImagePull"), json!({}), ""),
        4 => (waiting("ImagePullBackOff"), json!({}), ""),
        5 => (waiting("CrashLoopBackOff"), ended(1), "containerd://a"),
        6 => (waiting("CreateContainerError"), json!({}), ""),
        7 => (ended(0), json!({}), "containerd://a"),
        8 => (ended(137), json!({}), "containerd://a"),
        9 => (waiting("ImagePullBackOff"), ended(137), "containerd://a"),
        10 => (waiting("ImagePullBackOff"), ended(137), ""),
        _ => (json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}), json!({}), "containerd://b"),
    };
    json!({"name": name, "state": state, "lastState": last, "containerID": id, "imageID": format!("{name}@sha256:1")})
}

/// What does not depend on earlier versions of the pods: each pod, its node, and whether each image is held by a running container.
fn essentials(coverage: &Coverage) -> BTreeMap<String, String> {
    let pods = coverage.pods_of(LIST).map(|pod| {
        let held: Vec<_> = pod.images.iter().map(|image| image.state.hold() == Hold::Running).collect();
        (pod.uid.to_string(), format!("{} {:?} {} {held:?} {:?}", pod.name, pod.node, pod.deleting, pod.state))
    });
    pods.collect()
}
