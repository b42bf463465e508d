//! Writes about ImageCaches.

use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::cluster::apply::{Applier, delete};
use crate::cluster::{Error, FIELD_MANAGER};
use crate::image_cache::{CacheAction, ImageCacheObject};
use crate::naming::labels;
use crate::plan::history::{self, Revision};

impl Applier {
    /// Carries one action about ImageCaches out; what is kept of them is kept on the newest of `revisions`.
    ///
    /// # Errors
    /// What the API server or the way to it said.
    pub async fn apply_image_cache(&self, action: &CacheAction, revisions: &[Revision]) -> Result<(), Error> {
        self.leadership.check()?;
        match action {
            CacheAction::Keep { ledger: Some(ledger), .. } => match history::newest(revisions) {
                Some(newest) => self.keep_of_image_caches(newest, Some(ledger.to_text())).await,
                None => Ok(()),
            },
            CacheAction::Keep { ledger: None, .. } => {
                for revision in revisions.iter().filter(|revision| revision.image_caches.is_some()) {
                    self.keep_of_image_caches(revision, None).await?;
                }
                Ok(())
            }
            CacheAction::Create { object, .. } => self.create_image_cache(object).await,
            CacheAction::Delete { name, uid, .. } => {
                delete(&self.image_caches, "delete the ImageCache", name, uid).await
            }
        }
    }

    async fn keep_of_image_caches(&self, revision: &Revision, text: Option<String>) -> Result<(), Error> {
        let note = json!({"metadata": {"uid": revision.uid, "annotations": {labels::IMAGE_CACHES: text}}});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.revisions.patch_metadata(&revision.name, &parameters, &Patch::Merge(note)).await;
        let action = || format!("keep what is known of ImageCaches on the ControllerRevision {}", revision.name);
        patched.map(drop).map_err(|error| Error::new(action(), error))
    }

    /// The same content and number have the same name: one of ours that is there already is as good.
    async fn create_image_cache(&self, object: &ImageCacheObject) -> Result<(), Error> {
        let name = object.name_any();
        let action = format!("create the ImageCache {name}");
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.image_caches.create(&parameters, object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                // The right to list is there in any case.
                let of_name = ListParams::default().fields(&format!("metadata.name={name}"));
                let there = self.image_caches.list(&of_name).await.map_err(|error| Error::new(&action, error))?;
                match there.items.iter().all(|existing| existing.labels() == object.labels()) {
                    true => Ok(()),
                    false => Err(Error::Refused {
                        action,
                        message: "one of that name belongs to somebody else; delete or rename it".to_owned(),
                    }),
                }
            }
            created => created.map(drop).map_err(|error| Error::new(action, error)),
        }
    }
}
