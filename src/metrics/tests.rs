//! What a scraper sees, and that the documentation says the same.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::denial::DenyingPolicy;
use crate::error::Error;
use crate::messages::api_errors::category;
use crate::naming::labels::list_value;
use crate::plan::{ActionOutcome, RolloutCause};
use crate::status::ListState;
use crate::status::tests::{half_warm, report};
use crate::text::CleanText;

/// What is exposed under one name.
#[derive(Debug, Default, PartialEq)]
struct Exposed {
    kind: String,
    labels: BTreeSet<String>,
}

fn half_warm_report() -> Arc<Report> {
    Arc::new(report(&half_warm()))
}

fn text(metrics: &Metrics, report: Option<Arc<Report>>) -> String {
    metrics.exposition(Format::Prometheus, true, report)
}

/// The names of labels, of a sample without its value. Values in these tests hold no quote, comma or brace.
fn labels(sample: &str) -> BTreeSet<String> {
    let within = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
    within.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned()).collect()
}

fn exposed(text: &str) -> BTreeMap<String, Exposed> {
    let mut all: BTreeMap<String, Exposed> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            all.entry(name.to_owned()).or_default().kind = kind.to_owned();
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let sample = line.split(['{', ' ']).next().expect("a name");
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.strip_suffix(suffix));
        let name = of_histogram.filter(|name| all.contains_key(*name)).unwrap_or(sample);
        let known = all.get_mut(name).unwrap_or_else(|| panic!("{line} comes before its type"));
        known.labels.extend(labels(line).into_iter().filter(|label| label != "le"));
    }
    all
}

