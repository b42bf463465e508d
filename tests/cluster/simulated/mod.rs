//! On the simulated cluster: what the API server sees. Nothing here claims anything about kubelets or runtimes.

mod a_minute;
mod admission;
mod alerts;
pub mod conditions;
mod connecting;
mod connections;
mod coverage;
mod crashes;
mod discovery;
mod discovery_crashes;
mod edits;
mod empty;
mod encodings;
mod events;
pub mod exclusion;
mod history;
mod hostile;
mod hostile_texts;
mod image_cache_faults;
mod image_cache_platforms;
mod image_cache_soak;
mod image_caches;
mod image_ids;
mod images;
mod kip;
mod kubelets;
mod large_page;
mod last_good;
mod leader_report;
mod leaders;
mod lists;
mod long_lists;
mod many_lists;
mod metrics;
mod node_gate;
mod overflow;
mod owner;
mod page;
mod policies;
mod policy;
mod processes;
mod refreshes;
mod restores;
mod scoping_down;
mod screenshots;
mod secure_metrics;
mod status;
mod tag_checks;
mod ui;
mod unreadable_nodes;
mod wait;
mod warm_results;

use super::trial::Trial;

async fn trial(name: &str) -> Trial {
    let cluster = test_bed::Simulated::running().unwrap();
    Trial::begin(cluster.kubeconfig(), name).await
}
