//! What clusters do to a controller.

use jiff::SignedDuration;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, ResourceQuota, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::admission::Mutation;
use super::trial;
use crate::audit::{AuditLog, most_attempts};
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::trial::{Trial, eventually, may_list};

/// What the controller may do in its namespace: the rules of the Role that users install.
pub fn rights() -> Vec<Value> {
    let manifests = include_str!("../../../deploy/kustomize/rbac.yaml");
    let role = serde_yaml::from_multiple::<Value>(manifests).unwrap().swap_remove(0);
    role["rules"].as_array().unwrap().clone()
}

/// The verbs of the rule for a resource.
pub fn verbs<'r>(rights: &'r mut [Value], resource: &str) -> &'r mut Value {
    let rule = rights.iter_mut().find(|rule| rule["resources"][0] == resource).unwrap();
    &mut rule["verbs"]
}

/// A ServiceAccount with these rights, of which reading ConfigMaps is one, and a way to the cluster in its name.
pub async fn as_limited(trial: &Trial, rights: &[Value]) -> Proxy {
    let account = json!({"metadata": {"name": "limited"}});
    let role = json!({"metadata": {"name": "limited"}, "rules": rights});
    let binding = json!({
        "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"},
        "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": trial.namespace}],
    });
    trial.create::<ServiceAccount>(account).await;
    trial.create::<Role>(role).await;
    trial.create::<RoleBinding>(binding).await;
    let user = format!("system:serviceaccount:{}:limited", trial.namespace);
    let client = trial.client_as(&user).await;
    may_list::<ConfigMap>(&client, &trial.namespace).await;
    Proxy::start(client).await
}

pub async fn grant(trial: &Trial, rights: &[Value]) {
    let mut role: Role = trial.api().get("limited").await.unwrap();
    role.rules = Some(serde_json::from_value(json!(rights)).unwrap());
    trial.api().replace("limited", &PostParams::default(), &role).await.unwrap();
}

#[tokio::test]
async fn rights_in_its_namespace_are_all_that_it_needs() {
    let trial = trial("rights").await;
    let proxy = as_limited(&trial, &rights()).await;
    let controller = Controller::spawn(&trial, &proxy.kubeconfig, &["--leader-elect=true"]);
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.write_list("tools", "images: [nginx:1.28]").await;
    trial.settled_on(&["nginx:1.28"]).await;
    let log = controller.log();
    assert_eq!(log.matches("not allowed to watch nodes").count(), 1, "{log}");
    assert!(!log.contains("MissingRight"), "{log}");
}

#[tokio::test]
async fn a_missing_right_to_write_is_named_and_hinders_nothing_else() {
    let trial = trial("nopatch").await;
    let mut rights = rights();
    *verbs(&mut rights, "configmaps") = json!(["get", "list", "watch"]);
    let proxy = as_limited(&trial, &rights).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    let reported = trial.reported("MissingRight").await;
    assert!(reported.contains("cannot patch resource \"configmaps\""), "{reported}");
    let ready =
        eventually("/readyz to name it", async || controller.get("/readyz").filter(|(status, _)| *status == 503));
    assert!(ready.await.1.contains("cannot patch resource \"configmaps\""));
    grant(&trial, &self::rights()).await;
    trial.validated("tools", "accepted").await;
    eventually("the controller to be ready", async || controller.get("/readyz").filter(|(status, _)| *status == 200))
        .await;
}

#[tokio::test]
async fn a_missing_right_to_read_is_named_until_it_is_granted() {
    let trial = trial("noread").await;
    let mut rights = rights();
    *verbs(&mut rights, "pods") = json!(["get"]);
    let proxy = as_limited(&trial, &rights).await;
    let controller = Controller::spawn(&trial, &proxy.kubeconfig, &[]);
    eventually("/readyz to name it", async || {
        controller.get("/readyz").filter(|(status, text)| *status == 503 && text.contains("not allowed to watch pods"))
    })
    .await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    grant(&trial, &self::rights()).await;
    trial.settled_on(&["nginx:1.27"]).await;
}

