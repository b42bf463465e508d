//! The lines of a ConfigMap's values in its file. Every line is found once, however many problems there are.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::problem::Problem;
use crate::text::CleanText;

/// A file and the beginnings of its lines.
#[derive(Debug)]
pub struct FileLines {
    text: String,
    lines: LineIndex,
}

/// Where the lines of a text begin.
#[derive(Debug)]
struct LineIndex(Vec<usize>);

impl FileLines {
    /// Finds the lines of a file.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), lines: LineIndex::of(text) }
    }
}

impl LineIndex {
    fn of(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_breaks).collect())
    }

    /// A line of the text that this was made of, from 1, without white space around it; `None` beyond its end.
    fn trimmed<'t>(&self, text: &'t str, line: u64) -> Option<&'t str> {
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let begins = *self.0.get(index).filter(|begins| **begins < text.len())?;
        let ends = self.0.get(index + 1).copied().unwrap_or(text.len());
        Some(text[begins..ends].trim())
    }
}

/// The lines of the values of one ConfigMap.
#[derive(Debug)]
pub struct Lines {
    file: Rc<FileLines>,
    /// The first line of each value's text, by key as problems show it.
    keys: BTreeMap<CleanText, u64>,
    /// The line for problems without a key.
    fallback: u64,
}

impl Lines {
    /// Without any value yet; `fallback` is the line for problems that are about none.
    pub fn new(file: &Rc<FileLines>, fallback: u64) -> Self {
        Self { file: Rc::clone(file), keys: BTreeMap::new(), fallback }
    }

    /// With the first line of a value.
    pub fn with(mut self, key: &str, line: u64) -> Self {
        self.keys.insert(key.into(), line);
        self
    }

    /// Prepares to find lines inside these values.
    pub fn of_values<'a>(&'a self, data: &'a BTreeMap<String, String>) -> ValueLines<'a> {
        ValueLines { lines: self, data, known: BTreeMap::new() }
    }
}

/// Finds lines inside the values of a ConfigMap.
pub struct ValueLines<'a> {
    lines: &'a Lines,
    data: &'a BTreeMap<String, String>,
    /// The values that were searched before.
    known: BTreeMap<&'a str, IndexedValue<'a>>,
}

/// A value and its lines.
struct IndexedValue<'a> {
    text: &'a str,
    lines: LineIndex,
    /// How many lines at its beginning are empty.
    empty: u64,
}

impl<'a> IndexedValue<'a> {
    fn of(text: &'a str) -> Self {
        let empty = text.lines().take_while(|line| line.trim().is_empty()).count() as u64;
        Self { text, lines: LineIndex::of(text), empty }
    }
}

impl<'a> ValueLines<'a> {
    /// The line of a problem in the file.
    pub fn of(&mut self, problem: &Problem) -> u64 {
        let Some((key, first)) = self.key_of(&problem.path) else { return self.lines.fallback };
        let inside = problem.line.and_then(|line| self.inside(key, first, line));
        inside.unwrap_or(first)
    }

    /// The longest key that a path begins with, and the first line of its value.
    fn key_of(&self, path: &str) -> Option<(&'a str, u64)> {
        let lines = self.lines;
        let ends = path.char_indices().filter(|(_, letter)| matches!(letter, ':' | '[' | '.')).map(|(at, _)| at);
        let ends: Vec<usize> = ends.chain([path.len()]).collect();
        let known = ends.into_iter().rev().find_map(|end| lines.keys.get_key_value(&path[..end]));
        known.map(|(key, line)| (key.as_str(), *line))
    }

    /// The line in the file for a line of a value whose text begins on line `first`.
    ///
    /// Only in a literal block do the lines of the file match those of the value. The parser gives the place of its first non-empty
    /// line. Whether it is such a block is known by comparing the line in the file and in the value.
    fn inside(&mut self, key: &'a str, first: u64, line: u64) -> Option<u64> {
        let text = self.data.get(key)?;
        let value = self.known.entry(key).or_insert_with(|| IndexedValue::of(text));
        let in_file = (first + line).checked_sub(value.empty + 1)?;
        // A place just after the end of the value has no line of its own.
        let wanted = value.lines.trimmed(value.text, line).unwrap_or_default();
        let file = &self.lines.file;
        (wanted.is_empty() || file.lines.trimmed(&file.text, in_file)? == wanted).then_some(in_file)
    }
}
