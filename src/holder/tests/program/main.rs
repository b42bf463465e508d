//! What the program does, found out by running it: on this machine's architecture, and on the other under an emulator.

#[macro_use]
mod holder;

mod arguments;
mod hold;
mod install;
mod process;
mod start_delay;
