//! The only writes.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{Error, FIELD_MANAGER};
use crate::plan::{Action, labels};

/// Writes DaemonSets of one namespace.
#[derive(Clone)]
pub struct Applier {
    daemon_sets: Api<DaemonSet>,
}

impl Applier {
    /// Writes into `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { daemon_sets: Api::namespaced(client, namespace) }
    }

    /// Carries one action out.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn apply(&self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Create { daemon_set, .. } => self.create(daemon_set).await,
            Action::Repair { daemon_set } => self.repair(daemon_set).await,
            Action::Delete { name, uid } => self.delete(name, uid).await,
        }
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
        self.put("create", daemon_set).await.map(drop)
    }

    async fn repair(&self, daemon_set: &DaemonSet) -> Result<(), Error> {
        let repaired = self.put("repair", daemon_set).await?;
        let left = repaired.metadata.generation.unwrap_or(1).to_string();
        if repaired.annotations().get(labels::SPEC_GENERATION) == Some(&left) {
            return Ok(());
        }
        // So that the next look at it sees that nobody else changed it since, also after a restart.
        let name = daemon_set.name_any();
        let record =
            json!({"metadata": {"uid": repaired.metadata.uid, "annotations": {labels::SPEC_GENERATION: left}}});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.daemon_sets.patch_metadata(&name, &parameters, &Patch::Merge(record)).await;
        patched.map(drop).map_err(|error| Error::new(format!("note the repair of the DaemonSet {name}"), error))
    }

    async fn put(&self, verb: &str, daemon_set: &DaemonSet) -> Result<DaemonSet, Error> {
        let name = daemon_set.name_any();
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.daemon_sets.patch(&name, &parameters, &Patch::Apply(daemon_set)).await;
        applied.map_err(|error| Error::new(format!("{verb} the DaemonSet {name}"), error))
    }

    async fn delete(&self, name: &str, uid: &str) -> Result<(), Error> {
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        match self.daemon_sets.delete(name, &parameters).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::new(format!("delete the DaemonSet {name}"), error)),
            Ok(_) => Ok(()),
        }
    }
}
