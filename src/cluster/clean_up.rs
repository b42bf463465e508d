//! Deletes what uninstalling the controller would leave behind. Its Deployment owns what is in its own namespace; ImageCaches are
//! cluster-scoped, and nothing in another namespace can have an owner there.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::time::sleep;

use super::apply::delete;
use super::image_caches::{selector, selector_of_all};
use super::lease;
use super::pages::all;
use crate::error::Error;
use crate::image_cache::ImageCacheObject;
use crate::image_cache::object::resource;
use crate::naming::labels;

/// How many times to list and delete: a former leader may create one more object while the others are deleted.
const PASSES: usize = 3;

/// What to delete.
pub struct CleanUp<'c> {
    /// The connection.
    pub client: &'c Client,
    /// The namespace of the controller.
    pub home: &'c str,
    /// Whether its lists may be in all namespaces.
    pub all_namespaces: bool,
}

impl CleanUp<'_> {
    /// Deletes it, and returns what was deleted, in words. For some minutes no controller leads, so a running one creates nothing more: it
    /// is expected to be uninstalled in the meantime.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached. What was deleted before stays deleted.
    pub async fn run(&self) -> Result<Vec<String>, Error> {
        let has_image_caches = self.image_caches().await?.is_some();
        if !has_image_caches && !self.all_namespaces {
            return Ok(Vec::new());
        }
        if lease::suspend(self.client, self.home).await? {
            sleep(lease::DURATION).await;
        }
        let mut deleted = Vec::new();
        for _ in 0..PASSES {
            let before = deleted.len();
            let others = self.other_controllers().await?;
            deleted.extend(self.delete_image_caches(&others).await?);
            if self.all_namespaces {
                // The versions last: as long as they are there, a controller knows the lists of which something is left.
                let daemon_sets = ours(labels::LIST);
                deleted.extend(self.delete_elsewhere::<DaemonSet>("DaemonSet", &daemon_sets, &others).await?);
                let versions = ours(labels::REVISIONS_OF_LISTS);
                let versions = self.delete_elsewhere::<ControllerRevision>("ControllerRevision", &versions, &others);
                deleted.extend(versions.await?);
            }
            if deleted.len() == before {
                break;
            }
        }
        Ok(deleted)
    }

    /// The ImageCaches of its lists; `None` if the cluster does not have the resource.
    async fn image_caches(&self) -> Result<Option<Vec<ImageCacheObject>>, Error> {
        let selector = if self.all_namespaces { selector_of_all() } else { selector(self.home) };
        let api = Api::<ImageCacheObject>::all_with(self.client.clone(), &resource());
        match api.list(&ListParams::default().labels(&selector)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            // Most installations have no right to them, and then none of them.
            Err(kube::Error::Api(status)) if status.code == 403 && self.all_namespaces => Ok(None),
            listed => {
                listed.map(|listed| Some(listed.items)).map_err(|error| Error::new("list the ImageCaches", error))
            }
        }
    }

    async fn delete_image_caches(&self, others: &BTreeSet<String>) -> Result<Vec<String>, Error> {
        let api = Api::<ImageCacheObject>::all_with(self.client.clone(), &resource());
        let mut deleted = Vec::new();
        let caches = self.image_caches().await?.unwrap_or_default();
        let is_of_others =
            |cache: &ImageCacheObject| cache.labels().get(labels::NAMESPACE).is_some_and(|it| others.contains(it));
        for cache in caches.into_iter().filter(|cache| !is_of_others(cache)) {
            let (name, uid) = (cache.name_any(), cache.uid().unwrap_or_default());
            delete(&api, "delete the ImageCache", &name, &uid).await?;
            deleted.push(format!("the ImageCache {name}"));
        }
        Ok(deleted)
    }

    /// The namespaces that have a controller of their own, to which all there belongs.
    async fn other_controllers(&self) -> Result<BTreeSet<String>, Error> {
        if !self.all_namespaces {
            return Ok(BTreeSet::new());
        }
        let of_controllers = ListParams::default().fields(&format!("metadata.name={}", lease::NAME));
        let leases = Api::<Lease>::all(self.client.clone()).list_metadata(&of_controllers).await;
        let leases = leases.map_err(|error| Error::new("list the Leases", error))?;
        Ok(leases.iter().filter_map(ResourceExt::namespace).filter(|namespace| namespace != self.home).collect())
    }

    /// Deletes what was created from lists in other namespaces.
    async fn delete_elsewhere<K>(
        &self,
        kind: &str,
        of_lists: &str,
        others: &BTreeSet<String>,
    ) -> Result<Vec<String>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug,
    {
        let ours = ListParams::default().labels(of_lists).fields(&format!("metadata.namespace!={}", self.home));
        // Of whole DaemonSets, the program would have to know every field.
        let found = all(Api::<PartialObjectMeta<K>>::all(self.client.clone()), &format!("the {kind}s"), ours).await?;
        let mut deleted = Vec::new();
        let is_of_others = |object: &PartialObjectMeta<K>| object.namespace().is_some_and(|it| others.contains(&it));
        for object in found.iter().filter(|object| object.owner_references().is_empty() && !is_of_others(object)) {
            let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
            let namespace = object.namespace().unwrap_or_default();
            let api = Api::<PartialObjectMeta<K>>::namespaced(self.client.clone(), &namespace);
            delete(&api, &format!("delete the {kind}"), &name, &uid).await?;
            deleted.push(format!("the {kind} {namespace}/{name}"));
        }
        Ok(deleted)
    }
}

/// Of what that selects, only what kube-prepull has created.
fn ours(selector: &str) -> String {
    format!("{selector},{}={}", labels::MANAGED_BY, labels::PROGRAM)
}
