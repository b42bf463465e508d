//! Workloads, and what was found in them before → the images that groups take from them. Pure.
//!
//! A workload that is gone is a reason to release its images; a namespace that cannot be read is none. So nothing goes
//! because less is known than before.
//!
//! ```text
//! workloads ────┬─► possible: the images that a group could have, and those that it cannot ─┐
//! found before ─┤                                                                           ├─► next: found now
//!               └─► unknown: namespaces of which it is not known what they name ────────────┘
//! ```
//! - [`workload`]: the fields of a workload that are needed, and the images that it names
//! - [`known`]: what is known of namespaces and of the workloads in them
//! - [`possible`]: which images a group could have
//! - [`unknown`]: which namespaces say nothing of what is no longer needed
//! - [`image`]: what is stored of one image
//! - [`mod@next`]: which images a group has from now on, and when the next one goes

mod image;
mod known;
mod next;
mod possible;
#[cfg(test)]
mod tests;
mod unknown;
mod workload;

pub use known::{KnownNamespaces, NamespaceWorkloads, Workloads};
pub use next::{NextFound, next};
pub use unknown::Unknown;
pub use workload::{SlimWorkload, Workload, WorkloadSpec};
