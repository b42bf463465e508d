//! A second release in the namespace of the first: it is refused, or it is apart.

use super::helm::chart;
use super::release::{CONTROLLER, LIST, Sequence};

const SECOND: &str = "second";

impl Sequence {
    fn install_second(&self, values: &[&str]) -> Result<String, String> {
        let chart = chart();
        let mut arguments = vec!["install", SECOND, chart.to_str().unwrap()];
        arguments.extend(values.iter().flat_map(|value| ["--set", value]));
        self.helm.run(&arguments)
    }

    /// What an object is, and whether anybody has written to it.
    fn version(&self, object: &str) -> (String, String) {
        (self.namespace.get(object, ".metadata.uid"), self.namespace.get(object, ".metadata.resourceVersion"))
    }
}

#[test]
fn with_the_same_names_it_is_refused_and_changes_nothing() {
    let it = Sequence::simulated("refused");
    it.install("");
    it.edit("web=nginx:1");
    let (before, list) = (it.namespace.everything(), it.version(LIST));
    let account = "ServiceAccount \"k8s-image-puller\"";
    for (values, object) in [
        ([].as_slice(), "\"kubernetes-image-puller\""),
        // The name of the Deployment is not the only one.
        (&["fullnameOverride=other"], account),
        (&["fullnameOverride=other", "configMap.name="], account),
    ] {
        let refused = it.install_second(values).unwrap_err();
        assert!(refused.contains("cannot be imported into the current release"), "{values:?}: {refused}");
        assert!(
            refused.contains("\"meta.helm.sh/release-name\" must equal \"second\": current value is \"images\""),
            "{refused}"
        );
        assert!(refused.contains(object), "{values:?}: {refused}");
    }
    assert_eq!(it.namespace.everything(), before);
    assert_eq!(it.version(LIST), list);
    it.uninstall();
}

#[test]
fn with_other_names_it_comes_and_goes_without_touching_the_first() {
    let it = Sequence::simulated("apart");
    it.install("");
    it.edit("web=nginx:1");
    let before = it.namespace.everything();
    let versions =
        || ["serviceaccount/k8s-image-puller", "role/kubernetes-image-puller", LIST].map(|object| it.version(object));
    let (first, controller) = (versions(), it.namespace.get(CONTROLLER, ".metadata.generation"));
    let notes = it.install_second(&["fullnameOverride=other", "serviceAccount.name=", "configMap.name="]).unwrap();
    assert!(notes.contains("kubectl patch configmap/other"), "{notes}");
    assert_eq!(it.namespace.get("deployment/other", ".spec.template.spec.serviceAccountName"), "other");
    assert_eq!(it.namespace.get("configmap/other", ".data.DAEMONSET_NAME"), "other");
    it.helm.run(&["upgrade", SECOND, chart().to_str().unwrap(), "--reuse-values", "--set", "image.tag=next"]).unwrap();
    it.helm.run(&["uninstall", SECOND, "--wait"]).unwrap();
    it.eventually("the second to be gone", || it.namespace.everything() == before);
    assert_eq!((versions(), it.namespace.get(CONTROLLER, ".metadata.generation")), (first, controller));
    assert_eq!(it.images(), "web=nginx:1");
    it.uninstall();
}

/// The list is used by both controllers, so the second release takes the first one's for its own neither now nor later.
#[test]
fn a_list_of_the_first_is_not_the_seconds() {
    let it = Sequence::simulated("shared");
    it.install("");
    it.edit("web=nginx:1");
    let list = it.version(LIST);
    let notes = it.install_second(&["fullnameOverride=other", "serviceAccount.name="]).unwrap();
    assert!(!notes.contains("kubectl patch"), "{notes}");
    it.helm.run(&["uninstall", SECOND, "--wait"]).unwrap();
    assert_eq!(it.version(LIST), list);
    it.uninstall();
}
