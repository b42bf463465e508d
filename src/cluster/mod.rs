//! Watches and writes: the only code that talks to a cluster.
//!
//! ```text
//! watch ─► Observed ─► controller: one worker per list ─► reconcile ─► plan (pure) ─► apply
//! ```
//! Who works:
//! - [`controller`]: runs a worker for each list
//! - [`backoff`]: when a worker reconciles its list
//! - [`reconcile`]: decides what to do for a list, and does it
//! - [`lease`], [`leadership`]: elect the controller that may write
//!
//! What it reads:
//! - [`watch`], [`watch_error`]: the watches, and why they fail
//! - [`observed_cluster`]: what the watches have seen, by namespace; [`observed`]: of the lists of one
//! - [`observed_workloads`], [`observed_namespaces`]: where lists discover images
//! - [`other_controllers`]: the namespaces that have a controller of their own
//! - [`accepted_lists`]: the accepted versions of all lists, each parsed once, and which lists share a name
//! - [`affected_lists`], [`concerned_lists`], [`list_edits`]: what changed, which lists that concerns, and whether it is an edit
//! - [`snapshot`]: one list as it is at one time, observed or read
//! - [`command_reader`]: reads all lists of a namespace, for commands; [`pages`]: reads all objects of a kind
//! - [`leader_report`]: asks the leader for its report, for commands
//! - [`status_input`]: the objects of a list → the input of its status
//! - [`environment`]: what kind of cluster this is, and how the controller is installed
//! - [`resources`]: API resources for types that decode only a part of an object
//!
//! What it writes:
//! - [`apply`]: the writes for nodes
//! - [`image_caches`]: all about ImageCaches, for lists that ask for them
//! - [`node_gates`]: frees nodes that wait for images, and keeps their condition
//! - [`events`]: Events on the list
//! - [`refresh`]: a user's request for a refresh
//! - [`clean_up`]: deletes what uninstalling the controller would leave behind
//!
//! How it connects:
//! - [`connect`]: clients for the cluster that the user named, through proxies and with credential plugins
//! - [`consistent_lists`]: makes streaming lists consistent
//! - [`leader_writes`]: refuses the writes of a controller that does not lead
//! - [`requests`]: counts the requests to the API server
//!
//! What others learn from it:
//! - [`access_reviews`]: whose token this is, and what its user may do
//! - [`readiness`]: whether the controller can work, and what prevents it
//! - [`status_server`]: what the controller knows
//! - [`node_warm_ups`]: how long nodes that join take to be warm
//! - [`warm_results`]: writes on each list whether it is warm

mod accepted_lists;
pub mod access_reviews;
mod affected_lists;
mod apply;
mod backoff;
pub mod clean_up;
pub mod command_reader;
mod concerned_lists;
pub mod connect;
mod consistent_lists;
pub mod controller;
mod daemon_sets_by_list;
mod environment;
mod events;
mod image_caches;
pub mod leader_report;
mod leader_writes;
pub mod leadership;
pub mod lease;
pub mod list_data;
mod list_edits;
mod node_gates;
mod node_warm_ups;
mod observed;
mod observed_cluster;
mod observed_namespaces;
mod observed_workloads;
mod other_controllers;
mod pages;
pub mod readiness;
mod reconcile;
pub mod refresh;
mod requests;
mod resources;
mod snapshot;
pub mod status_input;
pub mod status_server;
mod warm_results;
mod watch;
mod watch_error;

pub use environment::{Installation, instance};

/// The name under which the controller owns fields (server-side apply) and reports Events.
pub const FIELD_MANAGER: &str = "kube-prepull";
