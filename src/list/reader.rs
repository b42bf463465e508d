//! Reads a tree and collects every problem: a reader never stops at one, but returns `None` and continues.

use std::collections::{BTreeMap, BTreeSet};

use super::path::Path;
use super::problem::{Code, Problem, Severity, quoted};
use super::tree::{Key, TreeNode, Value};
use super::{hints, suggest};
use crate::text::CleanText;

/// The most problems of a list that are reported one by one.
pub(super) const MAX_PROBLEMS: usize = 1000;
/// The most warnings of one kind about different subjects that are reported one by one.
const MAX_ALIKE: usize = 10;
/// The most characters of a path, a message or a remedy: enough for the names of all flat keys. Only a meaningless key makes longer ones.
const MAX_TEXT: usize = 1000;

/// The problems found so far.
#[derive(Debug)]
pub struct Problems {
    found: Vec<Problem>,
    /// The most problems that are reported one by one.
    most: usize,
    /// The number of problems beyond these, and whether any of them is an error.
    beyond: usize,
    beyond_has_error: bool,
    /// The subjects that [`Problems::warn_once`] has warned of, by kind.
    alike: BTreeMap<Code, Alike>,
    /// The paths of wrong types in the value that was read last. They count as missing, so that they get no further problems.
    wrong_types: Vec<String>,
}

/// Warnings of one kind.
#[derive(Debug, Default)]
struct Alike {
    subjects: BTreeSet<String>,
    /// The place of the first one beyond [`MAX_ALIKE`].
    beyond: Option<Place>,
}

/// A place in a list: a path, and a line if there are lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key of the data and the path inside it.
    pub path: String,
    /// The line inside the value, from 1.
    pub line: Option<u64>,
}

impl Place {
    /// A place without lines: a flat key, or the data as a whole.
    pub fn key(path: &str) -> Self {
        Self { path: path.to_owned(), line: None }
    }
}

impl Default for Problems {
    fn default() -> Self {
        Self::up_to(MAX_PROBLEMS)
    }
}

impl Problems {
    /// None yet, of which at most so many are reported one by one.
    pub fn up_to(most: usize) -> Self {
        Self {
            found: Vec::new(),
            most,
            beyond: 0,
            beyond_has_error: false,
            alike: BTreeMap::new(),
            wrong_types: Vec::new(),
        }
    }

