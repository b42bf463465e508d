//! One list, once: plan on what was observed; if there is something to do, look again and do that.
//!
//! The second look is what makes a stale watch harmless: nothing is created twice, and nothing is deleted on old news.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};

use super::apply::Applier;
use super::events::{News, Teller};
use super::observed::Observed;
use super::{Error, FIELD_MANAGER};
use crate::list::{self, Config, ListData, Parsed};
use crate::plan::{AcceptedList, Action, Facts, Generation, Plan, Settings, Verdict, labels, plan};

/// Reconciles the lists of one namespace.
pub struct Reconciler {
    observed: Observed,
    settings: Settings,
    namespace: String,
    config_maps: Api<ConfigMap>,
    daemon_sets: Api<DaemonSet>,
    applier: Applier,
    teller: Teller,
}

/// What a worker keeps between two runs to spare itself work. Nothing is decided by it that the cluster does not hold, but
/// for how long to wait for a second edit.
#[derive(Debug, Default)]
pub struct Memory {
    parsed: Option<ParsedList>,
    edited_at: Option<Timestamp>,
    waiting: Vec<String>,
}

#[derive(Clone, Debug)]
struct ParsedList {
    list: ListData,
    parsed: Parsed,
    verdict: Verdict,
}

impl Reconciler {
    /// Reconciles with this client what was observed.
    pub fn new(client: Client, namespace: &str, observed: Observed, settings: Settings) -> Self {
        Self {
            observed,
            settings,
            namespace: namespace.to_owned(),
            config_maps: Api::namespaced(client.clone(), namespace),
            daemon_sets: Api::namespaced(client.clone(), namespace),
            applier: Applier::new(client.clone(), namespace),
            teller: Teller::new(client),
        }
    }

    /// Does what there is to do for a list, and says when to look again.
    ///
    /// # Errors
    /// What the API server or the way to it said. What was done until then stands.
    pub async fn reconcile(&self, label: &str, memory: &mut Memory) -> Result<Option<Timestamp>, Error> {
        let Some(config_map) = self.observed.list(label) else { return Ok(None) };
        let parsed = memory.parse(&config_map);
        if !parsed.verdict.stands_on(&config_map.metadata) {
            self.write_verdict(&config_map.name_any(), memory).await?;
        }
        let Some(config) = &parsed.parsed.config else { return Ok(None) };
        let seen = self.plan(label, config, &config_map, &self.observed.generations(label), memory);
        self.tell_waiting(&config_map, &seen, memory).await;
        if seen.actions.is_empty() {
            return Ok(seen.wake_at);
        }
        self.look_again_and_act(label, &config_map.name_any(), memory).await
    }

