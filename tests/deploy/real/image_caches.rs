//! A release whose list has an ImageCache: what the controller may do about it, and what becomes of it with the release.

use std::fs;

use serde_json::json;

use super::Install;
use crate::helm::checkout;
use crate::release::LIST;

const DEFINITION: &str = "customresourcedefinition/imagecaches.eci.alibabacloud.com";

impl Install {
    /// Defines ImageCaches. That stays: it hinders nobody, and other tests go through all types that the cluster has.
    fn define_image_caches(&self) {
        self.bed.apply(&fs::read_to_string(checkout("config/crd/imagecache.yaml")).unwrap()).unwrap();
        self.bed.kubectl(["wait", DEFINITION, "--for=condition=Established", "--timeout=60s"]).unwrap();
    }

    /// Those of the namespace's lists.
    fn image_caches(&self) -> Vec<String> {
        let of_namespace = format!("kube-prepull.io/namespace={}", self.it.namespace.name);
        let names = self.bed.kubectl(["get", "imagecaches", "--selector", &of_namespace, "-o", "name"]).unwrap();
        names.lines().map(str::to_owned).collect()
    }

    /// Waits until there is one that is not among these.
    fn another_image_cache(&self, known: &[&str]) -> String {
        let mut another = None;
        self.it.eventually("another ImageCache", || {
            another = self.image_caches().into_iter().find(|name| !known.contains(&name.as_str()));
            another.is_some()
        });
        another.unwrap()
    }

    /// Says of it what ECI would.
    fn becomes_ready(&self, image_cache: &str) {
        let status = json!({"status": {"phase": "Ready", "progress": "100%", "imageCacheId": "imc-test"}}).to_string();
        let arguments = ["patch", image_cache, "--subresource=status", "--type=merge", "--patch", &status];
        self.bed.kubectl(arguments).unwrap();
    }
}

#[test]
#[ignore = "make test-faults"]
fn an_image_cache_follows_its_list_by_the_rights_of_the_chart_and_goes_before_the_release() {
    let install = Install::begin("caches");
    let it = &install.it;
    install.define_image_caches();
    install.push_controller("1");
    let (one, two) = (install.push_content("one:1", "one"), install.push_content("two:1", "two"));
    let values = install.values_with("1", json!({"imageCache": {"enabled": true}}));
    it.helm.with_chart("install", &values, &["--wait", "--timeout", "3m"]).unwrap();
    let asked = json!({"data": {"IMAGE_CACHE": "true", "IMAGE_CACHE_KEEP_PREVIOUS_FOR": "0s"}}).to_string();
    it.namespace.kubectl(&["patch", LIST, "--type=merge", "--patch", &asked]).unwrap();

    install.list(&["one:1"]);
    install.held(&[&one]);
    let first = install.another_image_cache(&[]);
    install.becomes_ready(&first);
    install.list(&["one:1", "two:1"]);
    install.held(&[&one, &two]);
    let second = install.another_image_cache(&[&first]);
    install.becomes_ready(&second);
    it.eventually("the first to be deleted", || install.image_caches() == [second.as_str()]);
    install.assert_every_right_to_is_used_and_none_is_missing("eci.alibabacloud.com/imagecaches");

    it.uninstall();
    assert_eq!(install.image_caches(), [""; 0]);
    let of_job = "involvedObject.kind=Job,reason=Completed";
    it.eventually("the Event that the clean-up was completed", || {
        let completed = it.namespace.kubectl(&["get", "events", "--field-selector", of_job, "-o", "name"]).unwrap();
        completed.contains("kubernetes-image-puller-clean-up")
    });
}
