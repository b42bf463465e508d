//! Objects in Protocol Buffers, as API servers store them: they take an API server half the time of JSON, and less to decode.
//!
//! The fields and their numbers are those of `generated.proto` in `k8s.io/apimachinery/pkg/runtime` and
//! `k8s.io/apimachinery/pkg/apis/meta/v1`. Fields that are not declared here are skipped while an object is read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::core::ObjectMeta;
use prost::Message;
use prost::bytes::Bytes;

use super::Slim;
use super::metadata::{Annotations, FieldOwner, Metadata, OwnedFields};

/// The media type of objects in Protocol Buffers.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What precedes each of them (`protoEncodingPrefix` in `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`).
const MAGIC: &[u8] = b"k8s\0";

/// An object that can be decoded from Protocol Buffers.
pub trait FromProtobuf: From<Self::Message> {
    /// The parts of it that are needed, as they are sent.
    type Message: Message + Default;
}

/// A page of a list.
#[derive(Clone, PartialEq, Message)]
pub struct ProtobufPage {
    #[prost(message, optional, tag = "1")]
    metadata: Option<PageMetadata>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    items: Vec<Bytes>,
}

/// `ListMeta`.
#[derive(Clone, PartialEq, Message)]
struct PageMetadata {
    #[prost(string, tag = "3")]
    continue_token: String,
}

/// `runtime.Unknown`, which says what an object is, and contains it.
#[derive(Clone, PartialEq, Message)]
struct Enveloped {
    #[prost(bytes = "bytes", optional, tag = "2")]
    raw: Option<Bytes>,
}

impl ProtobufPage {
    /// The page in the body of an answer; `None` if it is none.
    pub fn of(mut body: Bytes) -> Option<Self> {
        if !body.starts_with(MAGIC) {
            return None;
        }
        let enveloped = Enveloped::decode(body.split_off(MAGIC.len())).ok()?;
        Self::decode(enveloped.raw?).ok()
    }

    /// Its objects, decoded one by one.
    pub fn objects<K: FromProtobuf>(&self) -> impl Iterator<Item = Option<K>> {
        self.items.iter().map(|item| K::Message::decode(item.clone()).ok().map(K::from))
    }

    /// How to ask for the next page; `None` if this is the last one.
    pub fn continue_token(self) -> Option<String> {
        self.metadata.and_then(|metadata| some_text(metadata.continue_token))
    }
}

/// An object: its metadata, and what is needed of its spec and its status.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct SlimMessage<S: Message + Default, U: Message + Default> {
    #[prost(message, optional, tag = "1")]
    metadata: Option<MetadataMessage>,
    #[prost(message, optional, tag = "2")]
    spec: Option<S>,
    #[prost(message, optional, tag = "3")]
    status: Option<U>,
}

impl<S, U, M, N> From<SlimMessage<M, N>> for Slim<S, U>
where
    S: From<M>,
    U: From<N>,
    M: Message + Default,
    N: Message + Default,
{
    fn from(it: SlimMessage<M, N>) -> Self {
        Self {
            metadata: it.metadata.unwrap_or_default().into(),
            spec: it.spec.unwrap_or_default().into(),
            status: it.status.map(U::from),
        }
    }
}

/// A text that JSON leaves out if it is empty.
pub fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// `Time`.
#[derive(Clone, PartialEq, Message)]
pub struct TimeMessage {
    #[prost(int64, optional, tag = "1")]
    seconds: Option<i64>,
}

impl TimeMessage {
    /// The time. One that is unset comes without seconds.
    pub fn time(self) -> Option<Time> {
        Timestamp::from_second(self.seconds?).ok().map(Time)
    }
}

/// `ObjectMeta`.
#[derive(Clone, PartialEq, Message)]
pub struct MetadataMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(int64, tag = "7")]
    generation: i64,
    #[prost(message, optional, tag = "8")]
    creation_timestamp: Option<TimeMessage>,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<TimeMessage>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    owner_references: Vec<OwnerMessage>,
    #[prost(message, repeated, tag = "17")]
    managed_fields: Vec<FieldOwnerMessage>,
}

impl From<MetadataMessage> for ObjectMeta {
    fn from(it: MetadataMessage) -> Self {
        let metadata = Metadata {
            name: some_text(it.name),
            namespace: some_text(it.namespace),
            uid: some_text(it.uid),
            resource_version: some_text(it.resource_version),
            generation: Some(it.generation).filter(|generation| *generation != 0),
            creation_timestamp: it.creation_timestamp.and_then(TimeMessage::time),
            deletion_timestamp: it.deletion_timestamp.and_then(TimeMessage::time),
            labels: Some(it.labels).filter(|labels| !labels.is_empty()),
            annotations: Some(it.annotations).filter(|annotations| !annotations.is_empty()).map(Annotations::ours_of),
            owner_references: some_list(it.owner_references),
            managed_fields: some_list(it.managed_fields),
        };
        metadata.into()
    }
}

