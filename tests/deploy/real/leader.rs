//! `status` and `wait` ask the leader's pod by a forwarded port if the user may do that, and read objects otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::Install;
use crate::helm::RELEASE;
use crate::release::LIST;

/// A ServiceAccount, and a way to the cluster in its name. The file goes with the value.
struct User<'i> {
    install: &'i Install,
    account: String,
    kubeconfig: PathBuf,
}

impl<'i> User<'i> {
    /// Somebody with the rights of a reader of lists, and these.
    fn with(install: &'i Install, account: &str, rules: Value) -> Self {
        let namespace = &install.it.namespace;
        let subject = format!("{}:{account}", namespace.name);
        let reader = format!("kube-prepull:{}:kubernetes-image-puller:reader", namespace.name);
        namespace.kubectl(&["create", "serviceaccount", account]).unwrap();
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": account}, "rules": rules});
        namespace.apply(&role);
        for (binding, kind, role) in [("reader", "clusterrole", reader.as_str()), ("own", "role", account)] {
            let binding = format!("{account}-{binding}");
            let role = [&format!("--{kind}"), role, "--serviceaccount", &subject];
            namespace.kubectl(&[&["create", "rolebinding", &binding], &role[..]].concat()).unwrap();
        }
        let kubeconfig = std::env::temp_dir().join(format!("{}-{account}.kubeconfig", namespace.name));
        fs::copy(namespace.kubeconfig(), &kubeconfig).unwrap();
        let token = namespace.kubectl(&["create", "token", account]).unwrap();
        for arguments in
            [["set-credentials", account, "--token", token.trim()], ["set-context", "--current", "--user", account]]
        {
            let file = ["--kubeconfig", kubeconfig.to_str().unwrap(), "config"];
            namespace.kubectl(&[&file[..], &arguments].concat()).unwrap();
        }
        Self { install, account: account.to_owned(), kubeconfig }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(arguments).args(["--namespace", &self.install.it.namespace.name]);
        command.arg("--kubeconfig").arg(&self.kubeconfig).output().unwrap()
    }

    fn status(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["status", "--output", "json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Why there is no report from the leader.
    fn refused(&self) -> String {
        let output = self.run(&["status", "--from", "leader"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// What it has asked the API server for until now.
    fn requests(&self) -> BTreeSet<String> {
        self.install.rights_used_by(&self.account)
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.kubeconfig));
    }
}

fn without_time(mut report: Value) -> Value {
    report["time"].take();
    report
}

#[test]
#[ignore = "make test-faults"]
fn who_may_forward_ports_gets_the_leaders_report_and_lists_no_pods_and_others_read_objects() {
    let install = Install::begin("leader");
    install.push_controller("1");
    let one = install.push_content("app:1", "one");
    install.it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    install.list(&["app:1"]);
    install.held(&[&one]);

    let lease = json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["kube-prepull"], "verbs": ["get"]});
    let ports = json!({"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]});
    let [asking, hurried] = ["asking", "hurried"].map(|account| User::with(&install, account, json!([lease, ports])));
    let (reading, half) = (User::with(&install, "reading", json!([])), User::with(&install, "half", json!([lease])));

    let port = install.it.namespace.get("lease/kube-prepull", r".metadata.annotations.kube-prepull\.io/status-port");
    assert_eq!(port, "8082");
    // A right that was just granted takes effect a moment later.
    let leader_answers = || asking.run(&["status", "--from", "leader"]).status.success();
    install.it.eventually("the leader's report", leader_answers);
    assert_eq!(asking.status(&[])["nodesKnown"], true, "the leader may read nodes");
    let wanted = ["get /pods", "get coordination.k8s.io/leases", "list /configmaps"].map(str::to_owned);
    install.it.eventually("the requests to be logged", || asking.requests() == BTreeSet::from(wanted.clone()));

    // The wait that follows an edit sees it. It may read objects if the leader takes seconds to see it, but no later one does.
    let two = install.push_content("app:2", "two");
    install.list(&["app:2"]);
    let wait = |user: &User<'_>| {
        let waited = user.run(&["wait", LIST.strip_prefix("configmap/").unwrap(), "--timeout", "2m"]);
        assert!(waited.status.success(), "{waited:?}");
    };
    wait(&hurried);
    install.it.eventually("the leader's report on the edited list", leader_answers);
    wait(&asking);
    let held = install.holding().into_iter().filter(|container| container.digest.as_deref() == Some(two.as_str()));
    assert_eq!(held.count(), install.nodes.len());
    assert!(!asking.requests().contains("list /pods"), "{:?}", asking.requests());

    // Without these rights, what the namespace shows is read.
    for (user, why) in
        [(&reading, "not allowed to get the Lease kube-prepull"), (&half, "not allowed to forward the port 8082")]
    {
        assert_eq!(user.status(&[])["nodesKnown"], false);
        let said = user.refused();
        assert!(said.contains(&format!("no report from the leader: {why}")), "{said}");
    }

    // Both say the same to somebody who may read everything.
    let mut admin = User::with(&install, "admin", json!([]));
    fs::copy(install.it.namespace.kubeconfig(), &admin.kubeconfig).unwrap();
    admin.account.clear();
    install.it.eventually("the same report from the leader and from objects", || {
        let [leader, objects] = ["leader", "objects"].map(|from| without_time(admin.status(&["--from", from])));
        leader == objects && leader["warm"] == true
    });
    install.it.helm.run(&["uninstall", RELEASE, "--wait"]).unwrap();
}
