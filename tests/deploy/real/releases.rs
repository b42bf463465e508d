//! A release from its beginning to its end.

use std::time::{Duration, Instant};

use super::Install;
use crate::helm::RELEASE;
use crate::release::{CONTROLLER, IMAGE, LIST};

impl Install {
    /// Makes an edit that cannot be accepted, waits until that is reported, and says when it was.
    fn reject_a_list(&self) -> Instant {
        self.it.edit("no image");
        let state = r".metadata.labels.kube-prepull\.io/state";
        self.it.eventually("the list to be rejected", || self.it.namespace.get(LIST, state) == "rejected");
        self.it.eventually("that to be reported", || !self.rejections().is_empty());
        Instant::now()
    }

    /// Changes the list's DaemonSet, and waits until it has been restored.
    fn change_and_see_it_restored(&self) {
        let namespace = &self.it.namespace;
        let mut names = String::new();
        // An older one goes some time after its containers.
        self.it.eventually("one DaemonSet alone to be there", || {
            names = namespace.kubectl(&["get", "daemonsets", "-o", "name"]).unwrap();
            names.lines().count() == 1
        });
        let name = names.trim();
        namespace.kubectl(&["patch", name, "--patch", r#"{"spec": {"minReadySeconds": 1}}"#]).unwrap();
        self.it.eventually("the DaemonSet to be restored", || namespace.get(name, ".spec.minReadySeconds").is_empty());
    }

    /// Deletes an image's tag and then the pod that holds it on a node, and waits until the nodes hold these digests again.
    fn lose_a_tag_and_a_pod(&self, image: &str, digests: &[&str]) {
        self.bed.registry().unwrap().delete_tag(&self.reference(image)).unwrap();
        let of_generations = ["get", "pods", "--selector", "kube-prepull.io/generation", "-o", "name"];
        let pods = self.it.namespace.kubectl(&of_generations).unwrap();
        self.it.namespace.kubectl(&["delete", pods.lines().next().unwrap()]).unwrap();
        self.held(digests);
    }

    /// How often rejections were counted on their Events.
    fn rejections(&self) -> String {
        let of_reason = "reason=ListRejected";
        let counts = "jsonpath={range .items[*]}count:{.series.count} {end}";
        self.it
            .namespace
            .kubectl(&["get", "events.v1.events.k8s.io", "--field-selector", of_reason, "-o", counts])
            .unwrap()
    }
}

#[test]
fn images_arrive_and_stay_through_upgrade_and_rollback_and_nothing_is_left_of_them() {
    let install = Install::begin("real");
    let it = &install.it;
    for version in ["1", "2"] {
        install.push_controller(version);
    }
    let (one, two) = (install.push_content("one:1", "one"), install.push_content("two:1", "two"));

    it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    install.list(&["one:1"]);
    install.held(&[&one]);
    install.list(&["one:1", "two:1"]);
    let before = install.held(&[&one, &two]);
    let test = it.helm.run(&["test", RELEASE, "--logs"]).unwrap();
    assert!(test.contains("Succeeded"), "{test}");

    let watch = install.watch(&[&[&one], &[&two]]);
    it.helm.with_chart("upgrade", &install.values("2"), &["--wait", "--timeout", "3m"]).unwrap();
    assert_eq!(it.namespace.get(CONTROLLER, IMAGE), install.reference("kube-prepull:2"));
    assert_eq!(install.holding(), before);
    it.helm.run(&["rollback", RELEASE, "1", "--wait", "--timeout", "3m"]).unwrap();
    assert_eq!(it.namespace.get(CONTROLLER, IMAGE), install.reference("kube-prepull:1"));
    assert_eq!(install.holding(), before);
    watch.assert_no_gap();

    it.uninstall();
    it.eventually("nothing to run any more", || install.holding().is_empty());
}

#[test]
#[ignore = "make test-faults"]
fn every_right_is_used_and_none_is_missing_from_the_install_to_a_refresh_that_finds_a_moved_tag() {
    let install = Install::begin("rights");
    install.push_controller("1");
    let (old, two) = (install.push_content("one:1", "old"), install.push_content("two:1", "two"));
    install.it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    install.list(&["one:1", "two:1"]);
    install.held(&[&old, &two]);
    let new = install.push_content("one:1", "new");
    let watch = install.watch(&[&[&old, &new], &[&two]]);
    install.it.namespace.kubectl(&["annotate", LIST, "kube-prepull.io/refresh-requested=now"]).unwrap();
    install.held(&[&new, &two]);
    watch.assert_no_gap();
    // Only some accepted versions of a list are kept.
    for version in 0..10 {
        install.it.edit(&format!("version-{version}={}", install.reference("two:1")));
        let kept = || install.it.namespace.get("controllerrevisions", ".items[*].data.data");
        install.it.eventually("the version to be kept", || kept().contains(&format!("version-{version}=")));
    }
    for images in [["two:1"].as_slice(), &["one:1"], &["two:1", "one:1"]] {
        install.list(images);
        let digests = images.iter().map(|image| if image.starts_with("one") { &*new } else { &*two });
        install.held(&digests.collect::<Vec<_>>());
    }
    // The same message is reported once a minute, and then counted on the existing Event. It names the accepted version.
    let rejected = install.reject_a_list();
    install.list(&["two:1", "one:1"]);
    install.change_and_see_it_restored();
    install.it.eventually("a minute to be over", || rejected.elapsed() > Duration::from_secs(61));
    install.reject_a_list();
    install.it.eventually("the second rejection to be counted", || install.rejections().contains("count:2"));
    install.lose_a_tag_and_a_pod("two:1", &[&new, &two]);
    install.assert_every_right_is_used_and_none_is_missing();
    install.it.uninstall();
}
