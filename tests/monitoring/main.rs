//! What `deploy/monitoring` ships: alerts that the real promtool checks, and a dashboard.

#![allow(clippy::unwrap_used, missing_docs)]

mod dashboard;
mod names;
mod promtool;
mod rules;
