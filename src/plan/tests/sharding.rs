//! Which images are in which shard, and what follows for a long group.

mod assignment;
mod plans;
mod reports;
