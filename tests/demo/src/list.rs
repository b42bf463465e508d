//! The list that the demo applies, and its edits. Pure, but for reading the sample.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use test_bed::state::checkout;

use crate::images::{APP, EXTRA, TOOLS};

/// The sample, from the top of the checkout.
pub const SAMPLE: &str = "config/samples/demo.yaml";
/// The name of its ConfigMap.
pub const NAME: &str = "demo";

/// Where the sample is.
pub fn path() -> PathBuf {
    checkout().join(SAMPLE)
}

/// The manifest of the list.
pub fn read() -> Result<String> {
    fs::read_to_string(path()).with_context(|| format!("cannot read {SAMPLE}"))
}

/// The list with a fourth image.
pub fn with_extra(list: &str) -> Result<String> {
    let app = format!("    - {APP}\n");
    replace(list, &app, &format!("{app}    - {EXTRA}\n"))
}

/// The list with an upper case letter where none may be, and with a key that is spelled wrong.
pub fn with_mistakes(list: &str) -> Result<String> {
    let wrong = replace(list, TOOLS, "registry.test/Demo/tools:1.0")?;
    replace(&wrong, "    images:\n", "    refesh: {every: 1h}\n    images:\n")
}

fn replace(list: &str, old: &str, new: &str) -> Result<String> {
    ensure!(list.matches(old).count() == 1, "{SAMPLE} must hold {:?} once", old.trim());
    Ok(list.replace(old, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::SCRATCH;
    use crate::text::difference;

    #[test]
    fn the_sample_lists_the_images_that_are_pushed() {
        let list = read().unwrap();
        let listed: Vec<_> = list.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect();
        assert_eq!(listed, [SCRATCH, TOOLS, APP]);
    }

    #[test]
    fn an_edit_changes_nothing_but_what_it_is_about() {
        let list = read().unwrap();
        assert_eq!(difference(&list, &with_extra(&list).unwrap()), [format!("+     - {EXTRA}")]);
        let mistakes = difference(&list, &with_mistakes(&list).unwrap());
        assert!(mistakes.iter().any(|line| line.starts_with("+     refesh")), "{mistakes:?}");
    }

    #[test]
    fn an_edit_of_another_list_is_refused() {
        assert!(with_extra("images: []").is_err());
    }
}
