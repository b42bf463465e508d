//! The alerts that are shipped fire on real faults, as a real Prometheus sees them, and resolve when these are gone.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use serde_json::json;
use test_bed::free_address;
use test_bed::real::Fault;

use super::faults::HEALING;
use super::{RealTrial, content};
use crate::controller::Controller;
use crate::prometheus::Monitoring;
use crate::tag_checks::request;
use crate::trial::{eventually, within};

const IN_LIST: [(&str, &str); 1] = [("list", "tools")];

impl RealTrial {
    async fn controller_at(&self, address: &str) -> Controller {
        let holder = self.reference("kube-prepull:1");
        Controller::start_at(address, &self.trial, &["--holder-image", &holder]).await
    }

    async fn write(&self, images: &[&str]) {
        let images: Vec<_> = images.iter().map(|image| self.reference(image)).collect();
        self.trial.write_list("tools", &json!({"images": images}).to_string()).await;
    }
}

/// Waits until Prometheus has seen the list warm, and nothing fires: before it has seen a controller, that one is missing does.
async fn healthy(monitoring: &Monitoring) {
    let warm = "kube_prepull_list_images_warm{list=\"tools\"} > 0 \
                and kube_prepull_list_images_warm == kube_prepull_list_images_desired";
    monitoring.answers(warm).await;
    only_fires(monitoring, &[]).await;
}

/// Waits until these alerts fire and no other. When a busy machine scrapes too late, that no controller is there fires for a moment.
async fn only_fires(monitoring: &Monitoring, names: &[&str]) {
    eventually(&format!("only {names:?} to fire"), async || (monitoring.firing() == names).then_some(())).await;
}

#[tokio::test]
async fn a_missing_tag_and_a_rejected_edit_alert_until_they_are_corrected() {
    let real = RealTrial::begin("alerts").await;
    let good = real.push("good:1", &content("good"));
    let address = free_address().unwrap();
    let _controller = real.controller_at(&address).await;
    real.write(&["good:1"]).await;
    real.only_held_everywhere(&[good.as_str()]).await;
    let monitoring = Monitoring::start(&real.trial, &[&address]);
    healthy(&monitoring).await;

    real.write(&["good:1", "missing:1"]).await;
    let missing = real.reference("missing:1");
    let on_both = format!("The image {missing} fails on 2 nodes.");
    let failing = monitoring.says("KubePrepullImageFailing", &[("image", &missing)], &on_both).await;
    assert_eq!(failing.annotations["summary"], on_both);
    monitoring.says("KubePrepullCoverageLow", &IN_LIST, "Only 50% of the list").await;

    real.trial.write_list("tools", "images: [Not-A-Reference:1]").await;
    let rejected = monitoring.fires("KubePrepullListRejected", &IN_LIST).await;
    let named = format!("kubectl --namespace {} describe configmap tools", real.trial.namespace);
    assert!(rejected.annotations["description"].ends_with(&named), "{rejected:?}");
    // The list that was accepted before is in effect, and so are its alerts.
    assert!(monitoring.find("KubePrepullImageFailing", &[("image", &missing)]).is_some());

    real.write(&["good:1", "missing:1"]).await;
    monitoring.resolves("KubePrepullListRejected", &IN_LIST).await;
    let pushed = real.push("missing:1", &content("no longer missing"));
    real.only_held_everywhere(&[good.as_str(), pushed.as_str()]).await;
    monitoring.resolves("KubePrepullImageFailing", &[]).await;
    monitoring.resolves("KubePrepullCoverageLow", &[]).await;
    only_fires(&monitoring, &[]).await;
}

