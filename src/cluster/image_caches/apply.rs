//! Writes about ImageCaches.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::cluster::FIELD_MANAGER;
use crate::cluster::apply::delete;
use crate::error::Error;
use crate::image_cache::object::resource;
use crate::image_cache::{CacheAction, ImageCacheObject};
use crate::naming::labels;
use crate::plan::versions::{self, Revision};

/// Writes the ImageCaches of a namespace's lists, and what is recorded of them.
pub struct ImageCacheApplier {
    revisions: Api<ControllerRevision>,
    image_caches: Api<ImageCacheObject>,
}

impl ImageCacheApplier {
    /// Prepares to write for the lists of `namespace`.
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self {
            revisions: Api::namespaced(client.clone(), namespace),
            image_caches: Api::all_with(client.clone(), &resource()),
        }
    }

    /// Carries out one action. The ledger is kept on the newest of `revisions`.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn apply(&self, action: &CacheAction, revisions: &[Revision]) -> Result<(), Error> {
        match action {
            CacheAction::Keep { ledger: Some(ledger), .. } => match versions::newest(revisions) {
                Some(newest) => self.write_ledger(newest, Some(ledger.to_text())).await,
                None => Ok(()),
            },
            CacheAction::Keep { ledger: None, .. } => {
                for revision in revisions.iter().filter(|revision| revision.image_caches.is_some()) {
                    self.write_ledger(revision, None).await?;
                }
                Ok(())
            }
            CacheAction::Create { object, .. } => self.create(object).await,
            CacheAction::Delete { cache, uid, .. } => {
                delete(&self.image_caches, "delete the ImageCache", &cache.name, uid).await
            }
        }
    }

    async fn write_ledger(&self, revision: &Revision, text: Option<String>) -> Result<(), Error> {
        let ledger = json!({"metadata": {"uid": revision.uid, "annotations": {labels::IMAGE_CACHES: text}}});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.revisions.patch_metadata(&revision.name, &parameters, &Patch::Merge(ledger)).await;
        let action = || format!("store the ImageCache ledger on the ControllerRevision {}", revision.name);
        patched.map(drop).map_err(|error| Error::new(action(), error))
    }

    /// Creates an ImageCache. Its name is a hash of its content and number, so an existing one with the same labels is the same.
    async fn create(&self, object: &ImageCacheObject) -> Result<(), Error> {
        let action = format!("create the ImageCache {}", object.name_any());
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.image_caches.create(&parameters, object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.check_existing(object, action).await,
            created => created.map(drop).map_err(|error| Error::new(action, error)),
        }
    }

    async fn check_existing(&self, object: &ImageCacheObject, action: String) -> Result<(), Error> {
        // Listed, because the controller's role has no right to get a single one.
        let of_name = ListParams::default().fields(&format!("metadata.name={}", object.name_any()));
        let existing = self.image_caches.list(&of_name).await.map_err(|error| Error::new(action, error))?;
        match existing.items.iter().all(|existing| existing.labels() == object.labels()) {
            true => Ok(()),
            false => Err(Error::ForeignImageCache { name: object.name_any() }),
        }
    }
}
