//! What to do about a list's ImageCaches. A problem with them never affects the nodes.

use jiff::Timestamp;

use crate::cluster::image_caches::Visibility;
use crate::cluster::observed::Observed;
use crate::cluster::snapshot::Snapshot;
use crate::image_cache::ledger::Ledger;
use crate::image_cache::{self, Cache, CacheAction, CacheContext, CacheDeletionReason, CachePlan, HeldDigests};
use crate::list::Config;
use crate::messages::{Message, image_caches as words};
use crate::plan::AcceptedList;
use crate::plan::versions::{self, HistoryPlan, InForce};

/// What to do about the ImageCaches of a list.
#[derive(Default)]
pub struct ImageCacheDecision {
    /// The actions, in order.
    pub plan: CachePlan,
    /// What prevents the controller from managing them.
    pub condition: Option<Message>,
    /// Whether the list's history must stay, because it records that there may be ImageCaches.
    pub holds_history: bool,
}

/// Everything that the decision depends on.
pub struct ImageCacheDecider<'d> {
    /// What the watches have seen.
    pub observed: &'d Observed,
    /// The namespace of the list.
    pub namespace: &'d str,
    /// The value of the list's label.
    pub label: &'d str,
    /// The list as it is in the cluster.
    pub seen: &'d Snapshot,
    /// Which version of the list is in effect.
    pub history_plan: &'d HistoryPlan<'d>,
    /// That form; `None` if none is.
    pub config: Option<&'d Config>,
    /// Whether the policy no longer allows that form. Then nothing is created, and so nothing replaced.
    pub forbidden: bool,
    /// The time.
    pub now: Timestamp,
}

impl ImageCacheDecider<'_> {
    /// Decides. Begins to watch ImageCaches if the list asks for them or may have some.
    pub fn decide(&self) -> ImageCacheDecision {
        let wanted = self.config.is_some_and(|config| config.image_cache.is_some());
        if !wanted && self.ledger().is_none() && !self.has_any() {
            return ImageCacheDecision::default();
        }
        self.observed.image_caches.want();
        let gone = self.history_plan.in_force == InForce::Gone;
        let prevented = |condition| ImageCacheDecision { condition: Some(condition), ..ImageCacheDecision::default() };
        match &self.seen.image_caches {
            // Without the resource, there is nothing to delete either.
            Visibility::NoDefinition if !wanted => ImageCacheDecision::default(),
            Visibility::NoDefinition => prevented(words::no_definition()),
            Visibility::Forbidden(why) => {
                ImageCacheDecision { holds_history: gone, ..prevented(words::forbidden(why)) }
            }
            Visibility::Unknown => ImageCacheDecision { holds_history: gone, ..ImageCacheDecision::default() },
            Visibility::Visible(caches) => {
                ImageCacheDecision { plan: self.plan(caches), ..ImageCacheDecision::default() }
            }
        }
    }

    fn ledger(&self) -> Option<Ledger> {
        versions::newest_ledger(&self.seen.revisions).and_then(Ledger::from_text)
    }

    fn has_any(&self) -> bool {
        matches!(&self.seen.image_caches, Visibility::Visible(caches) if !caches.is_empty())
    }

    fn plan(&self, caches: &[Cache]) -> CachePlan {
        match self.config {
            // The ledger is kept with the accepted version, so that has to exist first.
            Some(_) if self.history_plan.accepts() || self.seen.revisions.is_empty() => CachePlan::default(),
            Some(_) if self.forbidden => CachePlan::default(),
            Some(config) => self.plan_in_force(config, caches),
            None if self.history_plan.in_force == InForce::Gone => {
                image_cache::release(caches, None, CacheDeletionReason::ListGone)
            }
            None => CachePlan::default(),
        }
    }

    fn plan_in_force(&self, config: &Config, caches: &[Cache]) -> CachePlan {
        let newest = versions::newest(&self.seen.revisions);
        let on_newest_version = newest.and_then(|newest| newest.image_caches.as_deref()).and_then(Ledger::from_text);
        let (ledger, nodes) = (self.ledger(), self.observed.nodes());
        let coverage = self.observed.coverage.snapshot_of(self.label);
        let known = HeldDigests::of(config, self.label, &self.seen.generations, &coverage, nodes.as_deref());
        let context = CacheContext {
            list: AcceptedList { namespace: self.namespace, label: self.label, config },
            name: &self.seen.name,
            accepted_at: newest.and_then(|newest| newest.created),
            refresh_request: self.seen.refresh_request(),
            caches,
            ledger: ledger.as_ref(),
            on_newest_version: on_newest_version.as_ref(),
            known: &known,
            sizes: None,
            now: self.now,
        };
        let plan = image_cache::plan(&context);
        if !plan.actions.iter().any(|action| matches!(action, CacheAction::Create { .. })) {
            return plan;
        }
        // Only a new ImageCache needs the sizes, and they are expensive to collect.
        let sizes = image_cache::content::sizes(config, &self.observed.sizes());
        image_cache::plan(&CacheContext { sizes: Some(&sizes), ..context })
    }
}
