//! What rollouts and refreshes ask the registry for, by its access log.

use serde_json::json;
use test_bed::Digest;
use test_bed::real::Fault;

use super::faults::{HEALING, Outage};
use super::{RealTrial, content};
use crate::tag_checks::{answered, number, request};
use crate::trial::eventually;

impl RealTrial {
    /// How often each node asked what these tags are, by image.
    fn tag_requests(&self, images: &[&str]) -> Vec<Vec<usize>> {
        let accesses = self.bed.registry().unwrap().accesses().unwrap();
        let of_image = |image: &&str| {
            let path = format!("/v2/{}/{image}/manifests/1", self.trial.namespace);
            let is_meant = |path_asked: &str| path_asked.split('?').next() == Some(path.as_str());
            let asked = |node: &test_bed::Node| {
                accesses.iter().filter(|it| is_meant(&it.path) && it.source == node.address()).count()
            };
            self.nodes.iter().map(asked).collect()
        };
        images.iter().map(of_image).collect()
    }

    async fn write_images(&self, images: &[&str]) {
        let references: Vec<_> = images.iter().map(|image| self.reference(&format!("{image}:1"))).collect();
        self.trial.write_list("tools", &format!("images: {}\n", json!(references))).await;
    }

    async fn settled_with(&self, images: &[&str]) {
        let references: Vec<_> = images.iter().map(|image| self.reference(&format!("{image}:1"))).collect();
        self.trial.settled_within(HEALING, &references.iter().map(String::as_str).collect::<Vec<_>>()).await;
        self.trial.noted_within(HEALING, "complete").await;
    }
}

/// What was added meanwhile.
fn more(before: &[Vec<usize>], after: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let of_image = |(before, after): (&Vec<usize>, &Vec<usize>)| after.iter().zip(before).map(|(a, b)| a - b).collect();
    before.iter().zip(after).map(of_image).collect()
}

fn strs(digests: &[Digest]) -> Vec<&str> {
    digests.iter().map(Digest::as_str).collect()
}

/// One node asked, once for each of the images, and which one does not matter.
fn assert_one_node_asked_once(asked: &[Vec<usize>]) {
    assert!(asked[0].iter().sum::<usize>() == 1 && asked.iter().all(|it| *it == asked[0]), "{asked:?}");
}

/// Forty containers on two cores take more than a minute.
#[tokio::test]
#[ignore = "make test-faults"]
async fn an_edit_that_adds_one_image_to_twenty_asks_for_that_one_alone_and_a_refresh_then_asks_one_node() {
    let real = RealTrial::begin("twenty").await;
    let names: Vec<String> = (0..21).map(|index| format!("app{index}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let digests: Vec<Digest> = names.iter().map(|name| real.push(&format!("{name}:1"), &content(name))).collect();
    let twenty = &names[..20];
    let _controller = real.controller().await;
    real.write_images(twenty).await;
    real.settled_with(twenty).await;
    real.only_held_everywhere(&strs(&digests[..20])).await;

    names.swap(7, 20);
    let before = real.tag_requests(&names);
    real.write_images(&names).await;
    real.settled_with(&names).await;
    real.only_held_everywhere(&strs(&digests)).await;
    let after = real.tag_requests(&names);
    let mut asked = more(&before, &after);
    assert_eq!(asked.remove(7), [1, 1], "each node asks for the new one");
    assert!(asked.iter().flatten().all(|count| *count == 0), "{asked:?}");

    request(&real.trial, "now").await;
    assert_eq!(number(&answered(&real.trial, "now").await), 2, "nothing has moved");
    assert_one_node_asked_once(&more(&after, &real.tag_requests(&names)));
}

#[tokio::test]
async fn a_tag_that_moves_costs_the_tag_check_and_one_request_a_node_for_that_image_alone() {
    let real = RealTrial::begin("onemoved").await;
    let names = ["app", "other", "third"];
    let mut digests = names.map(|name| real.push(&format!("{name}:1"), &content(name)));
    let _controller = real.controller().await;
    real.write_images(&names).await;
    real.settled_with(&names).await;
    let before = real.tag_requests(&names);
    assert_eq!(before, [[1, 1]; 3], "a first rollout asks for everything");
    digests[0] = real.push("app:1", &content("app, moved"));
    request(&real.trial, "now").await;
    assert_eq!(number(&answered(&real.trial, "now").await), 2);
    real.settled_with(&names).await;
    real.only_held_everywhere(&strs(&digests)).await;
    let mut asked = more(&before, &real.tag_requests(&names));
    asked[0].iter_mut().for_each(|count| *count -= 1);
    assert_one_node_asked_once(&asked);
}

#[tokio::test]
async fn an_edit_comes_into_force_while_the_registry_of_all_other_images_is_down() {
    let outage = Outage::begin("otherdown").await;
    let here = ["one:1", "two:1", "three:1"];
    let mut digests: Vec<Digest> = here.iter().map(|image| outage.push(image, image)).collect();
    outage.list(&here, "").await;
    outage.await_held(&digests.iter().collect::<Vec<_>>()).await;
    outage.real.trial.noted_as_reported("complete").await;
    let watch =
        outage.real.watch(&digests.iter().map(Digest::as_str).collect::<Vec<_>>().chunks(1).collect::<Vec<_>>());
    outage.faulty.set(Fault::Closed);
    digests.push(outage.push("four:1", "four"));
    let mut images: Vec<_> = here.iter().map(|it| outage.real.reference_at(outage.faulty.name(), it)).collect();
    images.insert(1, outage.real.reference("four:1"));
    outage.real.trial.write_list("tools", &format!("images: {}\n", json!(images))).await;
    outage.settled("2").await;
    outage.real.only_held_everywhere(&strs(&digests)).await;
    watch.assert_no_gap();
}

/// With this rate and two nodes, the first one's start delay ends 4 seconds after the rollout begins, and the second one's after 37. A
/// loaded machine may take longer to start the first one's pod, so the tag moves again until one node is seen behind the other.
#[tokio::test]
async fn an_image_that_is_added_halfway_through_the_rollout_of_a_moved_tag_leaves_no_node_behind() {
    let outage = Outage::begin("halfway").await;
    let old = outage.hold("app:1", "old").await;
    outage.real.trial.noted_as_reported("complete").await;
    let added = outage.push("added:1", "added");
    let contents = ["new", "newer", "newest"];
    let moves = contents.map(|content| outage.push(&format!("app:{content}"), content));
    let any: Vec<&str> = [&old].into_iter().chain(&moves).map(Digest::as_str).collect();
    let watch = outage.real.watch(&[&any]);
    outage.list(&["app:1"], "pullRate: 3\n").await;
    outage.real.trial.validated("tools", "accepted").await;

    let mut halfway = None;
    for (generation, (content, new)) in (2..).zip(contents.into_iter().zip(&moves)) {
        assert_eq!(outage.push("app:1", content), *new);
        outage.refresh(content).await;
        eventually("the first node to have the new image", async || {
            outage.real.held_on("node1").contains(&new.to_string()).then_some(())
        })
        .await;
        if !outage.real.held_on("node2").contains(&new.to_string()) {
            halfway = Some((generation, new));
            break;
        }
        outage.settled(&generation.to_string()).await;
    }
    let (generation, new) = halfway.expect("half of the nodes to have a new image");
    outage.list(&["app:1", "added:1"], "pullRate: 0\n").await;
    outage.settled(&(generation + 1).to_string()).await;
    outage.real.only_held_everywhere(&[new.as_str(), added.as_str()]).await;
    watch.assert_no_gap();
}
