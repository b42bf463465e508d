//! The reasons of all Events.

use std::fmt;

macro_rules! reasons {
    ($($reason:ident: $type:ident, $action:literal;)*) => {
        /// The `reason` of an Event. `docs/events.md` says what each means and what to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // The documentation for users says it.
        pub enum Reason {
            $($reason),*
        }

        impl Reason {
            /// All reasons, in the order of `docs/events.md`.
            pub const ALL: &[Self] = &[$(Self::$reason),*];

            /// The name, as in an Event.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason)),*
                }
            }

            /// Whether somebody should act (`Warning`) or not (`Normal`).
            pub fn type_(self) -> Type {
                match self {
                    $(Self::$reason => Type::$type),*
                }
            }

            /// The `action` of an Event: what the controller was doing.
            pub fn action(self) -> &'static str {
                match self {
                    $(Self::$reason => $action),*
                }
            }
        }
    };
}

reasons! {
    ListAccepted: Normal, "Parse";
    ListRejected: Warning, "Parse";
    ServiceSelectsPods: Warning, "Parse";
    ImagesDiscovered: Normal, "Discover";
    DiscoveryIncomplete: Warning, "Discover";
    ListEmpty: Normal, "Parse";
    ListMissing: Warning, "Watch";
    ListFound: Normal, "Watch";
    ListCleanedUp: Normal, "Delete";
    RolloutStarted: Normal, "Create";
    RolloutComplete: Normal, "Plan";
    RolloutStalled: Warning, "Plan";
    GenerationDeleted: Normal, "Delete";
    Recreating: Normal, "Delete";
    ScopedDown: Normal, "ScopeDown";
    NoCapacity: Warning, "ScopeDown";
    Sealed: Normal, "Seal";
    Waiting: Normal, "Plan";
    TagsMoved: Normal, "CheckTags";
    NodesOutdated: Normal, "CheckTags";
    RefreshDeferred: Warning, "CheckTags";
    RefreshRecovered: Normal, "CheckTags";
    HolderImageAbsent: Warning, "Create";
    InitContainerFailing: Warning, "Observe";
    InitContainerRecovered: Normal, "Observe";
    ImageFailing: Warning, "Observe";
    ImageRecovered: Normal, "Observe";
    EvictionLoop: Warning, "Observe";
    AlwaysPullEnforced: Warning, "Observe";
    NoNodes: Warning, "Observe";
    NodesExcluded: Warning, "Observe";
    UserNamespacesMissing: Warning, "Observe";
    PodsRefused: Warning, "Observe";
    NodeFreedByTimeout: Warning, "FreeNode";
    DaemonSetRestored: Warning, "Restore";
    DaemonSetContested: Warning, "Restore";
    DaemonSetNotRestored: Warning, "Restore";
    DaemonSetAdopted: Normal, "Adopt";
    ImageCacheCreated: Normal, "Create";
    ImageCacheProgress: Normal, "Watch";
    ImageCacheReady: Normal, "Watch";
    ImageCacheFailed: Warning, "Watch";
    ImageCacheDeleted: Normal, "Delete";
    ImageCacheUnavailable: Warning, "Watch";
    ForeignDaemonSet: Warning, "Apply";
    MissingRight: Warning, "Apply";
    Refused: Warning, "Apply";
    Unreachable: Warning, "Apply";
    TimedOut: Warning, "Apply";
}

/// The `type` of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// All is well.
    Normal,
    /// Somebody should act.
    Warning,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Warning { "Warning" } else { "Normal" })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows `| `Reason` | Normal | … |` of the page.
    fn documented() -> Vec<(String, String)> {
        let page = include_str!("../../docs/events.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let row = |row: &str| {
            let mut cells = row.split('|').map(str::trim);
            let reason = cells.next()?.trim_end_matches('`').to_owned();
            let type_ = cells.next()?.to_owned();
            assert!(cells.clone().take(2).all(|text| !text.is_empty()), "{reason} says what it means and what to do");
            Some((reason, type_))
        };
        rows.filter_map(row).collect()
    }

    #[test]
    fn every_reason_is_documented_with_its_type() {
        let all: Vec<_> = Reason::ALL.iter().map(|reason| (reason.to_string(), reason.type_().to_string())).collect();
        assert_eq!(documented(), all);
    }
}
