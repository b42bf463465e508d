//! The controller on clusters: simulated ones for what the API server sees, real nodes for what is pulled and held.
//!
//! `make test` starts both around these tests; each test has a namespace of its own, so all run side by side.

#![allow(clippy::unwrap_used, missing_docs)]

mod audit;
mod controller;
mod encodings;
mod hostile;
mod nodes;
mod prometheus;
mod proxy;
mod real;
mod secure;
mod serverless;
mod simulated;
mod tag_checks;
mod tls;
mod trial;
