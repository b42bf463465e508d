//! Kubelets that verify the credentials of pods for images that are on the disk (KEP-2535): what a holder's pull changes for others.
//!
//! They take minutes, so `make test-faults` runs them.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use serde_json::{Value, json};
use test_bed::real::Fault;
use test_bed::{Image, Layer, Node};

use super::RealTrial;
use super::faults::{HEALING, Outage};
use super::workloads::{pod_spec, private, pull_secret};
use crate::trial::{within, within_or_none};

/// How long a pod may take to start with an image that is on the disk, or to be refused.
const STARTING: Duration = Duration::from_secs(10);

/// A private registry, and nodes whose pods may run what is in it.
struct Private {
    outage: Outage,
    image: String,
}

impl Private {
    async fn begin(name: &str) -> Self {
        let outage = Outage::on(RealTrial::begin_alone(name).await).await;
        let image = outage.real.reference_at(outage.faulty.name(), "one:1");
        let holder = Image::of_holder(outage.real.bed.holder().unwrap());
        // No other test's: kubelets remember by its digest who pulled an image.
        let content = Layer::new().file("/content", outage.real.trial.namespace.as_str(), 0o644);
        outage.real.push("one:1", &holder.layer(content));
        let it = Self { outage, image };
        it.secret("pull", "right").await;
        it
    }

    fn node(&self) -> &Node {
        &self.outage.real.nodes[1]
    }

    fn demand_credentials(&self) {
        self.outage.faulty.set(private());
    }

    async fn secret(&self, name: &str, password: &str) {
        let secret = pull_secret(name, self.outage.faulty.name(), password);
        self.outage.real.trial.create::<Secret>(secret).await;
    }

    /// Holds the image on the node; `policy` is what the list says of it.
    async fn hold(&self, policy: &str) {
        let (image, host) = (&self.image, self.node().name());
        let list = format!(
            "groups: [{{name: private, images: [{{image: \"{image}\"{policy}}}], imagePullSecrets: [pull], \
             nodeSelector: {{kubernetes.io/hostname: {host}}}}}]\n"
        );
        self.outage.real.trial.write_list("tools", &list).await;
        within(HEALING, "the image to be held", async || {
            (!self.outage.real.held(self.node()).is_empty()).then_some(())
        })
        .await;
        self.outage.real.reported_warm().await;
    }

    /// A pod on the node that takes the image from its disk, if the kubelet lets it.
    async fn pod(&self, name: &str, secrets: &[&str]) {
        let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
        let mut spec = pod_spec(&self.image);
        spec["nodeName"] = json!(self.node().name());
        spec["imagePullSecrets"] = json!(secrets);
        self.outage.real.trial.create::<Pod>(json!({"metadata": {"name": name}, "spec": spec})).await;
    }

    async fn runs(&self, name: &str) {
        within(HEALING, &format!("the pod {name} to run"), async || {
            let pod = self.outage.real.trial.api::<Pod>().get(name).await.unwrap();
            (pod.status?.phase? == "Running").then_some(())
        })
        .await;
    }

    /// What the kubelet says if it refuses the image to a pod.
    async fn refusal(&self, name: &str) -> Option<String> {
        let pod = self.outage.real.trial.api::<Pod>().get(name).await.unwrap();
        let waiting = pod.status?.container_statuses?.into_iter().next()?.state?.waiting?;
        let is_refused = ["ErrImagePull", "ImagePullBackOff"].contains(&waiting.reason.as_deref()?);
        is_refused.then(|| waiting.message.unwrap_or_default())
    }

    async fn is_refused(&self, name: &str) -> String {
        within(HEALING, &format!("the image to be refused to {name}"), async || self.refusal(name).await).await
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn what_a_holder_pulled_with_a_secret_is_for_pods_with_the_same_credentials_or_good_ones() {
    let it = Private::begin("credentials").await;
    it.demand_credentials();
    it.hold("").await;
    let status = it.outage.real.trial.status();
    let verification = &status["lists"][0]["groups"][0]["credentialVerification"];
    assert_eq!(*verification, json!({"nodes": 1, "pullSecrets": ["pull"]}), "{status:#}");
    it.secret("copy", "right").await;
    it.secret("other", "wrong").await;
    // Without a registry, only what the kubelet knows counts.
    it.outage.faulty.set(Fault::Closed);
    it.pod("same", &["pull"]).await;
    it.pod("copied", &["copy"]).await;
    it.pod("none", &[]).await;
    it.runs("same").await;
    it.runs("copied").await;
    it.is_refused("none").await;
    it.demand_credentials();
    it.pod("anonymous", &[]).await;
    it.pod("wrong", &["other"]).await;
    for (name, why) in [("anonymous", "authorization failed"), ("wrong", "401")] {
        let refusal = it.is_refused(name).await;
        assert!(refusal.contains(why), "{name}: {refusal}");
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn an_image_that_was_baked_into_a_node_is_free_for_all_unless_a_holder_pulls_it() {
    let it = Private::begin("baked").await;
    it.outage.bake(it.node(), "one:1");
    it.demand_credentials();
    it.pod("before", &[]).await;
    it.runs("before").await;
    it.hold(", imagePullPolicy: IfNotPresent").await;
    it.pod("beside", &[]).await;
    it.runs("beside").await;
    it.hold(", imagePullPolicy: Always").await;
    // Holders that took the image from the disk run until those come that pull it.
    let pulled = async || {
        let name = format!("after-{}", jiff::Timestamp::now().as_millisecond());
        it.pod(&name, &[]).await;
        within_or_none(STARTING, async || it.refusal(&name).await).await
    };
    within(HEALING, "the image not to be free any more", pulled).await;
}
