//! A release of the chart, from before it is installed until nothing is left of it.

use std::time::Duration;

use test_bed::wait;

use super::helm::{Helm, RELEASE};
use super::namespace::Namespace;

pub const LIST: &str = "configmap/k8s-image-puller";
pub const CONTROLLER: &str = "deployment/kubernetes-image-puller";
/// Where a Deployment names its image.
pub const IMAGE: &str = ".spec.template.spec.containers[0].image";

/// What happens to a release, in a namespace of its own.
pub struct Sequence {
    pub namespace: Namespace,
    pub helm: Helm,
    pub before: Vec<String>,
}

impl Sequence {
    pub fn simulated(name: &str) -> Self {
        Self::begin(Namespace::create(name))
    }

    pub fn begin(namespace: Namespace) -> Self {
        let helm = Helm::of_cluster(namespace.kubeconfig(), &namespace.name);
        let sequence = Self { helm, before: Vec::new(), namespace };
        // What every namespace has comes a moment after it.
        for own in ["serviceaccount/default", "configmap/kube-root-ca.crt"] {
            sequence.eventually(&format!("{own} to be there"), || !sequence.namespace.get(own, ".kind").is_empty());
        }
        let before = sequence.namespace.everything();
        Self { before, ..sequence }
    }

    pub fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let patience = Duration::from_secs(120);
        wait::until(what, patience, || Ok(holds().then_some(()))).unwrap();
    }

    pub fn install(&self, values: &str) -> String {
        self.helm.with_chart("install", values, &[]).unwrap()
    }

    pub fn upgrade(&self, values: &str) -> Result<String, String> {
        self.helm.with_chart("upgrade", values, &[])
    }

    pub fn edit(&self, images: &str) {
        let patch = serde_json::json!({"data": {"IMAGES": images}}).to_string();
        self.namespace.kubectl(&["patch", LIST, "--type", "merge", "--patch", &patch]).unwrap();
    }

    pub fn images(&self) -> String {
        self.namespace.get(LIST, ".data.IMAGES")
    }

    /// Uninstalls, and checks that everything is as it was before.
    pub fn uninstall(&self) {
        self.helm.run(&["uninstall", RELEASE, "--wait"]).unwrap();
        let patience = Duration::from_secs(120);
        let mut after = Vec::new();
        let restored = wait::until("everything to be as before", patience, || {
            after = self.namespace.everything();
            Ok((after == self.before).then_some(()))
        });
        if let Err(error) = restored {
            let only_in = |all: &[String], others: &[String]| {
                all.iter().filter(|it| !others.contains(it)).cloned().collect::<Vec<_>>().join(", ")
            };
            panic!("{error}; left: {}; missing: {}", only_in(&after, &self.before), only_in(&self.before, &after));
        }
    }
}
