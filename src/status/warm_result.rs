//! Whether a list is warm, as stored on its ConfigMap for tools that know nothing of kube-prepull. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ObjectMeta;

use super::ListState;
use super::report::ListReport;
use crate::messages::warm_results;
use crate::naming::labels;

/// The longest version of a user's that is repeated, in bytes: the annotations of an object are limited together.
const MAX_VERSION: usize = 1_000;

/// Whether a list is warm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmResult {
    /// Whether the list is accepted in its present form, and all of its images are warm on all nodes that count.
    pub is_warm: bool,
    /// The same in words, with numbers.
    pub words: String,
    /// The hash of the data that this is about.
    pub data_hash: String,
    /// What the user called the version of the list that is warm.
    pub version: Option<String>,
}

impl WarmResult {
    /// The result for a list and the metadata of its ConfigMap. `None` if they are not about the same version of the list, or if that has
    /// not been validated yet.
    pub fn new(list: &ListReport, metadata: &ObjectMeta) -> Option<Self> {
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        let is_same = list.resource_version.as_deref() == metadata.resource_version.as_deref();
        let data_hash = annotation(labels::DATA_HASH).filter(|_| is_same)?.clone();
        let in_force = list.data_hash.as_deref() == Some(&data_hash);
        let words = match list.state {
            ListState::Accepted if in_force => words(list),
            ListState::Empty => warm_results::without_images().to_owned(),
            ListState::Rejected => warm_results::rejected().to_owned(),
            ListState::Accepted | ListState::NotValidated | ListState::Missing => return None,
        };
        let version = annotation(labels::VERSION).filter(|version| list.warm && version.len() <= MAX_VERSION).cloned();
        Some(Self { is_warm: list.warm, words, data_hash, version })
    }

    /// Whether the ConfigMap already has this result.
    pub fn is_stored_on(&self, metadata: &ObjectMeta) -> bool {
        let stored = Stored::on(metadata);
        self.says_the_same(&stored) && stored.words == Some(&self.words)
    }

    /// Whether only the numbers differ from what the ConfigMap has.
    pub fn differs_in_words_only(&self, metadata: &ObjectMeta) -> bool {
        self.says_the_same(&Stored::on(metadata)) && !self.is_stored_on(metadata)
    }

    fn says_the_same(&self, stored: &Stored) -> bool {
        stored.is_warm == Some(text_of(self.is_warm))
            && stored.data_hash == Some(&self.data_hash)
            && stored.version == self.version.as_ref()
    }

    /// The fields of the ConfigMap to set with server-side apply. With the UID and the resourceVersion, it is refused if the list has
    /// changed in the meantime.
    pub fn patch(&self, metadata: &ObjectMeta) -> ConfigMap {
        let mut annotations = BTreeMap::from([
            (labels::WARM.to_owned(), self.words.clone()),
            (labels::WARM_DATA_HASH.to_owned(), self.data_hash.clone()),
        ]);
        annotations.extend(self.version.clone().map(|version| (labels::WARM_VERSION.to_owned(), version)));
        ConfigMap {
            metadata: ObjectMeta {
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                resource_version: metadata.resource_version.clone(),
                labels: Some(BTreeMap::from([(labels::WARM.to_owned(), text_of(self.is_warm).to_owned())])),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }
}

/// What a ConfigMap has of a result.
struct Stored<'m> {
    is_warm: Option<&'m str>,
    words: Option<&'m String>,
    data_hash: Option<&'m String>,
    version: Option<&'m String>,
}

impl<'m> Stored<'m> {
    fn on(metadata: &'m ObjectMeta) -> Self {
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        Self {
            is_warm: metadata.labels.as_ref().and_then(|labels| labels.get(labels::WARM)).map(String::as_str),
            words: annotation(labels::WARM),
            data_hash: annotation(labels::WARM_DATA_HASH),
            version: annotation(labels::WARM_VERSION),
        }
    }
}

/// A label is a text, also if it says yes or no.
fn text_of(is_warm: bool) -> &'static str {
    if is_warm { "true" } else { "false" }
}

