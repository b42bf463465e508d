//! The writes for nodes: on ConfigMaps, ControllerRevisions, DaemonSets and pods.

mod restore;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::Request;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

use super::{FIELD_MANAGER, resources};
use crate::coverage::SlimPod;
use crate::error::Error;
use crate::messages::refused_pods::DryRun;
use crate::naming::labels;
use crate::plan::generation::tag_check_record::TagCheckRecord;
use crate::plan::live::LiveDaemonSet;
use crate::plan::patch::adoption_patch;
use crate::plan::patch::recount_patch;
use crate::plan::patch::{scope_patch, sealing_patch, strategy_patch, toleration_patch};
use crate::plan::tag_check::pod_of;
use crate::plan::versions::Revision;
use crate::plan::{Action, ActionOutcome, ConditionReport};
use crate::text;

/// Writes in one namespace.
#[derive(Clone)]
pub struct Applier {
    config_maps: Api<ConfigMap>,
    revisions: Api<ControllerRevision>,
    daemon_sets: Api<LiveDaemonSet>,
    /// DaemonSets as untyped objects, so that fields newer than the types of `k8s_openapi` are not lost.
    whole_daemon_sets: Api<DynamicObject>,
    pods: Api<SlimPod>,
}

impl Applier {
    /// Prepares to write in `namespace`.
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self {
            config_maps: Api::namespaced(client.clone(), namespace),
            revisions: Api::namespaced(client.clone(), namespace),
            daemon_sets: Api::namespaced_with(client.clone(), namespace, &resources::daemon_sets()),
            whole_daemon_sets: Api::namespaced_with(client.clone(), namespace, &resources::daemon_sets()),
            pods: Api::namespaced_with(client.clone(), namespace, &resources::pods()),
        }
    }

    /// Writes a validation result on a list. Returns the list as it is then.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn write_result(&self, validation_result: &ConfigMap) -> Result<ConfigMap, Error> {
        put(&self.config_maps, "write the validation result on the ConfigMap", validation_result).await
    }

    /// Writes on a list whether it is warm. That is another field manager's, so that neither result removes the other one. Returns
    /// whether it was written: the list may have changed, or be gone.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn write_warm_result(&self, warm_result: &ConfigMap) -> Result<bool, Error> {
        const MANAGER: &str = "kube-prepull-warm";
        match applied(&self.config_maps, MANAGER, warm_result).await {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(false),
            applied => {
                let failed = |error| Error::new("write on the ConfigMap whether it is warm", error);
                applied.map(|_: ConfigMap| true).map_err(failed)
            }
        }
    }

    /// Keeps an accepted version of a list. Returns it as it is stored.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn keep(&self, revision: &ControllerRevision) -> Result<ControllerRevision, Error> {
        put(&self.revisions, "write the ControllerRevision", revision).await
    }

    /// Notes on an accepted version since when its list is missing, or that it is there.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn note(&self, revision: &Revision, missing_since: Option<Timestamp>) -> Result<(), Error> {
        let since = missing_since.map(|since| since.to_string());
        let note = Note { key: labels::MISSING_SINCE, text: since.as_deref() };
        annotate(&self.revisions, "annotate the ControllerRevision", &revision.name, Some(&revision.uid), &[note]).await
    }

    /// Notes on a generation what has been reported of its group.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn note_conditions(&self, condition_report: &ConditionReport) -> Result<(), Error> {
        let ConditionReport { daemon_set, uid, reported, .. } = condition_report;
        let note = Note { key: labels::CONDITIONS, text: Some(&reported.to_text()) };
        annotate(&self.daemon_sets, "record the reported conditions on the DaemonSet", daemon_set, Some(uid), &[note])
            .await
    }

    /// What the API server would do with a pod. Creates nothing.
    ///
    /// # Errors
    /// If the API server gives no answer.
    pub async fn dry_run(&self, pod: &Pod) -> Result<DryRun, Error> {
        match self.try_pod(pod).await {
            Ok(created) => Ok(answer(pod, &created)),
            Err(kube::Error::Api(status)) => Ok(DryRun::Refused(status.message.as_str().into())),
            Err(error) => Err(Error::new("ask why pods are refused", error)),
        }
    }

    /// Deletes an accepted version.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn forget(&self, revision: &Revision) -> Result<(), Error> {
        delete(&self.revisions, "delete the ControllerRevision", &revision.name, &revision.uid).await
    }

    /// Carries out one action. Returns its outcome.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn apply(&self, action: &Action) -> Result<ActionOutcome, Error> {
        let done = match action {
            Action::Restore { daemon_set, uid, restores } => return self.restore(daemon_set, uid, restores).await,
            Action::Create { daemon_set, .. } => self.create(daemon_set).await,
            Action::ResetStrategy { name, uid, restores } => {
                let patch = |live: &LiveDaemonSet| Patch::Merge(strategy_patch(live, restores));
                self.change(name, uid, "reset the update strategy of the DaemonSet", patch).await
            }
            Action::Adopt { name, uid, list, owner } => {
                let patch = |live: &LiveDaemonSet| Patch::Merge(adoption_patch(live, list, owner.as_ref()));
                self.change(name, uid, "take over the DaemonSet", patch).await
            }
            Action::ScopeDown { name, uid, node_scope, .. } => {
                let patch = |live: &LiveDaemonSet| Patch::Merge(scope_patch(live, node_scope));
                self.change(name, uid, "scope down the DaemonSet", patch).await
            }
            Action::Seal { name, uid, images, pulled_always } => {
                let patch = |live: &LiveDaemonSet| Patch::Strategic(sealing_patch(live, images, pulled_always));
                self.change(name, uid, "seal the DaemonSet", patch).await
            }
            Action::Tolerate { name, uid, taints } => {
                let patch = |live: &LiveDaemonSet| Patch::Merge(toleration_patch(live, taints));
                self.change(name, uid, "make the DaemonSet tolerate the taints of gates", patch).await
            }
            Action::ReplacePod { name, uid, .. } => delete(&self.pods, "delete the pod", name, uid).await,
            Action::Recount { name, uid, selections } => {
                let patch = |live: &LiveDaemonSet| Patch::Merge(recount_patch(live, selections));
                self.change(name, uid, "trigger a recount of the nodes of the DaemonSet", patch).await
            }
            Action::Delete { name, uid, .. } => delete(&self.daemon_sets, "delete the DaemonSet", name, uid).await,
            Action::CheckTags { daemon_set } => self.check_tags(daemon_set).await,
            Action::EndTagCheck { name, uid } => self.end_tag_check(name, uid).await,
            Action::Note { daemon_set, uid, tag_check_record } => {
                self.note_tag_check_record(daemon_set, uid, tag_check_record).await
            }
            Action::NoteParallelPulls { daemon_set, uid, parallel_pulls } => {
                let note = Note { key: labels::PARALLEL_PULLS, text: Some(&parallel_pulls.to_string()) };
                annotate(&self.daemon_sets, "annotate the DaemonSet", daemon_set, Some(uid), &[note]).await
            }
            Action::Report(_) => Ok(()),
        };
        done.map(|()| ActionOutcome::Done)
    }

    /// Creates a tag check. Its name is the same for the same check on the same node, so an existing one will do.
    ///
    /// A dry run with its pod comes first: the API server accepts a DaemonSet even if it refuses its pods, and then nobody would
    /// learn why there are none.
    async fn check_tags(&self, daemon_set: &DaemonSet) -> Result<(), Error> {
        let failed = |error| Error::new(format!("create the tag check {}", daemon_set.name_any()), error);
        if let Some(pod) = pod_of(daemon_set) {
            self.try_pod(&pod).await.map_err(failed)?;
        }
        match create(&self.daemon_sets, daemon_set, false).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            created => created.map(drop).map_err(failed),
        }
    }

    /// Deletes a tag check after its pod: `kubectl drain` refuses a node that has a pod whose DaemonSet is gone.
    async fn end_tag_check(&self, name: &str, uid: &str) -> Result<(), Error> {
        delete_by(PropagationPolicy::Foreground, &self.daemon_sets, "delete the tag check", name, uid).await
    }

    /// Asks the API server whether it would accept a pod, and what it would make of it.
    async fn try_pod(&self, pod: &Pod) -> kube::Result<SlimPod> {
        create(&self.pods, pod, true).await
    }

    async fn note_tag_check_record(
        &self,
        daemon_set: &str,
        uid: &str,
        tag_check_record: &TagCheckRecord,
    ) -> Result<(), Error> {
        let note = Note { key: labels::TAG_CHECKS, text: Some(&tag_check_record.to_text()) };
        annotate(&self.daemon_sets, "record the tag check on the DaemonSet", daemon_set, Some(uid), &[note]).await
    }

    /// Creates a DaemonSet, unless one of that name exists that is not kube-prepull's.
    async fn create(&self, daemon_set: &DaemonSet) -> Result<(), Error> {
        let name = daemon_set.name_any();
        let existing = self
            .daemon_sets
            .get_metadata_opt(&name)
            .await
            .map_err(|e| Error::new(format!("read the DaemonSet {name}"), e))?;
        if existing.is_some_and(|existing| !labels::are_ours(existing.labels())) {
            return Err(Error::ForeignDaemonSet { name });
        }
        put(&self.daemon_sets, "create the DaemonSet", daemon_set).await.map(drop)
    }

    /// Patches the DaemonSet with this uid, if it still exists. The patch contains the version that it is made for. As pods come
    /// and go, the DaemonSet's status keeps changing, so a conflict is retried at once.
    async fn change(
        &self,
        name: &str,
        uid: &str,
        action: &str,
        patch: impl Fn(&LiveDaemonSet) -> Patch<Value>,
    ) -> Result<(), Error> {
        const TRIES: usize = 5;
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let failed = |error| Error::new(format!("{action} {name}"), error);
        for tried in 1.. {
            let live = self.daemon_sets.get_opt(name).await.map_err(failed)?;
            let Some(live) = live.filter(|live| live.metadata.uid.as_deref() == Some(uid)) else { break };
            match self.daemon_sets.patch(name, &parameters, &patch(&live)).await {
                Err(kube::Error::Api(status)) if status.is_conflict() && tried < TRIES => {}
                patched => return patched.map(drop).map_err(failed),
            }
        }
        Ok(())
    }
}

