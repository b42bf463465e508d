//! A controller for all namespaces is in none of those that it works in.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::super::conditions::rights;
use super::super::trial;
use super::installed::Policies;
use super::{as_new, dry_run, holding, refusal, with};
use crate::trial::{Trial, may_list};

/// A client with the account `limited` of a namespace, which may do in another one what a controller may.
async fn controller_of(account: &Trial, works_in: &Trial) -> Client {
    let name = account.namespace.as_str();
    works_in.create::<Role>(json!({"metadata": {"name": name}, "rules": rights()})).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": name}],
    });
    works_in.create::<RoleBinding>(binding).await;
    let client = account.client_as(&format!("system:serviceaccount:{name}:limited")).await;
    may_list::<DaemonSet>(&client, &works_in.namespace).await;
    client
}

#[tokio::test]
async fn only_the_account_of_a_controller_for_all_namespaces_writes_in_others_and_nothing_but_holders() {
    let (home, shop) = (trial("polhome").await, trial("polshop").await);
    let (_proxy, _controller, held) = holding(&home).await;
    let controllers: Value = json!([format!("{}:limited", home.namespace)]);
    let _policies = Policies::install(&shop, json!({"controllers": controllers})).await;
    shop.create::<ServiceAccount>(json!({"metadata": {"name": "limited"}})).await;
    let ours = controller_of(&home, &shop).await;
    let theirs = controller_of(&shop, &shop).await;

    let mut daemon_set = as_new(&held);
    daemon_set.metadata.namespace = Some(shop.namespace.clone());
    daemon_set.metadata.owner_references = None;
    let create = async |client: &Client, daemon_set: &DaemonSet| {
        Api::<DaemonSet>::namespaced(client.clone(), &shop.namespace).create(&dry_run(), daemon_set).await
    };
    create(&ours, &daemon_set).await.unwrap();
    assert_eq!(refusal(create(&theirs, &daemon_set).await, "an account of the namespace").0, "kube-prepull-daemonsets");
    let privileged = with(&daemon_set, "/spec/template/spec/shareProcessNamespace", json!(true));
    assert_eq!(refusal(create(&ours, &privileged).await, "another pod").0, "kube-prepull-holders");
    let as_controller = with(&daemon_set, "/spec/template/spec/serviceAccountName", json!("limited"));
    create(&ours, &as_controller).await.unwrap();
}
