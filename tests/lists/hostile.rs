//! Hostile lists, given to the program as it is run: each costs no more than its own size. A process of its own runs each, so that its
//! time and its memory can be measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use super::hostile_inputs::{INPUTS, MAX_BYTES};

/// The file that [`measured`] validates.
const FILE: &str = "KUBE_PREPULL_TEST_HOSTILE_FILE";
/// Processor seconds. A debug build computes some ten times as long as a released program, and machines differ.
const SECONDS: f64 = if cfg!(debug_assertions) { 10.0 } else { 1.0 };
/// Resident memory. A debug build is some 60 MB larger than a released program, and up to 25 MB of that get resident.
const MEGABYTES: f64 = if cfg!(debug_assertions) { 64.0 + 25.0 } else { 64.0 };
/// What is printed, in bytes: some words about each of thousands of lists.
const OUTPUT: usize = 5_000_000;

/// What a validation cost.
#[derive(Debug)]
struct Cost {
    seconds: f64,
    megabytes: f64,
}

struct InputFile(PathBuf);

impl InputFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kube-prepull-hostile-{}-{name}.yaml", std::process::id()));
        fs::write(&path, text).expect("a temporary file");
        Self(path)
    }
}

impl Drop for InputFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// What it costs to validate a file, and what is printed about it. The figures of a process are those of its children together, so
/// a process in between has one child only.
fn cost_of(file: &Path) -> (Cost, Vec<u8>) {
    let own = std::env::current_exe().expect("the test's own program");
    let mut between = Command::new(own);
    between.args(["--exact", "hostile::measured", "--ignored", "--nocapture", "--quiet"]).env(FILE, file);
    let output = between.output().expect("the process in between");
    assert!(output.status.success(), "{output:?}");
    let split = output.stdout.windows(5).rposition(|bytes| bytes == b"COST ").expect("the cost is printed last");
    let line = String::from_utf8_lossy(&output.stdout[split..]).into_owned();
    let figures: Vec<f64> = line.split_whitespace().skip(1).take(2).map(|it| it.parse().expect("a figure")).collect();
    (Cost { seconds: figures[0], megabytes: figures[1] }, output.stdout[..split].to_vec())
}

/// Not a test of its own: the process in between.
#[test]
#[ignore = "it is started by the other tests here"]
fn measured() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut validate = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    let status = validate.args(["validate", "--file"]).arg(file).stdin(Stdio::null()).status().expect("it starts");
    assert!(matches!(status.code(), Some(0..=2)), "{status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("figures");
    let seconds = [usage.user_time(), usage.system_time()].map(|it| it.tv_sec() as f64 + it.tv_usec() as f64 / 1e6);
    println!("COST {} {}", seconds.iter().sum::<f64>(), usage.max_rss() as f64 / 1024.0);
}

#[test]
fn no_list_costs_more_than_its_own_size() {
    let mut too_dear = Vec::new();
    for (name, input) in INPUTS {
        let text = input();
        assert!((100_000..MAX_BYTES).contains(&text.len()), "{name}: {} bytes", text.len());
        let (cost, output) = cost_of(&InputFile::new(name, &text).0);
        let longest = output.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or_default();
        if cost.seconds > SECONDS || cost.megabytes > MEGABYTES || output.len() > OUTPUT || longest > 8_000 {
            too_dear.push(format!("{name}: {cost:?}, {} bytes of output, {longest} in a line", output.len()));
        }
    }
    assert!(too_dear.is_empty(), "{}", too_dear.join("\n"));
}

/// Inputs of which half, cut between two lines, means the same.
const HALVED: [&str; 4] = ["groups", "a List of bad lists", "unknown keys", "bad images behind empty lines"];

#[test]
fn twice_as_much_costs_at_most_about_twice_as_much() {
    for (name, input) in INPUTS.iter().filter(|(name, _)| HALVED.contains(name)) {
        let text = input();
        let half = text[..text.len() / 2].rfind('\n').map_or("", |end| &text[..=end]);
        let whole = cost_of(&InputFile::new(&format!("{name}-whole"), &text).0).0;
        let half = cost_of(&InputFile::new(&format!("{name}-half"), half).0).0;
        // A second that both need anyway is left to the machine.
        assert!(whole.seconds < 3.0 * half.seconds + 1.0, "{name}: {half:?}, then {whole:?}");
    }
}

#[test]
fn what_is_refused_for_its_size_is_refused_with_one_reason() {
    for images in [95_000, 1_001] {
        let text = format!("images:\n{}", (0..images).map(|number| format!("- b:{number}\n")).collect::<String>());
        let printed: Value = super::validate::json(&text);
        let problems = &printed["lists"][0]["problems"];
        assert_eq!((&problems[0]["code"], problems.as_array().map(Vec::len)), (&json!("TooLarge"), Some(1)));
    }
}
