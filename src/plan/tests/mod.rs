//! Helpers that the plan's tests share: lists as users write them, and an installation.

mod adoption;
mod alteration;
mod capacity;
mod causes;
mod conditions;
mod daemon_set;
mod deselection;
mod exclusion;
mod gate_tolerations;
mod generation;
mod histories;
mod holder_folders;
mod init_failures;
mod outdated_nodes;
mod own_image;
mod pull_policies;
mod refresh;
mod refresh_modes;
mod restoring;
mod retiring;
mod rollouts;
mod scoping_down;
mod sealing;
mod sharding;
mod simulation;
mod start_delays;
mod starting_nodes;
mod tag_check;
mod tag_check_histories;
mod tag_check_nodes;
mod tag_check_reports;
mod user_namespaces;
mod versions;
mod work;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{AcceptedList, Settings};
use crate::list::{Config, ListData, parse};
use crate::naming::own_images::OwnImages;

/// The list `tools` in the namespace `prepull`, which must be valid.
pub(super) fn accepted(images_yaml: &str) -> Config {
    let parsed = parse(&ListData {
        namespace: "prepull".to_owned(),
        name: "tools".to_owned(),
        data: [("images.yaml".to_owned(), images_yaml.to_owned())].into(),
        found: None,
    });
    parsed.config.unwrap_or_else(|| panic!("{images_yaml} is rejected: {:#?}", parsed.problems))
}

fn named(config: &Config) -> AcceptedList<'_> {
    AcceptedList { namespace: "prepull", label: "tools", config }
}

fn settings() -> Settings {
    Settings { own_images: OwnImages::of(Some("ghcr.io/acme/kube-prepull:1"), ""), ..Settings::default() }
}

/// The controller's Deployment.
fn owner() -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "kube-prepull".to_owned(),
        uid: "2e3f0f0c-0d6a-4d3e-9f4b-6a4c64b9b8a1".to_owned(),
        ..OwnerReference::default()
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap_or_else(|error| panic!("{time}: {error}"))
}

/// The text that users read about a finding.
fn note(finding: &crate::plan::Finding) -> String {
    crate::messages::findings::found(finding, None).note.into()
}

/// A change or refresh of the default group that waits for this many moving generations.
fn waits_for(moving: usize, refresh: bool) -> crate::plan::Waiting {
    crate::plan::Waiting::Generations { group: "default".to_owned(), refresh, moving, unavailable: [].into() }
}
