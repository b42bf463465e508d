//! What was done and found about ImageCaches, and what they wait for.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;

use super::format::{first_few, number, span};
use super::{Message, Reason};
use crate::image_cache::cache::CreationRecord;
use crate::image_cache::object::{DEFINITION, GROUP, ImageCacheObject};
use crate::image_cache::timing::MAX_ATTEMPTS;
use crate::image_cache::{
    CacheAction, CacheCause, CacheDeletionReason, CacheFinding, CacheWait, ImageCacheReport, NamedCache, Next, Phase,
};
use crate::list::cache_platform::CachePlatform;
use crate::plan::versions;

/// The Events for an action that was carried out.
pub fn done(action: &CacheAction) -> Vec<Message> {
    match action {
        CacheAction::Keep { findings, .. } => findings.iter().map(found).collect(),
        CacheAction::Create { object, cause } => vec![created(object, *cause)],
        CacheAction::Delete { cache, ending, .. } => vec![deleted(cache, *ending)],
    }
}

fn created(object: &ImageCacheObject, cause: CacheCause) -> Message {
    let cache = NamedCache { name: object.name_any(), platform: CreationRecord::of(object).platform };
    let (called, images) = (called(&cache), number(object.spec.images.len(), "image"));
    let size = object.spec.image_cache_size.unwrap_or_default();
    let why = match cause {
        CacheCause::Missing => "no ImageCache matches the current list".to_owned(),
        CacheCause::Retry { attempt } => format!("the previous one failed (attempt {attempt} of {MAX_ATTEMPTS})"),
        CacheCause::Lost => "the ready ImageCache was deleted".to_owned(),
        CacheCause::Renewal => "the ready ImageCache is about to expire".to_owned(),
    };
    let note = format!("{called} of {images} and {size} GiB was created because {why}");
    about(Reason::ImageCacheCreated, &cache.name, note)
}

fn found(finding: &CacheFinding) -> Message {
    match finding {
        CacheFinding::Progress { cache, percent } => {
            let note = format!("{} is being built: {percent}%", called(cache));
            about(Reason::ImageCacheProgress, &cache.name, note)
        }
        CacheFinding::Ready { cache, id } => {
            let note = format!("{} is ready; {}", called(cache), pod_annotations(id.as_deref()));
            about(Reason::ImageCacheReady, &cache.name, note)
        }
        CacheFinding::Failed { cache, reason, next } => {
            let reason = reason.as_deref().unwrap_or("ECI gives no reason");
            let next = match next {
                Next::Retry(at) => format!("the next attempt is at {at:.0}"),
                Next::GivenUp => {
                    "there are no further attempts until the list changes or a refresh is requested (`kubectl prepull refresh`)"
                        .to_owned()
                }
                Next::Nothing => "there are no further attempts, because the list has changed".to_owned(),
            };
            let note = format!("{} failed: {reason}; {next}; the last ready ImageCache stays", called(cache));
            about(Reason::ImageCacheFailed, &cache.name, note)
        }
    }
}

fn called(cache: &NamedCache) -> String {
    format!("the ImageCache {}{}", cache.name, of(cache.platform))
}

/// Says which platform is meant, if the list names any.
fn of(platform: Option<CachePlatform>) -> String {
    platform.map(|platform| format!(" for {platform}")).unwrap_or_default()
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

fn deleted(cache: &NamedCache, ending: CacheDeletionReason) -> Message {
    let (reason, why) = match ending {
        CacheDeletionReason::Replaced => (Reason::ImageCacheDeleted, "a newer one has replaced it".to_owned()),
        CacheDeletionReason::Failed => (Reason::ImageCacheDeleted, "it failed".to_owned()),
        CacheDeletionReason::Abandoned => {
            (Reason::ImageCacheDeleted, "it was not ready, and the list has changed".to_owned())
        }
        CacheDeletionReason::PlatformRemoved => {
            (Reason::ImageCacheDeleted, "the list asks for ImageCaches of other platforms, which are ready".to_owned())
        }
        CacheDeletionReason::TurnedOff => {
            (Reason::ImageCacheDeleted, "the list no longer asks for an ImageCache".to_owned())
        }
        CacheDeletionReason::ListGone => {
            (Reason::ListCleanedUp, format!("its list has been missing for {:#}", versions::GRACE))
        }
    };
    about(reason, &cache.name, format!("{} was deleted because {why}", called(cache)))
}

/// Reports what an ImageCache waits for.
pub fn waiting(wait: &CacheWait) -> Message {
    let note = match wait {
        CacheWait::Digests { platform, images, until } => format!(
            "the ImageCache{} waits until {until:.0} for nodes to report the digests of {}",
            of(*platform),
            first_few(images, ", ", "")
        ),
        CacheWait::Predecessor { platform } => format!(
            "the latest edit waits until the previous ImageCache{} is ready and has replaced the one before it",
            of(*platform)
        ),
        CacheWait::SlowBuild { cache, phase, since } => {
            format!("{} has been {phase} since {since:.0}; ECI decides when it is ready", called(cache))
        }
    };
    // Without what changes while it waits: images and times.
    let subject = match wait {
        CacheWait::Digests { platform, .. } => format!("digests of the ImageCache{}", of(*platform)),
        CacheWait::Predecessor { platform } => format!("previous ImageCache{}", of(*platform)),
        CacheWait::SlowBuild { cache, .. } => called(cache),
    };
    Message::new(Reason::Waiting, subject, note)
}

/// A line of the status table, after the name of the ImageCache.
pub fn in_table(cache: &ImageCacheReport, now: Timestamp) -> String {
    let mut text = format!(": {} of {}{}", cache.phase, number(cache.images.len(), "image"), of(cache.platform));
    if matches!(cache.phase, Phase::Pending | Phase::Creating) {
        text.push_str(&format!(", {}%", cache.progress));
    }
    if let Some(id) = &cache.cache_id {
        text.push_str(&format!(", {}", id));
    }
    if let Some(expires) = cache.expires_at {
        text.push_str(&format!(", expires in {}", span(expires.duration_since(now))));
    }
    if let Some(message) = cache.message.as_ref().filter(|_| cache.phase == Phase::Failed) {
        text.push_str(&format!(": {}", message));
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
