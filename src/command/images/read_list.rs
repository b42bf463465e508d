//! A list as it was read: from a file, or from the cluster.

use std::sync::Arc;

use crate::list::Config;
use crate::messages::first_few;
use crate::pull_list::ListToPull;
use crate::status::ListState;
use crate::status::report::ListReport;

/// A list as it was read.
pub struct ReadList {
    /// Its namespace.
    pub namespace: String,
    /// The name of its ConfigMap.
    pub name: String,
    /// The version that is meant: that of a file, or that in effect. `None` if there is none, or if it has no images.
    pub config: Option<Arc<Config>>,
    /// What nodes hold of it; `None` without a cluster.
    pub report: Option<ListReport>,
}

impl ReadList {
    /// Its images, if it has some.
    pub fn to_pull(&self) -> Option<ListToPull<'_>> {
        let config = self.config.as_deref()?;
        Some(ListToPull { namespace: &self.namespace, name: &self.name, config, report: self.report.as_ref() })
    }

    fn state(&self) -> ListState {
        match (&self.report, &self.config) {
            (Some(report), _) => report.state,
            (None, Some(_)) => ListState::Accepted,
            (None, None) => ListState::Empty,
        }
    }

    /// Why its images are unknown, if they are.
    pub fn problem(&self) -> Option<String> {
        if self.config.is_some() || self.state() == ListState::Empty {
            return None;
        }
        let Self { namespace, name, .. } = self;
        let problems = self.report.as_ref().map_or(&[][..], |report| &report.problems);
        let why = match self.state() {
            ListState::Rejected => format!("is rejected: {}", first_few(problems, "; ", "")),
            ListState::NotValidated => "has not been validated by the controller yet".to_owned(),
            _ => "is in effect in a version that this program cannot read".to_owned(),
        };
        Some(format!("the images of {namespace}/{name} are unknown: it {why}"))
    }

    /// What the user should know about the version whose images these are.
    pub fn note(&self) -> Option<String> {
        let Self { namespace, name, config, .. } = self;
        let why = match (self.state(), config) {
            (ListState::Empty, None) => return Some(format!("{namespace}/{name} has no images yet")),
            (_, None) | (ListState::Accepted | ListState::Empty, Some(_)) => return None,
            (ListState::Rejected, Some(_)) => "is rejected",
            (ListState::NotValidated, Some(_)) => "has not been validated by the controller yet",
            (ListState::Missing, Some(_)) => "does not exist any more",
        };
        Some(format!("{namespace}/{name} {why}; the images are those of the version that is still in effect"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::{report, warm};
    use crate::summary::tests::world;

    fn read(state: ListState, has_version: bool) -> ReadList {
        let mut report = report(&warm()).lists.remove(0);
        report.state = state;
        report.problems = vec!["images.yaml: images[0] (line 2): \"Bad\" is no reference".into()];
        let config = has_version.then(|| Arc::new(world::config()));
        ReadList { namespace: "prepull".to_owned(), name: "tools".to_owned(), config, report: Some(report) }
    }

    #[test]
    fn the_version_in_effect_is_used_and_it_is_reported_if_it_is_not_the_latest() {
        for (state, words) in [
            (
                ListState::Rejected,
                "prepull/tools is rejected; the images are those of the version that is still in effect",
            ),
            (
                ListState::NotValidated,
                "prepull/tools has not been validated by the controller yet; the images are those",
            ),
            (ListState::Missing, "prepull/tools does not exist any more; the images are those"),
        ] {
            let list = read(state, true);
            assert!(list.to_pull().is_some() && list.problem().is_none());
            assert!(list.note().is_some_and(|note| note.starts_with(words)), "{:?}", list.note());
        }
        let accepted = read(ListState::Accepted, true);
        assert!(accepted.to_pull().is_some() && accepted.problem().is_none() && accepted.note().is_none());
    }

    #[test]
    fn a_list_of_which_no_version_was_accepted_is_an_error_unless_it_is_new_without_images() {
        for (state, words) in [
            (
                ListState::Rejected,
                "the images of prepull/tools are unknown: it is rejected: images.yaml: images[0] (line 2)",
            ),
            (ListState::NotValidated, "the images of prepull/tools are unknown: it has not been validated"),
            (
                ListState::Accepted,
                "the images of prepull/tools are unknown: it is in effect in a version that this program",
            ),
        ] {
            let list = read(state, false);
            assert!(list.to_pull().is_none() && list.note().is_none());
            assert!(list.problem().is_some_and(|problem| problem.starts_with(words)), "{:?}", list.problem());
        }
        let new = read(ListState::Empty, false);
        assert_eq!((new.problem(), new.note().as_deref()), (None, Some("prepull/tools has no images yet")));
        let of_file = ReadList { report: None, ..new };
        assert_eq!((of_file.problem(), of_file.note().as_deref()), (None, Some("prepull/tools has no images yet")));
    }
}
