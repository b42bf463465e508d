//! Several replicas: what becomes of the images when the active one goes.

use serde_json::json;
use test_bed::real::Container;

use super::{CONTROLLER_CONTAINER, Install};
use crate::release::CONTROLLER;

impl Install {
    /// The pod of the active controller, as the Lease names it: `<pod>_<process id>`.
    fn active(&self) -> Option<String> {
        let identity = self.it.namespace.get("lease/kube-prepull", ".spec.holderIdentity");
        Some(identity.rsplit_once('_')?.0.to_owned())
    }

    fn another_than(&self, pod: &str) -> String {
        let mut active = None;
        self.it.eventually(&format!("another than {pod} to be active"), || {
            active = self.active().filter(|active| active != pod);
            active.is_some()
        });
        active.unwrap()
    }

    /// The container of a controller's pod.
    fn controller(&self, pod: &str) -> Container {
        let ours = |container: &Container| container.pod == pod && container.name == CONTROLLER_CONTAINER;
        self.running().into_iter().find(ours).unwrap_or_else(|| panic!("{pod} does not run"))
    }

    fn wait_until_both_are_ready(&self) {
        let ready = || self.it.namespace.get(CONTROLLER, ".status.readyReplicas") == "2";
        self.it.eventually("two controllers to be ready", ready);
    }
}

#[test]
#[ignore = "make test-faults"]
fn killing_the_active_controller_changes_nothing_and_the_other_carries_out_the_next_edit() {
    let install = Install::begin("replicas");
    let it = &install.it;
    install.push_controller("1");
    let (one, two, three) = (
        install.push_content("one:1", "one"),
        install.push_content("two:1", "two"),
        install.push_content("three:1", "three"),
    );
    let values = install.values_with("1", json!({"replicas": 2}));
    it.helm.with_chart("install", &values, &["--wait", "--timeout", "3m"]).unwrap();
    let budget = "poddisruptionbudget/kubernetes-image-puller";
    let of_budget = |field: &str| it.namespace.get(budget, &format!(".status.{field}"));
    it.eventually("the budget to count both, and to let one go", || {
        of_budget("expectedPods") == "2" && of_budget("disruptionsAllowed") == "1"
    });
    install.list(&["one:1"]);
    let before = install.held(&[&one]);
    let watch = install.watch(&[&[&one]]);

    // Its pod goes without a farewell, as with a node that dies.
    let first = install.active().unwrap();
    it.namespace.kubectl(&["delete", "pod", &first, "--grace-period=0", "--force"]).unwrap();
    let second = install.another_than(&first);
    assert_eq!(install.holding(), before);
    install.list(&["one:1", "two:1"]);
    let before = install.held(&[&one, &two]);
    install.wait_until_both_are_ready();

    // Its process dies, and its kubelet starts another in the same pod.
    let killed = install.controller(&second).id;
    let node = install.nodes.iter().find(|node| node.containers().unwrap().iter().any(|it| it.id == killed)).unwrap();
    node.ctr(&["tasks", "kill", "--signal", "SIGKILL", &killed]).unwrap();
    it.eventually("the process to be gone", || !install.running().iter().any(|it| it.id == killed));
    assert_eq!(install.holding(), before);
    install.list(&["one:1", "two:1", "three:1"]);
    install.held(&[&one, &two, &three]);
    install.wait_until_both_are_ready();
    watch.assert_no_gap();
    it.uninstall();
}
