//! Feeds arbitrary input to the target `lists`.

#![no_main]

#[path = "../../tests/fuzz/targets/lists.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
