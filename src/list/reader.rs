//! Reading a tree while collecting every problem on the way: a reader never stops, it answers `None` and goes on.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem, Severity};
use super::suggest;
use super::tree::{Key, Node, Value};

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

/// Where something stands: a path, and a line where there are lines.
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

impl Problems {
    /// Notes an error.
    pub fn error(&mut self, place: Place, code: Code, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Error, place, code, message.into(), remedy.into());
    }

    /// Notes something that the user should know, though the list is accepted.
    pub fn warning(&mut self, place: Place, code: Code, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Warning, place, code, message.into(), remedy.into());
    }

    fn push(&mut self, severity: Severity, place: Place, code: Code, message: String, remedy: String) {
        self.0.push(Problem { severity, code, path: place.path, line: place.line, message, remedy });
    }
}

/// A node and its place.
#[derive(Clone, Debug)]
pub struct At<'a> {
    node: &'a Node,
    path: String,
    /// Whether the lines mean anything to the user.
    lines: bool,
}

/// The entries of a mapping whose keys are all known and stand once.
pub struct Fields<'a> {
    place: Place,
    entries: BTreeMap<&'a str, At<'a>>,
}

impl<'a> At<'a> {
    /// The whole document of a key whose text has lines.
    pub fn document(key: &str, node: &'a Node) -> Self {
        Self { node, path: key.to_owned(), lines: true }
    }

    /// The JSON of a flat key.
    pub fn json(key: &str, node: &'a Node) -> Self {
        Self { node, path: key.to_owned(), lines: false }
    }

    /// Where this stands.
    pub fn place(&self) -> Place {
        Place { path: self.path.clone(), line: self.node.line.filter(|_| self.lines) }
    }

    /// Whether nothing stands here.
    pub fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    /// Whether a sequence stands here.
    pub fn is_sequence(&self) -> bool {
        matches!(self.node.value, Value::Sequence(_))
    }

    /// Whether a mapping stands here.
    pub fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    fn wrong_type(&self, problems: &mut Problems, wanted: &str) {
        let remedy = match self.node.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) if wanted == "text" => "put it in quotes".to_owned(),
            _ => format!("write {wanted} here"),
        };
        problems.error(
            self.place(),
            Code::WrongType,
            format!("this is {}, where {wanted} is wanted", self.node.kind()),
            remedy,
        );
    }

    /// The text that stands here.
    pub fn text(&self, problems: &mut Problems) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            return Some(text);
        }
        self.wrong_type(problems, "text");
        None
    }

    /// The whole number that stands here.
    pub fn integer(&self, problems: &mut Problems) -> Option<i128> {
        if let Value::Integer(number) = self.node.value {
            return Some(number);
        }
        self.wrong_type(problems, "a whole number");
        None
    }

    /// A quantity: text, or a plain number as Kubernetes accepts it too.
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

    /// The items of the sequence that stands here.
    pub fn items(&self, problems: &mut Problems) -> Vec<At<'a>> {
        let Value::Sequence(nodes) = &self.node.value else {
            self.wrong_type(problems, "a list");
            return Vec::new();
        };
        let at = |(index, node)| At { node, path: format!("{}[{index}]", self.path), lines: self.lines };
        nodes.iter().enumerate().map(at).collect()
    }

    /// The entries of the mapping that stands here, of which each key may stand once.
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
                    let at = At { node, path: self.child_path(&key.name), lines: self.lines };
                    unique.push((key.name.as_str(), at));
                }
            }
        }
        unique
    }

    fn child_path(&self, name: &str) -> String {
        let separator = if self.lines && !self.path.contains(':') { ": " } else { "." };
        format!("{}{separator}{name}", self.path)
    }

    fn duplicate_key(&self, problems: &mut Problems, key: &Key, first: Option<u64>) {
        let where_first = match first.filter(|_| self.lines) {
            Some(line) => format!(" (first on line {line})"),
            None => String::new(),
        };
        let place = Place { path: self.child_path(&key.name), line: key.line.filter(|_| self.lines) };
        problems.error(
            place,
            Code::DuplicateKey,
            format!("the key {:?} stands here twice{where_first}", key.name),
            "keep one of them",
        );
    }

    /// The entries of the mapping that stands here, all of whose keys must be among `known`.
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
            problems.error(
                at.place(),
                Code::UnknownKey,
                format!("there is no key {name:?}"),
                suggest::remedy(name, known),
            );
        }
        Some(Fields { place: self.place(), entries: fields })
    }

    /// A mapping of texts to texts.
    pub fn text_map(&self, problems: &mut Problems) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (key, at) in self.entries(problems) {
            if let Some(text) = at.text(problems) {
                map.insert(key.to_owned(), text.to_owned());
            }
        }
        map
    }

    /// A type of the Kubernetes API. Keys that it does not have are errors, though the API's own decoders ignore them.
    pub fn typed<T: DeserializeOwned + Serialize>(&self, problems: &mut Problems) -> Option<T> {
        let json = self.node.to_json();
        let value: T = match serde_path_to_error::deserialize(&json) {
            Ok(value) => value,
            Err(error) => {
                let inner = error.path().to_string();
                problems.error(
                    self.inside(&inner),
                    Code::WrongType,
                    error.inner().to_string(),
                    "see the Kubernetes API reference for this field",
                );
                return None;
            }
        };
        let understood = serde_json::to_value(&value).unwrap_or_default();
        let mut unknown = Vec::new();
        unknown_paths(&json, &understood, String::new(), &mut unknown);
        for path in &unknown {
            problems.error(
                self.inside(path),
                Code::UnknownKey,
                "the Kubernetes API has no such field here",
                "check its spelling and indentation",
            );
        }
        unknown.is_empty().then_some(value)
    }

    /// The place of a path below this node.
    pub fn inside(&self, path: &str) -> Place {
        let separator = if path.is_empty() || path == "." || path.starts_with('[') { "" } else { "." };
        Place { path: format!("{}{separator}{}", self.path, path.trim_matches('.')), line: self.place().line }
    }
}

impl<'a> Fields<'a> {
    /// Where the mapping stands.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The value of a key, `None` where it is not there or nothing stands behind it.
    pub fn get(&self, key: &str) -> Option<&At<'a>> {
        self.entries.get(key).filter(|at| !at.is_null())
    }

    /// The value of a key, also where nothing stands behind it.
    pub fn get_or_null(&self, key: &str) -> Option<&At<'a>> {
        self.entries.get(key)
    }
}

/// The paths of `json` that are not in `understood`; empty values do not count, since the API leaves them out.
fn unknown_paths(json: &serde_json::Value, understood: &serde_json::Value, path: String, unknown: &mut Vec<String>) {
    use serde_json::Value;
    match (json, understood) {
        (Value::Object(given), known) => {
            for (key, value) in given {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match known.get(key) {
                    Some(known) => unknown_paths(value, known, inner, unknown),
                    None if value.is_null() => {}
                    None => unknown.push(inner),
                }
            }
        }
        (Value::Array(given), known) => {
            for (index, value) in given.iter().enumerate() {
                if let Some(known) = known.get(index) {
                    unknown_paths(value, known, format!("{path}[{index}]"), unknown);
                }
            }
        }
        _ => {}
    }
}
