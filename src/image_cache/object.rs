//! The resource (`config/crd/imagecache.yaml`).

use kube::api::ApiResource;
use kube::core::Object;
use serde::{Deserialize, Serialize};

/// The API group of the resource.
pub const GROUP: &str = "eci.alibabacloud.com";
/// The name of the resource's definition.
pub const DEFINITION: &str = "imagecaches.eci.alibabacloud.com";
/// The most images that ECI puts into one.
pub const MAX_IMAGES: usize = 20;

/// An ImageCache. Its status is parsed leniently, so that one odd value does not hide all others.
pub type ImageCacheObject = Object<Spec, Status>;

/// What is requested. A spec never changes: other content needs a new ImageCache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// References, as pods spell them.
    pub images: Vec<String>,
    /// Each as `namespace:name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secrets: Option<Vec<String>>,
    /// How large the snapshot's disk is, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_cache_size: Option<u32>,
    /// After how many days ECI deletes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

/// What ECI reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// `Pending`, `Creating`, `Ready` or `Failed`.
    pub phase: Option<String>,
    /// `0%` to `100%`.
    pub progress: Option<String>,
    /// `imc-…`.
    pub image_cache_id: Option<String>,
    /// When it expires, as RFC 3339.
    pub expire_date_time: Option<String>,
    /// ECI's events.
    pub events: Option<Vec<Happening>>,
}

/// The part of an ECI event that people read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Happening {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// One word.
    pub reason: Option<String>,
    /// A sentence.
    pub message: Option<String>,
}

/// The resource, for clients.
pub fn resource() -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{GROUP}/v1"),
        kind: "ImageCache".to_owned(),
        plural: "imagecaches".to_owned(),
    }
}
