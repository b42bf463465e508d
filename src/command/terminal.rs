//! Lines on standard output and standard error. No other file of the commands prints any, except for reports and manifests.

use std::fmt;

use crate::text::{CleanText, json};

/// Prints a line to standard output.
pub fn print_line(line: impl Into<CleanText>) {
    println!("{}", line.into());
}

/// Prints a line to standard error.
pub fn print_error(line: impl Into<CleanText>) {
    eprintln!("{}", line.into());
}

/// Prints an error to standard error: what failed, and its causes.
pub fn report(error: &anyhow::Error) {
    match (error.downcast_ref::<ErrorLines>(), error.downcast_ref::<ErrorWithManifest>()) {
        (Some(lines), _) => eprintln!("error: {lines}"),
        (None, Some(with_manifest)) => eprintln!("error: {with_manifest}"),
        (None, None) => print_error(format!("error: {error:#}")),
    }
}

/// Ends the program with what is wrong with its arguments. They may be names of files of others.
pub fn refuse(error: &clap::Error) -> ! {
    let text = error.to_string();
    if json::is_plain(&text) {
        error.exit();
    }
    text.lines().for_each(print_error);
    std::process::exit(error.exit_code());
}

/// An error of several lines. Of any other one, line breaks are not ours.
#[derive(Debug)]
pub struct ErrorLines(pub Vec<CleanText>);

impl fmt::Display for ErrorLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(CleanText::as_str).collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for ErrorLines {}

/// An error, and the manifest that puts it right, with quoted texts, which is printed whole.
#[derive(Debug)]
pub struct ErrorWithManifest {
    /// What is wrong.
    pub error: CleanText,
    /// The manifest as YAML.
    pub manifest: String,
}

impl fmt::Display for ErrorWithManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.error, json::escaped(&self.manifest))
    }
}

impl std::error::Error for ErrorWithManifest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_error_are_kept_apart_and_line_breaks_in_them_are_not() {
        let lines = ErrorLines(vec!["not allowed:".into(), "  a\n::error::b".into()]);
        assert_eq!(lines.to_string(), "not allowed:\n  a : :error::b");
    }
}
