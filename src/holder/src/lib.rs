//! The program that runs in every container in place of the image's own command, and the arithmetic that it shares with
//! the controller.
//!
//! A container of an image must exist for the kubelet's garbage collector to leave the image alone, and something must run
//! in that container: something that every image can run, whatever is in it, and that costs a node next to nothing. So the
//! holder is one static program of at most 4 KiB without a library below it. An init container copies it into a volume
//! that all containers of the pod share, and each of them runs it from there.
//!
//! This library is the part of it that is pure: what the arguments mean, when a node's turn comes, how errors read. It
//! has no dependencies and no system calls; those are the program's (`main.rs` and the files beside it).
//!
//! # The contract
//!
//! ```text
//! holder install v1 DESTINATION EPOCH SPREAD [NODE_NAME]
//! holder hold v1
//! ```
//!
//! The arguments stand in DaemonSets that live as long as a generation does, through upgrades and downgrades of the
//! controller and of the holder's image. Hence the version: what `v1` says here holds for every build that knows `v1`, and
//! a change of meaning is a `v2` beside it. A holder that does not know the version it is asked for says so and exits
//! with 2, rather than doing something else than was meant.
//!
//! `install` copies the running program to `DESTINATION`, a file's path in a folder that exists. It writes
//! `DESTINATION.new` with mode 0755 and renames it, so a copy is whole or not there, one that is being run can be replaced,
//! and installing twice is the same as installing once. (Two at once to one destination are not provided for: a pod has
//! one init container.) Then it waits for the node's [start_delay]: until `EPOCH` + FNV-1a(`NODE_NAME`) mod `SPREAD`, for no
//! longer than `SPREAD`. `EPOCH` is in seconds since 1970-01-01 00:00 UTC and `SPREAD` in seconds, both whole and in decimal.
//! The wall clock is read once, after the copy; from then on only the monotonic clock counts. Without `NODE_NAME`, or with an
//! empty one, there is no wait.
//!
//! `hold` does nothing until SIGTERM or SIGINT comes, without a timer and so without ever waking up.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | `install`: the copy is in place and the turn has come; `hold`: SIGTERM or SIGINT came |
//! | 1 | the system refused something; standard error names it and says why |
//! | 2 | wrong arguments; standard error says which, and how they go |
//! | 130, 143 | `install`: SIGINT or SIGTERM came before the turn, so this is no success; the copy is in place |
//!
//! Both commands heed SIGTERM and SIGINT as process 1 of a container too, whose signals the kernel otherwise drops.
#![no_std]
#![forbid(unsafe_code)]

pub mod arguments;
mod decimal;
pub mod failure;
pub mod start_delay;
pub mod temporary;
