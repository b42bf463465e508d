//! Kubernetes objects, decoded without the fields that nobody needs.
//!
//! Of a pod of 38 kB, 10 kB are `managedFields`, and decoded as JSON values they would take five times that. So they are skipped
//! while the object is read.
//!
//! - [`metadata`]: what is kept of an object's metadata
//! - [`protobuf`]: objects that come in Protocol Buffers instead of JSON

mod metadata;
pub mod protobuf;

use std::borrow::Cow;

use kube::Resource;
use kube::api::ApiResource;
use kube::core::{DynamicResourceScope, ObjectMeta};
use serde::Deserialize;

pub use metadata::without_managed_fields;

/// An object with a part of its metadata, of its spec and of its status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de> + Default, U: Deserialize<'de>"))]
pub struct Slim<S, U> {
    /// The part of its metadata that is needed. Its managed fields say who wrote the spec and when the status was written, no more.
    #[serde(deserialize_with = "metadata::deserialize")]
    pub metadata: ObjectMeta,
    /// The part of its spec that is needed.
    #[serde(default)]
    pub spec: S,
    /// The part of its status that is needed.
    #[serde(default = "no_status")]
    pub status: Option<U>,
}

fn no_status<U>() -> Option<U> {
    None
}

/// Nothing of a spec.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Skipped {}

impl<S, U> Resource for Slim<S, U> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
