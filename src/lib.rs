//! kube-prepull keeps container images warm on every node of a Kubernetes cluster.
//!
//! ```text
//! ConfigMap edit ──► list ──► Config ──► plan ──► desired objects ──► cluster ──► DaemonSets, ImageCaches
//!                   (pure)              (pure)                    (the only writer)   │
//!    clock ───────────────────────────────┘  ▲                                        ▼
//!                                            └────────── coverage ◄── cluster ◄── pods, nodes
//!                                                       (pure fold)
//! ```
//! - [`list`]: what the user wrote → [`list::Config`], or every problem at once
//! - [`discovery`]: workloads → the images that lists take from them
//! - [`plan`]: Config + facts + coverage + now → what to create, restore and delete
//! - [`image_cache`]: what is decided, kept and reported of ImageCaches, from which virtual nodes start pods
//! - [`coverage`]: pods and nodes → who has what
//! - [`messages`]: what was done or found → words for the user
//! - [`cluster`]: watches and writes: the only code that talks to a cluster
//! - [`error`]: what can go wrong when reading or writing the cluster
//! - [`denial`]: who refused a request: a missing right, or a policy
//! - [`estimate`]: Config + prices → what a list costs
//! - [`pull_list`]: lists + what nodes hold → the images that somebody pulls ahead of time
//! - [`summary`]: coverage + generations + Config → for each image, what is where and why not
//! - [`gate`]: summaries + nodes + now → which new nodes are free, and what their condition says
//! - [`status`]: summaries → what users see
//! - [`metrics`]: what Prometheus scrapes
//! - [`command`]: what the user runs
//! - [`slim`]: objects of the cluster → the fields that are needed
//! - [`naming`]: how objects are named and labelled
//! - [`text`]: what others say → text that is safe to show
//!
//! Nothing is remembered in the process that the cluster does not hold.

pub mod cluster;
pub mod command;
pub mod coverage;
pub mod denial;
pub mod discovery;
pub mod error;
pub mod estimate;
pub mod gate;
pub mod image_cache;
pub mod list;
pub mod messages;
pub mod metrics;
pub mod naming;
pub mod plan;
pub mod pull_list;
pub mod slim;
pub mod status;
pub mod summary;
pub mod text;
