//! The ValidatingAdmissionPolicies of `deploy/policy`: what the API server refuses, and what goes on.

mod all_namespaces;
mod costs;
mod fields;
mod image_caches;
mod installed;
mod lists;
mod operation;
mod removal;
mod requests;
mod token;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Client;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::conditions::{as_limited, rights};
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::trial::{Trial, may_list};

/// The group that the policies do not restrict.
const BREAK_GLASS: &str = "kube-prepull:break-glass";

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// A way to the cluster in the name of the controller's account, which has only its rights.
async fn as_controller(trial: &Trial) -> Proxy {
    as_limited(trial, &rights()).await
}

/// Lets the controller hold an image: its way to the cluster, itself, and the DaemonSet.
async fn holding(trial: &Trial) -> (Proxy, Controller, DaemonSet) {
    let proxy = as_controller(trial).await;
    let controller = Controller::start_through(trial, &proxy.kubeconfig).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let held = trial.settled_on(&["nginx:1.27"]).await;
    (proxy, controller, held)
}

/// A client with that account. It exists once the controller has a way to the cluster.
async fn controllers_client(trial: &Trial) -> Client {
    trial.client_as(&format!("system:serviceaccount:{}:limited", trial.namespace)).await
}

/// Clients of somebody who may do everything in the namespace, as a member of these groups.
async fn admin_of_namespace(trial: &Trial, groups: &[&str]) -> Client {
    let user = format!("jane-{}", trial.namespace);
    let api = trial.api::<RoleBinding>();
    if api.get_opt("jane").await.unwrap().is_none() {
        // The role `admin` only reads ControllerRevisions.
        let rule = json!({"apiGroups": ["apps"], "resources": ["controllerrevisions"], "verbs": ["*"]});
        trial.create::<Role>(json!({"metadata": {"name": "jane"}, "rules": [rule]})).await;
        for (name, kind, role) in [("jane-versions", "Role", "jane"), ("jane", "ClusterRole", "admin")] {
            trial
                .create::<RoleBinding>(json!({
                    "metadata": {"name": name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
                }))
                .await;
        }
    }
    let client = trial.client_in(&user, groups).await;
    may_list::<DaemonSet>(&client, &trial.namespace).await;
    client
}

/// The reason of a refusal, which has to be that of a policy: the policy's name without the namespace, and what it says.
fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>, what: &str) -> (String, String) {
    let status = match answer {
        Err(kube::Error::Api(status)) => status,
        other => panic!("{what} was not refused: {other:?}"),
    };
    assert_eq!(status.code, 403, "{what}: {status:?}");
    let said =
        status.message.split_once("ValidatingAdmissionPolicy '").unwrap_or_else(|| panic!("{what}: {status:?}")).1;
    let (policy, rest) = said.split_once('\'').unwrap();
    let text = rest.split_once("denied request: ").unwrap().1.to_owned();
    assert!(!text.contains("resulted in error") && !text.contains("cost"), "{what}: {text}");
    (policy.split('.').next().unwrap().to_owned(), text)
}

/// Sets what is at a JSON pointer. What is missing on the way there are objects.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for segment in pointer.split('/').skip(1) {
        let key = segment.replace("~1", "/");
        place = match key.parse::<usize>() {
            Ok(index) if place.is_array() => &mut place[index],
            _ => &mut place[key.as_str()],
        };
    }
    *place = value;
}

/// A copy of an object with other content at a pointer.
fn with(daemon_set: &DaemonSet, pointer: &str, value: Value) -> DaemonSet {
    let mut changed = serde_json::to_value(daemon_set).unwrap();
    set(&mut changed, pointer, value);
    serde_json::from_value(changed).unwrap()
}

/// The same as a new object of another name.
fn as_new(daemon_set: &DaemonSet) -> DaemonSet {
    let mut new = daemon_set.clone();
    new.metadata.name = Some("another".to_owned());
    new.metadata.uid = None;
    new.metadata.resource_version = None;
    new.metadata.generation = None;
    new.metadata.creation_timestamp = None;
    new.metadata.managed_fields = None;
    new.status = None;
    new
}