/// How many images are warm everywhere, and how many nodes have all images, in the group that is furthest behind.
fn words(list: &ListReport) -> String {
    let images = || list.groups.iter().flat_map(|group| &group.images);
    warm_results::images_on_nodes(
        [images().filter(|image| image.is_warm()).count(), images().count()],
        list.nodes_with_all().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Report;
    use crate::status::tests::{half_warm, warm};

    /// A list of two images on two nodes, in that state.
    fn list(state: ListState, is_warm: bool) -> ListReport {
        let (input, coverage) = if is_warm { warm() } else { half_warm() };
        let list = Report::new(&input, &coverage).lists.swap_remove(0);
        assert_eq!(list.warm, is_warm);
        let (resource_version, data_hash) = (Some("7".into()), Some("hash".into()));
        ListReport { state, resource_version, data_hash, warm: is_warm && state != ListState::Rejected, ..list }
    }

    fn metadata(annotations: &[(&str, &str)]) -> ObjectMeta {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ObjectMeta {
            name: Some("tools".to_owned()),
            resource_version: Some("7".to_owned()),
            annotations: Some(annotations.chain([(labels::DATA_HASH.to_owned(), "hash".to_owned())]).collect()),
            ..ObjectMeta::default()
        }
    }

    fn stored(result: &WarmResult, on: &ObjectMeta) -> ObjectMeta {
        let patch = result.patch(on).metadata;
        let mut stored = on.clone();
        stored.labels = patch.labels;
        stored.annotations.get_or_insert_default().extend(patch.annotations.unwrap_or_default());
        stored
    }

    #[test]
    fn a_list_says_how_many_images_are_everywhere_and_how_many_nodes_have_all() {
        let result = WarmResult::new(&list(ListState::Accepted, false), &metadata(&[])).expect("a result");
        assert_eq!((result.is_warm, result.words.as_str()), (false, "0/4 images on 1/3 nodes"));
        let warm = WarmResult::new(&list(ListState::Accepted, true), &metadata(&[])).expect("a result");
        assert_eq!((warm.is_warm, warm.words.as_str(), warm.version), (true, "4/4 images on 3/3 nodes", None));
        let empty = WarmResult::new(&list(ListState::Empty, true), &metadata(&[])).expect("a result");
        assert_eq!((empty.is_warm, empty.words.as_str()), (true, "no images yet"));
        let rejected = WarmResult::new(&list(ListState::Rejected, false), &metadata(&[])).expect("a result");
        assert!(!rejected.is_warm && rejected.words.contains("rejected"), "{rejected:?}");
    }

    #[test]
    fn nothing_is_said_of_another_version_than_the_one_that_was_seen_and_validated() {
        let accepted = list(ListState::Accepted, true);
        let changed = ObjectMeta { resource_version: Some("8".to_owned()), ..metadata(&[]) };
        assert_eq!(WarmResult::new(&accepted, &changed), None);
        assert_eq!(WarmResult::new(&list(ListState::NotValidated, true), &metadata(&[])), None);
        assert_eq!(WarmResult::new(&list(ListState::Missing, true), &metadata(&[])), None);
        let mut of_another = metadata(&[]);
        of_another.annotations.get_or_insert_default().insert(labels::DATA_HASH.to_owned(), "other".to_owned());
        assert_eq!(WarmResult::new(&accepted, &of_another), None, "the accepted version is still an older one");
    }

    #[test]
    fn the_users_version_is_repeated_once_that_is_warm() {
        let version = metadata(&[(labels::VERSION, "v7")]);
        let version_of = |warm| WarmResult::new(&list(ListState::Accepted, warm), &version).expect("a result").version;
        assert_eq!((version_of(false), version_of(true).as_deref()), (None, Some("v7")));
        let long = metadata(&[(labels::VERSION, &"v".repeat(MAX_VERSION + 1))]);
        assert_eq!(WarmResult::new(&list(ListState::Accepted, true), &long).expect("a result").version, None);
    }

    #[test]
    fn what_is_stored_is_not_written_again_and_a_changed_number_is_distinguished_from_the_rest() {
        let plain = metadata(&[(labels::VERSION, "v7")]);
        let warm = WarmResult::new(&list(ListState::Accepted, true), &plain).expect("a result");
        assert!(!warm.is_stored_on(&plain) && !warm.differs_in_words_only(&plain));
        let written = stored(&warm, &plain);
        assert!(warm.is_stored_on(&written) && !warm.differs_in_words_only(&written));
        let more_nodes = WarmResult { words: "2/2 images on 4/4 nodes".to_owned(), ..warm.clone() };
        assert!(!more_nodes.is_stored_on(&written) && more_nodes.differs_in_words_only(&written));
        let cold = WarmResult { is_warm: false, ..warm };
        assert!(!cold.is_stored_on(&written) && !cold.differs_in_words_only(&written));
    }
}
