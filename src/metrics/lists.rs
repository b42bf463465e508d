//! The series of each list: counters of what happened to it, and the status report as gauges.
//!
//! Only lists and images of the report have series, so the series of a removed list or image end with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::counters::{COUNTERS, Counted, Counter};
use crate::image_cache::{ImageCacheReport, Phase};
use crate::naming::labels::list_value;
use crate::status::ListState;
use crate::status::report::{GroupReport, ListReport, NodeCounts, Report};

/// The namespace of a list, and the value of its label.
type ListId = (String, String);
type CountsByList = BTreeMap<(ListId, Counted), u64>;

/// The counters of each list since the start.
#[derive(Clone, Debug, Default)]
pub struct ListCounters(Arc<Mutex<CountsByList>>);

impl ListCounters {
    /// CountsByList one more.
    pub fn add(&self, namespace: &str, list: &str, counted: Counted) {
        *self.lock().entry(((namespace.to_owned(), list.to_owned()), counted)).or_default() += 1;
    }

    /// Forgets a list.
    pub fn forget(&self, namespace: &str, list: &str) {
        self.lock().retain(|((of, other), _), _| of != namespace || other != list);
    }

    /// Encodes the series of the report's lists, and drops the counters of all other lists.
    pub fn collector(&self, report: Arc<Report>) -> ListCollector {
        let lists: BTreeSet<ListId> = report.lists.iter().map(id).collect();
        let mut counts = self.lock();
        counts.retain(|(list, _), _| lists.contains(list));
        ListCollector { counts: counts.clone(), report }
    }

    fn lock(&self) -> MutexGuard<'_, CountsByList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(list: &ListReport) -> ListId {
    (list.namespace.to_string(), list_value(&list.name))
}

/// One scrape.
#[derive(Debug)]
pub struct ListCollector {
    counts: CountsByList,
    report: Arc<Report>,
}

/// A gauge of each list.
struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    samples: for<'a> fn(&'a ListReport) -> Vec<Sample<'a>>,
}

/// A value with its labels, except for those of the list.
type Sample<'a> = (Vec<Label<'a>>, f64);
type Label<'a> = (&'static str, &'a str);

const GAUGES: [Gauge; 14] = [
    Gauge {
        name: "list_accepted",
        help: "1 if the current list is accepted, 0 if it is rejected; absent until it is validated, while it never had an image, and while it is missing.",
        unit: None,
        samples: |list| match list.state {
            ListState::Accepted => vec![(Vec::new(), 1.0)],
            ListState::Rejected => vec![(Vec::new(), 0.0)],
            ListState::Empty | ListState::NotValidated | ListState::Missing => Vec::new(),
        },
    },
    Gauge {
        name: "list_images_desired",
        help: "Images that should be warm, counted once per node.",
        unit: None,
        samples: |list| vec![(Vec::new(), images(list, |nodes| nodes.total))],
    },
    Gauge {
        name: "list_images_warm",
        help: "Images that are warm, counted once per node.",
        unit: None,
        samples: |list| {
            vec![(Vec::new(), images(list, |nodes| nodes.by_state.get("warm").copied().unwrap_or_default()))]
        },
    },
    Gauge {
        name: "image_nodes",
        help: "Nodes by the state of the image there.",
        unit: None,
        samples: |list| list.groups.iter().flat_map(nodes_of_images).collect(),
    },
    Gauge {
        name: "group_generations",
        help: "DaemonSets of the group that are not being deleted, its newest of all shards as one; 1 outside rollouts.",
        unit: None,
        samples: |list| of_groups(list, |group| Some((group.generations.len() - group.other_shards.len()) as f64)),
    },
    Gauge {
        name: "group_rollout_start_timestamp",
        help: "When the pulls of the group's newest generation started.",
        unit: Some(Unit::Seconds),
        samples: |list| of_groups(list, |group| group.rollout.as_ref().map(|rollout| seconds(rollout.started_at))),
    },
    Gauge {
        name: "group_next_refresh_timestamp",
        help: "When the group's next refresh, or the retry of a failed one, is due or has been due since.",
        unit: Some(Unit::Seconds),
        samples: |list| of_groups(list, |group| group.refresh.due_since.or(group.refresh.next_at).map(seconds)),
    },
    Gauge {
        name: "group_last_tag_check_timestamp",
        help: "When the group's tags were last checked. A rollout that pulls all tags counts as a check.",
        unit: Some(Unit::Seconds),
        samples: |list| of_groups(list, |group| group.refresh.last_check_at.map(seconds)),
    },
    Gauge {
        name: "group_last_refresh_success_timestamp",
        help: "When a check or a rollout last resolved the group's tags.",
        unit: Some(Unit::Seconds),
        samples: |list| of_groups(list, |group| group.refresh.last_success_at.map(seconds)),
    },
    Gauge {
        name: "group_refresh_deferred_images",
        help: "Images whose tags the last check could not resolve.",
        unit: None,
        samples: |list| of_groups(list, |group| Some(group.refresh.deferred.len() as f64)),
    },
    Gauge {
        name: "eviction_loop_nodes",
        help: "Nodes in an eviction loop: pulling the images fills the disk, and the kubelet evicts the holder repeatedly.",
        unit: None,
        samples: |list| {
            of_groups(list, |group| {
                let nodes: BTreeSet<&str> =
                    group.eviction_loops.iter().map(|eviction_loops| eviction_loops.node.as_str()).collect();
                Some(nodes.len() as f64)
            })
        },
    },
    Gauge {
        name: "image_cache_phase",
        help: "1 for the ImageCache's current phase, 0 for the others.",
        unit: None,
        samples: |list| list.image_caches.iter().flat_map(phases).collect(),
    },
    Gauge {
        name: "image_cache_progress_ratio",
        help: "Progress of the ImageCache's build, from 0 to 1.",
        // The library has only the plural of the unit.
        unit: None,
        samples: |list| of_image_caches(list, |cache| Some(f64::from(cache.progress) / 100.0)),
    },
    Gauge {
        name: "image_cache_expiry_timestamp",
        help: "When the ImageCache expires; absent if it never does.",
        unit: Some(Unit::Seconds),
        samples: |list| of_image_caches(list, |cache| cache.expires_at.map(seconds)),
    },
];