/// What admission would add to the node selector of a pod that it accepts.
fn answer(asked: &Pod, created: &SlimPod) -> DryRun {
    let own = asked.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
    let mut added = created.spec.node_selector.clone();
    added.retain(|key, value| own.and_then(|own| own.get(key)) != Some(value));
    if added.is_empty() { DryRun::Accepted } else { DryRun::Selects(added) }
}

/// An annotation to write, or to remove if it has no text.
struct Note<'n> {
    key: &'n str,
    text: Option<&'n str>,
}

/// Annotates an object, if it has this uid.
async fn annotate<K>(api: &Api<K>, action: &str, name: &str, uid: Option<&str>, notes: &[Note<'_>]) -> Result<(), Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let annotations: serde_json::Map<String, Value> =
        notes.iter().map(|note| (note.key.to_owned(), note.text.into())).collect();
    let patch = json!({"metadata": {"uid": uid, "annotations": annotations}});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = api.patch_metadata(name, &parameters, &Patch::Merge(patch)).await;
    patched.map(drop).map_err(|error| Error::new(format!("{action} {name}"), error))
}

/// Creates an object, or only asks what would become of it. Returns as much of it as `R` decodes.
async fn create<R: kube::Resource + Clone + DeserializeOwned>(
    api: &Api<R>,
    object: &impl Serialize,
    dry_run: bool,
) -> kube::Result<R> {
    let parameters = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request = Request::new(api.resource_url()).create(&parameters, body).map_err(kube::Error::BuildRequest)?;
    api.clone().into_client().request(request).await
}

/// Applies kube-prepull's fields of an object (server-side apply). Returns as much of it as `R` decodes.
async fn put<R, K>(api: &Api<R>, action: &str, object: &K) -> Result<R, Error>
where
    R: kube::Resource + Clone + DeserializeOwned,
    K: kube::Resource<DynamicType = ()> + Serialize,
{
    let name = object.name_any();
    applied(api, FIELD_MANAGER, object).await.map_err(|error| Error::new(format!("{action} {name}"), error))
}

/// Applies an object in the name of a field manager.
async fn applied<R, K>(api: &Api<R>, manager: &str, object: &K) -> kube::Result<R>
where
    R: kube::Resource + Clone + DeserializeOwned,
    K: kube::Resource<DynamicType = ()> + Serialize,
{
    let parameters = PatchParams::apply(manager).force();
    let request = Request::new(api.resource_url()).patch(&object.name_any(), &parameters, &Patch::Apply(object));
    let request = request.map_err(kube::Error::BuildRequest)?;
    api.clone().into_client().request(request.map(ascii)).await
}

fn ascii(body: Vec<u8>) -> Vec<u8> {
    match std::str::from_utf8(&body) {
        Ok(json) => text::json::ascii(json).into_owned().into_bytes(),
        Err(_) => body,
    }
}

/// Deletes the object with this uid, if it still exists, and then everything that it owns.
pub async fn delete<K>(api: &Api<K>, action: &str, name: &str, uid: &str) -> Result<(), Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    delete_by(PropagationPolicy::Background, api, action, name, uid).await
}

async fn delete_by<K>(by: PropagationPolicy, api: &Api<K>, action: &str, name: &str, uid: &str) -> Result<(), Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let parameters = DeleteParams {
        propagation_policy: Some(by),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(name, &parameters).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(Error::new(format!("{action} {name}"), error)),
        Ok(_) => Ok(()),
    }
}
