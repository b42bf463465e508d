//! Nothing bypasses the type for text that is safe to show.

use crate::{files, read};

/// The only file that prints lines. Reports and manifests are written to the stream that their commands are given.
const TERMINAL: &str = "src/command/terminal.rs";

/// The structures that are printed, logged or sent as they are.
const SHOWN: [(&str, &str); 8] = [
    ("src/status/report.rs", "pub struct "),
    ("src/status/rollout.rs", "pub struct "),
    ("src/image_cache/status.rs", "pub struct ImageCacheReport"),
    ("src/list/problem.rs", "pub struct Problem"),
    ("src/command/validate.rs", "struct "),
    ("src/plan/generation/conditions.rs", "pub struct StoredCause"),
    ("src/plan/generation/check_failure.rs", "pub struct CheckFailure "),
    ("src/error.rs", "pub enum Error"),
];
/// What the controller itself names: an action of its own, and objects that it is about to write.
const OWN: [&str; 2] = ["action: String", "name: String"];

#[test]
fn only_one_file_prints_lines() {
    let own = |file: &String| file.ends_with(".rs") && !file.starts_with("src/holder/") && file != TERMINAL;
    let printing = files("src").into_iter().filter(own).filter(|file| {
        let text = read(file).unwrap();
        ["println!", "print!("].iter().any(|it| text.contains(it))
    });
    assert_eq!(printing.collect::<Vec<_>>(), [""; 0], "use the functions of {TERMINAL}");
}

#[test]
fn what_is_shown_has_only_clean_texts() {
    let mut wrong = Vec::new();
    for (file, start) in SHOWN {
        let text = read(file).unwrap();
        assert!(text.contains(start), "{file} has no {start}");
        for structure in text.split(start).skip(1) {
            let fields = structure.split("\n}").next().unwrap_or_default();
            let is_field = |line: &&str| line.contains("String") && line.contains(": ") && !line.contains("//");
            let others = fields
                .lines()
                .filter(is_field)
                .filter(|line| file != "src/error.rs" || !OWN.iter().any(|own| line.contains(own)));
            wrong.extend(others.map(|line| format!("{file}: {}", line.trim())));
        }
    }
    assert!(wrong.is_empty(), "these have to be of the type CleanText:\n{}", wrong.join("\n"));
    assert!(read("src/messages/mod.rs").unwrap().contains("pub note: CleanText"));
}

#[test]
fn every_log_is_cleaned() {
    let starting: Vec<_> = files("src")
        .into_iter()
        .filter(|file| read(file).is_some_and(|it| it.contains("tracing_subscriber::fmt()")))
        .collect();
    assert_eq!(starting, ["src/command/log_lines.rs", "src/command/logging.rs"]);
}
