//! Feeds arbitrary input to the target `coverage`.

#![no_main]

#[path = "../../tests/fuzz/targets/coverage.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