#[tokio::test]
async fn a_quota_that_refuses_the_new_generation_takes_nothing_away() {
    let trial = trial("quota").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"count/daemonsets.apps": "1"}}});
    trial.create::<ResourceQuota>(quota).await;
    // It is enforced once the first DaemonSet is counted and the API server's own copy of the quota says so.
    eventually("the quota to be enforced", async || trial.try_daemon_set("nginx:1.28").await.err().map(drop)).await;
    trial.write_list("tools", "images: [nginx:1.28]").await;
    let reported = trial.reported("Refused").await;
    assert!(reported.contains("refused by the ResourceQuota full: exceeded quota"), "{reported}");
    assert_eq!(trial.settled_on(&["nginx:1.27"]).await.metadata.uid, before.metadata.uid);
    trial.api::<ResourceQuota>().delete("full", &DeleteParams::default()).await.unwrap();
    trial.settled_on(&["nginx:1.28"]).await;
}

#[tokio::test]
async fn admission_that_rewrites_what_is_applied_leads_to_no_second_write() {
    let trial = trial("rewritten").await;
    let expression = r#"[
        JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: "mirror.test/nginx:1.27"},
        JSONPatch{op: "add", path: "/spec/template/spec/containers/0/resources/requests/cpu", value: "7m"}]"#;
    let _mutation = Mutation::begin(&trial, expression, |spec| {
        spec["template"]["spec"]["containers"][0]["image"] == "mirror.test/nginx:1.27"
    })
    .await;
    let log = AuditLog::open();
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let made = trial.settled_on(&["mirror.test/nginx:1.27"]).await;
    // An edit of nothing but the schedule is validated after whatever the controller would do about the DaemonSet.
    for hours in 2..5 {
        trial.write_list("tools", &format!("images: [nginx:1.27]\nrefresh: {{every: {hours}h}}\n")).await;
        trial.validated("tools", "accepted").await;
    }
    let after = trial.settled_on(&["mirror.test/nginx:1.27"]).await;
    assert_eq!((made.metadata.uid, made.metadata.generation), (after.metadata.uid, after.metadata.generation));
    let mut writes = log.requests(0, &trial.namespace);
    // What is noted on it is no part of what is applied.
    writes.retain(|request| {
        request.is_write() && request.uri.contains("/daemonsets/") && request.uri.contains("force=true")
    });
    assert_eq!(writes.len(), 1, "{writes:#?}");
}

/// Admission that refuses DaemonSets of an image in the trial's namespace, or changes of a node.
pub struct Refusal {
    name: String,
    policies: Api<ValidatingAdmissionPolicy>,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

impl Refusal {
    /// Waits until it is enforced.
    pub async fn begin(trial: &Trial, image: &str, message: &str) -> Self {
        let name = format!("refuse.{}", trial.namespace);
        let constraints = json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": trial.namespace}},
            "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["daemonsets"]}]});
        let expression = format!("object.spec.template.spec.containers.all(it, it.image != '{image}')");
        let refusal = Self::create(trial, name, constraints, &expression, message).await;
        eventually("the policy to be enforced", async || trial.try_daemon_set(image).await.err().map(drop)).await;
        refusal
    }

