//! The words about ImageCaches.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;

use super::format::{number, printable, span};
use super::{Message, Reason};
use crate::image_cache::object::{DEFINITION, GROUP, ImageCacheObject};
use crate::image_cache::{CacheAction, CacheCause, CacheDeletionReason, CacheFinding, ImageCacheReport, Next, Phase};

/// What is worth telling when an action was carried out.
pub fn done(action: &CacheAction) -> Vec<Message> {
    match action {
        CacheAction::Keep { findings, .. } => findings.iter().map(found).collect(),
        CacheAction::Create { object, cause } => vec![created(object, *cause)],
        CacheAction::Delete { name, ending, .. } => vec![deleted(name, *ending)],
    }
}

fn created(object: &ImageCacheObject, cause: CacheCause) -> Message {
    let (name, images) = (object.name_any(), object.spec.images.len());
    let size = object.spec.image_cache_size.unwrap_or_default();
    let why = match cause {
        CacheCause::Missing => "there is none for what the list asks for now".to_owned(),
        CacheCause::Retry { attempt } => format!("the one before it failed (try {attempt} of 4)"),
        CacheCause::Lost => "the one that was ready is gone".to_owned(),
        CacheCause::Renewal => "the one that is ready will expire".to_owned(),
    };
    let note = format!("the ImageCache {name} of {} and {size} GiB was made, because {why}", number(images, "image"));
    about(Message::new(Reason::ImageCacheCreated, note), &name)
}

fn found(finding: &CacheFinding) -> Message {
    match finding {
        CacheFinding::Progress { name, percent } => {
            let note = format!("the ImageCache {name} is built: {percent}%");
            about(Message::new(Reason::ImageCacheProgress, note), name)
        }
        CacheFinding::Ready { name, id } => {
            let note = format!("the ImageCache {name} is ready; {}", pod_annotations(id.as_deref()));
            about(Message::new(Reason::ImageCacheReady, note), name)
        }
        CacheFinding::Failed { name, reason, next } => {
            let next = match next {
                Next::Retry(at) => format!("it is tried again at {at:.0}"),
                Next::GivenUp => {
                    "it is not tried again until the list changes or a refresh is asked for (kube-prepull refresh)"
                        .to_owned()
                }
                Next::Nothing => "it is not wanted any more".to_owned(),
            };
            let note = format!("the ImageCache {name} failed: {reason}; {next}; the last that was ready stays");
            about(Message::new(Reason::ImageCacheFailed, note), name)
        }
    }
}

/// What a pod on a virtual node says to start from an ImageCache, for today's virtual node component and for older ones.
pub fn pod_annotations(id: Option<&str>) -> String {
    let or = |key: &str| id.map(|id| format!(" or {key}: {id}")).unwrap_or_default();
    format!(
        "pods on virtual nodes start from it with the annotation k8s.aliyun.com/eci-auto-imc: \"true\"{}; where the virtual \
         node component is older, with k8s.aliyun.com/eci-image-cache: \"true\"{}",
        or("k8s.aliyun.com/eci-imc-id"),
        or("k8s.aliyun.com/eci-image-snapshot-id")
    )
}

fn deleted(name: &str, ending: CacheDeletionReason) -> Message {
    let (reason, why) = match ending {
        CacheDeletionReason::Replaced => (Reason::ImageCacheDeleted, "another one has taken its place"),
        CacheDeletionReason::Failed => (Reason::ImageCacheDeleted, "it had failed"),
        CacheDeletionReason::Abandoned => (Reason::ImageCacheDeleted, "it was not ready, and is not wanted any more"),
        CacheDeletionReason::TurnedOff => (Reason::ImageCacheDeleted, "the list asks for none any more"),
        CacheDeletionReason::ListGone => (Reason::ListCleanedUp, "its list stayed away"),
    };
    about(Message::new(reason, format!("the ImageCache {name} was deleted, since {why}")), name)
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

/// The list asks for what the cluster does not have.
pub fn no_definition() -> Message {
    let note = format!(
        "the list asks for an ImageCache, and this cluster has no resource {DEFINITION}: it comes with Alibaba Cloud's virtual \
         node component; until it appears, only nodes are kept warm"
    );
    Message::new(Reason::ImageCacheUnavailable, note)
}

/// The controller may not read ImageCaches.
pub fn forbidden(message: &str) -> Message {
    let note = format!(
        "the list has or asks for an ImageCache, and the controller may not read them: {message}; grant its ServiceAccount a \
         ClusterRole with apiGroups: [{GROUP}], resources: [imagecaches], verbs: [list, watch, create, delete] (chart: \
         imageCache.enabled=true)"
    );
    Message::new(Reason::MissingRight, note).on(DEFINITION)
}

fn about(message: Message, name: &str) -> Message {
    let related = ObjectReference {
        api_version: Some(format!("{GROUP}/v1")),
        kind: Some("ImageCache".to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    };
    Message { related: Some(related), ..message }.on(name)
}
