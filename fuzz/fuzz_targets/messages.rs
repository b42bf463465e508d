//! Feeds arbitrary input to the target `messages`.

#![no_main]

#[path = "../../tests/fuzz/targets/messages.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
