//! Deletes what belongs to no namespace, and so does not go with the controller's Deployment: the ImageCaches of its lists.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::time::sleep;

use super::Error;
use super::apply::delete;
use super::image_caches::selector;
use super::lease;
use crate::image_cache::ImageCacheObject;
use crate::image_cache::object::resource;

/// How often it is looked whether one has come after the others were deleted.
const TAG_CHECKS: usize = 3;

/// Deletes all ImageCaches of a namespace's lists, and returns their names. A controller that runs is kept from making others
/// for some minutes: it is expected to be deleted meanwhile.
///
/// # Errors
/// What the API server or the way to it said. What was deleted until then stays deleted.
pub async fn clean_up(client: &Client, namespace: &str) -> Result<Vec<String>, Error> {
    let caches: Api<ImageCacheObject> = Api::all_with(client.clone(), &resource());
    let ours = ListParams::default().labels(&selector(namespace));
    match caches.list(&ours).await {
        // Where there is no such resource, there is none of it.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
        listed => drop(listed.map_err(|error| Error::new("list the ImageCaches", error))?),
    }
    if lease::suspend(client, namespace).await? {
        sleep(lease::DURATION).await;
    }
    let mut deleted = Vec::new();
    for _ in 0..TAG_CHECKS {
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
