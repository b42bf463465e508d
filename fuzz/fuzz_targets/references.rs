//! Feeds arbitrary input to the target `references`.

#![no_main]

#[path = "../../tests/fuzz/targets/references.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
