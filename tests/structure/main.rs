//! What no compiler checks and every newcomer meets: files that import each other in a circle or from a
//! higher layer, one name for two types, and words that
//! only insiders understand; text that is shown as others wrote it; and unsafe code outside of the holder.

#![allow(clippy::unwrap_used, missing_docs)]

mod circles;
mod crates;
mod imports;
mod layers;
mod outside_text;
mod type_names;
mod unsafe_code;
mod wording;

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the checkout.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder of the checkout, or the file itself, by their paths from the top.
fn files(below: &str) -> Vec<String> {
    let mut pending = vec![PathBuf::from(below)];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        let absolute = top().join(&path);
        if absolute.is_dir() {
            pending.extend(fs::read_dir(absolute).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        } else if absolute.is_file() {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(top().join(path)).ok()
}
