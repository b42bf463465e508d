//! The real promtool, and the files that it reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A path of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn read(path: &str) -> String {
    fs::read_to_string(checkout(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Standard output where it finds nothing wrong, otherwise all that it says.
pub fn promtool(arguments: &[&str]) -> Result<String, String> {
    let program = test_bed::programs::build(&["promtool"]).unwrap().join("promtool");
    let output = Command::new(program).args(arguments).output().unwrap();
    let standard = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true => Ok(standard),
        false => Err(standard + &String::from_utf8_lossy(&output.stderr)),
    }
}
