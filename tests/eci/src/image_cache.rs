//! The resource `imagecaches.eci.alibabacloud.com`, as the published definition and its examples have it.

use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{ApiResource, Object};
use serde::{Deserialize, Serialize};

/// A snapshot that holds images, from which ECI starts pods.
pub type ImageCache = Object<Spec, Status>;

/// How the API server knows it. It is cluster-scoped.
#[must_use]
pub fn resource() -> ApiResource {
    ApiResource {
        group: "eci.alibabacloud.com".to_owned(),
        version: "v1".to_owned(),
        api_version: "eci.alibabacloud.com/v1".to_owned(),
        kind: "ImageCache".to_owned(),
        plural: "imagecaches".to_owned(),
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// References of the images.
    pub images: Vec<String>,
    /// Secrets to pull with, each as `namespace:name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,
    /// In GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_cache_size: Option<u32>,
    /// How many days it is kept; for ever where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

impl Spec {
    /// The size that ECI takes where none is given, in GiB.
    pub const DEFAULT_SIZE: u32 = 20;

    /// In GiB.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.image_cache_size.unwrap_or(Self::DEFAULT_SIZE)
    }
}

/// What has become of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The same in per cent: `40%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What pods name it by: `imc-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_cache_id: Option<String>,
    /// When ECI took it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When this status changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_time: Option<Time>,
    /// When it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_date_time: Option<Time>,
    /// What happened to each image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

/// How far an ImageCache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It has been taken on.
    Pending,
    /// Its images are pulled, and the snapshot is made.
    Creating,
    /// Pods can start from it.
    Ready,
    /// It could not be made.
    Failed,
}

/// An entry of the status, in the form that ECI gives it.
#[must_use]
pub fn event(name: &str, kind: &str, message: String, now: &Time) -> Event {
    Event {
        count: Some(1),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now.clone()),
        message: Some(message),
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some("eci".to_owned()) }),
        type_: Some(kind.to_owned()),
        ..Event::default()
    }
}
