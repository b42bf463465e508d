//! ImageCaches are cluster-scoped: which of them the controller's account may write.

use eci_simulator::ImageCache;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::installed::Policies;
use super::{as_controller, controllers_client, dry_run, refusal};
use crate::controller::Controller;
use crate::serverless::Serverless;
use crate::trial::{Trial, clean_up, eventually};

/// The right to ImageCaches, which goes with the value.
struct Right {
    name: String,
    kubeconfig: std::path::PathBuf,
}

impl Right {
    async fn grant(trial: &Trial) -> Self {
        let name = format!("imagecaches-{}", trial.namespace);
        let rule = json!({"apiGroups": ["eci.alibabacloud.com"], "resources": ["imagecaches"],
                          "verbs": ["list", "watch", "create", "delete"]});
        let role: ClusterRole = serde_json::from_value(json!({"metadata": {"name": name}, "rules": [rule]})).unwrap();
        let subject = json!({"kind": "ServiceAccount", "name": "limited", "namespace": trial.namespace});
        let binding: ClusterRoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name}, "subjects": [subject],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        }))
        .unwrap();
        let whole = PostParams::default();
        Api::<ClusterRole>::all(trial.client.clone()).create(&whole, &role).await.unwrap();
        Api::<ClusterRoleBinding>::all(trial.client.clone()).create(&whole, &binding).await.unwrap();
        Self { name, kubeconfig: trial.kubeconfig.clone() }
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        let name = self.name.clone();
        clean_up(&self.kubeconfig, async move |client| {
            drop(Api::<ClusterRoleBinding>::all(client.clone()).delete(&name, &DeleteParams::default()).await);
            drop(Api::<ClusterRole>::all(client).delete(&name, &DeleteParams::default()).await);
        });
    }
}

#[tokio::test]
async fn the_controllers_account_writes_only_image_caches_of_its_namespace() {
    let it = Serverless::begin("confined").await;
    let trial = &it.trial;
    let _policies = Policies::install(trial, json!({})).await;
    let _right = Right::grant(trial).await;
    let proxy = as_controller(trial).await;
    let _controller = Controller::start_through(trial, &proxy.kubeconfig).await;
    trial
        .write_list("tools", "images: [nginx:1.27]\nimageCache: {enabled: true, imagePullSecrets: [registry]}\n")
        .await;
    let made = eventually("the ImageCache", async || it.all().await.pop()).await;

    let own: Api<ImageCache> = Api::all_with(controllers_client(trial).await, &eci_simulator::image_cache::resource());
    let content = |name: &str, namespace: &str, secret: &str| -> ImageCache {
        let labels = json!({"app.kubernetes.io/managed-by": "kube-prepull", "kube-prepull.io/list": "tools",
                            "kube-prepull.io/namespace": namespace});
        serde_json::from_value::<ImageCache>(json!({
            "apiVersion": "eci.alibabacloud.com/v1", "kind": "ImageCache", "metadata": {"name": name, "labels": labels},
            "spec": {"images": ["nginx"], "imagePullSecrets": [secret]},
        }))
        .unwrap()
    };
    let (namespace, name) = (trial.namespace.as_str(), format!("{}-tools-a", trial.namespace));
    let secret = format!("{namespace}:registry");
    own.create(&dry_run(), &content(&name, namespace, &secret)).await.unwrap();
    for (object, field) in [
        (content(&name, "other", &secret), "metadata.labels: "),
        (content("elsewhere", namespace, &secret), "metadata.name: "),
        (content(&name, namespace, "kube-system:registry"), "spec.imagePullSecrets: "),
    ] {
        let (policy, text) = refusal(own.create(&dry_run(), &object).await, field);
        assert!(policy == "kube-prepull-imagecaches" && text.starts_with(field), "{text}");
    }
    let foreign = content(&format!("{namespace}-foreign"), "other", "other:registry");
    it.image_caches.create(&PostParams::default(), &foreign).await.unwrap();
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    let name = |cache: &ImageCache| -> Value { serde_json::to_value(cache).unwrap()["metadata"]["name"].clone() };
    let deleted = own.delete(name(&foreign).as_str().unwrap(), &dry).await;
    assert_eq!(refusal(deleted, "deleting").0, "kube-prepull-imagecaches");
    own.delete(name(&made).as_str().unwrap(), &dry).await.unwrap();
    it.image_caches.delete(name(&foreign).as_str().unwrap(), &DeleteParams::default()).await.unwrap();
}
