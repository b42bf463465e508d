//! What the README says is so.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clap::{Arg, CommandFactory};
use kube_prepull::command::arguments::Arguments;

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
    let head = "| option | of | variable | default | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    rows.into_iter()
        .fold(head, |table, (row, subcommands)| table + &row.replace("{of}", &subcommands.join(", ")) + "\n")
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
    format!("| {option}{value} | {{of}} | {variable} | {default} | {help} |")
}

/// What must stand between two marks of the README. `UPDATE_README=1` writes it there.
fn stands_between(begin: &str, end: &str, right: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = checkout().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(begin).expect("the mark before it");
    let (written, after) = rest.split_once(end).expect("the mark after it");
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, format!("{before}{begin}{right}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(written, right, "run UPDATE_README=1 cargo test --test readme");
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_readme_lists_every_option() {
    stands_between("<!-- options -->\n", "<!-- /options -->\n", &options());
}

#[test]
fn the_readme_shows_the_transcript_of_the_demo_from_the_first_list_on() {
    let transcript = fs::read_to_string(checkout().join("docs/demo.txt")).unwrap();
    let from = transcript.find("[3/9]").expect("the step with the first list");
    let shown = format!("```text\n{}\n```\n", transcript[from..].trim_end());
    stands_between("<!-- demo -->\n", "<!-- /demo -->\n", &shown);
}

#[test]
fn every_file_that_the_readme_links_to_is_there() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let is_file = !link.contains("://");
        assert!(!is_file || checkout().join(link).exists(), "{link}");
    }
}
