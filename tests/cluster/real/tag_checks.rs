//! The mode OnChange on real nodes: what a tag check costs, what it finds, and that nothing is lost when it fails.

use k8s_openapi::api::apps::v1::DaemonSet;
use test_bed::{Digest, Image, Layer};

use super::{RealTrial, content};
use crate::tag_checks::{answered, number, request, tag_check_record};
use crate::trial::eventually;

impl RealTrial {
    async fn write_tools(&self, images: &[&str]) {
        let images: Vec<String> = images.iter().map(|image| format!("\"{}\"", self.reference(image))).collect();
        self.trial.write_list("tools", &format!("images: [{}]", images.join(", "))).await;
    }

    async fn refreshed(&self, value: &str) -> DaemonSet {
        self.reported_warm().await;
        request(&self.trial, value).await;
        answered(&self.trial, value).await
    }

    /// How many requests for manifests and for blobs of an image came from each node.
    fn pulls(&self, image: &str) -> Vec<(usize, usize)> {
        let registry = self.bed.registry().unwrap();
        let repository = format!("{}/{image}", self.trial.namespace);
        let of_node = |node: &test_bed::Node| {
            let manifests = registry.manifest_requests(&repository, node.address()).unwrap();
            (manifests, registry.blob_requests(&self.reference(&format!("{image}:1")), node.address()).unwrap())
        };
        self.nodes.iter().map(of_node).collect()
    }

    /// Makes sure that all nodes hold these digests.
    fn all_held(&self, digests: &[&Digest]) {
        for node in &self.nodes {
            let held = self.held_on(node.name());
            for digest in digests {
                assert!(held.iter().any(|it| it == digest.as_str()), "{digest} is not held on {}", node.name());
            }
        }
    }
}

#[tokio::test]
async fn a_moved_tag_arrives_on_all_nodes_in_one_rollout_and_later_refreshes_begin_none() {
    let real = RealTrial::begin("onchange").await;
    let (old, other) = (real.push("app:1", &content("old")), real.push("other:1", &content("other")));
    let _controller = real.controller().await;
    real.write_tools(&["app:1", "other:1"]).await;
    real.only_held_everywhere(&[old.as_str(), other.as_str()]).await;
    let new = real.push("app:1", &content("new"));
    let found = real.refreshed("one").await;
    assert_eq!(number(&found), 2);
    real.only_held_everywhere(&[new.as_str(), other.as_str()]).await;
    let reported = real.trial.reported("TagsMoved").await;
    let short = |digest: &Digest| digest.as_str()["sha256:".len()..][..12].to_owned();
    assert!(reported.contains(&format!("app:1 moved from {} to {}", short(&old), short(&new))), "{reported}");
    assert!(!reported.contains("other:1"), "{reported}");
    for again in ["two", "three"] {
        assert_eq!(number(&real.refreshed(again).await), 2, "{again}");
    }
}

#[tokio::test]
async fn a_refresh_that_finds_nothing_new_costs_the_manifests_of_one_node() {
    let real = RealTrial::begin("cheap").await;
    let digests = [real.push("app:1", &content("one")), real.push("other:1", &content("two"))];
    let pinned = real.push("pinned:1", &content("three"));
    let _controller = real.controller().await;
    real.write_tools(&["app:1", "other:1", &format!("pinned@{pinned}")]).await;
    real.only_held_everywhere(&[digests[0].as_str(), digests[1].as_str(), pinned.as_str()]).await;
    let before = ["app", "other", "pinned"].map(|image| real.pulls(image));
    assert_eq!(number(&real.refreshed("one").await), 1);
    let after = ["app", "other", "pinned"].map(|image| real.pulls(image));
    let count = |of: &[Vec<(usize, usize)>; 3]| of.iter().flatten().map(|(manifests, _)| manifests).sum::<usize>();
    assert_eq!(count(&after) - count(&before), 2, "one request for each tag");
    let mut asked = Vec::new();
    for (image, (before, after)) in before.iter().zip(&after).enumerate() {
        for (node, ((manifests, blobs), (more_manifests, more_blobs))) in before.iter().zip(after).enumerate() {
            assert_eq!(blobs, more_blobs, "blobs of image {image} on node {node}");
            if more_manifests > manifests {
                asked.push((image, node));
            }
        }
    }
    let [(0, node), (1, same)] = asked[..] else { panic!("one node for the two tags: {asked:?}") };
    assert_eq!(node, same);
}

