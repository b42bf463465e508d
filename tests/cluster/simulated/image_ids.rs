//! Refreshes where runtimes say in every possible form what the digest of a tag is: none of them leads to endless rollouts.

use kube_prepull::naming::labels;

use super::kubelets::{Kubelets, Pull};
use super::trial;
use crate::controller::Controller;
use crate::tag_checks::{answered, number, request};
use crate::trial::{Trial, eventually};

const TICKS: usize = 10;

/// 64 hexadecimal digits that stand for some content.
fn hex(content: impl std::hash::Hash) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let word = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &content).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(word).collect()
}

async fn list_of(trial: &Trial, kubelets: &Kubelets<'_>, images: &[&str]) {
    let group = format!("groups: [{{name: g, images: [{}], {}}}]", images.join(", "), kubelets.placement());
    trial.write_list("tools", &format!("{group}\nrefresh: {{every: 24h}}\n")).await;
    eventually("all images on all nodes", async || {
        let found = trial.daemon_sets().await.pop()?;
        let status = found.status?;
        (status.desired_number_scheduled > 0 && status.number_ready == status.desired_number_scheduled).then_some(())
    })
    .await;
    let statuses = trial.pods().await.into_iter().filter_map(|pod| pod.status?.container_statuses);
    let said: Vec<bool> = statuses.flatten().map(|status| !status.image_id.is_empty()).collect();
    assert!(said.contains(&true), "runtimes that say nothing prove nothing");
}

/// The number of the generation after each of ten refreshes.
async fn after_refreshes(trial: &Trial) -> Vec<u32> {
    let mut numbers = Vec::new();
    for tick in 0..TICKS {
        let value = format!("tick {tick}");
        request(trial, &value).await;
        numbers.push(number(&answered(trial, &value).await));
        // A rollout is over before the next refresh.
        eventually("the rollout to be done", async || (trial.daemon_sets().await.len() == 1).then_some(())).await;
    }
    numbers
}

/// What runtimes say of one and the same image: each node in its own way, and always the same.
fn in_its_own_way(pull: &Pull) -> Option<String> {
    let content = hex(pull.image);
    Some(match (pull.image.split(':').next().unwrap(), pull.node) {
        // containerd, and the same from a mirror, and by the name that Docker gives it.
        ("containerd", 0) => format!("docker.io/library/containerd@sha256:{content}"),
        ("containerd", 1) => format!("mirror.example:5000/cache/containerd@sha256:{content}"),
        ("containerd", _) => format!("docker-pullable://containerd@sha256:{content}"),
        // The id of the image's configuration in place of a digest.
        ("bare", 0) => format!("sha256:{}", hex((pull.image, "configuration"))),
        ("bare", _) => format!("docker.io/library/bare@sha256:{content}"),
        // CRI-O's own id, which may differ from node to node.
        ("crio", node) => hex((pull.image, node)),
        // A manifest of the node's architecture, or the index over all of them.
        ("perarch", 0) => format!("perarch@sha256:{}", hex((pull.image, "amd64"))),
        ("perarch", 1) => format!("perarch@sha256:{content}"),
        ("perarch", _) => format!("perarch@sha256:{}", hex((pull.image, "arm64"))),
        ("nothing", _) => String::new(),
        (_, _) => "no digest at all".to_owned(),
    })
}

#[tokio::test]
async fn image_ids_of_every_form_begin_no_rollout_over_ten_refreshes() {
    let trial = trial("imageids").await;
    let kubelets = Kubelets::start(&trial, &["amd64", "amd64", "arm64"], in_its_own_way).await;
    let _controller = Controller::start(&trial).await;
    list_of(&trial, &kubelets, &["containerd:1", "bare:1", "crio:1", "perarch:1", "nothing:1", "words:1"]).await;
    assert_eq!(after_refreshes(&trial).await, [1; TICKS]);
    assert_eq!(trial.events("TagsMoved").await.len(), 0);
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn image_ids_that_change_at_each_pull_without_a_reason_cost_a_few_rollouts_and_not_one_at_every_refresh() {
    let trial = trial("restless").await;
    let restless = |pull: &Pull| match pull.image.starts_with("restless") {
        true => Some(format!("restless@sha256:{}", hex(pull.number))),
        false => in_its_own_way(pull),
    };
    let kubelets = Kubelets::start(&trial, &["amd64", "amd64"], restless).await;
    let _controller = Controller::start(&trial).await;
    list_of(&trial, &kubelets, &["restless:1", "containerd:1"]).await;
    let numbers = after_refreshes(&trial).await;
    assert!((2..=5).contains(&numbers[TICKS - 1]), "{numbers:?}");
    assert_eq!(numbers[TICKS - 4], numbers[TICKS - 1], "it has come to rest: {numbers:?}");
}

#[tokio::test]
async fn a_tag_that_does_move_is_one_rollout_among_refreshes_that_find_nothing() {
    let trial = trial("moves").await;
    let moved = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = std::sync::Arc::clone(&moved);
    let kubelets = Kubelets::start(&trial, &["amd64", "amd64"], move |pull| {
        let moved = pull.image.starts_with("moving") && now.load(std::sync::atomic::Ordering::Relaxed);
        Some(format!("docker.io/library/it@sha256:{}", hex((pull.image, moved))))
    })
    .await;
    let _controller = Controller::start(&trial).await;
    list_of(&trial, &kubelets, &["moving:1", "still:1"]).await;
    request(&trial, "before").await;
    assert_eq!(number(&answered(&trial, "before").await), 1);
    moved.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(after_refreshes(&trial).await, [2; TICKS]);
    let reported = trial.events("TagsMoved").await;
    assert_eq!(reported.len(), 1, "{reported:?}");
    let note = reported[0].note.clone().unwrap();
    let digest = |moved: bool| hex(("moving:1", moved))[..12].to_owned();
    assert!(note.contains(&format!("moving:1 moved from {} to {}", digest(false), digest(true))), "{note}");
    let kept = trial.daemon_sets().await.pop().unwrap();
    assert!(kept.metadata.annotations.unwrap().contains_key(labels::TAG_CHECKS));
}
