//! The fuzz targets of fuzz/ on the stable toolchain: their corpora, and a bounded number of changes to them, the same in every run.
//!
//! `make fuzz TARGET=…` searches further, with a nightly toolchain. What it finds belongs into the corpus, so that it is tried here.

#![allow(clippy::unwrap_used, missing_docs)]

mod changes;
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use changes::Changes;

/// Far above what any of these small inputs takes in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(10);

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn bounded(target: &str, run: fn(&[u8]), number: usize) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 5, "the corpus of {target} is small: {}", corpus.len());
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_190_611);
    let mut changes = Changes::new(seed);
    let changed = (0..number).map(|_| changes.changed(&corpus)).collect::<Vec<_>>();
    for input in corpus.iter().chain(&changed) {
        let shown = Shown(input);
        let begun = Instant::now();
        run(input);
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        drop(shown);
    }
}

/// Shows the input if a test fails with it.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
}

#[test]
fn lists_and_files_are_read_without_a_panic_and_rejected_with_a_reason_only() {
    bounded("lists", targets::lists::run, 2_000);
}

#[test]
fn references_have_one_normal_form() {
    bounded("references", targets::references::run, 50_000);
}

#[test]
fn the_fold_of_watch_events_equals_a_recount() {
    bounded("coverage", targets::coverage::run, 2_000);
}

#[test]
fn what_kubelets_say_is_explained_without_a_panic() {
    bounded("messages", targets::messages::run, 3_000);
}

/// Each target has a program in fuzz/ and a corpus, and nothing else is there.
#[test]
fn every_target_is_run_here_and_in_the_fuzzer() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| {
        let entries = fs::read_dir(top.join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.retain(|name| name != "mod");
        names.sort();
        names
    };
    let targets = names("tests/fuzz/targets");
    assert_eq!(targets, ["coverage", "lists", "messages", "references"]);
    assert_eq!((names("fuzz/fuzz_targets"), names("fuzz/corpus")), (targets.clone(), targets));
}
