//! The program. The crate's library documents what it does and has all parts that need no system call.
//!
//! - [`entry`]: where the kernel starts it
//! - [`program`]: carries out the command that the arguments name
//! - [`install`], [`signals`]: what the commands do
//! - [`system`]: system calls, and what a C library would provide otherwise
#![no_std]
#![no_main]

mod entry;
mod install;
mod program;
mod signals;
mod system;