/// What the figures above are compared with.
#[tokio::test]
async fn a_refresh_that_recreates_the_daemon_set_costs_the_manifests_of_every_node() {
    let real = RealTrial::begin("dear").await;
    let digests = [real.push("app:1", &content("one")), real.push("other:1", &content("two"))];
    let _controller = real.controller().await;
    let images = ["app:1", "other:1"].map(|image| real.reference(image)).join(", ");
    real.trial.write_list("tools", &format!("images: [{images}]\nrefresh: {{every: 24h, mode: Recreate}}\n")).await;
    let held = [digests[0].as_str(), digests[1].as_str()];
    real.only_held_everywhere(&held).await;
    let requests = || -> usize { ["app", "other"].iter().flat_map(|image| real.pulls(image)).map(|(it, _)| it).sum() };
    let before = requests();
    let old = real.trial.daemon_sets().await.pop().unwrap();
    request(&real.trial, "one").await;
    eventually("another DaemonSet", async || {
        let found = real.trial.daemon_sets().await;
        found.iter().any(|it| it.metadata.uid != old.metadata.uid).then_some(())
    })
    .await;
    let asked = real.nodes.len() * 2;
    eventually("every node to have asked for each tag", async || (requests() - before >= asked).then_some(())).await;
    real.only_held_everywhere(&held).await;
    assert_eq!(requests() - before, asked, "one request for each tag from each node");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_refresh_while_the_registry_is_down_touches_nothing_and_is_made_up_when_it_is_back() {
    let real = RealTrial::begin_alone("down").await;
    let digests = [real.push("app:1", &content("one")), real.push("other:1", &content("two"))];
    let _controller = real.controller().await;
    real.write_tools(&["app:1", "other:1"]).await;
    real.only_held_everywhere(&[digests[0].as_str(), digests[1].as_str()]).await;
    let registry = real.bed.registry().unwrap();
    registry.stop().unwrap();
    let failed = real.refreshed("one").await;
    registry.start().unwrap();
    real.all_held(&[&digests[0], &digests[1]]);
    assert_eq!((number(&failed), tag_check_record(&failed).failures), (1, 1));
    let reported = real.trial.reported("RefreshDeferred").await;
    assert!(
        reported.contains("the tags of 2 of 2 images could not be checked") && reported.contains("app:1 on node"),
        "{reported}"
    );
    let recovered = eventually("the tag check to succeed by itself", async || {
        real.all_held(&[&digests[0], &digests[1]]);
        real.trial.events("RefreshRecovered").await.pop()
    });
    recovered.await;
    let found = real.trial.daemon_sets().await;
    assert_eq!(found.len(), 1);
    assert_eq!((number(&found[0]), tag_check_record(&found[0]).failures), (1, 0));
    assert_eq!(real.trial.events("RefreshDeferred").await.len(), 1, "reported once");
}

#[tokio::test]
async fn a_tag_that_moves_to_an_image_of_another_architecture_only_changes_nothing_and_hinders_no_other() {
    let real = RealTrial::begin("otherarch").await;
    let (old, other) = (real.push("app:1", &content("old")), real.push("other:1", &content("other")));
    let _controller = real.controller().await;
    real.write_tools(&["app:1", "other:1"]).await;
    real.only_held_everywhere(&[old.as_str(), other.as_str()]).await;
    let foreign = content("foreign").architecture("riscv64");
    real.bed.registry().unwrap().push_index(&real.reference("app:1"), &[foreign]).unwrap();
    assert_eq!(number(&real.refreshed("one").await), 1);
    let reported = real.trial.reported("RefreshDeferred").await;
    assert!(reported.contains("1 of 2 images"), "{reported}");
    let new = real.push("other:1", &content("new"));
    assert_eq!(number(&real.refreshed("two").await), 2, "the other one has moved");
    eventually("the new one to be held beside the old app", async || {
        real.all_held(&[&old]);
        let held = real.nodes.iter().map(|node| real.held_on(node.name()));
        held.into_iter().all(|held| held.contains(&new.as_str().to_owned())).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_tag_that_moves_through_indexes_over_one_manifest_costs_one_rollout_for_each_move_at_most() {
    let real = RealTrial::begin("indexes").await;
    let same = content("the same for this architecture");
    real.push("known:1", &same);
    let index = |number: u64| {
        let foreign = Image::from_scratch().layer(Layer::new().random("/content", number, 100)).architecture("riscv64");
        real.bed.registry().unwrap().push_index(&real.reference("app:1"), &[same.clone(), foreign]).unwrap()
    };
    let _controller = real.controller().await;
    index(1);
    real.write_tools(&["known:1", "app:1"]).await;
    real.trial.settled_on(&[&real.reference("known:1"), &real.reference("app:1")]).await;
    eventually("both to be held on all nodes", async || {
        real.nodes.iter().all(|node| real.held_on(node.name()).len() == 2).then_some(())
    })
    .await;
    let mut rollouts = number(&real.refreshed("before").await);
    assert_eq!(rollouts, 1);
    for move_ in 2..=4 {
        index(move_);
        let after = number(&real.refreshed(&format!("move {move_}")).await);
        assert!(after <= rollouts + 1, "move {move_} began {} rollouts", after - rollouts);
        for tick in 1..=3 {
            let later = number(&real.refreshed(&format!("move {move_}, tick {tick}")).await);
            assert!(later <= rollouts + 1, "tick {tick} after move {move_}: {} rollouts", later - rollouts);
        }
        rollouts = after;
    }
}
