//! Pods that cannot start on real nodes: kube-prepull's own image is absent, private, for other nodes, or does not run. It is the
//! commonest mistake of a first install, so `status`, `wait`, Events and metrics all say what it is and what to do.

use std::process::{Command, Output};

use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use test_bed::{Image, Layer};

use super::faults::HEALING;
use super::metrics::value;
use super::workloads::{private, pull_secret};
use super::{RealTrial, content};
use crate::controller::Controller;
use crate::trial::{eventually, within};

/// A controller with that image as its own.
async fn controller(real: &RealTrial, own_image: &str) -> Controller {
    Controller::start_with(&real.trial, &["--holder-image", own_image]).await
}

async fn write_list(real: &RealTrial) {
    let list = json!({"images": [real.reference("app:1")], "refresh": {"every": "24h"}});
    real.trial.write_list("tools", &list.to_string()).await;
}

/// Waits until `status` has all nodes behind because of an init container, for that cause, and returns what it says.
async fn cannot_start(real: &RealTrial, cause: &[&str]) -> Value {
    within(HEALING, &format!("no pod to start: {cause:?}"), async || {
        let report = real.trial.status();
        let image = &report["lists"][0]["groups"][0]["images"][0];
        let failing = image["nodes"]["initFailed"].as_u64()?;
        let behind = image["behind"].as_array()?.first()?.clone();
        let said = behind["cause"].as_str()?;
        (failing == real.nodes.len() as u64 && cause.iter().all(|words| said.contains(words))).then_some(behind)
    })
    .await
}

/// Runs `wait` in vain, and returns all that it says.
async fn wait_in_vain(real: &RealTrial) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["wait", "tools", "--timeout", "20s", "--namespace", &real.trial.namespace, "--kubeconfig"]);
    command.arg(&real.trial.kubeconfig);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Output { status, stderr, .. } = output.unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn an_own_image_that_does_not_exist_is_reported_everywhere_until_another_one_is_set() {
    let real = RealTrial::begin("ownabsent").await;
    let app = real.push("app:1", &content("app"));
    let absent = real.reference("kube-prepull:absent");
    let wrong = controller(&real, &absent).await;
    write_list(&real).await;

    let cause = format!("kube-prepull's own image {absent} cannot be pulled: ");
    let said = cannot_start(&real, &[&cause]).await;
    assert!(said["remedy"].as_str().unwrap().contains("HOLDER_IMAGE"), "{said}");
    let reported = real.trial.reported_within(HEALING, "InitContainerFailing").await;
    assert!(reported.contains(&cause) && reported.contains("HOLDER_IMAGE"), "{reported}");
    let counted = format!(",group=\"default\",image=\"{}\",state=\"initFailed\"", real.reference("app:1"));
    eventually("metrics to count the nodes", async || {
        (value(&wrong, "image_nodes", &counted) == Some(real.nodes.len() as f64)).then_some(())
    })
    .await;
    let waited = wait_in_vain(&real).await;
    let (progress, end) = waited.split_once("timed out: ").unwrap_or_else(|| panic!("{waited}"));
    assert!(progress.contains(&cause) && progress.contains("HOLDER_IMAGE"), "it says why while it waits: {waited}");
    assert!(end.contains("kube-prepull's own image"), "and at the end: {waited}");
    assert_eq!(real.trial.events("RolloutComplete").await.len(), 0);

    real.trial.noted_as_reported("install-holder").await;
    drop(wrong);
    let _right = real.controller().await;
    real.only_held_everywhere(&[app.as_str()]).await;
    let recovered = real.trial.reported_within(HEALING, "InitContainerRecovered").await;
    assert!(recovered.contains("install-holder"), "{recovered}");
    // The one that never started goes.
    real.trial.settled_on(&[&real.reference("app:1")]).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_private_own_image_names_the_account_that_needs_a_pull_secret_and_that_helps() {
    let real = RealTrial::begin("ownprivate").await;
    let app = real.push("app:1", &content("app"));
    let faulty = real.bed.faulty_registry(&format!("{}.test", real.trial.namespace)).unwrap();
    faulty.set(private());
    let _controller = controller(&real, &real.reference_at(faulty.name(), "kube-prepull:1")).await;
    write_list(&real).await;

    let said = cannot_start(&real, &["kube-prepull's own image", "401 from "]).await;
    let remedy = said["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("give the ServiceAccount default a pull secret and delete these pods"), "{remedy}");
    let reported = real.trial.reported_within(HEALING, "InitContainerFailing").await;
    assert!(reported.contains("401 from") && reported.contains("give the ServiceAccount default"), "{reported}");
    assert!(wait_in_vain(&real).await.contains("give the ServiceAccount default a pull secret"));

    // As the remedy says.
    real.trial.create::<Secret>(pull_secret("pull", faulty.name(), "right")).await;
    let secrets = Patch::Merge(json!({"imagePullSecrets": [{"name": "pull"}]}));
    real.trial.api::<ServiceAccount>().patch("default", &PatchParams::default(), &secrets).await.unwrap();
    real.trial.api::<Pod>().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    within(HEALING, "the app to be held", async || {
        let held = |node: &test_bed::Node| real.held_on(node.name()) == [app.as_str()];
        real.nodes.iter().all(held).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn an_own_image_for_other_nodes_or_that_does_not_run_is_reported_as_such() {
    let real = RealTrial::begin("ownalien").await;
    let app = real.push("app:1", &content("app"));
    let registry = real.bed.registry().unwrap();
    let holder = real.bed.holder().unwrap();
    registry.push_index(&real.reference("own:foreign"), &[content("foreign").architecture("s390x")]).unwrap();
    // The number of its machine (`e_machine` of ELF) is that of none.
    let alien = [&holder[..18], &[0xff, 0xff], &holder[20..]].concat();
    real.push("own:alien", &Image::of_holder(alien));
    // It does not find itself, so it has nothing to install.
    let mut crashing = holder.clone();
    let path = b"/proc/self/exe";
    let at = crashing.windows(path.len()).position(|it| it == path).unwrap();
    crashing[at + path.len() - 1] = b'x';
    real.push("own:crashing", &Image::of_holder(crashing));
    let locked = Image::from_scratch().layer(Layer::new().file("/holder", holder, 0o644));
    real.push("own:locked", &locked);
    real.push("own:empty", &content("no holder"));
    write_list(&real).await;
    for (tag, cause, remedy) in [
        ("foreign", "cannot be pulled: the image does not exist for this node's architecture", "all nodes"),
        ("alien", "does not start: the program is built for another CPU type", "built for the node's architecture"),
        (
            "crashing",
            "does not start: holder: cannot read /proc/self/exx",
            "kubectl logs POD --container install-holder",
        ),
        ("locked", "does not start: ", "node"),
        ("empty", "does not start: it has no /holder", "HOLDER_IMAGE"),
    ] {
        // As none has started so far, each is replaced by the next.
        let own = real.reference(&format!("own:{tag}"));
        let _controller = controller(&real, &own).await;
        let said = cannot_start(&real, &[&format!("kube-prepull's own image {own} "), cause]).await;
        assert!(said["remedy"].as_str().unwrap_or_default().contains(remedy), "{tag}: {said}");
        if tag == "foreign" {
            // This controller reports it: the next ones find other causes, and that it has been reported.
            real.trial.said_within(HEALING, "InitContainerFailing", &["for this node's architecture"]).await;
            real.trial.noted_as_reported("install-holder").await;
        }
    }
    let _controller = real.controller().await;
    real.only_held_everywhere(&[app.as_str()]).await;
}