fn documented() -> BTreeMap<String, Exposed> {
    let documentation = include_str!("../../docs/metrics.md");
    let rows = documentation.lines().filter(|line| line.starts_with("| `kube_prepull_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let exposed = Exposed { kind: cells[2].to_owned(), labels: labels.filter(|label| !label.is_empty()).collect() };
        (cells[1].trim_matches('`').to_owned(), exposed)
    };
    rows.map(row).collect()
}

#[test]
fn the_documentation_has_every_metric_with_its_type_and_labels_and_no_other() {
    let metrics = Metrics::default();
    metrics.reconciled(Duration::from_millis(3), Some("Refused"));
    metrics.requested("list", Some(200));
    let (exposed, documented) = (exposed(&text(&metrics, Some(half_warm_report()))), documented());
    assert_eq!(exposed.keys().collect::<Vec<_>>(), documented.keys().collect::<Vec<_>>());
    for (name, exposed) in &exposed {
        assert_eq!(exposed, &documented[name], "{name}");
    }
}

#[test]
fn the_documentation_has_every_category_of_errors() {
    let (action, message) = (String::new(), CleanText::default());
    let unreachable = kube::Error::LinesCodecMaxLineLengthExceeded;
    let errors = [
        Error::Forbidden { action: action.clone(), message: message.clone() },
        Error::Denied { action: action.clone(), policy: DenyingPolicy::Plugin, text: CleanText::default() },
        Error::Refused { action: action.clone(), message },
        Error::Unreachable { action, source: Box::new(unreachable) },
        Error::ForeignDaemonSet { name: String::new() },
        Error::ForeignImageCache { name: String::new() },
        Error::NotLeading,
        Error::TimedOut { seconds: 1 },
    ];
    for error in errors {
        let category = format!("`{}`", category(&error));
        let documentation = include_str!("../../docs/metrics.md");
        let line = documentation.lines().find(|line| line.contains("kube_prepull_reconcile_errors_total"));
        assert!(line.is_some_and(|line| line.contains(&category)), "{category}");
    }
}

#[test]
fn a_list_has_no_more_series_than_the_documentation_says() {
    let (images, groups, image_caches) = (4, 2, 2);
    let text = text(&Metrics::default(), Some(half_warm_report()));
    let series = text.lines().filter(|line| line.contains("{list=\"tools\"")).count();
    assert_eq!(series, 14 * images + 7 * groups + 6 * image_caches + 24);
    let documentation = include_str!("../../docs/metrics.md").replace('\n', " ");
    assert!(
        documentation.contains("at most 14 series for each image, 7 for each group, 6 for each ImageCache and 24 more")
    );
}

#[test]
fn the_report_becomes_gauges() {
    let report = half_warm_report();
    let text = text(&Metrics::default(), Some(Arc::clone(&report)));
    for line in [
        r#"kube_prepull_list_accepted{list="tools"} 1.0"#,
        r#"kube_prepull_list_images_desired{list="tools"} 12.0"#,
        r#"kube_prepull_image_nodes{list="tools",group="q",image="docker.io/library/b:1",state="failed"} 1.0"#,
        r#"kube_prepull_image_nodes{list="tools",group="p",image="b:1",state="cordoned"} 0.0"#,
        r#"kube_prepull_group_generations{list="tools",group="q"} 2.0"#,
        r#"kube_prepull_group_rollout_start_timestamp_seconds{list="tools",group="q"} 1772366400.0"#,
        r#"kube_prepull_group_next_refresh_timestamp_seconds{list="tools",group="q"} 1772370000.0"#,
        r#"kube_prepull_group_last_tag_check_timestamp_seconds{list="tools",group="q"} 1772366400.0"#,
        r#"kube_prepull_group_last_refresh_success_timestamp_seconds{list="tools",group="q"} 1772366400.0"#,
        r#"kube_prepull_group_refresh_deferred_images{list="tools",group="q"} 0.0"#,
        r#"kube_prepull_eviction_loop_nodes{list="tools",group="p"} 0.0"#,
        r#"kube_prepull_image_cache_phase{list="tools",image_cache="prepull-tools-1",platform="linux/arm64",phase="Ready"} 1.0"#,
        r#"kube_prepull_image_cache_phase{list="tools",image_cache="prepull-tools-2",platform="linux/arm64",phase="Failed"} 0.0"#,
        r#"kube_prepull_image_cache_progress_ratio{list="tools",image_cache="prepull-tools-2",platform="linux/arm64"} 0.4"#,
        r#"kube_prepull_image_cache_expiry_timestamp_seconds{list="tools",image_cache="prepull-tools-1",platform="linux/arm64"} 1772971200.0"#,
        "kube_prepull_leader 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let images = report.lists[0].groups.iter().flat_map(|group| &group.images);
    let warm: usize = images.map(|image| image.nodes.by_state["warm"]).sum();
    assert!(text.contains(&format!("kube_prepull_list_images_warm{{list=\"tools\"}} {warm}.0\n")), "{text}");
}

#[test]
fn a_list_that_is_empty_not_validated_or_missing_is_said_to_be_neither_accepted_nor_rejected() {
    for (state, value) in [
        (ListState::Rejected, Some("0.0")),
        (ListState::Empty, None),
        (ListState::NotValidated, None),
        (ListState::Missing, None),
    ] {
        let mut half_warm = half_warm();
        half_warm.0.lists[0].state = state;
        let text = text(&Metrics::default(), Some(Arc::new(report(&half_warm))));
        let found = text.lines().find_map(|line| line.strip_prefix("kube_prepull_list_accepted{list=\"tools\"} "));
        assert_eq!(found, value, "{state:?}");
    }
}

#[test]
fn what_happens_to_a_list_is_counted_from_zero_and_goes_with_the_list() {
    let metrics = Metrics::default();
    let rejections = |list: &str| format!("kube_prepull_list_rejections_total{{list=\"{list}\"}}");
    assert!(text(&metrics, Some(half_warm_report())).contains(&format!("{} 0\n", rejections("tools"))));
    metrics.validated("prepull", "tools", ResultState::Rejected);
    metrics.validated("prepull", "tools", ResultState::Rejected);
    metrics.validated("prepull", "tools", ResultState::Accepted);
    metrics.validated("prepull", "tools", ResultState::Empty);
    metrics.validated("prepull", "gone", ResultState::Rejected);
    let after = text(&metrics, Some(half_warm_report()));
    assert!(after.contains(&format!("{} 2\n", rejections("tools"))), "{after}");
    assert!(!after.contains("list=\"gone\""), "{after}");
    let mut other = half_warm();
    other.0.lists[0].name = "gone".to_owned();
    let back = text(&metrics, Some(Arc::new(report(&other))));
    assert!(back.contains(&format!("{} 0\n", rejections("gone"))) && !back.contains("list=\"tools\""), "{back}");
}

#[test]
fn every_cause_of_a_rollout_is_counted_under_a_name_of_its_own() {
    let causes = [
        RolloutCause::Missing,
        RolloutCause::Edited,
        RolloutCause::Unknown,
        RolloutCause::ScopedDown,
        RolloutCause::OwnImage,
        RolloutCause::Requested,
        RolloutCause::Due,
        RolloutCause::Moved { images: 2 },
    ];
    let metrics = Metrics::default();
    for cause in causes {
        metrics.carried_out(
            "prepull",
            "tools",
            &Action::Create { daemon_set: Box::default(), cause },
            &ActionOutcome::Done,
        );
    }
    let text = text(&metrics, Some(half_warm_report()));
    let begun: Vec<&str> =
        text.lines().filter(|line| line.starts_with("kube_prepull_rollouts_started_total")).collect();
    assert_eq!(begun.len(), causes.len());
    assert!(begun.iter().all(|line| line.ends_with(" 1")), "{begun:?}");
    assert!(text.contains("kube_prepull_refreshes_total{list=\"tools\",outcome=\"moved\"} 1\n"), "{text}");
}

#[test]
fn a_tag_check_is_counted_by_whether_all_tags_could_be_checked() {
    let metrics = Metrics::default();
    for failed in [vec![], vec![], vec!["app"]] {
        let tag_check_record = crate::plan::generation::tag_check_record::TagCheckRecord {
            failed: failed.into_iter().map(|image| (image.to_owned(), None)).collect(),
            ..Default::default()
        };
        let note = Action::Note {
            daemon_set: String::new(),
            uid: String::new(),
            tag_check_record: Box::new(tag_check_record),
        };
        metrics.carried_out("prepull", "tools", &note, &ActionOutcome::Done);
    }
    let text = text(&metrics, Some(half_warm_report()));
    for (outcome, count) in [("unchanged", 2), ("moved", 0), ("deferred", 1)] {
        let line = format!("kube_prepull_refreshes_total{{list=\"tools\",outcome=\"{outcome}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn every_reason_of_the_kubelet_is_counted_and_a_list_with_a_long_name_is_known_by_its_label() {
    let metrics = Metrics::default();
    let mut half_warm = half_warm();
    let name = "l".repeat(100);
    half_warm.0.lists[0].name.clone_from(&name);
    for reason in crate::coverage::PULL_FAILURES {
        metrics.pull_failed("prepull", &list_value(&name), reason);
    }
    let text = text(&metrics, Some(Arc::new(report(&half_warm))));
    let failures = text.lines().filter(|line| line.starts_with("kube_prepull_pull_failures_total"));
    let counted = failures.filter(|line| line.ends_with(" 1") && line.contains(&name)).count();
    assert_eq!(counted, crate::coverage::PULL_FAILURES.len(), "{text}");
}

#[test]
fn before_everything_has_been_seen_nothing_is_reported_about_lists() {
    let text = text(&Metrics::default(), None);
    assert!(text.contains("kube_prepull_build_info{version=") && !text.contains("list="), "{text}");
}

#[test]
fn openmetrics_ends_with_its_end_and_units_are_named() {
    let metrics = Metrics::default();
    metrics.reconciled(Duration::from_millis(30), None);
    let text = metrics.exposition(Format::OpenMetrics, false, Some(half_warm_report()));
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    for line in [
        "# TYPE kube_prepull_build info",
        "# TYPE kube_prepull_list_rejections counter",
        "# UNIT kube_prepull_reconcile_duration_seconds seconds",
        "kube_prepull_reconcile_duration_seconds_bucket{le=\"0.1\"} 1",
        "kube_prepull_reconcile_duration_seconds_bucket{le=\"+Inf\"} 1",
        "kube_prepull_leader 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}
