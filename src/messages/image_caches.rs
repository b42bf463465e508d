//! What was done and found about ImageCaches, and what they wait for.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;

use super::format::{first_few, number, printable, span};
use super::{Message, Reason};
use crate::image_cache::object::{DEFINITION, GROUP, ImageCacheObject};
use crate::image_cache::timing::MAX_ATTEMPTS;
use crate::image_cache::{
    CacheAction, CacheCause, CacheDeletionReason, CacheFinding, CacheWait, ImageCacheReport, Next, Phase,
};
use crate::plan::versions;

/// The Events for an action that was carried out.
pub fn done(action: &CacheAction) -> Vec<Message> {
    match action {
        CacheAction::Keep { findings, .. } => findings.iter().map(found).collect(),
        CacheAction::Create { object, cause } => vec![created(object, *cause)],
        CacheAction::Delete { name, ending, .. } => vec![deleted(name, *ending)],
    }
}

fn created(object: &ImageCacheObject, cause: CacheCause) -> Message {
    let (name, images) = (object.name_any(), number(object.spec.images.len(), "image"));
    let size = object.spec.image_cache_size.unwrap_or_default();
    let why = match cause {
        CacheCause::Missing => "no ImageCache matches the current list".to_owned(),
        CacheCause::Retry { attempt } => format!("the previous one failed (attempt {attempt} of {MAX_ATTEMPTS})"),
        CacheCause::Lost => "the ready ImageCache was deleted".to_owned(),
        CacheCause::Renewal => "the ready ImageCache is about to expire".to_owned(),
    };
    let note = format!("the ImageCache {name} of {images} and {size} GiB was created because {why}");
    about(Reason::ImageCacheCreated, &name, note)
}

fn found(finding: &CacheFinding) -> Message {
    match finding {
        CacheFinding::Progress { name, percent } => {
            let note = format!("the ImageCache {name} is being built: {percent}%");
            about(Reason::ImageCacheProgress, name, note)
        }
        CacheFinding::Ready { name, id } => {
            let note = format!("the ImageCache {name} is ready; {}", pod_annotations(id.as_deref()));
            about(Reason::ImageCacheReady, name, note)
        }
        CacheFinding::Failed { name, reason, next } => {
            let reason = reason.as_deref().unwrap_or("ECI gives no reason");
            let next = match next {
                Next::Retry(at) => format!("the next attempt is at {at:.0}"),
                Next::GivenUp => {
                    "there are no further attempts until the list changes or a refresh is requested (`kubectl prepull refresh`)"
                        .to_owned()
                }
                Next::Nothing => "there are no further attempts, because the list has changed".to_owned(),
            };
            let note = format!("the ImageCache {name} failed: {reason}; {next}; the last ready ImageCache stays");
            about(Reason::ImageCacheFailed, name, note)
        }
    }
}

/// How pods on virtual nodes start from an ImageCache, with today's virtual node component and with older ones.
fn pod_annotations(id: Option<&str>) -> String {
    let or = |key: &str| id.map(|id| format!(" or {key}: {id}")).unwrap_or_default();
    format!(
        "pods on virtual nodes start from it with the annotation k8s.aliyun.com/eci-auto-imc: \"true\"{}; with an older virtual \
         node component, with k8s.aliyun.com/eci-image-cache: \"true\"{}",
        or("k8s.aliyun.com/eci-imc-id"),
        or("k8s.aliyun.com/eci-image-snapshot-id")
    )
}

fn deleted(name: &str, ending: CacheDeletionReason) -> Message {
    let (reason, why) = match ending {
        CacheDeletionReason::Replaced => (Reason::ImageCacheDeleted, "a newer one has replaced it".to_owned()),
        CacheDeletionReason::Failed => (Reason::ImageCacheDeleted, "it failed".to_owned()),
        CacheDeletionReason::Abandoned => {
            (Reason::ImageCacheDeleted, "it was not ready, and the list has changed".to_owned())
        }
        CacheDeletionReason::TurnedOff => {
            (Reason::ImageCacheDeleted, "the list no longer asks for an ImageCache".to_owned())
        }
        CacheDeletionReason::ListGone => {
            (Reason::ListCleanedUp, format!("its list has been missing for {:#}", versions::GRACE))
        }
    };
    about(reason, name, format!("the ImageCache {name} was deleted because {why}"))
}

/// Reports what an ImageCache waits for.
pub fn waiting(wait: &CacheWait) -> Message {
    let note = match wait {
        CacheWait::Digests { images, until } => format!(
            "the ImageCache waits until {until:.0} for nodes to report the digests of {}",
            first_few(images, ", ", "")
        ),
        CacheWait::Predecessor => {
            "the latest edit waits until the previous ImageCache is ready and has replaced the one before it".to_owned()
        }
        CacheWait::SlowBuild { name, phase, since } => {
            format!("the ImageCache {name} has been {phase} since {since:.0}; ECI decides when it is ready")
        }
    };
    // Without what changes while it waits: images and times.
    let subject = match wait {
        CacheWait::Digests { .. } => "digests of the ImageCache",
        CacheWait::Predecessor => "previous ImageCache",
        CacheWait::SlowBuild { name, .. } => name,
    };
    Message::new(Reason::Waiting, subject, note)
}

/// A line of the status table, after the name of the ImageCache.
pub fn in_table(cache: &ImageCacheReport, now: Timestamp) -> String {
    let mut text = format!(": {} of {}", cache.phase, number(cache.images.len(), "image"));
    if matches!(cache.phase, Phase::Pending | Phase::Creating) {
        text.push_str(&format!(", {}%", cache.progress));
    }
    if let Some(id) = &cache.cache_id {
        text.push_str(&format!(", {}", printable(id)));
    }
    if let Some(expires) = cache.expires_at {
        text.push_str(&format!(", expires in {}", span(expires.duration_since(now))));
    }
    if let Some(message) = cache.message.as_ref().filter(|_| cache.phase == Phase::Failed) {
        text.push_str(&format!(": {}", printable(message)));
    }
    if !cache.current {
        text.push_str("; superseded: deleted once the current one is ready and keepPreviousFor has passed");
    }
    text
}

/// The list asks for an ImageCache, and the cluster does not know the resource.
pub fn no_definition() -> Message {
    let note = format!(
        "the list asks for an ImageCache, but this cluster has no resource {DEFINITION}, which comes with Alibaba Cloud's virtual \
         node component; until it is installed, no ImageCache is created; nodes are not affected"
    );
    Message::new(Reason::ImageCacheUnavailable, DEFINITION, note)
}

/// The controller may not read ImageCaches.
pub fn forbidden(message: &str) -> Message {
    let note = format!(
        "the list has or asks for an ImageCache, but the controller may not read ImageCaches: {message}; grant its \
         ServiceAccount a ClusterRole with apiGroups: [{GROUP}], resources: [imagecaches], verbs: [list, watch, create, delete] \
         (chart: imageCache.enabled=true)"
    );
    Message::new(Reason::MissingRight, DEFINITION, note)
}

fn about(reason: Reason, name: &str, note: String) -> Message {
    let related = ObjectReference {
        api_version: Some(format!("{GROUP}/v1")),
        kind: Some("ImageCache".to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    };
    Message { related: Some(related), ..Message::new(reason, name, note) }
}
