//! Unsafe code is in the holder only, which has no C library, and there in the two files that talk to the kernel.

use crate::{files, read};

const ALLOWED: [&str; 2] = ["src/holder/src/entry.rs", "src/holder/src/system.rs"];
/// The rule itself.
const RULE: &str = "unsafe_code = \"deny\"";

/// What may follow the word in code. In comments and arguments of programs, other things do.
const FOLLOWS: [&str; 6] = ["{", "(", "fn ", "extern ", "impl ", "trait "];

fn is_unsafe(text: &str) -> bool {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.flat_map(|line| line.split("unsafe").skip(1))
        .any(|rest| FOLLOWS.iter().any(|it| rest.trim_start().starts_with(it)) || rest.starts_with("_code"))
}

#[test]
fn unsafe_code_is_in_the_holder_only() {
    let own = ["tests/structure/unsafe_code.rs", "tests/structure/main.rs"];
    let files = ["src", "tests", "fuzz/fuzz_targets"].iter().flat_map(|folder| files(folder));
    let files = files.filter(|file| file.ends_with(".rs") && !own.contains(&file.as_str()));
    // What forbids it names it.
    let text = |file: &String| read(file).unwrap().replace("#![forbid(unsafe_code)]", "");
    let found: Vec<_> = files.filter(|file| is_unsafe(&text(file))).collect();
    assert_eq!(found, ALLOWED);
}

#[test]
fn every_crate_obeys_the_rule_against_unsafe_code() {
    assert!(read("Cargo.toml").unwrap().contains(RULE));
    for crate_ in ["", "src/holder/", "tests/bed/", "tests/demo/", "tests/eci/"] {
        let manifest = read(&format!("{crate_}Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{crate_}");
    }
}

#[test]
fn unsafe_code_is_found_and_words_about_it_are_not() {
    assert!(is_unsafe("let it = unsafe { call() };"));
    assert!(is_unsafe("#![allow(unsafe_code)]"));
    assert!(!is_unsafe("    // unsafe {\n    let unsafely = \"--unsafe-no-fsync\";"));
}
