//! The part of a reconcile that is about ImageCaches. What goes wrong with them keeps nothing from the nodes.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;

use super::Sight;
use crate::cluster::Error;
use crate::cluster::reconcile::{Memory, Reconciler};
use crate::cluster::snapshot::Snapshot;
use crate::image_cache::ledger::Ledger;
use crate::image_cache::{self, Cache, CacheAction, CacheContext, CacheDeletionReason, CachePlan, Known};
use crate::list::Config;
use crate::messages::{Message, image_caches as words};
use crate::naming::labels;
use crate::plan::AcceptedList;
use crate::plan::history::{self, InForce, Ruling};

/// How soon there is another try after something went wrong.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What there is to do about the ImageCaches of a list.
#[derive(Default)]
pub struct Serverless {
    /// It.
    pub plan: CachePlan,
    /// What keeps it from being done.
    pub condition: Option<Message>,
    /// Whether what is kept of the list must stay, since it says that there may be ImageCaches.
    pub holds_history: bool,
}

impl Reconciler {
    /// Decides about the list's ImageCaches; `config` is what is in force of the list.
    pub(in crate::cluster) fn serverless(
        &self,
        label: &str,
        seen: &Snapshot,
        ruling: &Ruling,
        config: Option<&Config>,
        now: Timestamp,
    ) -> Serverless {
        let ledger = history::newest_ledger(&seen.revisions).and_then(Ledger::from_text);
        let asked = config.is_some_and(|config| config.image_cache.is_some());
        if !asked && ledger.is_none() && !matches!(&seen.image_caches, Sight::Seen(caches) if !caches.is_empty()) {
            return Serverless::default();
        }
        self.observed.image_caches.want();
        let gone = ruling.in_force == InForce::Gone;
        match &seen.image_caches {
            // Where there is no such resource, there is none of it.
            Sight::NoDefinition if !asked => Serverless::default(),
            Sight::NoDefinition => Serverless { condition: Some(words::no_definition()), ..Serverless::default() },
            Sight::Forbidden(why) => {
                let condition = Some(words::forbidden(why));
                Serverless { condition, holds_history: gone, ..Serverless::default() }
            }
            Sight::NotYet => Serverless { holds_history: gone, ..Serverless::default() },
            Sight::Seen(caches) => {
                let plan = match config {
                    // What is made of a list is kept with its accepted form, so that has to be there first.
                    Some(_) if ruling.accepts() || history::newest(&seen.revisions).is_none() => CachePlan::default(),
                    Some(config) => self.planned(label, seen, config, caches, ledger.as_ref(), now),
                    None if gone => image_cache::release(caches, None, CacheDeletionReason::ListGone),
                    None => CachePlan::default(),
                };
                Serverless { plan, ..Serverless::default() }
            }
        }
    }

    fn planned(
        &self,
        label: &str,
        seen: &Snapshot,
        config: &Config,
        caches: &[Cache],
        ledger: Option<&Ledger>,
        now: Timestamp,
    ) -> CachePlan {
        let newest = history::newest(&seen.revisions);
        let annotations = seen.config_map.as_ref().map(|config_map| config_map.annotations());
        let nodes = self.observed.nodes();
        let on_newest_form = newest.and_then(|newest| newest.image_caches.as_deref()).and_then(Ledger::from_text);
        let known = Known::of(config, label, &seen.generations, &self.observed.coverage.lock(), nodes.as_deref());
        let facts = CacheContext {
            list: AcceptedList { namespace: &self.namespace, label, config },
            name: &seen.name,
            accepted_at: newest.and_then(|newest| newest.created),
            refresh_request: annotations.and_then(|it| it.get(labels::REFRESH_REQUESTED)).map(String::as_str),
            caches,
            ledger,
            on_newest_form: on_newest_form.as_ref(),
            known: &known,
            sizes: None,
            now,
        };
        let mut plan = image_cache::plan(&facts);
        // Sizes are looked up only where they matter.
        if plan.actions.iter().any(|action| matches!(action, CacheAction::Create { .. })) {
            let sizes = image_cache::content::sizes(config, &self.observed.sizes());
            plan = image_cache::plan(&CacheContext { sizes: Some(&sizes), ..facts });
        }
        plan
    }

    /// Does it, step by step: each needs those before it. Says when to try again where something went wrong.
    pub(in crate::cluster) async fn carry_out_serverless(
        &self,
        seen: &Snapshot,
        list: &ObjectReference,
        serverless: &Serverless,
    ) -> Option<Timestamp> {
        for action in &serverless.plan.actions {
            let outcome = self.applier.apply_image_cache(action, &seen.revisions).await;
            if let Err(error) = self.report_failure(list, outcome).await {
                return match error {
                    Error::NotLeading => None,
                    _ => Timestamp::now().checked_add(AGAIN).ok(),
                };
            }
            for message in words::done(action) {
                self.recorder.record(list, message).await;
            }
        }
        None
    }

    /// What keeps it from being done is told when that begins, not at every look.
    pub(in crate::cluster) async fn report_trouble(
        &self,
        list: &ObjectReference,
        serverless: &Serverless,
        memory: &mut Memory,
    ) {
        if let Some(message) =
            serverless.condition.as_ref().filter(|message| memory.condition.as_ref() != Some(message))
        {
            self.recorder.record(list, message.clone()).await;
        }
        memory.condition.clone_from(&serverless.condition);
    }
}