fn phases(cache: &ImageCacheReport) -> impl Iterator<Item = Sample<'_>> {
    Phase::ALL.iter().map(|phase| {
        let mut labels = names(cache);
        labels.push(("phase", phase.name()));
        (labels, f64::from(u8::from(cache.phase == *phase)))
    })
}

fn of_image_caches(list: &ListReport, value: impl Fn(&ImageCacheReport) -> Option<f64>) -> Vec<Sample<'_>> {
    list.image_caches.iter().filter_map(|cache| Some((names(cache), value(cache)?))).collect()
}

/// The labels that say which ImageCache is meant. Prometheus takes a missing label for an empty one.
fn names(cache: &ImageCacheReport) -> Vec<(&'static str, &str)> {
    let platform = cache.platform.map(|platform| ("platform", platform.name()));
    std::iter::once(("image_cache", cache.name.as_str())).chain(platform).collect()
}

fn nodes_of_images(group: &GroupReport) -> impl Iterator<Item = Sample<'_>> {
    let states = group.images.iter().flat_map(|image| image.nodes.by_state.iter().map(move |it| (image, it)));
    states.map(|(image, (state, nodes))| {
        let labels = vec![("group", group.name.as_str()), ("image", &image.reference), ("state", *state)];
        (labels, *nodes as f64)
    })
}

fn of_groups<'a>(list: &'a ListReport, value: impl Fn(&GroupReport) -> Option<f64>) -> Vec<Sample<'a>> {
    let of = |group: &'a GroupReport| Some((vec![("group", group.name.as_str())], value(group)?));
    list.groups.iter().filter_map(of).collect()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn images(list: &ListReport, count: impl Fn(&NodeCounts) -> usize) -> f64 {
    list.groups.iter().flat_map(|group| &group.images).map(|image| count(&image.nodes)).sum::<usize>() as f64
}

impl Collector for ListCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        GAUGES.iter().try_for_each(|gauge| self.encode_gauge(&mut encoder, gauge))?;
        COUNTERS.iter().try_for_each(|counter| self.encode_counter(&mut encoder, counter))
    }
}

impl ListCollector {
    /// The labels that say which list is meant. Where all lists are in the controller's namespace, Prometheus knows it as the target's.
    fn labels_of<'a>(&self, list: &'a ListReport) -> impl Iterator<Item = Label<'a>> + use<'a> {
        let is_one = !self.report.namespace.as_str().is_empty();
        let namespace = (!is_one).then_some(("namespace", list.namespace.as_str()));
        namespace.into_iter().chain([("list", list.name.as_str())])
    }

    fn encode_gauge(&self, encoder: &mut DescriptorEncoder, gauge: &Gauge) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(gauge.name, gauge.help, gauge.unit.as_ref(), MetricType::Gauge)?;
        for list in &self.report.lists {
            for (mut labels, value) in (gauge.samples)(list) {
                labels.splice(0..0, self.labels_of(list));
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    /// Counters that never counted are exposed as 0, so that the first time is visible as an increase.
    fn encode_counter(&self, encoder: &mut DescriptorEncoder, counter: &Counter) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(counter.name, counter.help, None, MetricType::Counter)?;
        for list in &self.report.lists {
            for counted in (counter.happenings)() {
                let label = counter.label.map(|label| (label, counted.word()));
                let labels: Vec<Label> = self.labels_of(list).chain(label).collect();
                let count = self.counts.get(&(id(list), counted)).copied().unwrap_or_default();
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}
