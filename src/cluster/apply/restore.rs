//! Restores a DaemonSet that another client changed.
//!
//! Server-side apply would not remove fields that others have added, so the whole spec is replaced. A dry run first shows the spec
//! with what defaulting and admission add, since that is nobody's change.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;
use kube::api::{DynamicObject, PostParams};

use super::{Applier, Note, annotate};
use crate::cluster::FIELD_MANAGER;
use crate::error::Error;
use crate::naming::labels;
use crate::plan::ActionOutcome;
use crate::plan::generation::alteration::changed_by;
use crate::plan::generation::restores::Restores;
use crate::plan::restoring::restored;

/// As pods come and go, the DaemonSet's status keeps changing, so a conflict is retried at once.
const TRIES: usize = 10;

impl Applier {
    /// Restores the DaemonSet with this uid, if it still exists.
    pub(super) async fn restore(
        &self,
        wanted: &DaemonSet,
        uid: &str,
        restores: &Restores,
    ) -> Result<ActionOutcome, Error> {
        let outcome = self.try_to_restore(wanted, uid).await;
        if matches!(outcome, Err(_) | Ok(ActionOutcome::Overtaken { .. })) {
            // A failed attempt counts too, so that the next one waits. Nothing else of the list waits for it.
            let count = Note { key: labels::RESTORES, text: Some(&restores.to_text()) };
            let action = "note an attempt to restore the DaemonSet";
            let noted = annotate(&self.daemon_sets, action, &wanted.name_any(), Some(uid), &[count]).await;
            return outcome.and_then(|outcome| noted.map(|()| outcome));
        }
        outcome
    }

    async fn try_to_restore(&self, wanted: &DaemonSet, uid: &str) -> Result<ActionOutcome, Error> {
        let name = wanted.name_any();
        let failed = |error| Error::new(format!("restore the DaemonSet {name}"), error);
        let mut changed_by_others = Vec::new();
        for _ in 0..TRIES {
            let live = self.whole_daemon_sets.get_opt(&name).await.map_err(failed)?;
            let Some(live) = live.filter(|live| live.metadata.uid.as_deref() == Some(uid)) else {
                return Ok(ActionOutcome::Unchanged);
            };
            changed_by_others = changed_by(&live.metadata);
            let mut new = restored(&live, wanted);
            let Some(expected) = self.replace(&name, &new, true).await.map_err(failed)? else { continue };
            let generation = expected.metadata.generation.unwrap_or(1).to_string();
            let annotations = new.metadata.annotations.get_or_insert_default();
            annotations.insert(labels::SPEC_GENERATION.to_owned(), generation);
            if expected.data["spec"] == live.data["spec"] {
                return self.note_unchanged(&new, uid).await;
            }
            let Some(written) = self.replace(&name, &new, false).await.map_err(failed)? else { continue };
            let as_expected = written.data["spec"] == expected.data["spec"];
            return Ok(match as_expected {
                true => ActionOutcome::Restored { changed_by: changed_by_others },
                false => ActionOutcome::Overruled { changed_by: changed_by_others },
            });
        }
        Ok(ActionOutcome::Overtaken { changed_by: changed_by_others })
    }

    /// Replaces the DaemonSet; `None` if it has changed in between.
    async fn replace(&self, name: &str, new: &DynamicObject, dry_run: bool) -> kube::Result<Option<DynamicObject>> {
        let parameters = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        match self.whole_daemon_sets.replace(name, &parameters, new).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(None),
            replaced => replaced.map(Some),
        }
    }

    /// Notes that nobody has changed the spec since, for later reconciles and for the next process.
    async fn note_unchanged(&self, new: &DynamicObject, uid: &str) -> Result<ActionOutcome, Error> {
        let noted = [labels::SPEC_GENERATION, labels::RESTORES];
        let notes = noted.map(|key| Note { key, text: new.annotations().get(key).map(String::as_str) });
        annotate(&self.daemon_sets, "annotate the DaemonSet", &new.name_any(), Some(uid), &notes).await?;
        Ok(ActionOutcome::Unchanged)
    }
}
