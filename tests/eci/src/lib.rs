//! Plays the part of Alibaba Cloud that acts upon ImageCaches: its virtual node component and Elastic Container Instance
//! (ECI) behind it. Nobody else can run these, so tests and the demo have this in their place. It is never shipped.
//!
//! ```text
//! ImageCaches ──► simulator ──► decide (pure) ──► simulator ──► status, deletions
//!                    ▲  ▲
//!        clock ──────┘  └────── faults
//! ```
//! - [`image_cache`]: the resource
//! - [`behaviour`]: what becomes of an ImageCache, and how long that takes
//! - [`decide`]: an ImageCache, what is wrong, and now → its next status, or its end
//! - [`fault`]: switches for what goes wrong
//! - [`clock`]: time, which tests can drive
//! - [`definition`]: makes the resource known to a cluster
//! - [`simulator`]: reads and writes: the only code that talks to the cluster
//!
//! It acts on nothing but ImageCaches, and reads of Secrets whether they are there.

pub mod behaviour;
pub mod clock;
pub mod decide;
pub mod definition;
pub mod fault;
pub mod image_cache;
pub mod simulator;

pub use behaviour::Behaviour;
pub use clock::Clock;
pub use definition::define;
pub use fault::{Fault, Faults};
pub use image_cache::{ImageCache, Phase};
pub use simulator::{Options, Simulator};
