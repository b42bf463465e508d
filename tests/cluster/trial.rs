//! A namespace that goes with the test, and what can be seen in it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Api, Client, Config, ResourceExt};
use kube_prepull::naming::labels;
use kube_prepull::text::json::ascii;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long a condition may take to come true: clusters share two cores with builds and other tests.
pub const SOON: Duration = Duration::from_secs(120);

/// Between two checks of a condition.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(300);

pub struct Trial {
    pub client: Client,
    pub kubeconfig: PathBuf,
    pub namespace: String,
}

impl Trial {
    pub async fn begin(kubeconfig: &Path, name: &str) -> Self {
        Self::begin_in(kubeconfig, format!("{name}-{}", std::process::id())).await
    }

    /// In a namespace of that very name, once that of an earlier run has gone.
    pub async fn begin_in(kubeconfig: &Path, namespace: String) -> Self {
        let client = connect(kubeconfig).await;
        let labels = BTreeMap::from([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())]);
        let mut manifest = Namespace::default();
        manifest.metadata.name = Some(namespace.clone());
        manifest.metadata.labels = Some(labels);
        let api = Api::<Namespace>::all(client.clone());
        eventually("the namespace to be free", async || match api.create(&PostParams::default(), &manifest).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => None,
            created => Some(created.unwrap()),
        })
        .await;
        Self { client, kubeconfig: kubeconfig.to_owned(), namespace }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A client that acts in that user's name.
    pub async fn client_as(&self, user: &str) -> Client {
        self.client_in(user, &[]).await
    }

    /// The same as a member of these groups. Every user is also in `system:authenticated`.
    pub async fn client_in(&self, user: &str, groups: &[&str]) -> Client {
        let mut config = configuration(&self.kubeconfig).await;
        config.auth_info.impersonate = Some(user.to_owned());
        let groups = groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
        config.auth_info.impersonate_groups = (!groups.is_empty()).then_some(groups);
        Client::try_from(config).unwrap()
    }

    pub async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap();
    }

    /// What the API server would make of a DaemonSet of that image.
    pub async fn try_daemon_set(&self, image: &str) -> kube::Result<DaemonSet> {
        let labels = json!({"app": "trying"});
        let security = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
        let container = json!({"name": "it", "image": image, "resources": {"requests": {"cpu": "1m"}}, "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
        let daemon_set = serde_json::from_value(json!({"metadata": {"name": "trying"}, "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"securityContext": security, "containers": [container]}},
        }}));
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        self.api().create(&dry_run, &daemon_set.unwrap()).await
    }

    /// Creates or replaces a list in the format of `images.yaml`.
    pub async fn write_list(&self, name: &str, images_yaml: &str) {
        self.write_data(name, json!({"images.yaml": images_yaml})).await;
    }

    /// Creates or replaces a list's data.
    pub async fn write_data(&self, name: &str, data: Value) {
        let labels = json!({kube_prepull::list::IMAGE_LIST_LABEL: "true"});
        let list = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data});
        let api = self.api::<ConfigMap>();
        let parameters = PatchParams::apply("user").force();
        let request = Request::new(api.resource_url()).patch(name, &parameters, &Patch::Apply(list)).unwrap();
        // The body is read as YAML, which has no control characters.
        let request = request.map(|body| ascii(std::str::from_utf8(&body).unwrap()).into_owned().into_bytes());
        self.client.request::<ConfigMap>(request).await.unwrap();
    }

    pub async fn list(&self, name: &str) -> ConfigMap {
        self.api().get(name).await.unwrap()
    }

    pub async fn annotate_list(&self, name: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.api::<ConfigMap>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// The DaemonSets that are not about to go, by name; tag checks are left out.
    pub async fn daemon_sets(&self) -> Vec<DaemonSet> {
        let others = ListParams::default().labels(&format!("!{}", labels::TAG_CHECK));
        let mut found = self.api::<DaemonSet>().list(&others).await.unwrap().items;
        found.retain(|daemon_set| daemon_set.metadata.deletion_timestamp.is_none());
        found.sort_by_key(ResourceExt::name_any);
        found
    }

    /// The accepted versions of lists that are kept.
    pub async fn revisions(&self) -> Vec<ControllerRevision> {
        let of_lists = ListParams::default().labels(labels::REVISIONS_OF_LISTS);
        self.api().list(&of_lists).await.unwrap().items
    }

    pub async fn pods(&self) -> Vec<Pod> {
        self.api().list(&ListParams::default()).await.unwrap().items
    }

    pub async fn events(&self, reason: &str) -> Vec<Event> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.reason.as_deref() == Some(reason));
        events
    }

    /// What `status` says of the lists, as JSON.
    pub fn status(&self) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(["status", "-o", "json", "--namespace", &self.namespace, "--kubeconfig"]).arg(&self.kubeconfig);
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Waits for an Event with that reason, and returns its note. What the cluster holds may be there before the Event about it.
    pub async fn reported(&self, reason: &str) -> String {
        self.reported_within(SOON, reason).await
    }

    /// The same for what may take longer.
    pub async fn reported_within(&self, limit: Duration, reason: &str) -> String {
        self.said_within(limit, reason, &[]).await
    }

    /// The same for one that says all of these words: there may be others with that reason, of fewer nodes for example.
    pub async fn said_within(&self, limit: Duration, reason: &str, words: &[&str]) -> String {
        within(limit, &format!("an Event {reason} with {words:?}"), async || {
            let notes = self.events(reason).await.into_iter().rev().filter_map(|event| event.note);
            notes.into_iter().find(|note| words.iter().all(|words| note.contains(words)))
        })
        .await
    }

    /// Waits until a generation has a note, with these words, that something was reported. A controller that ends before reports it
    /// again, or never that it is over.
    pub async fn noted_as_reported(&self, words: &str) {
        self.noted_within(SOON, words).await;
    }

    /// The same for what may take longer.
    pub async fn noted_within(&self, limit: Duration, words: &str) {
        within(limit, &format!("{words} to be noted as reported"), async || {
            let daemon_sets = self.daemon_sets().await;
            let mut notes = daemon_sets.iter().filter_map(|it| it.annotations().get(labels::CONDITIONS));
            notes.any(|note| note.contains(words)).then_some(())
        })
        .await;
    }

    /// Waits until there is exactly one generation, of these images, and returns it.
    pub async fn settled_on(&self, wanted: &[&str]) -> DaemonSet {
        self.settled_within(SOON, wanted).await
    }

    /// The same for what may take longer.
    pub async fn settled_within(&self, limit: Duration, wanted: &[&str]) -> DaemonSet {
        within(limit, &format!("one generation of {wanted:?}"), async || {
            let found = self.daemon_sets().await;
            (found.len() == 1 && images(&found[0]) == wanted).then(|| found[0].clone())
        })
        .await
    }

    /// Waits until a list is said to be `accepted`, `rejected` or `empty`, in its present form.
    pub async fn validated(&self, name: &str, state: &str) -> ConfigMap {
        eventually(&format!("{name} to be {state}"), async || {
            let list = self.list(name).await;
            let hash = kube_prepull::plan::validation_result::data_hash(&list.data.clone().unwrap_or_default());
            let validated = list.labels().get("kube-prepull.io/state").is_some_and(|it| it == state)
                && list.annotations().get("kube-prepull.io/data-hash") == Some(&hash);
            validated.then_some(list)
        })
        .await
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let namespace = self.namespace.clone();
        clean_up(&self.kubeconfig, async move |client| {
            Api::<Namespace>::all(client).delete(&namespace, &DeleteParams::default()).await
        });
    }
}

