//! What makes OpenShift different, played on real nodes: the API group of its SecurityContextConstraints, and admission that
//! chooses the users of pods and refuses those that name another, as its SCC "restricted-v2" does.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_bed::{Kubectl, Real};

use super::Install;
use crate::release::CONTROLLER;

const CRD: &str = "customresourcedefinition/securitycontextconstraints.security.openshift.io";
/// The first of the users that OpenShift would give to the namespace.
const FIRST_USER: i64 = 1_000_660_000;
const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// Cluster-wide objects that go with the value.
struct Played {
    kubectl: Kubectl,
    names: Vec<String>,
}

impl Played {
    /// Begins to play, for pods of that namespace.
    fn begin(bed: &Real, namespace: &str) -> Self {
        let kubectl = Kubectl::new(bed.programs(), bed.kubeconfig(), bed.kubeconfig().with_file_name("kubectl-deploy"));
        let mut played = Self { kubectl, names: Vec::new() };
        for object in [api_group()].into_iter().chain(admission(namespace)) {
            let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
            played.names.push(format!("{kind}/{name}"));
            played.kubectl.apply(&object.to_string()).unwrap();
        }
        played
    }

    /// Whether the API server has the group.
    fn has_api_group(&self) -> bool {
        self.kubectl.run(["get", "--raw", "/apis"]).unwrap().contains("security.openshift.io")
    }

    /// What is said to a pod that names that user.
    fn try_pod_of(&self, user: i64, namespace: &str) -> Result<String, String> {
        let container = json!({"name": "it", "image": "registry.test/it:1", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
        let security = json!({"runAsNonRoot": true, "runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trying", "namespace": namespace},
            "spec": {"securityContext": security, "containers": [container]}});
        let arguments = ["create", "--dry-run=server", "--filename", "-"];
        self.kubectl.run_with_input(arguments, &pod.to_string()).map_err(|error| format!("{error:#}"))
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        for name in &self.names {
            drop(self.kubectl.run(["delete", name, "--ignore-not-found"]));
        }
    }
}

fn api_group() -> Value {
    let names = json!({"kind": "SecurityContextConstraints", "plural": "securitycontextconstraints"});
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "securitycontextconstraints.security.openshift.io"},
        "spec": {"group": "security.openshift.io", "names": names, "scope": "Cluster",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]},
    })
}

fn admission(namespace: &str) -> [Value; 4] {
    let metadata = json!({"name": format!("scc.{namespace}")});
    let pods = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
    let constraints = json!({"resourceRules": pods,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}});
    let choosing = format!(
        r#"has(object.spec.securityContext.runAsUser) ? [] :
           [JSONPatch{{op: "add", path: "/spec/securityContext/runAsUser", value: {FIRST_USER}}}]"#
    );
    let in_range = format!("object.spec.securityContext.runAsUser >= {FIRST_USER}");
    let object =
        |kind: &str, spec: Value| json!({"apiVersion": ADMISSION, "kind": kind, "metadata": metadata, "spec": spec});
    [
        object(
            "MutatingAdmissionPolicy",
            json!({"matchConstraints": constraints, "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": choosing}}]}),
        ),
        object("MutatingAdmissionPolicyBinding", json!({"policyName": metadata["name"]})),
        object(
            "ValidatingAdmissionPolicy",
            json!({"matchConstraints": constraints, "failurePolicy": "Fail",
                "validations": [{"expression": in_range, "message": "runAsUser: must be in the ranges"}]}),
        ),
        object(
            "ValidatingAdmissionPolicyBinding",
            json!({"policyName": metadata["name"], "validationActions": ["Deny"]}),
        ),
    ]
}

impl Install {
    /// The users that the templates of all generations name, and those of their pods, each once.
    fn users(&self) -> [BTreeSet<String>; 2] {
        let of = |kind: &str, path: &str| {
            let path = format!("jsonpath={{.items[*]{path}.securityContext.runAsUser}}");
            let ours = "kube-prepull.io/generation,kube-prepull.io/list";
            let users = self.it.namespace.kubectl(&["get", kind, "--selector", ours, "-o", &path]).unwrap();
            users.split_whitespace().map(str::to_owned).collect()
        };
        [of("daemonsets", ".spec.template.spec"), of("pods", ".spec")]
    }
}

/// Nobody else uses the bed meanwhile: any controller that starts takes this cluster for OpenShift.
#[test]
#[ignore = "make test-faults"]
fn on_openshift_no_user_is_named_and_that_stays_so_when_its_api_group_is_not_seen_for_a_time() {
    let install = Install::begin_alone("openshift");
    let it = &install.it;
    let name = &it.namespace.name;
    let played = Played::begin(&install.bed, name);
    it.eventually("the API group to be there", || played.has_api_group());
    it.eventually("admission to refuse a user that is not in the range", || {
        played.try_pod_of(65532, name).is_err_and(|said| said.contains("must be in the ranges"))
    });
    install.push_controller("1");
    let (one, two) = (install.push_content("one:1", "one"), install.push_content("two:1", "two"));
    it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    install.list(&["one:1"]);
    install.held(&[&one]);
    let chosen = [BTreeSet::new(), BTreeSet::from([FIRST_USER.to_string()])];
    assert_eq!(install.users(), chosen);

    played.kubectl.run(["delete", CRD]).unwrap();
    it.eventually("the API group to be gone", || !played.has_api_group());
    it.namespace.kubectl(&["rollout", "restart", CONTROLLER]).unwrap();
    it.namespace.kubectl(&["rollout", "status", CONTROLLER, "--timeout=2m"]).unwrap();
    install.list(&["one:1", "two:1"]);
    install.held(&[&one, &two]);
    assert_eq!(install.users(), chosen);
    drop(played);
    it.uninstall();
}
