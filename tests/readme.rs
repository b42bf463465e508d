//! What the README and the pages in docs/ claim about the program, and their links, are checked here.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clap::{Arg, CommandFactory};
use kube_prepull::command::arguments::Arguments;

/// The most lines of the README: whoever opens the project reads it to its end.
const README_LINES: usize = 150;
/// What `status` prints for a real cluster of two nodes on which not all images are warm.
const STATUS: &str = "docs/status-half-warm.txt";
const INDEX: &str = "docs/README.md";

/// A table of every option, with the subcommands that take it.
fn options() -> String {
    let command = Arguments::command();
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        for argument in subcommand.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let row = row(argument);
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, subcommands)) => subcommands.push(subcommand.get_name()),
                None => rows.push((row, vec![subcommand.get_name()])),
            }
        }
    }
    let head = "| option | commands | variable | default | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    rows.into_iter()
        .fold(head, |table, (row, subcommands)| table + &row.replace("{commands}", &subcommands.join(", ")) + "\n")
}

fn row(argument: &Arg) -> String {
    let option = match (argument.get_long(), argument.get_short()) {
        (Some(long), Some(short)) => format!("`--{long}`, `-{short}`"),
        (Some(long), None) => format!("`--{long}`"),
        _ => format!("`{}`", argument.get_id().as_str().to_uppercase()),
    };
    let value =
        argument.get_value_names().filter(|_| argument.get_action().takes_values() && !argument.is_positional());
    let value = value.map_or(String::new(), |names| format!(" `{}`", names[0]));
    let variable = argument.get_env().map_or(String::new(), |name| format!("`{}`", name.to_string_lossy()));
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if default.is_empty() || !argument.get_action().takes_values() {
        String::new()
    } else {
        format!("`{}`", default.join(","))
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    format!("| {option}{value} | {{commands}} | {variable} | {default} | {help} |")
}

/// The output in [`STATUS`], below the command line that prints it.
fn status() -> String {
    let output = read(Path::new(STATUS));
    let (namespace, _) = output.split_once('/').expect("the first line begins with NAMESPACE/LIST");
    format!("```text\n$ kubectl prepull status --namespace {namespace}\n{}\n```\n", output.trim_end())
}

/// Checks the text between the marks `<!-- name -->` and `<!-- /name -->` of a page. `UPDATE_README=1` writes it there.
fn assert_between_marks(page: &str, name: &str, expected: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let text = read(Path::new(page));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} has no {begin}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no {end}"));
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(checkout().join(page), format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(written, expected, "{page}: run UPDATE_README=1 cargo test --test readme");
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &Path) -> String {
    fs::read_to_string(checkout().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The pages in docs/, with the path of each from the checkout.
fn docs() -> BTreeSet<PathBuf> {
    let files = fs::read_dir(checkout().join("docs")).unwrap().map(|file| file.unwrap().file_name());
    let pages =
        files.map(|name| Path::new("docs").join(name)).filter(|page| page.extension().is_some_and(|it| it == "md"));
    pages.collect()
}

/// All pages for users and contributors.
fn pages() -> BTreeSet<PathBuf> {
    let others = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/helm/README.md"].map(PathBuf::from);
    docs().into_iter().chain(others).collect()
}

/// The lines of a page that are not part of a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The links of a page to files of the project, each as the path from the checkout and the anchor.
fn links(page: &Path) -> Vec<(PathBuf, Option<String>)> {
    let text = read(page);
    let targets = prose(&text).flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    local
        .map(|target| {
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { page.to_owned() } else { page.with_file_name(file) };
            (without_dots(&path), anchor.map(str::to_owned))
        })
        .collect()
}

/// The path without `.` and `..`.
fn without_dots(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, component| {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            other => clean.push(other),
        }
        clean
    })
}

/// The anchors of a page's headings, by the rules of GitHub.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = read(page);
    let headings = prose(&text)
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_option_is_documented() {
    assert_between_marks("docs/command-line.md", "options", &options());
}

#[test]
fn the_readme_and_the_page_on_status_show_real_output() {
    for page in ["README.md", "docs/status.md"] {
        assert_between_marks(page, "status", &status());
    }
}

#[test]
fn the_readme_is_short() {
    let lines = read(Path::new("README.md")).lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        for (path, anchor) in links(&page) {
            let exists = checkout().join(&path).exists();
            let has_anchor =
                |anchor: &str| path.extension().is_none_or(|it| it != "md") || anchors(&path).contains(anchor);
            if !exists || !anchor.as_deref().is_none_or(has_anchor) {
                broken.push(format!("{}: {}#{}", page.display(), path.display(), anchor.unwrap_or_default()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_is_in_the_index() {
    let index = Path::new(INDEX);
    let linked: BTreeSet<PathBuf> = links(index).into_iter().map(|(path, _)| path).collect();
    let expected = pages().into_iter().filter(|page| page != index && page != Path::new("README.md"));
    let missing: Vec<PathBuf> = expected.filter(|page| !linked.contains(page)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
