use super::faults::HEALING;
use super::{RealTrial, content};
use crate::trial::{eventually, within};

async fn held(real: &RealTrial, digest: &str) {
    eventually(&format!("{digest} to be held"), async || {
        real.held_on("node1").contains(&digest.to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn images_of_a_list_are_pulled_and_held_and_a_bad_one_hinders_none() {
    let real = RealTrial::begin("arrive").await;
    let (one, two) = (real.push("one:1", &content("one")), real.push("two:1", &content("two")));
    let pinned = real.push("three:1", &content("three"));
    let _controller = real.controller().await;
    let list = format!(
        "images: [\"{}\", \"{}\", \"{}\", \"{}\"]",
        real.reference("one:1"),
        real.reference("missing:1"),
        real.reference("two:1"),
        real.reference(&format!("three@{pinned}")),
    );
    real.trial.write_list("tools", &list).await;
    for digest in [one, two, pinned] {
        held(&real, digest.as_str()).await;
    }
}

#[tokio::test]
async fn after_a_refresh_the_old_digest_is_held_until_the_new_one_is() {
    let real = RealTrial::begin("moved").await;
    let old = real.push("app:1", &content("old"));
    let _controller = real.controller().await;
    real.trial.write_list("tools", &format!("images: [\"{}\"]", real.reference("app:1"))).await;
    held(&real, old.as_str()).await;
    real.reported_warm().await;
    let new = real.push("app:1", &content("new"));
    real.trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
    within(HEALING, "only the new digest to be held", async || {
        let held = real.held_on("node1");
        assert!(!held.is_empty(), "for a moment nothing was held");
        (held == [new.as_str()]).then_some(())
    })
    .await;
}
