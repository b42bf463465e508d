//! An accepted version of a list, and what it means.

use std::sync::{Arc, OnceLock};

use crate::list::config::GateTaints;
use crate::list::policy::{self, Policy};
use crate::list::{Config, parse_accepted};
use crate::plan::versions::Revision;

/// An accepted version of a list. It is parsed once, when somebody first asks what it means.
#[derive(Debug)]
pub struct AcceptedVersion {
    /// The version as it is stored.
    pub revision: Revision,
    /// Which gates count.
    gate_taints: Arc<GateTaints>,
    config: OnceLock<Option<Arc<Config>>>,
    /// What the policy of this process says of it.
    allowed: OnceLock<bool>,
}

impl AcceptedVersion {
    /// A version that nobody has parsed yet.
    pub fn new(revision: Revision, gate_taints: &Arc<GateTaints>) -> Self {
        Self { revision, gate_taints: Arc::clone(gate_taints), config: OnceLock::new(), allowed: OnceLock::new() }
    }

    /// A version of which it is known what it means.
    pub fn parsed(revision: Revision, gate_taints: &Arc<GateTaints>, config: Arc<Config>) -> Self {
        Self { config: Some(config).into(), ..Self::new(revision, gate_taints) }
    }

    /// The parsed list, whatever the policy says of it now: what is held stays held. `None` if this program cannot read it.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.get_or_init(|| parse_accepted(&self.revision.list, &self.gate_taints).map(Arc::new)).as_ref()
    }

    /// The same version, which nobody has parsed yet.
    pub(super) fn unparsed(&self) -> Self {
        Self::new(self.revision.clone(), &self.gate_taints)
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
            gate_taints: Arc::clone(&self.gate_taints),
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
