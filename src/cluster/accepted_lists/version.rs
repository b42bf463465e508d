//! An accepted version of a list, and what it means.

use std::sync::{Arc, OnceLock};

use crate::list::policy::{self, Policy};
use crate::list::{Config, parse_accepted};
use crate::plan::versions::Revision;

/// An accepted version of a list. It is parsed once, when somebody first asks what it means.
#[derive(Debug)]
pub struct AcceptedVersion {
    /// The version as it is stored.
    pub revision: Revision,
    config: OnceLock<Option<Arc<Config>>>,
    /// What the policy of this process says of it.
    allowed: OnceLock<bool>,
}

impl AcceptedVersion {
    /// A version that nobody has parsed yet.
    pub fn new(revision: Revision) -> Self {
        Self { revision, config: OnceLock::new(), allowed: OnceLock::new() }
    }

    /// A version of which it is known what it means.
    pub fn parsed(revision: Revision, config: Option<Arc<Config>>) -> Self {
        Self { revision, config: config.into(), allowed: OnceLock::new() }
    }

    /// The parsed list, whatever the policy says of it now: what is held stays held. `None` if this program cannot read it.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.get_or_init(|| parse_accepted(&self.revision.list).config.map(Arc::new)).as_ref()
    }

    /// Whether it was parsed.
    pub(super) fn is_parsed(&self) -> bool {
        self.config.get().is_some()
    }

    /// The same version with other annotations, or `None` if the list in it is another one.
    pub(super) fn noted(&self, revision: &Revision) -> Option<Self> {
        let same_list = self.revision.list == revision.list;
        same_list.then(|| Self {
            revision: revision.clone(),
            config: self.config.clone(),
            allowed: self.allowed.clone(),
        })
    }

    /// Whether the policy, which never changes while a process runs, allows all that it asks for.
    pub fn is_allowed_by(&self, policy: &Policy) -> bool {
        let is_allowed = |config: &Arc<Config>| policy::violations(policy, &self.revision.list, config).is_empty();
        *self.allowed.get_or_init(|| self.config().is_none_or(is_allowed))
    }
}

/// The newest of some versions of one list.
pub fn newest<'v>(versions: impl IntoIterator<Item = &'v Arc<AcceptedVersion>>) -> Option<&'v Arc<AcceptedVersion>> {
    versions.into_iter().max_by_key(|version| version.revision.order())
}
