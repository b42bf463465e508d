//! Whether a list is warm, as stored on its ConfigMap for tools that know nothing of kube-prepull. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ObjectMeta;

use super::ListState;
use super::rollout::{RolloutReport, RolloutState};
use crate::messages::warm_results;
use crate::naming::labels;
use crate::plan::Generation;
use crate::summary::progress::{GroupProgressCount, furthest_behind};
use crate::summary::{GroupSummary, Summary, SummaryInput};

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
    /// The result for a list in this state. `in_effect` is what the ConfigMap asks for, if that is in effect. `None` if that is another version,
    /// or if the list has not been validated yet.
    pub fn new(state: ListState, in_effect: Option<SummaryInput>, metadata: &ObjectMeta) -> Option<Self> {
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        let data_hash = annotation(labels::DATA_HASH)?;
        let (is_warm, words) = match (state, in_effect) {
            (ListState::Accepted, Some(input)) => {
                let warmth = ListWarmth::of(input);
                (warmth.is_warm, warmth.words())
            }
            (ListState::Empty, _) => (true, warm_results::without_images().to_owned()),
            (ListState::Rejected, _) => (false, warm_results::rejected().to_owned()),
            (ListState::Accepted | ListState::NotValidated | ListState::Missing, _) => return None,
        };
        let version = annotation(labels::VERSION).filter(|version| is_warm && version.len() <= MAX_VERSION).cloned();
        Some(Self { is_warm, words, data_hash: data_hash.clone(), version })
    }

    /// Whether a new list is not warm yet, which can be said a moment later: most are warm by then.
    pub fn can_wait(&self, metadata: &ObjectMeta) -> bool {
        !self.is_warm && Stored::on(metadata).is_warm.is_none()
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
            && stored.version.filter(|version| !version.is_empty()) == self.version.as_ref()
    }

    /// The fields of the ConfigMap to set with server-side apply. With the UID and the resourceVersion, it is refused if the list has
    /// changed in the meantime.
    pub fn patch(&self, metadata: &ObjectMeta) -> ConfigMap {
        let mut annotations = BTreeMap::from([
            (labels::WARM.to_owned(), self.words.clone()),
            (labels::WARM_DATA_HASH.to_owned(), self.data_hash.clone()),
        ]);
        // A field that others have written, too, would stay if it were left out.
        if self.version.is_some() || Stored::on(metadata).version.is_some() {
            annotations.insert(labels::WARM_VERSION.to_owned(), self.version.clone().unwrap_or_default());
        }
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

/// How far a list is.
#[derive(Debug)]
struct ListWarmth {
    is_warm: bool,
    /// How many images are warm on all of their nodes, and how many there are.
    images: [usize; 2],
    /// How many nodes have all images, and how many there are, in the group that lacks them on most nodes.
    nodes: [usize; 2],
}

impl ListWarmth {
    fn of(input: SummaryInput) -> Self {
        let summary = Summary::new(input);
        let mut warmth = Self { is_warm: true, images: [0; 2], nodes: [0; 2] };
        summary.groups().for_each(|group| warmth.add(&group, &input));
        warmth
    }

    fn add(&mut self, group: &GroupSummary, input: &SummaryInput) {
        let mut count = GroupProgressCount::default();
        let mut has_nodes = true;
        for image in group.images() {
            count.add(&image);
            self.images[0] += usize::from(!image.nodes.iter().any(|on| on.state.is_behind()));
            self.images[1] += 1;
            has_nodes &= image.nodes.iter().any(|on| on.state.counts());
        }
        let of_group = count.total();
        self.nodes = furthest_behind([self.nodes, [of_group.with_all, of_group.nodes]]).unwrap_or_default();
        let current: Vec<&Generation> = group.current().collect();
        let alone = group.generations().count() == current.len();
        let rollout = RolloutReport::new(&current, alone, of_group, input.nodes.is_some(), input.now);
        let in_progress = rollout.is_some_and(|rollout| rollout.state == RolloutState::InProgress);
        // If nodes are not known, only those with pods count, and without any pod nothing would be missing.
        let has_all_pods = input.nodes.is_some() || (has_nodes && !in_progress);
        self.is_warm &= has_all_pods && self.images[0] == self.images[1];
    }

    fn words(&self) -> String {
        warm_results::images_on_nodes(self.images, self.nodes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Coverage;
    use crate::status::StatusInput;
    use crate::status::tests::{half_warm, warm};

    /// What becomes of a list of two images in two groups on three nodes, in that state.
    fn result(state: ListState, world: (StatusInput, Coverage), metadata: &ObjectMeta) -> Option<WarmResult> {
        let (input, coverage) = world;
        let summary = input.summary_of(&input.lists[0], "tools", &coverage).expect("a list");
        WarmResult::new(state, Some(summary), metadata)
    }

    fn accepted(world: (StatusInput, Coverage), metadata: &ObjectMeta) -> WarmResult {
        result(ListState::Accepted, world, metadata).expect("a result")
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
        let half = accepted(half_warm(), &metadata(&[]));
        assert_eq!((half.is_warm, half.words.as_str()), (false, "0/4 images on 1/3 nodes"));
        let warm_one = accepted(warm(), &metadata(&[]));
        assert_eq!(
            (warm_one.is_warm, warm_one.words.as_str(), warm_one.version),
            (true, "4/4 images on 3/3 nodes", None)
        );
        let empty = WarmResult::new(ListState::Empty, None, &metadata(&[])).expect("a result");
        assert_eq!((empty.is_warm, empty.words.as_str()), (true, "no images yet"));
        let rejected = result(ListState::Rejected, warm(), &metadata(&[])).expect("a result");
        assert!(!rejected.is_warm && rejected.words.contains("rejected"), "{rejected:?}");
    }

    #[test]
    fn nothing_is_said_of_another_version_than_the_one_that_is_validated_and_in_effect() {
        assert_eq!(result(ListState::NotValidated, warm(), &metadata(&[])), None);
        assert_eq!(result(ListState::Missing, warm(), &metadata(&[])), None);
        let older = WarmResult::new(ListState::Accepted, None, &metadata(&[]));
        assert_eq!(older, None, "the accepted version is still an older one");
        assert_eq!(result(ListState::Accepted, warm(), &ObjectMeta::default()), None);
    }

    #[test]
    fn the_users_version_is_repeated_once_that_is_warm() {
        let version = metadata(&[(labels::VERSION, "v7")]);
        assert_eq!(accepted(half_warm(), &version).version, None);
        assert_eq!(accepted(warm(), &version).version.as_deref(), Some("v7"));
        let long = metadata(&[(labels::VERSION, &"v".repeat(MAX_VERSION + 1))]);
        assert_eq!(accepted(warm(), &long).version, None);
    }

    #[test]
    fn a_version_that_another_client_has_written_as_warm_is_emptied_once() {
        let claimed = metadata(&[(labels::VERSION, "v7"), (labels::WARM_VERSION, "v7")]);
        let cold = accepted(half_warm(), &claimed);
        assert!(!cold.is_stored_on(&claimed));
        let written = stored(&cold, &claimed);
        assert_eq!(written.annotations.as_ref().map(|it| it[labels::WARM_VERSION].as_str()), Some(""));
        assert!(cold.is_stored_on(&written));
    }

    #[test]
    fn where_nodes_are_not_known_nothing_is_warm_before_pods_have_come() {
        let without_nodes =
            |(input, coverage): (StatusInput, Coverage)| (StatusInput { nodes: None, ..input }, coverage);
        let (input, _) = without_nodes(warm());
        assert!(!accepted((input, Coverage::default()), &metadata(&[])).is_warm);
        let empty = WarmResult::new(ListState::Empty, None, &metadata(&[])).expect("a result");
        assert!(empty.is_warm, "it has no images");
    }

    #[test]
    fn that_a_new_list_is_not_warm_yet_can_wait() {
        let new = metadata(&[]);
        let (cold, warm_one) = (accepted(half_warm(), &new), accepted(warm(), &new));
        assert!(cold.can_wait(&new) && !warm_one.can_wait(&new));
        assert!(!cold.can_wait(&stored(&warm_one, &new)), "it was warm");
    }

    #[test]
    fn what_is_stored_is_not_written_again_and_a_changed_number_is_distinguished_from_the_rest() {
        let plain = metadata(&[(labels::VERSION, "v7")]);
        let warm_one = accepted(warm(), &plain);
        assert!(!warm_one.is_stored_on(&plain) && !warm_one.differs_in_words_only(&plain));
        let written = stored(&warm_one, &plain);
        assert!(warm_one.is_stored_on(&written) && !warm_one.differs_in_words_only(&written));
        let more_nodes = WarmResult { words: "2/2 images on 4/4 nodes".to_owned(), ..warm_one.clone() };
        assert!(!more_nodes.is_stored_on(&written) && more_nodes.differs_in_words_only(&written));
        let cold = WarmResult { is_warm: false, ..warm_one };
        assert!(!cold.is_stored_on(&written) && !cold.differs_in_words_only(&written));
    }
}
