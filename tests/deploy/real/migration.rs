//! From kubernetes-image-puller on real nodes, by the commands of docs/migration.md: its DaemonSet holds the images until
//! kube-prepull does.

use std::fs;

use serde_json::json;

use super::Install;
use crate::helm::{RELEASE, checkout};
use crate::release::{CONTROLLER, LIST};

/// The DaemonSet of kubernetes-image-puller.
const FORMER: &str = "daemonset/kubernetes-image-puller";
const MAY_DELETE: [&str; 5] =
    ["auth", "can-i", "delete", FORMER, "--as=system:serviceaccount:NAMESPACE:k8s-image-puller"];

impl Install {
    /// Makes the DaemonSet that kubernetes-image-puller makes, in a form that "restricted" lets in. Its containers run the
    /// holder in place of a program of its own.
    fn make_former_daemon_set(&self, image: &str) {
        let it = &self.it;
        let labels = json!({"test": "daemonset-test", "app.kubernetes.io/name": "image-puller"});
        let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        let mount = json!([{"name": "kip", "mountPath": "/kip"}]);
        let container = json!({"name": "one", "image": self.reference(image), "imagePullPolicy": "Always",
            "command": ["/kip/sleep", "hold", "v1"], "securityContext": security, "volumeMounts": mount});
        let copying = json!({"name": "copy-sleep", "image": self.reference("kube-prepull:1"),
            "command": ["/holder", "install", "v1", "/kip/sleep", "0", "0"], "securityContext": security,
            "volumeMounts": mount});
        let pod = json!({
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [copying], "containers": [container], "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "kip", "emptyDir": {}}],
        });
        let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "kubernetes-image-puller",
            "uid": it.namespace.get(CONTROLLER, ".metadata.uid")});
        it.namespace.apply(&json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "kubernetes-image-puller", "ownerReferences": [owner]},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        }));
    }

    /// Whether kubernetes-image-puller may delete its DaemonSet when it is stopped.
    fn may_delete(&self) -> bool {
        let question = MAY_DELETE.map(|word| word.replace("NAMESPACE", &self.it.namespace.name));
        // The answer "no" is an exit code too.
        self.it.namespace.kubectl(&question.each_ref().map(String::as_str)).is_ok()
    }

    fn take_the_right_to_delete(&self) {
        self.it.eventually("kubernetes-image-puller to have its rights", || self.may_delete());
        self.it.namespace.kubectl(&["delete", "rolebinding", "create-daemonset"]).unwrap();
        self.it.eventually("kubernetes-image-puller to have lost them", || !self.may_delete());
    }

    fn former_is_gone(&self) -> bool {
        self.it.namespace.get(FORMER, ".kind").is_empty()
    }

    /// The values of the former chart: a list of one image.
    fn former_list(&self) -> String {
        format!("list=one={}", self.reference("one:1"))
    }
}

fn former_chart() -> String {
    checkout("tests/deploy/former-chart").display().to_string()
}

#[test]
#[ignore = "make test-faults"]
fn a_helm_release_is_upgraded_without_a_moment_in_which_an_image_is_not_held_and_can_be_rolled_back() {
    let install = Install::begin("former");
    let it = &install.it;
    install.push_controller("1");
    let one = install.push_content("one:1", "one");
    it.helm.run(&["install", RELEASE, &former_chart(), "--set-string", &install.former_list()]).unwrap();
    install.make_former_daemon_set("one:1");
    install.held(&[&one]);
    let watch = install.watch(&[&[&one]]);

    install.take_the_right_to_delete();
    it.helm.with_chart("upgrade", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    it.eventually("the former DaemonSet to be gone", || install.former_is_gone());
    install.held(&[&one]);
    watch.assert_no_gap();

    it.helm.run(&["rollback", RELEASE, "1"]).unwrap();
    it.eventually("the former rights to be back", || install.may_delete());
    it.namespace
        .kubectl(&[
            "delete",
            "daemonsets,controllerrevisions",
            "--selector",
            "app.kubernetes.io/managed-by=kube-prepull",
            // Those of the DaemonSets go with them, maybe before kubectl gets to them.
            "--ignore-not-found",
        ])
        .unwrap();
    it.eventually("nothing of kube-prepull's to run", || install.holding().is_empty());
    it.uninstall();
}

#[test]
#[ignore = "make test-faults"]
fn what_the_operator_made_is_taken_over_without_a_moment_in_which_an_image_is_not_held() {
    let install = Install::begin("operator");
    let it = &install.it;
    install.push_controller("1");
    let one = install.push_content("one:1", "one");
    // Any object can own others; this one plays the KubernetesImagePuller.
    it.namespace.kubectl(&["create", "configmap", "played-resource"]).unwrap();
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "played-resource",
        "uid": it.namespace.get("configmap/played-resource", ".metadata.uid")}]);
    let rendered =
        it.helm.run(&["template", RELEASE, &former_chart(), "--set-string", &install.former_list()]).unwrap();
    for mut object in crate::manifests::documents(&rendered) {
        object["metadata"]["ownerReferences"] = owner.clone();
        it.namespace.apply(&object);
    }
    install.make_former_daemon_set("one:1");
    install.held(&[&one]);
    let watch = install.watch(&[&[&one]]);

    it.namespace.kubectl(&["delete", "configmap", "played-resource", "--cascade=orphan"]).unwrap();
    install.take_the_right_to_delete();
    it.namespace.kubectl(&["delete", CONTROLLER, "--cascade=orphan"]).unwrap();
    it.namespace.kubectl(&["delete", "replicasets", "--selector", "app=kubernetes-image-puller"]).unwrap();
    it.namespace.kubectl(&["delete", "role/create-daemonset", "serviceaccount/k8s-image-puller"]).unwrap();
    let list = json!({"managedBy": "none", "name": "k8s-image-puller"});
    let values = install.values_with("1", json!({"configMap": list, "deploymentName": "kube-prepull"}));
    it.helm.with_chart("install", &values, &["--wait", "--timeout", "3m"]).unwrap();
    it.eventually("the former DaemonSet to be gone", || install.former_is_gone());
    install.held(&[&one]);
    watch.assert_no_gap();
    it.helm.run(&["uninstall", RELEASE, "--wait"]).unwrap();
    it.eventually("nothing to run any more", || install.holding().is_empty());
    assert!(!it.namespace.get(LIST, ".kind").is_empty(), "the list is the user's");
}

#[test]
fn the_commands_are_those_of_the_documentation() {
    let text = fs::read_to_string(checkout("docs/migration.md")).unwrap();
    for command in [
        "delete rolebinding create-daemonset",
        "--cascade=orphan",
        "delete replicasets --selector app=kubernetes-image-puller",
        "delete role/create-daemonset serviceaccount/k8s-image-puller",
        "delete daemonsets,controllerrevisions --selector app.kubernetes.io/managed-by=kube-prepull",
    ] {
        assert!(text.contains(command), "{command}");
    }
}
