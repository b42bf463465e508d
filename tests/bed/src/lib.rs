//! Starts and stops the clusters that the tests, the demo and contributors use.
//!
//! There are two kinds, and each checkout can have one of each:
//! - [`Simulated`]: a real control plane whose nodes are played by kwok. Needs no root, starts in seconds, scales to a
//!   thousand nodes. Nothing is pulled and nothing runs.
//! - [`Real`]: kubelet, containerd, runc and a registry in namespaces of their own. Needs root on Linux.
//!
//! Tests find the running ones with [`Simulated::running`] and [`Real::running`]; `bed` starts and ends them.
//!
//! ```text
//! state      where a bed keeps its files          member    which processes are a bed's
//! programs   what has to be built or installed    machine   namespaces with an init in them
//! real       control plane, nodes, registry       simulated kwokctl
//! image      images made in memory                registry  pushes them, reads the access log
//! down       ends a bed, also after a crash       started   ends what a program has started for itself
//! prometheus a Prometheus on loopback, which tests start for themselves
//! process    one program beside this one          needed    what a test says without a bed
//! tunnels    proxies in front of a server         browser   a browser without windows
//! wait       for conditions, within bounds        log       the end of a log, for error messages
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access_log;
mod audit;
pub mod browser;
pub mod cgroup;
mod debian;
pub mod down;
mod etcd;
pub mod forward;
pub mod image;
pub mod init;
mod kubectl;
pub mod log;
mod machine;
pub mod member;
mod needed;
mod pki;
pub mod process;
pub mod programs;
mod progress;
pub mod prometheus;
pub mod real;
pub mod registry;
pub mod simulated;
mod started;
pub mod state;
pub mod tunnels;
pub mod wait;

pub use access_log::Access;
pub use browser::{Browser, Tab};
pub use etcd::Etcd;
pub use image::{Digest, Image, Layer};
pub use kubectl::Kubectl;
pub use process::{Process, free_address};
pub use prometheus::Prometheus;
pub use real::{Node, Real};
pub use registry::Registry;
pub use simulated::Simulated;
pub use started::Started;
