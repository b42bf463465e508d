//! Reads what lists may ask for.

use std::path::Path;

use anyhow::ensure;

use super::source::read_file;
use super::terminal::ErrorLines;
use crate::list::policy::{Policy, parse_policy};
use crate::text::CleanText;

/// Reads the policy from a file (`-` is standard input) or from a text, or else returns the default one.
///
/// # Errors
/// If both are given, the file cannot be read, or it is not a policy.
pub fn read(file: Option<&Path>, text: Option<&str>) -> anyhow::Result<Policy> {
    let text = text.filter(|text| !text.trim().is_empty());
    ensure!(
        file.is_none() || text.is_none(),
        "there are two policies: the file of --policy, and --policy-text or the variable POLICY; give one of them"
    );
    match (file, text) {
        (Some(file), _) => {
            let name = if file == Path::new("-") { "<stdin>".to_owned() } else { file.display().to_string() };
            parse(&name, &read_file(file)?)
        }
        (None, Some(text)) => parse("POLICY", text),
        (None, None) => Ok(Policy::default()),
    }
}

fn parse(name: &str, text: &str) -> anyhow::Result<Policy> {
    parse_policy(text).map_err(|problems| {
        let line = |line: Option<u64>| line.map_or_else(String::new, |line| format!(":{line}"));
        let problems = problems
            .iter()
            .map(|it| format!("{name}{}: [{}] {}: {}; {}", line(it.line), it.code, it.path, it.message, it.remedy));
        let lines = std::iter::once("this policy cannot be used:".to_owned()).chain(problems);
        ErrorLines(lines.map(CleanText::from).collect()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_no_policy() {
        for text in [None, Some(""), Some(" \n")] {
            assert_eq!(read(None, text).expect("the default"), Policy::default());
        }
    }

    #[test]
    fn every_problem_of_a_policy_is_named_with_its_line() {
        let error = read(None, Some("image: []\nmaxImages: 0")).expect_err("two mistakes").to_string();
        assert!(error.contains("POLICY:1: [UnknownKey] policy: image: unknown key \"image\""), "{error}");
        assert!(error.contains("POLICY:2: [OutOfRange] policy: maxImages: "), "{error}");
    }

    #[test]
    fn two_policies_are_one_too_many() {
        let error = read(Some(Path::new("/dev/null")), Some("maxImages: 1")).expect_err("two").to_string();
        assert!(error.contains("two policies"), "{error}");
    }
}
