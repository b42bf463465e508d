//! Checks a list against a policy.

mod image_cache;
mod namespaces;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::pattern::{Glob, PatternAnswer, Patterns, shown};
use super::place::{BothKeys, Locator};
use super::repository::Repository;
use super::tolerations::{TolerationRule, described};
use super::{Ceilings, Policy};
use crate::list::config::{Config, Group, Resources, TaintKey};
use crate::list::data::ListData;
use crate::list::names::ResourceName;
use crate::list::problem::{Code, Problem, quoted};
use crate::list::quantity::Nanos;
use crate::list::reader::{Place, Problems};

pub use namespaces::warn_of_namespaces;

/// The most problems of one key and group that are reported one by one.
const MAX_ALIKE: usize = 50;

const SERVICE_ACCOUNT: BothKeys = both(&["serviceAccountName"], "SERVICE_ACCOUNT_NAME");
const PRIORITY_CLASS: BothKeys = both(&["priorityClassName"], "PRIORITY_CLASS_NAME");
const RUNTIME_CLASS: BothKeys = both(&["runtimeClassName"], "RUNTIME_CLASS_NAME");
const PULL_SECRETS: BothKeys = both(&["imagePullSecrets"], "IMAGE_PULL_SECRETS");
const TOLERATIONS: BothKeys = both(&["tolerations"], "TOLERATIONS");
const POD_LABELS: BothKeys = both(&["podLabels"], "POD_LABELS");
const POD_ANNOTATIONS: BothKeys = both(&["podAnnotations"], "POD_ANNOTATIONS");
const NODE_GATE: BothKeys = both(&["nodeGate"], "NODE_GATE_TAINT");
const DAEMON_SET_ANNOTATIONS: BothKeys = both(&["daemonSetAnnotations"], "DAEMONSET_ANNOTATIONS");

const fn both(yaml: &'static [&'static str], flat: &'static str) -> BothKeys {
    BothKeys { yaml, flat }
}

/// What a policy does not allow of an accepted list.
pub fn violations(policy: &Policy, list: &ListData, config: &Config) -> Vec<Problem> {
    let mut problems = Problems::default();
    check(policy, list, config, &mut problems);
    problems.into_vec()
}

/// Adds a problem for everything that a policy does not allow.
pub fn check(policy: &Policy, list: &ListData, config: &Config, problems: &mut Problems) {
    let mut check = PolicyCheck { policy, locator: Locator::new(list), problems };
    check.numbers(config);
    for (index, group) in config.groups.iter().enumerate() {
        check.group(index, group);
    }
    let annotations = check.keys(&config.daemon_set_annotations, &policy.daemon_set_annotations);
    check.entries(annotations, "the annotation", "daemonSetAnnotations", &policy.daemon_set_annotations, |it, key| {
        it.of_document(DAEMON_SET_ANNOTATIONS, &[key])
    });
    if let Some(cache) = &config.image_cache {
        check.image_cache(cache);
    }
}

/// Leaves out a gate that the installation does not allow, and says so.
pub fn restrict_node_gate(policy: &Policy, list: &ListData, config: &mut Config, problems: &mut Problems) {
    let named = config.node_gate.as_ref().and_then(|gate| gate.taint.clone());
    if !config.restrict_node_gate(&policy.gate_taints) {
        return;
    }
    let allowed: Vec<&str> = policy.gate_taints.keys().map(TaintKey::as_str).collect();
    let (message, remedy) = match (allowed.as_slice(), named) {
        ([], _) if policy.is_elsewhere => (
            "the gate has no effect: it would keep the pods of other namespaces off nodes, too".to_owned(),
            "remove the gate, or move the list to the namespace of the controller".to_owned(),
        ),
        ([], _) => (
            "the gate has no effect: this controller has no rights for gates".to_owned(),
            "ask its operator to turn node gates on (nodeGate.enabled in the Helm chart), or remove the gate"
                .to_owned(),
        ),
        (allowed, named) => (
            format!(
                "the gate has no effect: this controller may not remove the taint {}",
                quoted(named.as_ref().map_or("", TaintKey::as_str))
            ),
            format!("use a taint that it may remove ({}), or ask its operator to allow this one", allowed.join(", ")),
        ),
    };
    let place = Locator::new(list).of_document(NODE_GATE, &[]);
    problems.warning(place, Code::Ignored, message, remedy);
}

struct PolicyCheck<'c, 'p> {
    policy: &'c Policy,
    locator: Locator<'c>,
    problems: &'p mut Problems,
}

/// Something that is not allowed, and why.
type Refused<'v, 'c> = (&'v str, PatternAnswer<'c>);