#[tokio::test]
async fn a_controller_that_is_gone_alerts_and_a_restart_begins_no_other_alert_again() {
    let real = RealTrial::begin("gone").await;
    let addresses = [free_address().unwrap(), free_address().unwrap()];
    let controller = real.controller_at(&addresses[0]).await;
    real.trial.write_list("tools", "images: [Not-A-Reference:1]").await;
    let monitoring = Monitoring::start(&real.trial, &addresses.each_ref().map(String::as_str));
    monitoring.fires("KubePrepullListRejected", &IN_LIST).await;
    let since = "ALERTS_FOR_STATE{alertname=\"KubePrepullListRejected\"}";
    let before = monitoring.answers(since).await;

    controller.stop();
    let down = monitoring.fires("KubePrepullDown", &[("namespace", &real.trial.namespace)]).await;
    assert!(down.annotations["summary"].ends_with(&format!("in {}.", real.trial.namespace)), "{down:?}");
    // In a cluster it is another pod, with another address.
    let _successor = real.controller_at(&addresses[1]).await;
    monitoring.resolves("KubePrepullDown", &[]).await;
    monitoring.answers(&format!("kube_prepull_list_accepted{{instance=\"{}\"}}", addresses[1])).await;
    monitoring.fires("KubePrepullListRejected", &IN_LIST).await;
    assert_eq!(monitoring.answers(since).await, before, "it has fired all the time");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_registry_that_is_away_during_a_refresh_alerts_until_the_look_is_made_up() {
    let real = RealTrial::begin("deferred").await;
    let faulty = real.bed.faulty_registry(&format!("{}.test", real.trial.namespace)).unwrap();
    let app = real.push("app:1", &content("app"));
    let address = free_address().unwrap();
    let _controller = real.controller_at(&address).await;
    let image = real.reference_at(faulty.name(), "app:1");
    real.trial.write_list("tools", &json!({"images": [image]}).to_string()).await;
    real.only_held_everywhere(&[app.as_str()]).await;
    let monitoring = Monitoring::start(&real.trial, &[&address]);
    healthy(&monitoring).await;

    faulty.set(Fault::Closed);
    request(&real.trial, "while it is away").await;
    let deferred = monitoring.fires("KubePrepullRefreshDeferred", &IN_LIST).await;
    assert!(deferred.annotations["summary"].starts_with("The tags of 1 images"), "{deferred:?}");
    // What is held stays warm.
    only_fires(&monitoring, &["KubePrepullRefreshDeferred"]).await;
    faulty.set(Fault::None);
    // The pauses between two checks grow.
    monitoring.resolves_within(HEALING, "KubePrepullRefreshDeferred", &[]).await;
}

#[tokio::test]
async fn a_lease_that_a_stranger_holds_alerts_until_it_is_gone() {
    let real = RealTrial::begin("leaderless").await;
    let now = jiff::Timestamp::now();
    let spec = json!({"holderIdentity": "a stranger", "leaseDurationSeconds": 3600, "renewTime": format!("{now:.6}"),
                      "acquireTime": format!("{now:.6}"), "leaseTransitions": 0});
    real.trial.create::<Lease>(json!({"metadata": {"name": "kube-prepull"}, "spec": spec})).await;
    let address = free_address().unwrap();
    let _controller = Controller::start_at(&address, &real.trial, &["--leader-elect=true"]).await;
    let monitoring = Monitoring::start(&real.trial, &[&address]);
    monitoring.fires("KubePrepullNoLeader", &[]).await;
    real.trial.api::<Lease>().delete("kube-prepull", &DeleteParams::default()).await.unwrap();
    monitoring.resolves("KubePrepullNoLeader", &[]).await;
}

/// All nodes, cordoned. Other tests find them as they were, however this one ends.
struct Cordoned<'a>(&'a RealTrial);

impl<'a> Cordoned<'a> {
    fn all(real: &'a RealTrial) -> Self {
        let cordoned = Self(real);
        cordoned.0.nodes.iter().for_each(|node| drop(real.bed.kubectl(["cordon", node.name()]).unwrap()));
        cordoned
    }
}

impl Drop for Cordoned<'_> {
    fn drop(&mut self) {
        for node in &self.0.nodes {
            if let Err(error) = self.0.bed.kubectl(["uncordon", node.name()]) {
                eprintln!("{error:#}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_refresh_that_no_node_can_make_alerts_when_it_is_overdue_until_one_can() {
    let real = RealTrial::begin_alone("overdue").await;
    let app = real.push("app:1", &content("app"));
    let address = free_address().unwrap();
    let _controller = real.controller_at(&address).await;
    real.trial
        .write_list("tools", &format!("images: [\"{}\"]\nrefresh: {{every: 1m}}\n", real.reference("app:1")))
        .await;
    real.only_held_everywhere(&[app.as_str()]).await;
    let monitoring = Monitoring::start(&real.trial, &[&address]);
    healthy(&monitoring).await;

    let cordoned = Cordoned::all(&real);
    monitoring.fires("KubePrepullRefreshOverdue", &IN_LIST).await;
    let why = async || {
        let reported = real.trial.events("Waiting").await.into_iter().filter_map(|event| event.note);
        reported.into_iter().find(|note| note.contains("can run the tag check"))
    };
    within(HEALING, "the Event that says why", why).await;
    drop(cordoned);
    monitoring.resolves("KubePrepullRefreshOverdue", &[]).await;
}
