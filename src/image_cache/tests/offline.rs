//! What is printed without a cluster is what the controller would create.

use jiff::SignedDuration;

use super::eci::{Eci, known};
use crate::image_cache::{CacheAction, CacheCause, offline};

const PLATFORMS: &str = "images: [a:1]\ngroups: [{name: g, images: [b:1], imagePullSecrets: [one]}]\n\
                         imageCache: {enabled: true, retentionDays: 7, platforms: [linux/amd64, linux/arm64]}\n";

fn lists() -> [String; 3] {
    let many: Vec<String> = (0..45).map(|number| format!("i{number}:1")).collect();
    [
        "images: [a:1]\nimageCache: {enabled: true, size: 40}\n".to_owned(),
        PLATFORMS.to_owned(),
        format!("images: [{}]\nimageCache: {{enabled: true, platforms: [linux/arm64]}}\n", many.join(", ")),
    ]
}

#[test]
fn without_a_cluster_they_are_those_that_are_created_where_nodes_report_nothing() {
    for text in lists() {
        let mut eci = Eci::new(&text);
        eci.pass(SignedDuration::from_mins(11));
        let created: Vec<_> = eci
            .plan()
            .actions
            .into_iter()
            .filter_map(|action| match action {
                CacheAction::Create { object, .. } => Some(serde_json::to_value(object).expect("JSON")),
                _ => None,
            })
            .collect();
        let printed: Vec<_> =
            offline(eci.list(), "tools").iter().map(|object| serde_json::to_value(object).expect("JSON")).collect();
        assert_eq!(printed, created, "{text}");
    }
    let eci = Eci::new("images: [a:1]\n");
    assert!(offline(eci.list(), "tools").is_empty());
}

#[test]
fn what_was_printed_and_applied_is_taken_over_and_not_created_again() {
    let mut eci = Eci::new(PLATFORMS);
    for object in offline(eci.list(), "tools") {
        eci.carry_out(&CacheAction::Create { object: Box::new(object), cause: CacheCause::Missing });
    }
    let applied = eci.objects.len();
    eci.known = known(&[("a:1", "sha256:a", 1), ("b:1", "sha256:b", 1)]);
    eci.settle();
    eci.set_all("Ready");
    eci.settle();
    assert_eq!((eci.objects.len(), eci.causes.len()), (applied, applied));
    eci.known = known(&[("a:1", "sha256:moved", 1), ("b:1", "sha256:b", 1)]);
    eci.settle();
    assert_eq!(eci.causes.len(), 2 * applied, "its digests were learnt");
}
