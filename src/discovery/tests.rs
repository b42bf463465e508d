mod decoding;
mod properties;
mod rules;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::core::{Expression, Selector};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{KnownNamespaces, NamespaceWorkloads, NextFound, SlimWorkload, Unknown, Workload, Workloads, next};
use crate::list::config::GroupName;
use crate::list::discover::found::{Found, FoundImage, GroupFound};
use crate::list::discover::{Discover, Discovery, WorkloadKind};
use crate::list::names::ResourceName;
use crate::list::policy::repository::RepositoryPattern;
use crate::list::reference::ImageReference;

const HOUR: i64 = 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
}

fn texts(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A Deployment, such as `shop/web`.
fn workload(place: &str, images: &[&str]) -> Workload {
    let (namespace, name) = place.split_once('/').expect("a namespace and a name");
    Workload {
        kind: WorkloadKind::Deployment,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        labels: BTreeMap::new(),
        images: texts(images),
        pull_secrets: BTreeSet::new(),
    }
}

/// Everything of the namespaces `shop` and `pay`, and nothing of others.
fn seen(workloads: &[Workload]) -> Workloads {
    let mut seen = Workloads::default();
    for namespace in ["shop", "pay"] {
        seen.by_namespace.insert(namespace.to_owned(), NamespaceWorkloads { complete: true, workloads: Vec::new() });
    }
    for workload in workloads {
        let known = seen.by_namespace.entry(workload.namespace.clone()).or_default();
        known.workloads.push(Arc::new(workload.clone()));
    }
    seen
}

fn without(mut seen: Workloads, namespace: &str, why: Unknown) -> Workloads {
    match why {
        Unknown::NotWatched => drop(seen.by_namespace.remove(namespace)),
        Unknown::NotListed => drop(seen.by_namespace.insert(namespace.to_owned(), NamespaceWorkloads::default())),
        Unknown::NoWorkloads => {
            let nothing = NamespaceWorkloads { complete: true, workloads: Vec::new() };
            drop(seen.by_namespace.insert(namespace.to_owned(), nothing));
        }
        Unknown::NamespacesNotWatched => seen.namespaces = None,
        Unknown::NamespacesNotListed => seen.namespaces = Some(KnownNamespaces::default()),
    }
    seen
}

/// The same where the namespaces have these values of the label `team`, and others do not exist.
fn labelled(seen: Workloads, teams: &[(&str, &str)]) -> Workloads {
    let labels = teams.iter().map(|(namespace, team)| {
        let labels = BTreeMap::from([("team".to_owned(), (*team).to_owned())]);
        ((*namespace).to_owned(), Arc::new(labels))
    });
    Workloads { namespaces: Some(KnownNamespaces { complete: true, labels: labels.collect() }), ..seen }
}

/// All images of the namespaces `shop` and `pay`, each for an hour longer.
fn discovery() -> Discovery {
    Discovery {
        group: GroupName::default_group(),
        discover: Discover {
            namespaces: ["shop", "pay"].map(|name| ResourceName::parse(name).expect("a name")).into(),
            namespace_selector: None,
            selector: Selector::default(),
            kinds: WorkloadKind::ALL.map(|(_, kind)| kind).into(),
            exclude: Vec::new(),
            keep_for: SignedDuration::from_secs(HOUR),
            max: Discover::MAX,
            settle: Discover::SETTLE,
        },
        own: BTreeSet::new(),
    }
}

fn with_max(max: u32) -> Discovery {
    let Discovery { discover, .. } = discovery();
    Discovery { discover: Discover { max, ..discover }, ..discovery() }
}

/// All images of the namespaces with these names, and of those whose label `team` has the value `a`.
fn selecting(names: &[&str]) -> Discovery {
    let Discovery { discover, .. } = discovery();
    let namespaces = names.iter().map(|name| ResourceName::parse(name).expect("a name")).collect();
    let namespace_selector = Some(Expression::Equal("team".to_owned(), "a".to_owned()).into());
    Discovery { discover: Discover { namespaces, namespace_selector, ..discover }, ..discovery() }
}

fn step(before: Option<&NextFound>, discovery: &Discovery, seen: &Workloads, seconds: i64) -> NextFound {
    let is_allowed = |reference: &ImageReference| !reference.as_str().contains("forbidden");
    next(before.map(|it| &it.found), std::slice::from_ref(discovery), seen, &is_allowed, at(seconds))
}

fn group(next: &NextFound) -> GroupFound {
    next.found.0.get(GroupName::DEFAULT).cloned().unwrap_or_default()
}

fn image(next: &NextFound, reference: &str) -> FoundImage {
    group(next).images.remove(reference).unwrap_or_else(|| panic!("no {reference} in {next:?}"))
}

/// The references; those that no workload names with a question mark.
fn images(next: &NextFound) -> Vec<String> {
    let mark = |image: &FoundImage| if image.unnamed_since.is_some() { "?" } else { "" };
    group(next).images.iter().map(|(reference, image)| format!("{reference}{}", mark(image))).collect()
}