/// Deletes what goes with a value that is dropped. The test's runtime stands still meanwhile, and with it the test's client: hence
/// another of each.
pub fn clean_up<T>(kubeconfig: &Path, delete: impl AsyncFnOnce(Client) -> T + Send + 'static) {
    let kubeconfig = kubeconfig.to_owned();
    let deletion = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { drop(delete(connect(&kubeconfig).await).await) });
    });
    drop(deletion.join());
}

pub async fn connect(kubeconfig: &Path) -> Client {
    Client::try_from(configuration(kubeconfig).await).unwrap()
}

async fn configuration(kubeconfig: &Path) -> Config {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap()
}

/// Waits until a client may list such objects of a namespace: the API server reads a copy of the rights, which is a moment old.
pub async fn may_list<K>(client: &Client, namespace: &str)
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let objects = Api::<K>::namespaced(client.clone(), namespace);
    eventually("the rights to be granted", async || objects.list(&ListParams::default()).await.ok()).await;
}

pub fn images(daemon_set: &DaemonSet) -> Vec<String> {
    let containers = &daemon_set.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers;
    containers.iter().map(|container| container.image.clone().unwrap_or_default()).collect()
}

/// Waits until `check` returns a value.
pub async fn eventually<T>(what: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    within(SOON, what, check).await
}

/// The same for what may take longer.
pub async fn within<T>(limit: Duration, what: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    within_or_none(limit, check).await.unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

/// What `check` returns within the time, for tests that say more when it returns nothing.
pub async fn within_or_none<T>(limit: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        let answer = check().await;
        if answer.is_some() || started.elapsed() >= limit {
            return answer;
        }
        // What takes longer is checked less often: that is easy on a small machine.
        tokio::time::sleep((started.elapsed() / 10).clamp(*PAUSES.start(), *PAUSES.end())).await;
    }
}