    /// Adds an error.
    pub fn error(&mut self, place: Place, code: Code, message: impl Into<String>, remedy: impl Into<String>) {
        let message = message.into();
        if self.is_full() {
            return self.push(Severity::Error, place, code, message, String::new());
        }
        // A value that a template should have filled in is wrong for that reason, whatever it is the value of.
        let remedy = hints::unfilled(&message).map_or_else(|| remedy.into(), hints::fill_in);
        self.push(Severity::Error, place, code, message, remedy);
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place, code: Code, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Warning, place, code, message.into(), remedy.into());
    }

    /// Adds a warning about a subject, unless there was one of this kind about it. Of many subjects the rest is only counted, because
    /// what is said of nearly every line of a list is noise.
    pub fn warn_once(&mut self, code: Code, subject: String, place: Place, message: String, remedy: String) {
        let alike = self.alike.entry(code).or_default();
        if !alike.subjects.insert(subject) {
            return;
        }
        if alike.subjects.len() > MAX_ALIKE {
            alike.beyond.get_or_insert(place);
            return;
        }
        self.warning(place, code, message, remedy);
    }

    /// Adds a wrong type of a part of a value. Further problems of that part are dropped.
    pub(super) fn wrong_type(&mut self, place: Place, message: &str, remedy: &str) {
        let path = place.path.clone();
        self.error(place, Code::WrongType, message, remedy);
        self.wrong_types.push(path);
    }

    /// Starts another value: no part of it has a wrong type yet.
    pub(super) fn forget_wrong_types(&mut self) {
        self.wrong_types.clear();
    }

    /// Whether further problems are only counted, so that nobody need find words for them.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    /// Counts a problem beyond those that are reported one by one.
    pub(super) fn count(&mut self, severity: Severity) {
        self.beyond += 1;
        self.beyond_has_error |= severity == Severity::Error;
    }

    fn push(&mut self, severity: Severity, place: Place, code: Code, message: String, remedy: String) {
        if self.wrong_types.iter().any(|path| is_inside(&place.path, path)) {
            return;
        }
        if self.is_full() {
            return self.count(severity);
        }
        let (path, message, remedy) = (bounded(place.path), bounded(message), bounded(remedy));
        let (path, message, remedy) = (shown(path), message.into(), remedy.into());
        self.found.push(Problem { severity, code, path, line: place.line, message, remedy });
    }

    /// All problems, in the order of the text, and the number of those beyond the limit.
    pub fn into_vec(mut self) -> Vec<Problem> {
        for (code, alike) in std::mem::take(&mut self.alike) {
            let Some(place) = alike.beyond else { continue };
            let message = match alike.subjects.len() - MAX_ALIKE - 1 {
                0 => "this entry has".to_owned(),
                more => format!("this entry and {more} more have"),
            };
            self.warning(
                place,
                code,
                format!("{message} the same problem as the {MAX_ALIKE} entries before"),
                "correct them in the same way",
            );
        }
        if self.beyond > 0 {
            self.found.push(Problem {
                severity: if self.beyond_has_error { Severity::Error } else { Severity::Warning },
                code: Code::TooManyProblems,
                path: "data".into(),
                line: None,
                message: format!("there are {} more problems beyond these {}", self.beyond, self.found.len()).into(),
                remedy: "correct these first".into(),
            });
        }
        self.found
    }
}

fn is_inside(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The path without what cannot be seen. A key of nothing else is in the data.
fn shown(path: String) -> CleanText {
    Some(CleanText::from(path)).filter(|path| !path.is_empty()).unwrap_or_else(|| "data".into())
}

fn bounded(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A node and its place.
#[derive(Clone, Debug)]
pub struct At<'a> {
    node: &'a TreeNode,
    path: Path<'a>,
    /// Whether the user sees lines.
    lines: bool,
}

/// The entries of a mapping without unknown or repeated keys.
pub struct Fields<'a> {
    place: Place,
    entries: BTreeMap<&'a str, At<'a>>,
}

impl<'a> At<'a> {
    /// The whole document of a key whose text has lines.
    pub fn document(key: &str, node: &'a TreeNode) -> Self {
        Self { node, path: Path::document(key), lines: true }
    }

    /// The JSON of a flat key; `lines`: it has several lines.
    pub fn json(key: &str, node: &'a TreeNode, lines: bool) -> Self {
        Self { node, path: Path::value(key), lines }
    }

