//! Deletes the ImageCaches of the lists in a namespace. They are cluster-scoped, so no owner reference to the controller's
//! Deployment could do that.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::time::sleep;

use super::apply::delete;
use super::image_caches::selector;
use super::lease;
use crate::error::Error;
use crate::image_cache::ImageCacheObject;
use crate::image_cache::object::resource;

/// How many times to list and delete: a former leader may create one more while the others are deleted.
const PASSES: usize = 3;

/// Deletes all ImageCaches of a namespace's lists, and returns their names. For some minutes no controller leads, so a running one
/// creates no others: it is expected to be uninstalled in the meantime.
///
/// # Errors
/// What the API server answered, or why it could not be reached. What was deleted before stays deleted.
pub async fn delete_image_caches(client: &Client, namespace: &str) -> Result<Vec<String>, Error> {
    let caches: Api<ImageCacheObject> = Api::all_with(client.clone(), &resource());
    let ours = ListParams::default().labels(&selector(namespace));
    match caches.list(&ours).await {
        // Without the resource, there is nothing to delete.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
        listed => drop(listed.map_err(|error| Error::new("list the ImageCaches", error))?),
    }
    if lease::suspend(client, namespace).await? {
        sleep(lease::DURATION).await;
    }
    let mut deleted = Vec::new();
    for _ in 0..PASSES {
        let left = caches.list(&ours).await.map_err(|error| Error::new("list the ImageCaches", error))?;
        if left.items.is_empty() {
            break;
        }
        for cache in left {
            let (name, uid) = (cache.name_any(), cache.uid().unwrap_or_default());
            delete(&caches, "delete the ImageCache", &name, &uid).await?;
            deleted.push(name);
        }
    }
    Ok(deleted)
}
