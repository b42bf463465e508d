//! What the README says of the options is what the program takes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use clap::{Arg, CommandFactory};
use kube_prepull::command::arguments::Arguments;

const BEGIN: &str = "<!-- options -->\n";
const END: &str = "<!-- /options -->\n";

/// A table of every option, with the subcommands that take it.
fn options() -> String {
    let command = Arguments::command();
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    for subcommand in command.get_subcommands() {
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

#[test]
fn the_readme_lists_every_option() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the mark before the options");
    let (written, after) = rest.split_once(END).expect("the mark after the options");
    let right = options();
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{right}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, right, "run UPDATE_README=1 cargo test --test readme");
}