    /// The node.
    pub(super) fn node(&self) -> &'a TreeNode {
        self.node
    }

    /// Its place.
    pub fn place(&self) -> Place {
        Place { path: self.path.text(), line: self.node.line.filter(|_| self.lines) }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    /// Whether it is null or a text of nothing, as templates leave it behind.
    pub fn is_blank(&self) -> bool {
        self.node.is_blank()
    }

    /// Whether it is blank, or a list or a mapping of nothing.
    pub fn is_empty(&self) -> bool {
        self.node.is_empty()
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.node.value, Value::Integer(_) | Value::Float(_))
    }

    /// Whether it is a sequence.
    pub fn is_sequence(&self) -> bool {
        matches!(self.node.value, Value::Sequence(_))
    }

    /// Whether it is a mapping.
    pub fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    fn wrong_type(&self, problems: &mut Problems, wanted: &str) {
        let remedy = match self.node.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) if wanted == "text" => "put it in quotes".to_owned(),
            _ => format!("write {wanted} here"),
        };
        let found = match &self.node.value {
            Value::Text(text) if hints::unfilled(text).is_some() => quoted(text),
            _ => self.node.kind().to_owned(),
        };
        problems.error(self.place(), Code::WrongType, format!("expected {wanted}, got {found}"), remedy);
    }

    /// The value as a text.
    pub fn text(&self, problems: &mut Problems) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            return Some(text);
        }
        self.wrong_type(problems, "text");
        None
    }

    /// The value as a whole number.
    pub fn integer(&self, problems: &mut Problems) -> Option<i128> {
        if let Value::Integer(number) = self.node.value {
            return Some(number);
        }
        self.wrong_type(problems, "a whole number");
        None
    }

    /// The value as a boolean.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        if let Value::Bool(value) = self.node.value {
            return Some(value);
        }
        self.wrong_type(problems, "true or false");
        None
    }

    /// The value as a quantity: a text or, as in Kubernetes, a plain number.
    pub fn quantity(&self, problems: &mut Problems) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            _ => {
                self.wrong_type(problems, "a quantity");
                None
            }
        }
    }

    /// The items of the sequence.
    pub fn items(&self, problems: &mut Problems) -> Vec<At<'a>> {
        let Value::Sequence(nodes) = &self.node.value else {
            self.wrong_type(problems, "a list");
            return Vec::new();
        };
        nodes.iter().enumerate().map(|(index, node)| self.below(node, self.path.item(index))).collect()
    }

    /// The items of the sequence, which must have some. `what` they are completes "the list of".
    pub fn some_items(&self, what: &str, remedy: &str, problems: &mut Problems) -> Vec<At<'a>> {
        let items = self.items(problems);
        if self.is_sequence() && items.is_empty() {
            problems.error(self.place(), Code::InvalidValue, format!("the list of {what} is empty"), remedy);
        }
        items
    }

    /// The entries of the mapping. A repeated key is an error.
    pub fn entries(&self, problems: &mut Problems) -> Vec<(&'a str, At<'a>)> {
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_type(problems, "a mapping");
            return Vec::new();
        };
        let mut found: BTreeMap<&str, Option<u64>> = BTreeMap::new();
        let mut unique = Vec::new();
        for (key, node) in entries {
            match found.get(key.name.as_str()) {
                Some(first) => self.duplicate_key(problems, key, *first),
                None => {
                    found.insert(&key.name, key.line);
                    unique.push((key.name.as_str(), self.below(node, self.path.key(&key.name))));
                }
            }
        }
        unique
    }

    /// The entries of a mapping, including repeated keys; nothing if it is not a mapping.
    pub(super) fn children(&self) -> Vec<(&'a str, At<'a>)> {
        let Value::Mapping(entries) = &self.node.value else { return Vec::new() };
        let child = |(key, node): &'a (Key, TreeNode)| (key.name.as_str(), self.below(node, self.path.key(&key.name)));
        entries.iter().map(child).collect()
    }

    /// The value of a key, or else its place.
    pub fn child(&self, key: &str) -> At<'a> {
        let node = self.node.child(key);
        self.below(node.unwrap_or(self.node), self.path.key(key.to_owned()))
    }

    /// An item, or else its place.
    pub fn item(&self, index: usize) -> At<'a> {
        let node = match &self.node.value {
            Value::Sequence(nodes) => nodes.get(index),
            _ => None,
        };
        self.below(node.unwrap_or(self.node), self.path.item(index))
    }

    fn below(&self, node: &'a TreeNode, path: Path<'a>) -> At<'a> {
        At { node, path, lines: self.lines }
    }

    fn duplicate_key(&self, problems: &mut Problems, key: &Key, first: Option<u64>) {
        if problems.is_full() {
            return problems.count(Severity::Error);
        }
        let where_first = match first.filter(|_| self.lines) {
            Some(line) => format!(" (first on line {line})"),
            None => String::new(),
        };
        let place = Place { path: self.path.key(&key.name).text(), line: key.line.filter(|_| self.lines) };
        problems.error(
            place,
            Code::DuplicateKey,
            format!("duplicate key {}{where_first}", quoted(&key.name)),
            "keep one of them",
        );
    }

    /// The entries of the mapping. A key that is not in `known` is an error.
    pub fn fields(&self, known: &[&str], problems: &mut Problems) -> Option<Fields<'a>> {
        if !self.is_mapping() {
            self.wrong_type(problems, "a mapping");
            return None;
        }
        let mut fields = BTreeMap::new();
        for (name, at) in self.entries(problems) {
            if known.contains(&name) {
                fields.insert(name, at);
                continue;
            }
            if problems.is_full() {
                problems.count(Severity::Error);
                continue;
            }
            let (message, remedy) = suggest::unknown_key(name, known);
            problems.error(at.place(), Code::UnknownKey, message, remedy);
        }
        Some(Fields { place: self.place(), entries: fields })
    }

    /// The entries of a mapping of texts to texts, each with its place.
    pub fn texts(&self, problems: &mut Problems) -> Vec<(&'a str, &'a str, Place)> {
        let entries = self.entries(problems);
        entries.into_iter().filter_map(|(key, at)| Some((key, at.text(problems)?, at.place()))).collect()
    }
}