/// A list that JSON leaves out if it is empty.
pub fn some_list<M, T: From<M>>(messages: Vec<M>) -> Option<Vec<T>> {
    (!messages.is_empty()).then(|| all_from(messages))
}

/// What a repeated field contains.
pub fn all_from<M, T: From<M>>(messages: Vec<M>) -> Vec<T> {
    messages.into_iter().map(T::from).collect()
}

/// `OwnerReference`.
#[derive(Clone, PartialEq, Message)]
struct OwnerMessage {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    uid: String,
    #[prost(string, tag = "5")]
    api_version: String,
    #[prost(bool, optional, tag = "6")]
    controller: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    block_owner_deletion: Option<bool>,
}

impl From<OwnerMessage> for OwnerReference {
    fn from(it: OwnerMessage) -> Self {
        let OwnerMessage { kind, name, uid, api_version, controller, block_owner_deletion } = it;
        Self { api_version, block_owner_deletion, controller, kind, name, uid }
    }
}

/// `ManagedFieldsEntry`.
#[derive(Clone, PartialEq, Message)]
struct FieldOwnerMessage {
    #[prost(string, tag = "1")]
    manager: String,
    #[prost(message, optional, tag = "4")]
    time: Option<TimeMessage>,
    #[prost(message, optional, tag = "7")]
    fields_v1: Option<FieldsMessage>,
    #[prost(string, tag = "8")]
    subresource: String,
}

/// `FieldsV1`.
#[derive(Clone, PartialEq, Message)]
struct FieldsMessage {
    /// JSON.
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
}

impl From<FieldOwnerMessage> for FieldOwner {
    fn from(it: FieldOwnerMessage) -> Self {
        let fields = it.fields_v1.map(|fields| fields.raw);
        let owned = fields.and_then(|raw| serde_json::from_slice::<OwnedFields>(&raw).ok());
        Self {
            manager: some_text(it.manager),
            subresource: some_text(it.subresource),
            time: it.time.and_then(TimeMessage::time),
            fields_v1: owned.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An object of which only the metadata are needed.
    type Named = Slim<(), ()>;

    impl FromProtobuf for Named {
        type Message = SlimMessage<(), ()>;
    }

    fn body(names: &[&str], continue_token: &str) -> Vec<u8> {
        let items = names.iter().map(|name| {
            let metadata = MetadataMessage { name: (*name).to_owned(), ..MetadataMessage::default() };
            SlimMessage { metadata: Some(metadata), spec: Some(()), status: Some(()) }.encode_to_vec().into()
        });
        let metadata = Some(PageMetadata { continue_token: continue_token.to_owned() });
        let raw = ProtobufPage { metadata, items: items.collect() }.encode_to_vec().into();
        [MAGIC, &Enveloped { raw: Some(raw) }.encode_to_vec()].concat()
    }

    fn names(page: &ProtobufPage) -> Option<Vec<String>> {
        page.objects::<Named>().map(|object| object.and_then(|it| it.metadata.name)).collect()
    }

    #[test]
    fn a_page_has_objects_and_says_whether_it_is_the_last_one() {
        let page = |token| ProtobufPage::of(body(&["a", "b"], token).into()).expect("a page");
        assert_eq!(names(&page("next")).as_deref(), Some(["a".to_owned(), "b".to_owned()].as_slice()));
        assert_eq!((page("next").continue_token().as_deref(), page("").continue_token()), (Some("next"), None));
    }

    #[test]
    fn what_is_unset_is_left_out_as_in_json() {
        let page = ProtobufPage::of(body(&[""], "").into()).expect("a page");
        let found: Vec<_> = page.objects::<Named>().map(|object| object.map(|it| it.metadata)).collect();
        assert_eq!(found, [Some(ObjectMeta::default())]);
        assert_eq!(TimeMessage::default().time(), None);
        assert_eq!(TimeMessage { seconds: Some(0) }.time(), Some(Time(Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn what_is_no_list_is_no_page() {
        for body in [&br#"{"kind":"PodList"}"#[..], b"", MAGIC, &MAGIC[1..]] {
            assert!(ProtobufPage::of(Bytes::from(body)).is_none(), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_pages_are_no_reason_to_panic(
            keep in 0..60_usize, at in 0..60_usize, byte: u8, bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut damaged = body(&["some-name", "another"], "next");
            damaged.truncate(keep);
            damaged.get_mut(at).into_iter().for_each(|it| *it = byte);
            for body in [damaged, [MAGIC, &bytes].concat()] {
                if let Some(page) = ProtobufPage::of(body.into()) {
                    names(&page);
                }
            }
        }
    }
}
