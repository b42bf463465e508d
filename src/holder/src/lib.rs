//! The program that runs in every container instead of the image's own command, and the formula that it shares with the
//! controller.
//!
//! The kubelet's garbage collector keeps an image only while a container of it exists, and something has to run in that container:
//! it must work in every image, whatever the image contains, and must cost a node next to nothing. So the holder is one static
//! program of at most 4 KiB that needs no library. An init container copies it into a volume that all containers of the pod
//! share, and each of them runs it from there.
//!
//! This library is the pure part: the arguments, the start delay of a node, and the error messages. It has no dependencies and
//! makes no system calls; the program does (`main.rs` and the files beside it).
//!
//! # The contract
//!
//! ```text
//! holder install v1 DESTINATION EPOCH SPREAD [NODE_NAME]
//! holder hold v1
//! ```
//!
//! The arguments are part of DaemonSets, which outlive upgrades and downgrades of the controller and of the holder's image. Hence
//! the version: what `v1` means here must hold for every build that knows `v1`, and a change of meaning needs a `v2` beside it. A
//! holder that does not know the requested version prints an error and exits with 2, rather than do something unintended.
//!
//! `install` copies the running program to `DESTINATION`, a file's path in a folder that exists. It writes
//! `DESTINATION.new` with mode 0755 and renames it, so there is never a partial copy, a running copy can be replaced, and
//! installing twice is the same as installing once. (Two installers must not use one destination at the same time; a pod has only
//! one init container.) Then it waits for the node's [start_delay]: until `EPOCH` + FNV-1a(`NODE_NAME`) mod `SPREAD`, for no
//! longer than `SPREAD`. `EPOCH` is in seconds since 1970-01-01 00:00 UTC and `SPREAD` in seconds, both whole and in decimal.
//! The wall clock is read once, after the copy; from then on only the monotonic clock counts. There is no wait if `NODE_NAME` is
//! missing or empty.
//!
//! `hold` sleeps until SIGTERM or SIGINT comes. It uses no timer, so it never wakes up before.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | `install`: the copy is in place and the start delay is over; `hold`: SIGTERM or SIGINT came |
//! | 1 | a system call failed; standard error says which and why |
//! | 2 | wrong arguments; standard error says which, and prints the usage |
//! | 130, 143 | `install`: SIGINT or SIGTERM came during the start delay; the copy is in place, but this is no success |
//!
//! Both commands end by SIGTERM and SIGINT even as process 1 of a container, for which the kernel drops signals that have no
//! handler.
#![no_std]
#![forbid(unsafe_code)]

pub mod arguments;
mod decimal;
pub mod failure;
pub mod start_delay;
pub mod temporary;