    /// Refuses changes of a node for which the expression does not hold. Waits until it is enforced.
    pub async fn of_node(trial: &Trial, node: &str, expression: &str, message: &str) -> Self {
        let name = format!("refuse.{}", trial.namespace);
        let constraints = json!({"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
            "resources": ["nodes"], "resourceNames": [node]}]});
        let refusal = Self::create(trial, name, constraints, expression, message).await;
        let nodes = Api::<Node>::all(trial.client.clone());
        let (trying, none) =
            (PatchParams { dry_run: true, ..PatchParams::default() }, json!({"spec": {"taints": null}}));
        eventually("the policy to be enforced", async || {
            nodes.patch(node, &trying, &Patch::Merge(&none)).await.err().map(drop)
        })
        .await;
        refusal
    }

    async fn create(trial: &Trial, name: String, constraints: Value, expression: &str, message: &str) -> Self {
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {
            "matchConstraints": constraints,
            "validations": [{"expression": expression, "message": message}],
        }}))
        .unwrap();
        let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(
            json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}),
        )
        .unwrap();
        let policies = Api::<ValidatingAdmissionPolicy>::all(trial.client.clone());
        let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(trial.client.clone());
        policies.create(&PostParams::default(), &policy).await.unwrap();
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        Self { name, policies, bindings }
    }

    pub async fn end(self) {
        self.bindings.delete(&self.name, &DeleteParams::default()).await.unwrap();
        self.policies.delete(&self.name, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn admission_that_refuses_daemon_sets_is_reported_and_not_asked_in_a_loop() {
    let trial = trial("refused").await;
    let refusal = Refusal::begin(&trial, "nginx:1.27", "no DaemonSets on Sundays").await;
    let log = AuditLog::open();
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let reported = trial.reported("Refused").await;
    assert!(reported.contains("refused by the ValidatingAdmissionPolicy "), "{reported}");
    assert!(reported.contains(": no DaemonSets on Sundays; change"), "{reported}");
    refusal.end().await;
    trial.settled_on(&["nginx:1.27"]).await;
    let mut refused = log.requests(0, &trial.namespace);
    refused.retain(|it| it.verb == "patch" && it.uri.contains("/daemonsets/") && !it.succeeded());
    let (first, last) = (refused.first().expect("an attempt"), refused.last().expect("an attempt"));
    // The shortest pauses. The list's own validation result may be taken for an edit, after which they begin again.
    let pauses = (0..).map(|doublings: u32| SignedDuration::from_millis(500 << doublings.min(6)));
    let most = 2 * most_attempts(last.received.duration_since(first.received), pauses);
    // Each attempt takes another name.
    let events = trial.events("Refused").await.len();
    let minutes = last.received.duration_since(first.received).as_secs() / 60;
    assert!(events <= 1 + usize::try_from(minutes).unwrap(), "{events} Events in {minutes} minutes");
    assert!(refused.len() <= most, "{} attempts, at most {most} are expected: {refused:#?}", refused.len());
}

#[tokio::test]
async fn a_policy_whose_words_are_those_of_a_missing_right_concerns_its_list_alone() {
    let trial = trial("words").await;
    let words = r#"User "x" cannot create resource "daemonsets" in API group "apps" in the namespace "p""#;
    let refusal = Refusal::begin(&trial, "nginx:1.27", words).await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let reported = trial.reported("Refused").await;
    let expected = format!("refused by the ValidatingAdmissionPolicy refuse.{}: {words}", trial.namespace);
    assert!(reported.contains(&expected), "{reported}");
    assert!(!reported.contains("right"), "{reported}");
    trial.write_list("other", "images: [nginx:1.28]").await;
    trial.settled_on(&["nginx:1.28"]).await;
    controller.has_reconciled(&trial, "tools").await;
    assert_eq!(controller.get("/readyz").map(|(status, _)| status), Some(200));
    assert!(trial.events("MissingRight").await.is_empty());
    refusal.end().await;
}

/// Unit tests with a paused clock check how soon.
#[tokio::test]
async fn an_edit_corrects_what_is_refused() {
    let trial = trial("corrected").await;
    let refusal = Refusal::begin(&trial, "refused:1", "not this image").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [refused:1]").await;
    trial.reported("Refused").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    refusal.end().await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_under_it_does_not_end_the_controller() {
    let trial = trial("ending").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    let namespaces = Api::<Namespace>::all(trial.client.clone());
    namespaces.delete(&trial.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace to be gone", async || {
        let found = namespaces.get_opt(&trial.namespace).await.unwrap();
        found.is_none_or(|namespace| namespace.name_any().is_empty()).then_some(())
    })
    .await;
    assert!(!controller.has_ended());
    assert_eq!(controller.get("/livez").unwrap().0, 200);
}
