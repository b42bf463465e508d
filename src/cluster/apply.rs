//! The only writes, but for Events.

mod restore;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

use super::lease::Leadership;
use super::{Error, FIELD_MANAGER};
use crate::image_cache::ImageCacheObject;
use crate::image_cache::object::resource;
use crate::naming::labels;
use crate::plan::adoption::adoption_patch;
use crate::plan::deselection::recount_patch;
use crate::plan::generation::tag_check_record::TagCheckRecord;
use crate::plan::history::Revision;
use crate::plan::patch::scope_patch;
use crate::plan::patch::sealing_patch;
use crate::plan::patch::strategy_patch;
use crate::plan::{Action, ActionOutcome, ConditionReport};

/// Writes in one namespace, as long as this process leads.
#[derive(Clone)]
pub struct Applier {
    pub(super) leadership: Leadership,
    config_maps: Api<ConfigMap>,
    pub(super) revisions: Api<ControllerRevision>,
    daemon_sets: Api<DaemonSet>,
    /// With fields that are newer than the types here.
    whole_daemon_sets: Api<DynamicObject>,
    pods: Api<Pod>,
    pub(super) image_caches: Api<ImageCacheObject>,
}

impl Applier {
    /// Writes into `namespace`.
    pub fn new(client: &Client, namespace: &str, leadership: Leadership) -> Self {
        Self {
            leadership,
            config_maps: Api::namespaced(client.clone(), namespace),
            revisions: Api::namespaced(client.clone(), namespace),
            daemon_sets: Api::namespaced(client.clone(), namespace),
            whole_daemon_sets: Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<DaemonSet>(&())),
            pods: Api::namespaced(client.clone(), namespace),
            image_caches: Api::all_with(client.clone(), &resource()),
        }
    }

    /// Writes a validation result on a list, and returns the list as it is then.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn write_result(&self, validation_result: &ConfigMap) -> Result<ConfigMap, Error> {
        self.leadership.check()?;
        put(&self.config_maps, "write the validation result on the ConfigMap", validation_result).await
    }

    /// Keeps an accepted form of a list.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn keep(&self, revision: &ControllerRevision) -> Result<(), Error> {
        self.leadership.check()?;
        put(&self.revisions, "write the ControllerRevision", revision).await.map(drop)
    }

    /// Notes on an accepted form since when its list is missing, or that it is not.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn note(&self, revision: &Revision, missing_since: Option<Timestamp>) -> Result<(), Error> {
        self.leadership.check()?;
        let since = missing_since.map(|since| since.to_string());
        let note = Note { key: labels::MISSING_SINCE, text: since.as_deref() };
        annotate(&self.revisions, "annotate the ControllerRevision", &revision.name, Some(&revision.uid), &[note]).await
    }

    /// Notes on a generation what has been reported of its group.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn note_conditions(&self, condition_report: &ConditionReport) -> Result<(), Error> {
        self.leadership.check()?;
        let ConditionReport { daemon_set, uid, reported, .. } = condition_report;
        let note = Note { key: labels::CONDITIONS, text: Some(&reported.to_text()) };
        annotate(&self.daemon_sets, "note what was reported on the DaemonSet", daemon_set, Some(uid), &[note]).await
    }

    /// Why the API server would refuse a pod, in its own words; `None` where it would take it. Nothing is made.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn refusal(&self, pod: &Pod) -> Result<Option<String>, Error> {
        self.leadership.check()?;
        match self.try_pod(pod).await {
            Ok(()) => Ok(None),
            Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
            Err(error) => Err(Error::new("ask why pods are refused", error)),
        }
    }

    /// Forgets an accepted form.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn forget(&self, revision: &Revision) -> Result<(), Error> {
        self.leadership.check()?;
        delete(&self.revisions, "delete the ControllerRevision", &revision.name, &revision.uid).await
    }

    /// Carries one action out, and says what that came to.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn apply(&self, action: &Action) -> Result<ActionOutcome, Error> {
        self.leadership.check()?;
        let done = match action {
            Action::Restore { daemon_set, uid, restores } => return self.restore(daemon_set, uid, restores).await,
            Action::Create { daemon_set, .. } => self.create(daemon_set).await,
            Action::ResetStrategy { name, uid, restores } => {
                let patch = |live: &DaemonSet| Patch::Merge(strategy_patch(live, restores));
                self.change(name, uid, "set the update strategy back of the DaemonSet", patch).await
            }
            Action::Adopt { name, uid, list, owner } => {
                let patch = |live: &DaemonSet| Patch::Merge(adoption_patch(live, list, owner.as_ref()));
                self.change(name, uid, "take over the DaemonSet", patch).await
            }
            Action::ScopeDown { name, uid, node_scope, .. } => {
                let patch = |live: &DaemonSet| Patch::Merge(scope_patch(live, node_scope));
                self.change(name, uid, "scope down the DaemonSet", patch).await
            }
            Action::Seal { name, uid, images, pulled_always } => {
                let patch = |live: &DaemonSet| Patch::Strategic(sealing_patch(live, images, pulled_always));
                self.change(name, uid, "seal the DaemonSet", patch).await
            }
            Action::ReplacePod { name, uid, .. } => delete(&self.pods, "delete the pod", name, uid).await,
            Action::Recount { name, uid, selections } => {
                let patch = |live: &DaemonSet| Patch::Merge(recount_patch(live, selections));
                self.change(name, uid, "have the nodes counted of the DaemonSet", patch).await
            }
            Action::Delete { name, uid, .. } => delete(&self.daemon_sets, "delete the DaemonSet", name, uid).await,
            Action::CheckTags { daemon_set } => self.check_tags(daemon_set).await,
            Action::EndTagCheck { name, uid } => self.end_tag_check(name, uid).await,
            Action::Note { daemon_set, uid, tag_check_record } => {
                self.note_tag_check_record(daemon_set, uid, tag_check_record).await
            }
            Action::Report(_) => Ok(()),
        };
        done.map(|()| ActionOutcome::Done)
    }

    /// The same look at the same node has the same name: one that is there already is as good. A DaemonSet is taken also where
    /// its pods are refused, and nobody would be reported why none comes; so the pod is tried first.
    async fn check_tags(&self, daemon_set: &DaemonSet) -> Result<(), Error> {
        let failed = |error| Error::new(format!("create the tag check {}", daemon_set.name_any()), error);
        if let Some(pod) = crate::plan::tag_check::pod_of(daemon_set) {
            self.try_pod(&pod).await.map_err(failed)?;
        }
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.daemon_sets.create(&parameters, daemon_set).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            created => created.map(drop).map_err(failed),
        }
    }

    /// Its pod goes first: `kubectl drain` refuses a node with a pod whose DaemonSet is gone.
    async fn end_tag_check(&self, name: &str, uid: &str) -> Result<(), Error> {
        delete_by(PropagationPolicy::Foreground, &self.daemon_sets, "delete the tag check", name, uid).await
    }

    /// Asks the API server whether it would take a pod. Nothing is made.
    async fn try_pod(&self, pod: &Pod) -> kube::Result<()> {
        let trying = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        self.pods.create(&trying, pod).await.map(drop)
    }

    async fn note_tag_check_record(
        &self,
        daemon_set: &str,
        uid: &str,
        tag_check_record: &TagCheckRecord,
    ) -> Result<(), Error> {
        let note = Note { key: labels::TAG_CHECKS, text: Some(&tag_check_record.to_text()) };
        annotate(&self.daemon_sets, "note what was found of tags on the DaemonSet", daemon_set, Some(uid), &[note])
            .await
    }

    /// A DaemonSet of that name that is not ours is never touched.
    async fn create(&self, daemon_set: &DaemonSet) -> Result<(), Error> {
        let name = daemon_set.name_any();
        let existing = self
            .daemon_sets
            .get_metadata_opt(&name)
            .await
            .map_err(|e| Error::new(format!("read the DaemonSet {name}"), e))?;
        if existing
            .is_some_and(|existing| existing.labels().get(labels::MANAGED_BY).is_none_or(|it| it != labels::PROGRAM))
        {
            return Err(Error::Foreign { name });
        }
        put(&self.daemon_sets, "create the DaemonSet", daemon_set).await.map(drop)
    }

    /// Patches exactly that DaemonSet as it is now; that it is gone already is as good. The patch names its version. While
    /// pods come and go the DaemonSet's status changes under it, so a conflict is tried again at once.
    async fn change(
        &self,
        name: &str,
        uid: &str,
        action: &str,
        patch: impl Fn(&DaemonSet) -> Patch<Value>,
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

/// An annotation; without a text it is taken away.
struct Note<'n> {
    key: &'n str,
    text: Option<&'n str>,
}

/// Annotates exactly that object.
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

/// Applies our part of an object on the server.
async fn put<K>(api: &Api<K>, action: &str, object: &K) -> Result<K, Error>
where
    K: kube::Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let name = object.name_any();
    let applied = api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object)).await;
    applied.map_err(|error| Error::new(format!("{action} {name}"), error))
}

/// Deletes exactly that object, and what it owns afterwards. That it is gone already is as good.
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
