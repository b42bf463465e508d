//! Installing, editing, upgrading, rolling back and uninstalling, with the real helm on the simulated cluster.

use super::helm::{RELEASE, checkout};
use super::release::{CONTROLLER, IMAGE, LIST, Sequence};

const CONTAINERS: &str = ".spec.template.spec.containers[*].name";

#[test]
fn a_list_that_is_left_to_kubectl_is_touched_by_nothing_but_the_uninstall() {
    let it = Sequence::simulated("edited");
    let notes = it.install("");
    assert!(notes.contains("kubectl edit configmap/k8s-image-puller"), "{notes}");
    it.edit("web=nginx:1");
    it.upgrade("").unwrap();
    assert_eq!(it.images(), "web=nginx:1");
    it.upgrade("image: {tag: next}").unwrap();
    assert_eq!(it.namespace.get(CONTROLLER, IMAGE), "kube-prepull:next");
    it.edit("web=nginx:2");
    it.helm.run(&["rollback", RELEASE, "1"]).unwrap();
    assert_eq!(it.namespace.get(CONTROLLER, IMAGE), "kube-prepull:0.1.0");
    assert_eq!(it.images(), "web=nginx:2");
    it.uninstall();
}

#[test]
fn a_release_with_policies_is_edited_upgraded_and_uninstalled_like_any_other() {
    let it = Sequence::simulated("policed");
    it.install("admissionPolicy: {create: true}");
    it.edit("web=nginx:1");
    it.upgrade("admissionPolicy: {create: true, images: [\"docker.io/library/*\"]}").unwrap();
    it.eventually("another image to be refused", || {
        let patch = r#"{"data": {"IMAGES": "web=evil.test/nginx:2"}}"#;
        let said = it.namespace.kubectl(&["patch", LIST, "--type", "merge", "--dry-run=server", "--patch", patch]);
        said.is_err_and(|said| said.contains("IMAGES: evil.test/nginx is not allowed"))
    });
    it.edit("web=nginx:2");
    assert_eq!(it.images(), "web=nginx:2");
    it.uninstall();
}

#[test]
fn a_list_that_the_release_manages_follows_the_values_and_their_history() {
    let it = Sequence::simulated("managed");
    let notes = it.install("configMap: {images: web=nginx:1}");
    assert!(notes.contains("This release manages the list"), "{notes}");
    it.upgrade("configMap: {images: web=nginx:2}").unwrap();
    assert_eq!(it.images(), "web=nginx:2");
    it.helm.run(&["rollback", RELEASE, "1"]).unwrap();
    assert_eq!(it.images(), "web=nginx:1");
    it.uninstall();
}

#[test]
fn an_upgrade_overwrites_no_edit_of_a_list_that_the_release_manages_unless_it_is_asked_to() {
    let it = Sequence::simulated("conflict");
    let values = "configMap: {images: web=nginx:1}";
    it.install(values);
    it.edit("web=nginx:2");
    let refused = it.upgrade(values).unwrap_err();
    assert!(refused.contains("conflict") && refused.contains(".data.IMAGES"), "{refused}");
    assert_eq!(it.images(), "web=nginx:2");
    it.helm.with_chart("upgrade", values, &["--force-conflicts"]).unwrap();
    assert_eq!(it.images(), "web=nginx:1");
    it.uninstall();
}

#[test]
fn a_list_changes_hands_without_losing_what_is_on_it() {
    let it = Sequence::simulated("hands");
    it.install("configMap: {images: web=nginx:1}");
    it.edit("web=nginx:2");
    it.upgrade("configMap: {images: web=nginx:1, managedBy: kubectl}").unwrap();
    assert_eq!(it.images(), "web=nginx:2");
    it.edit("web=nginx:3");
    it.upgrade("image: {tag: next}").unwrap();
    assert_eq!(it.images(), "web=nginx:3");
    it.helm.with_chart("upgrade", "configMap: {images: web=nginx:4}", &["--force-conflicts"]).unwrap();
    assert_eq!(it.images(), "web=nginx:4");
    it.upgrade("configMap: {images: web=nginx:5}").unwrap();
    assert_eq!(it.images(), "web=nginx:5");
    it.uninstall();
}

#[test]
fn a_list_that_was_there_before_is_neither_changed_nor_deleted() {
    let it = Sequence::simulated("found");
    it.namespace.kubectl(&["create", "configmap", "k8s-image-puller", "--from-literal=IMAGES=web=nginx:1"]).unwrap();
    let before = it.namespace.everything();
    let it = Sequence { before, ..it };
    it.install("");
    assert_eq!(it.images(), "web=nginx:1");
    let named =
        it.namespace.get(CONTROLLER, r#".spec.template.spec.containers[0].env[?(@.name=="CONFIG_MAPS")].value"#);
    assert_eq!(named, "k8s-image-puller");
    it.upgrade("").unwrap();
    it.uninstall();
    assert_eq!(it.images(), "web=nginx:1");
}

#[test]
fn everything_that_can_be_made_goes_with_the_release() {
    let it = Sequence::simulated("all");
    // The name of the PriorityClass is that of the namespace, since other tests make one too.
    let name = &it.namespace.name;
    it.install(&include_str!("values/everything.yaml").replace("prepull-test", name));
    let made = it.namespace.everything();
    assert!(made.iter().any(|object| object.contains("priorityclass")), "{made:#?}");
    assert!(made.iter().any(|object| object.contains("networkpolicy")), "{made:#?}");
    it.uninstall();
}

/// Installs a chart with the objects of kubernetes-image-puller's: their kinds, names and selectors.
fn former_release(it: &Sequence, server_side: &str) {
    let folder = checkout("tests/deploy/former-chart");
    it.helm.run(&["install", RELEASE, folder.to_str().unwrap(), &format!("--server-side={server_side}")]).unwrap();
    assert_eq!(it.images(), "web=nginx:1");
}

#[test]
fn a_release_of_kubernetes_image_puller_is_upgraded_in_place() {
    let it = Sequence::simulated("former");
    former_release(&it, "true");
    let uid = it.namespace.get(CONTROLLER, ".metadata.uid");
    it.upgrade("configMap: {images: \"web=nginx:1;\"}").unwrap();
    assert_eq!(it.images(), "web=nginx:1;");
    assert_eq!(it.namespace.get(CONTROLLER, ".metadata.uid"), uid);
    assert_eq!(it.namespace.get(CONTROLLER, CONTAINERS), "kube-prepull");
    assert_eq!(it.namespace.get("role/create-daemonset", ".kind"), "");
    it.uninstall();
}

#[test]
fn an_upgrade_in_place_without_images_among_the_values_keeps_the_list() {
    let it = Sequence::simulated("kept");
    // As helm 3 did it, and helm 4 goes on doing it for releases of helm 3.
    former_release(&it, "false");
    it.upgrade("").unwrap();
    assert_eq!(it.images(), "web=nginx:1");
    assert_eq!(it.namespace.get(CONTROLLER, CONTAINERS), "kube-prepull");
    let label = r".metadata.labels.kube-prepull\.io/image-list";
    assert_eq!(it.namespace.get(LIST, label), "true");
    it.edit("web=nginx:2");
    it.upgrade("").unwrap();
    assert_eq!(it.images(), "web=nginx:2");
    it.uninstall();
}
