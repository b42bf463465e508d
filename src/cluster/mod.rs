//! Watches and writes: the only code that talks to a cluster.
//!
//! ```text
//! watch ─► Observed ─► controller: one worker per list ─► reconcile ─► plan (pure) ─► apply
//! ```
//! - [`connect`]: a client for the cluster that was named
//! - [`watch`]: what the cluster says → [`observed::Observed`], and which list it concerns
//! - [`edits`]: which of that are edits of a list
//! - [`controller`]: a worker per list, each with its own backoff, so that one cannot starve another
//! - [`pace`]: when a worker reconciles its list
//! - [`reconcile`]: decide on what was observed; if there is something to do, look again and do that
//! - [`snapshot`]: one list as it is at one time, observed or asked for anew
//! - [`apply`]: the only writes
//! - [`clean_up`]: deletes what does not go with the controller's Deployment
//! - [`reader`]: one look at everything, for commands
//! - [`objects`]: what is said of each list, from its objects
//! - [`events`]: tells the user what is messages
//! - [`image_caches`]: ImageCaches, for lists that ask for them
//! - [`lease`]: which of several controllers may write
//! - [`overview`]: what the controller knows, for whoever asks it
//! - [`node_warm_ups`]: measures how long nodes that join take to be warm
//! - [`requests`]: counts the requests to the API server
//! - [`readiness`]: whether the controller can do its work, and what keeps it from it
//! - [`environment`]: what kind of cluster this is, and what the controller itself belongs to

mod apply;
pub mod clean_up;
pub mod connect;
pub mod controller;
mod edits;
mod environment;
mod error;
mod events;
mod image_caches;
pub mod lease;
mod node_warm_ups;
pub mod objects;
mod observed;
pub mod overview;
mod pace;
pub mod reader;
pub mod readiness;
mod reconcile;
mod requests;
mod snapshot;
mod watch;

pub use environment::Installation;
pub use error::Error;

/// The name under which the controller owns fields (server-side apply) and reports Events.
pub const FIELD_MANAGER: &str = "kube-prepull";
