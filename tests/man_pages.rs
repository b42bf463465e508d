//! The man pages in docs/man are what the command line says of itself.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use kube_prepull::command::arguments::Arguments;

/// The pages in a folder, by their file names.
fn pages(folder: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
    files
        .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&file).unwrap()))
        .collect()
}

#[test]
fn the_man_pages_are_what_the_command_line_says() {
    let generated = std::env::temp_dir().join(format!("kube-prepull-man-{}", std::process::id()));
    fs::create_dir_all(&generated).unwrap();
    clap_mangen::generate_to(Arguments::command(), &generated).unwrap();
    let expected = pages(&generated);
    fs::remove_dir_all(&generated).unwrap();
    assert!(
        expected.contains_key("kube-prepull.1") && expected.contains_key("kube-prepull-status.1"),
        "{:?}",
        expected.keys()
    );
    assert!(!expected.contains_key("kube-prepull-clean-up.1"), "it is not for users");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    if std::env::var_os("UPDATE_README").is_some() {
        fs::create_dir_all(&folder).unwrap();
        pages(&folder).keys().for_each(|page| fs::remove_file(folder.join(page)).unwrap());
        expected.iter().for_each(|(page, text)| fs::write(folder.join(page), text).unwrap());
    }
    assert_eq!(pages(&folder), expected, "run UPDATE_README=1 cargo test --test man_pages");
}
