//! `validate`: checks lists as the controller does, offline.

use std::io::Write;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use serde::Serialize;

use super::arguments::{ResultFormat, ValidateArguments};
use super::outcome::{Outcome, wrong_usage};
use super::{list_files, policy, source};
use crate::list::manifest::{Defaults, File, FileList, FileProblem};
use crate::list::{Code, Config, Policy, Problem, Severity};
use crate::messages::format::number;
use crate::messages::pull_credentials;
use crate::plan::validation_result::ResultState;
use crate::text::CleanText;

/// The version of the JSON. It changes when a key is removed or changes its meaning, but not when a key is added.
const JSON_VERSION: u32 = 1;
/// The name of a list from the text of an `images.yaml`, which has none. The same as for `render`.
pub(super) const DEFAULT_NAME: &str = "images";

/// The most problems of all lists of a file that are printed one by one: a file of manifests may have thousands of lists.
const MAX_PROBLEMS: usize = 2_000;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// Prints whether the lists of the files are accepted, and every problem with its line in the file. The worst file decides the outcome.
///
/// # Errors
/// If the output cannot be written.
pub fn validate(arguments: &ValidateArguments, output: &mut impl Write) -> anyhow::Result<Outcome> {
    let policy = match policy::read(arguments.policy.as_deref(), None) {
        Ok(policy) => policy,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let mut worst = Outcome::Good;
    for file in list_files::expand(&arguments.files) {
        let outcome = match file {
            Ok(file) => validate_file(&file, arguments, &policy, output)?,
            Err(error) => wrong_usage(&error),
        };
        worst = worst.max(outcome);
    }
    Ok(worst)
}

fn validate_file(
    path: &Path,
    arguments: &ValidateArguments,
    policy: &Policy,
    output: &mut impl Write,
) -> anyhow::Result<Outcome> {
    let defaults = Defaults { namespace: arguments.namespace.as_deref(), name: DEFAULT_NAME };
    let file = match source::read_all(path, defaults) {
        Ok(file) => file,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let validation_result = FileReport::new(&path.display().to_string(), &file, policy, arguments.allow_empty);
    let printed = match arguments.output {
        ResultFormat::Text => validation_result.print(output),
        ResultFormat::Json => serde_json::to_writer_pretty(&mut *output, &validation_result)
            .map_err(Into::into)
            .and_then(|()| writeln!(output)),
    };
    printed.context("cannot write the validation result")?;
    Ok(if validation_result.accepted { Outcome::Good } else { Outcome::Not })
}

/// Prints the validation result of a file as text.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn report(name: &Path, file: &File, output: &mut impl Write) -> std::io::Result<()> {
    FileReport::new(&name.display().to_string(), file, &Policy::default(), false).print(output)
}

/// The validation result of a file, which `-o json` prints.
#[derive(Serialize)]
struct FileReport {
    version: u32,
    file: CleanText,
    accepted: bool,
    lists: Vec<ListResult>,
    others: Vec<Other>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListResult {
    namespace: CleanText,
    name: CleanText,
    line: u64,
    labelled: bool,
    accepted: bool,
    state: &'static str,
    problems: Vec<ProblemLine>,
    /// What is right, and is reported here only: the controller has nothing to say of it.
    notes: Vec<CleanText>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemLine {
    severity: Severity,
    code: Code,
    /// The line in the file.
    line: u64,
    path: CleanText,
    /// The line within the value of the ConfigMap's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_line: Option<u64>,
    message: CleanText,
    remedy: CleanText,
}

#[derive(Serialize)]
struct Other {
    line: u64,
    kind: CleanText,
    name: CleanText,
}

impl FileReport {
    /// The result. `allow_empty`: a list without images is good, as it is if it is new.
    fn new(name: &str, file: &File, policy: &Policy, allow_empty: bool) -> Self {
        let mut left = MAX_PROBLEMS;
        let result = |list| {
            let result = ListResult::new(list, policy, allow_empty, left);
            left = left.saturating_sub(result.problems.len());
            result
        };
        let lists: Vec<_> = file.lists.iter().map(result).collect();
        let empty = ResultState::Empty.name();
        Self {
            version: JSON_VERSION,
            file: if name == "-" { "<stdin>".into() } else { name.into() },
            accepted: lists.iter().all(|list| list.accepted || (allow_empty && list.state == empty)),
            lists,
            others: file
                .others
                .iter()
                .map(|other| Other { line: other.line, kind: (&other.kind).into(), name: (&other.name).into() })
                .collect(),
        }
    }

    fn print(&self, output: &mut impl Write) -> std::io::Result<()> {
        let file = &self.file;
        for list in &self.lists {
            for problem in &list.problems {
                let (style, word) = match problem.severity {
                    // Nothing is wrong with a new list that is empty.
                    _ if list.state == ResultState::Empty.name() && problem.code.says_that_it_is_empty() => {
                        (WARNING, "empty")
                    }
                    Severity::Error => (ERROR, "error"),
                    Severity::Warning => (WARNING, "warning"),
                };
                let ProblemLine { line, code, path, message, remedy, .. } = problem;
                writeln!(output, "{file}:{line}: {style}{word}[{code}]{style:#}: {path}: {message}; {remedy}")?;
            }
            list.print_result(file, output)?;
        }
        for other in self.others.iter().filter(|other| other.kind == "ConfigMap") {
            let Other { line, name, .. } = other;
            writeln!(
                output,
                "{file}:{line}: the ConfigMap {name} is no list: it has no label {}: \"true\"",
                crate::list::IMAGE_LIST_LABEL
            )?;
        }
        Ok(())
    }
}

impl ListResult {
    /// The result. Of more than `most` problems, the rest is counted.
    fn new(list: &FileList, policy: &Policy, allow_empty: bool, most: usize) -> Self {
        let validation_result = list.result_with(policy, most.max(1));
        let state = match (validation_result.is_accepted(), validation_result.empty) {
            (true, _) => ResultState::Accepted,
            (false, true) => ResultState::Empty,
            (false, false) => ResultState::Rejected,
        };
        let mut problems = validation_result.problems;
        if allow_empty && state == ResultState::Empty {
            problems.retain(|found| !found.problem.code.says_that_it_is_empty());
        }
        Self {
            namespace: (&list.list.namespace).into(),
            name: (&list.list.name).into(),
            line: list.line,
            labelled: !list.unlabelled,
            accepted: state == ResultState::Accepted,
            state: state.name(),
            problems: first_of(problems, most).into_iter().map(ProblemLine::from).collect(),
            notes: validation_result.config.iter().filter_map(note_of_pull_secrets).map(CleanText::from).collect(),
        }
    }

    fn print_result(&self, file: &str, output: &mut impl Write) -> std::io::Result<()> {
        let count = |severity| self.problems.iter().filter(|problem| problem.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let (line, name) = (self.line, &self.name);
        if self.state == ResultState::Empty.name() {
            let what = "it may be installed like this; an edit that removes all images of a list is rejected";
            writeln!(output, "{file}:{line}: the list {name} {WARNING}has no images{WARNING:#}: {what}")?;
            return self.print_label(file, output);
        }
        let (style, word) = if self.accepted { (GOOD, "accepted") } else { (ERROR, "rejected") };
        let counts: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| number(count, what))
            .collect();
        let counts = if counts.is_empty() { String::new() } else { format!(", {}", counts.join(" and ")) };
        writeln!(output, "{file}:{line}: the list {name} is {style}{word}{style:#}{counts}")?;
        for note in &self.notes {
            writeln!(output, "{file}:{line}: {QUIET}note{QUIET:#}: {note}")?;
        }
        self.print_label(file, output)
    }

    fn print_label(&self, file: &str, output: &mut impl Write) -> std::io::Result<()> {
        let (line, name) = (self.line, &self.name);
        if !self.labelled {
            let label = crate::list::IMAGE_LIST_LABEL;
            writeln!(
                output,
                "{file}:{line}: it has no label {label}: \"true\", so the controller sees it only with --config-map {name}"
            )?;
        }
        Ok(())
    }
}

/// What workloads need to use what the list's groups pull with pull secrets.
fn note_of_pull_secrets(config: &Config) -> Option<String> {
    let pulling = config.groups.iter().filter(|group| !group.image_pull_secrets.is_empty());
    let groups: Vec<String> =
        pulling.map(|group| pull_credentials::group(group.name.as_str(), &group.image_pull_secrets, None)).collect();
    pull_credentials::note(&groups, false)
}

/// The first problems, and that there are more.
fn first_of(problems: Vec<FileProblem>, most: usize) -> Vec<FileProblem> {
    let is_note = |found: &FileProblem| found.problem.code == Code::TooManyProblems;
    let (notes, mut problems): (Vec<_>, Vec<_>) = problems.into_iter().partition(is_note);
    if problems.len() <= most {
        problems.extend(notes);
        return problems;
    }
    let others = problems.split_off(most);
    let mut rest = others.iter().chain(&notes);
    let is_error = rest.clone().any(|found| found.problem.severity == Severity::Error);
    let problem = Problem {
        severity: if is_error { Severity::Error } else { Severity::Warning },
        code: Code::TooManyProblems,
        path: "data".into(),
        line: None,
        message: format!("there are more problems, after {MAX_PROBLEMS} in the whole file").into(),
        remedy: "correct the first ones first".into(),
    };
    problems.extend(rest.next().map(|first| FileProblem { problem, line: first.line }));
    problems
}

impl From<FileProblem> for ProblemLine {
    fn from(FileProblem { problem, line }: FileProblem) -> Self {
        Self {
            severity: problem.severity,
            code: problem.code,
            line,
            path: problem.path,
            value_line: problem.line,
            message: problem.message,
            remedy: problem.remedy,
        }
    }
}
