//! A release with the policies of the chart, whose controller is a pod under its own account.

use serde_json::json;

use super::Install;

impl Install {
    /// What kubectl answers to somebody who may do everything in the namespace, but is no member of any group.
    fn as_admin_of_the_namespace(&self, arguments: &[&str]) -> Result<String, String> {
        self.it.namespace.kubectl(&[arguments, &["--as", "jane"]].concat())
    }
}

#[test]
#[ignore = "make test-faults"]
fn under_the_policies_of_the_chart_images_arrive_are_refreshed_and_go_with_the_release() {
    let install = Install::begin("policed");
    install.push_controller("1");
    let (one, two) = (install.push_content("one:1", "one"), install.push_content("two:1", "two"));
    let values = install.values_with(
        "1",
        json!({"admissionPolicy": {
            "create": true, "images": [install.reference("**")], "serviceAccounts": [], "imagePullSecrets": [], "priorityClasses": [],
            "tolerations": [], "podLabelPrefixes": [], "podAnnotationPrefixes": [], "maxResources": {"cpu": "1m", "memory": "1Mi"},
        }}),
    );
    install.it.helm.with_chart("install", &values, &["--wait", "--timeout", "3m"]).unwrap();
    install.list(&["one:1"]);
    install.held(&[&one]);
    install.list(&["one:1", "two:1"]);
    install.held(&[&one, &two]);

    let rights = ["create", "rolebinding", "jane", "--clusterrole", "admin", "--user", "jane"];
    install.it.namespace.kubectl(&rights).unwrap();
    install.it.eventually("jane to have her rights", || {
        install.as_admin_of_the_namespace(&["auth", "can-i", "delete", "daemonsets.apps"]).is_ok()
    });
    // An image that is allowed: of several policies that refuse something, any may be the one that is named.
    let other = format!("*={}", install.reference("other:1"));
    for arguments in [
        ["delete", "daemonsets", "--all"].as_slice(),
        &["set", "image", "daemonsets", "--all", &other],
        &["annotate", "daemonsets", "--all", "--overwrite", "kube-prepull.io/images=a=b"],
    ] {
        let said = install.as_admin_of_the_namespace(arguments).expect_err("a policy");
        assert!(said.contains("kube-prepull-daemonsets.") && said.contains("only kube-prepull "), "{said}");
    }
    let said = install.as_admin_of_the_namespace(&[
        "patch",
        crate::release::LIST,
        "--type",
        "merge",
        "--patch",
        r#"{"data": {"IMAGES": "a=evil.test/it:1"}}"#,
    ]);
    assert!(said.expect_err("a policy").contains("IMAGES: evil.test/it is not allowed"));

    // A moved tag is found by a tag check, which is a DaemonSet, too.
    let new = install.push_content("one:1", "new");
    install.it.namespace.kubectl(&["annotate", crate::release::LIST, "kube-prepull.io/refresh-requested=now"]).unwrap();
    install.held(&[&new, &two]);
    install.it.namespace.kubectl(&["delete", "rolebinding", "jane"]).unwrap();
    install.it.uninstall();
    install.it.eventually("nothing to run any more", || install.holding().is_empty());
}