    async fn look_again_and_act(
        &self,
        label: &str,
        name: &str,
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>, Error> {
        let Some(config_map) = self.read_list(name).await? else { return Ok(None) };
        let parsed = memory.parse(&config_map);
        let Some(config) = &parsed.parsed.config else { return Ok(None) };
        let generations = self.read_generations(label).await?;
        let plan = self.plan(label, config, &config_map, &generations, memory);
        for action in &plan.actions {
            let outcome = self.applier.apply(action).await;
            if let Err(error) = &outcome {
                let news = News::warning(error.reason(), "Apply", error.to_string());
                self.teller.tell(&config_map, news).await;
            }
            outcome?;
            self.teller.tell(&config_map, told(action)).await;
        }
        Ok(plan.wake_at)
    }

    fn plan(
        &self,
        label: &str,
        config: &Config,
        config_map: &ConfigMap,
        generations: &[Generation],
        memory: &Memory,
    ) -> Plan {
        let nodes = self.observed.nodes();
        let coverage = self.observed.coverage.lock();
        plan(&Facts {
            list: AcceptedList { namespace: &self.namespace, label, config },
            edited_at: memory.edited_at,
            refresh_request: config_map.annotations().get(labels::REFRESH_REQUESTED).map(String::as_str),
            generations,
            coverage: &coverage,
            nodes: nodes.as_deref(),
            settings: &self.settings,
            now: Timestamp::now(),
        })
    }

    async fn read_list(&self, name: &str) -> Result<Option<ConfigMap>, Error> {
        self.config_maps.get_opt(name).await.map_err(|error| Error::new(format!("read the ConfigMap {name}"), error))
    }

    async fn read_generations(&self, label: &str) -> Result<Vec<Generation>, Error> {
        let of_list = ListParams::default().labels(&format!("{}={label}", labels::LIST));
        let listed = self.daemon_sets.list_metadata(&of_list).await;
        let daemon_sets = listed.map_err(|error| Error::new("list the DaemonSets", error))?;
        Ok(daemon_sets.items.iter().filter_map(|daemon_set| Generation::from_metadata(&daemon_set.metadata)).collect())
    }

    /// Writes the verdict on the list as it is now, once per edit.
    async fn write_verdict(&self, name: &str, memory: &mut Memory) -> Result<(), Error> {
        let Some(config_map) = self.read_list(name).await? else { return Ok(()) };
        let parsed = memory.parse(&config_map);
        if parsed.verdict.stands_on(&config_map.metadata) {
            return Ok(());
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(parsed.verdict.patch(&config_map.metadata));
        let written = self.config_maps.patch(name, &parameters, &patch).await;
        let written =
            written.map_err(|error| Error::new(format!("write the verdict on the ConfigMap {name}"), error))?;
        self.teller.tell(&written, verdict_news(&parsed.parsed)).await;
        Ok(())
    }

    /// A thing that waits is told when it begins to wait, not at every look.
    async fn tell_waiting(&self, config_map: &ConfigMap, plan: &Plan, memory: &mut Memory) {
        for note in plan.waiting.iter().filter(|note| !memory.waiting.contains(note)) {
            self.teller.tell(config_map, News::normal("Waiting", "Plan", note.clone())).await;
        }
        memory.waiting.clone_from(&plan.waiting);
    }
}

impl Memory {
    /// Parses the list, unless it is the same as last time.
    fn parse(&mut self, config_map: &ConfigMap) -> ParsedList {
        let list = ListData {
            namespace: config_map.namespace().unwrap_or_default(),
            name: config_map.name_any(),
            data: config_map.data.clone().unwrap_or_default(),
        };
        if let Some(known) = self.parsed.as_ref().filter(|known| known.list == list) {
            return known.clone();
        }
        if self.parsed.is_some() {
            self.edited_at = Some(Timestamp::now());
        }
        let parsed = list::parse(&list);
        let parsed = ParsedList { verdict: Verdict::new(&list, &parsed), list, parsed };
        self.parsed = Some(parsed.clone());
        parsed
    }
}

fn told(action: &Action) -> News {
    match action {
        Action::Create { daemon_set, cause } => {
            let name = daemon_set.name_any();
            let group = daemon_set.labels().get(labels::GROUP).cloned().unwrap_or_default();
            News::normal(
                "RoundStarted",
                "Create",
                format!("group {group}: the DaemonSet {name} begins a round, because {cause}"),
            )
            .about(&name)
        }
        Action::Repair { daemon_set } => {
            let name = daemon_set.name_any();
            News::warning(
                "DaemonSetRepaired",
                "Repair",
                format!("the DaemonSet {name} had been changed by somebody else and was put back"),
            )
            .about(&name)
        }
        Action::Delete { name, .. } => News::normal(
            "RoundDone",
            "Delete",
            format!("the DaemonSet {name} is needed nowhere any more and was deleted"),
        )
        .about(name),
    }
}

/// The first three problems; the rest stands on the list.
fn verdict_news(parsed: &Parsed) -> News {
    let first: Vec<String> = parsed.problems.iter().take(3).map(ToString::to_string).collect();
    let rest = match parsed.problems.len() {
        0..=3 => String::new(),
        count => format!(" | … and {} more in the annotation {}", count - 3, labels::PROBLEMS),
    };
    // On one line, since `kubectl get events` shows no more of a note.
    let problems = format!("{}{rest}", first.join(" | "));
    match &parsed.config {
        None => News::warning(
            "ListRejected",
            "Parse",
            format!("this edit is rejected, and nothing was changed: {problems}"),
        ),
        Some(config) => {
            let images: usize = config.groups.iter().map(|group| group.images.len()).sum();
            let groups = config.groups.len();
            let accepted =
                format!("accepted: {images} images in {groups} {}", if groups == 1 { "group" } else { "groups" });
            let note = if problems.is_empty() { accepted } else { format!("{accepted}; {problems}") };
            News::normal("ListAccepted", "Parse", note)
        }
    }
}