impl<'a> Fields<'a> {
    /// The place of the mapping.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The value of a key; `None` if it is missing or blank, which counts as unset.
    pub fn get(&self, key: &str) -> Option<&At<'a>> {
        self.entries.get(key).filter(|at| !at.is_blank())
    }

    /// The value of a key; `None` if it says nothing: for keys of which nothing is no more than a key left out.
    pub fn get_unless_empty(&self, key: &str) -> Option<&At<'a>> {
        self.entries.get(key).filter(|at| !at.is_empty())
    }

    /// The value of a key, even if it is blank.
    pub fn get_or_blank(&self, key: &str) -> Option<&At<'a>> {
        self.entries.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_problems_the_rest_is_counted() {
        let mut problems = Problems::default();
        for _ in 0..MAX_PROBLEMS {
            problems.warning(Place::key("x"), Code::Ignored, "", "");
        }
        problems.error(Place::key("x"), Code::InvalidName, "", "");
        problems.warning(Place::key("x"), Code::Ignored, "", "");
        let found = problems.into_vec();
        assert_eq!(found.len(), MAX_PROBLEMS + 1);
        let last = found.last().expect("there are problems");
        assert_eq!((last.severity, last.code), (Severity::Error, Code::TooManyProblems));
        assert!(last.message.contains("2 more"), "{}", last.message);
    }

    #[test]
    fn of_many_warnings_of_one_kind_the_rest_is_counted_and_each_subject_is_named_once() {
        let warn = |subjects: usize| {
            let mut problems = Problems::default();
            for subject in (0..subjects).chain(0..subjects) {
                let place = Place::key(&format!("x[{subject}]"));
                problems.warn_once(Code::NoTag, subject.to_string(), place, "it has no tag".to_owned(), String::new());
            }
            problems.into_vec()
        };
        assert_eq!(warn(10).len(), 10);
        let found = warn(30);
        assert_eq!((found.len(), found[10].path.as_str(), found[10].code), (11, "x[10]", Code::NoTag));
        assert!(found[10].message.starts_with("this entry and 19 more have the same problem"), "{}", found[10].message);
    }

    #[test]
    fn a_place_below_what_is_not_there_has_the_line_of_what_is() {
        let node = TreeNode::from_yaml("a:\n  b:\n    - c: 1\n").expect("valid YAML");
        let at = At::document("doc", &node);
        let line = |at: &At| (at.place().path, at.place().line);
        assert_eq!(line(&at.child("a").child("b").item(0).child("c")), ("doc: a.b[0].c".to_owned(), Some(3)));
        assert_eq!(line(&at.child("a").child("x").item(7)), ("doc: a.x[7]".to_owned(), Some(2)));
    }
}
