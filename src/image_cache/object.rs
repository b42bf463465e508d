//! The resource as it stands in the cluster (`config/crd/imagecache.yaml`).

use kube::api::ApiResource;
use kube::core::Object;
use serde::{Deserialize, Serialize};

/// The API group of the resource.
pub const GROUP: &str = "eci.alibabacloud.com";
/// The name of the resource's definition.
pub const DEFINITION: &str = "imagecaches.eci.alibabacloud.com";
/// The most images that ECI puts into one.
pub const MAX_IMAGES: usize = 20;

/// An ImageCache. What others write into its status is read leniently: one odd value must not hide all the others.
pub type ImageCacheObject = Object<Spec, Status>;

/// What is asked for. It is never changed afterwards: a change means a new ImageCache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// References, as pods spell them.
    pub images: Vec<String>,
    /// Each as `namespace:name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secrets: Option<Vec<String>>,
    /// GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_cache_size: Option<u32>,
    /// Days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// `Pending`, `Creating`, `Ready` or `Failed`.
    pub phase: Option<String>,
    /// `0%` to `100%`.
    pub progress: Option<String>,
    /// `imc-…`.
    pub image_cache_id: Option<String>,
    /// When it goes, as RFC 3339.
    pub expire_date_time: Option<String>,
    /// What happened.
    pub events: Option<Vec<Happening>>,
}

/// One of ECI's events: the part that people read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Happening {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// A word for it.
    pub reason: Option<String>,
    /// The whole of it.
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
