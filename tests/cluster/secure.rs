//! A client of secure metrics, and accounts that may get them or not.

use std::path::Path;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Resource};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::tls::{Certificate, get_metrics};
use super::trial::{Trial, clean_up};

/// A certificate for `localhost` in a folder, as a Secret in a pod's volume.
pub fn certificate(folder: &Path) -> CertificateDer<'static> {
    let made = Certificate::for_localhost();
    std::fs::create_dir_all(folder).unwrap();
    // The key of one certificate with another one is an error that the controller has to live with for a moment.
    std::fs::write(folder.join("tls.key"), made.key).unwrap();
    std::fs::write(folder.join("tls.crt"), made.chain).unwrap();
    made.trusted
}

/// The status and the text of `/metrics`, from a server with this certificate. What the test runs itself, such as a proxy, goes on
/// meanwhile.
pub async fn metrics(address: &str, trusted: &CertificateDer<'static>, token: Option<&str>) -> Option<(u16, String)> {
    let (address, trusted, token) = (address.to_owned(), trusted.clone(), token.map(str::to_owned));
    tokio::task::spawn_blocking(move || get_metrics(&address, &trusted, token.as_deref())).await.unwrap()
}

/// The token of a new account.
pub async fn token(trial: &Trial, account: &str) -> String {
    trial.create::<ServiceAccount>(json!({"metadata": {"name": account}})).await;
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let accounts: Api<ServiceAccount> = trial.api();
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    answer.status.unwrap().token
}

/// The right of an account to get metrics. It goes with the value.
pub struct Reader<'a>(&'a Trial);

impl<'a> Reader<'a> {
    pub async fn grant(trial: &'a Trial, account: &str) -> Self {
        let name = format!("{}-metrics-reader", trial.namespace);
        let rules = json!([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]);
        create::<ClusterRole>(trial, json!({"metadata": {"name": name}, "rules": rules})).await;
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": trial.namespace}],
        });
        create::<ClusterRoleBinding>(trial, binding).await;
        Self(trial)
    }
}

async fn create<K>(trial: &Trial, object: Value)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let object = serde_json::from_value(object).unwrap();
    Api::<K>::all(trial.client.clone()).create(&PostParams::default(), &object).await.unwrap();
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let name = format!("{}-metrics-reader", self.0.namespace);
        clean_up(&self.0.kubeconfig, async move |client| {
            drop(Api::<ClusterRoleBinding>::all(client.clone()).delete(&name, &DeleteParams::default()).await);
            Api::<ClusterRole>::all(client).delete(&name, &DeleteParams::default()).await
        });
    }
}