impl<'c> PolicyCheck<'c, '_> {
    fn numbers(&mut self, config: &Config) {
        let images: usize = config.groups.iter().map(|group| group.images.len()).sum();
        let split = "split it into several lists";
        if let Some(most) = self.policy.max_images.filter(|most| images > *most as usize) {
            let message = format!("this list has {images} images, and at most {most} are allowed");
            self.too_large(self.locator.list(), message, split, "maxImages");
        }
        let groups = config.groups.len();
        if let Some(most) = self.policy.max_groups.filter(|most| groups > *most as usize) {
            let message = format!("this list has {groups} groups, and at most {most} are allowed");
            self.too_large(self.locator.groups(), message, split, "maxGroups");
        }
    }

    fn group(&mut self, index: usize, group: &'c Group) {
        let policy = self.policy;
        self.images(index, group);
        self.service_account(index, group.service_account_name.as_ref());
        self.class(
            group.priority_class_name.as_ref(),
            "the PriorityClass",
            "priorityClasses",
            &policy.priority_classes,
            |it| it.of_group(index, PRIORITY_CLASS, &[]),
        );
        self.class(
            group.runtime_class_name.as_ref(),
            "the RuntimeClass",
            "runtimeClasses",
            &policy.runtime_classes,
            |it| it.of_group(index, RUNTIME_CLASS, &[]),
        );
        self.secrets(&group.image_pull_secrets, |it, name| it.name(Some(index), PULL_SECRETS, name));
        self.tolerations(index, group);
        let labels = self.keys(&group.pod_labels, &policy.pod_labels);
        self.entries(labels, "the label", "podLabels", &policy.pod_labels, |it, key| {
            it.of_group(index, POD_LABELS, &[key])
        });
        let annotations = self.keys(&group.pod_annotations, &policy.pod_annotations);
        self.entries(annotations, "the annotation", "podAnnotations", &policy.pod_annotations, |it, key| {
            it.of_group(index, POD_ANNOTATIONS, &[key])
        });
        self.resources(index, &group.resources);
    }

    fn images(&mut self, index: usize, group: &'c Group) {
        let (policy, patterns) = (self.policy, &self.policy.images);
        let refused = group.images.iter().filter_map(|image| {
            let repository = Repository::of(&image.reference);
            let answer = policy.answer(&repository);
            (answer != PatternAnswer::Allowed).then_some((image, repository, answer))
        });
        let refused: Vec<_> = refused.collect();
        for (image, repository, answer) in refused.iter().take(MAX_ALIKE) {
            let reference = &image.reference;
            let message = match reference.as_str() == repository.to_string() {
                true => format!("the image {reference} is not allowed"),
                false => format!("the image {reference} is not allowed, which is of {repository}"),
            };
            let place = self.locator.image(index, reference);
            self.not_allowed(place, message, *answer, patterns, "images");
        }
        if let Some((image, ..)) = refused.get(MAX_ALIKE) {
            self.more(self.locator.image(index, &image.reference), refused.len(), "images");
        }
    }

    fn service_account(&mut self, group: usize, name: Option<&'c ResourceName>) {
        let Some(name) = name.map(ResourceName::as_str) else { return };
        let policy = self.policy;
        if policy.controller_service_account.as_deref() == Some(name) {
            let message = format!(
                "{} is the controller's own ServiceAccount, whose rights no pod of a list may have",
                quoted(name)
            );
            let remedy = "remove the key, or name another ServiceAccount";
            self.problems.error(self.locator.of_group(group, SERVICE_ACCOUNT, &[]), Code::NotAllowed, message, remedy);
            return;
        }
        let answer = policy.service_accounts.answer(|pattern| pattern.matches(name));
        if policy.pod_service_account.as_deref() != Some(name) && answer != PatternAnswer::Allowed {
            let message = format!("the ServiceAccount {} is not allowed", quoted(name));
            let place = self.locator.of_group(group, SERVICE_ACCOUNT, &[]);
            self.not_allowed(place, message, answer, &policy.service_accounts, "serviceAccounts");
        }
    }

    fn class(
        &mut self,
        name: Option<&ResourceName>,
        what: &str,
        key: &str,
        patterns: &Patterns<Glob>,
        place: impl Fn(&Locator) -> Place,
    ) {
        let Some(name) = name.map(ResourceName::as_str) else { return };
        let answer = patterns.answer(|pattern| pattern.matches(name));
        if answer != PatternAnswer::Allowed {
            let message = format!("{what} {} is not allowed", quoted(name));
            self.not_allowed(place(&self.locator), message, answer, patterns, key);
        }
    }

    fn secrets(&mut self, names: &[ResourceName], place: impl Fn(&Locator, &str) -> Place) {
        let patterns = &self.policy.image_pull_secrets;
        let answers =
            names.iter().map(|name| (name.as_str(), patterns.answer(|pattern| pattern.matches(name.as_str()))));
        let refused = answers.filter(|(_, answer)| *answer != PatternAnswer::Allowed).collect();
        self.entries(refused, "the Secret", "imagePullSecrets", patterns, place);
    }

    fn tolerations(&mut self, group: usize, of: &Group) {
        let rules = &self.policy.tolerations;
        let allowed: Vec<String> = rules.iter().map(TolerationRule::to_string).collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        let tolerations = of.placement.tolerations.iter().enumerate();
        let refused: Vec<_> = tolerations.filter(|(_, it)| !rules.iter().any(|rule| rule.allows(it))).collect();
        for (index, toleration) in refused.iter().take(MAX_ALIKE) {
            let message =
                format!("tolerating {} is not allowed; allowed are {}", described(toleration), shown(&allowed));
            let place = self.locator.item_of_group(group, TOLERATIONS, *index);
            let remedy = ask("remove it", "tolerations");
            self.problems.error(place, Code::NotAllowed, message, remedy);
        }
        if let Some((index, _)) = refused.get(MAX_ALIKE) {
            self.more(self.locator.item_of_group(group, TOLERATIONS, *index), refused.len(), "tolerations");
        }
    }

    fn resources(&mut self, group: usize, written: &Resources) {
        let (requests, limits) = (&self.policy.requests, &self.policy.limits);
        let some = |quantity: &Quantity| Some(quantity.clone());
        let of_requests =
            [some(&written.cpu_request), some(&written.memory_request), written.ephemeral_storage_request.clone()];
        let of_limits =
            [written.cpu_limit.clone(), written.memory_limit.clone(), written.ephemeral_storage_limit.clone()];
        for (kind, written, ceilings, flat) in
            [("requests", of_requests, requests, REQUEST_KEYS), ("limits", of_limits, limits, LIMIT_KEYS)]
        {
            for ((resource, written), (ceiling, flat)) in
                RESOURCES.iter().zip(written).zip(in_order(ceilings).zip(flat))
            {
                let (Some(written), Some(ceiling)) = (written, ceiling) else { continue };
                if Nanos::parse(&written.0) <= Nanos::parse(&ceiling.0) {
                    continue;
                }
                let what = kind.trim_end_matches('s');
                let message = format!(
                    "the {resource} {what} of {} for each container is more than the {} that are allowed",
                    written.0, ceiling.0
                );
                let place = self.locator.of_group(group, both(&["resources"], flat), &[kind, resource]);
                self.too_large(place, message, "lower it", &format!("resources.{kind}.{resource}"));
            }
        }
    }

    /// The keys of a mapping that are not allowed.
    fn keys<'v>(&self, written: &'v BTreeMap<String, String>, patterns: &'c Patterns<Glob>) -> Vec<Refused<'v, 'c>> {
        written.keys().filter_map(|key| refusal_of(key, patterns)).collect()
    }

    /// Reports entries that are not allowed.
    fn entries(
        &mut self,
        refused: Vec<Refused>,
        what: &str,
        key: &str,
        patterns: &Patterns<Glob>,
        place: impl Fn(&Locator, &str) -> Place,
    ) {
        for (name, answer) in refused.iter().take(MAX_ALIKE) {
            let message = format!("{what} {} is not allowed", quoted(name));
            self.not_allowed(place(&self.locator, name), message, *answer, patterns, key);
        }
        if let Some((name, _)) = refused.get(MAX_ALIKE) {
            self.more(place(&self.locator, name), refused.len(), key);
        }
    }

    fn not_allowed(
        &mut self,
        place: Place,
        message: String,
        answer: PatternAnswer,
        allowed: &impl fmt::Display,
        key: &str,
    ) {
        let message = match answer {
            PatternAnswer::Excluded(pattern) => format!("{message}: {} excludes it", quoted(pattern)),
            PatternAnswer::NotNamed | PatternAnswer::Allowed => format!("{message}; allowed: {allowed}"),
        };
        self.problems.error(place, Code::NotAllowed, message, ask("use what is allowed", key));
    }

    fn too_large(&mut self, place: Place, message: String, remedy: &str, key: &str) {
        self.problems.error(place, Code::TooLarge, message, ask(remedy, key));
    }

    fn more(&mut self, place: Place, refused: usize, key: &str) {
        let message = match refused - MAX_ALIKE {
            1 => "this is not allowed either".to_owned(),
            more => format!("this and {} more after it are not allowed either", more - 1),
        };
        self.problems.error(place, Code::NotAllowed, message, ask("correct them in the same way", key));
    }
}

const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const REQUEST_KEYS: [&str; 3] = ["CACHING_CPU_REQUEST", "CACHING_MEMORY_REQUEST", "CACHING_EPHEMERAL_STORAGE_REQUEST"];
const LIMIT_KEYS: [&str; 3] = ["CACHING_CPU_LIMIT", "CACHING_MEMORY_LIMIT", "CACHING_EPHEMERAL_STORAGE_LIMIT"];

fn in_order(ceilings: &Ceilings) -> impl Iterator<Item = Option<&Quantity>> {
    [ceilings.cpu.as_ref(), ceilings.memory.as_ref(), ceilings.ephemeral_storage.as_ref()].into_iter()
}

fn refusal_of<'v, 'c>(text: &'v str, patterns: &'c Patterns<Glob>) -> Option<Refused<'v, 'c>> {
    let answer = patterns.answer(|pattern| pattern.matches(text));
    (answer != PatternAnswer::Allowed).then_some((text, answer))
}

/// The remedy: what the user can do, or else who decides.
fn ask(remedy: &str, key: &str) -> String {
    format!("{remedy}, or ask the operators of kube-prepull to allow it by `{key}` of their policy")
}
