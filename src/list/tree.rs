//! YAML and JSON as a tree in which every key and value has its line, so that checks can collect all problems of a document
//! instead of stopping at the first.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Spanned};

/// Twice the depth of the deepest list, one with an affinity. The parser calls itself once per level with some 30 KB of
/// stack each time in a debug build, and a thread may have no more than 2 MiB.
const MAX_DEPTH: usize = 24;

/// The depth of manifests of other kinds in the same file, such as CustomResourceDefinitions.
const MAX_MANIFEST_DEPTH: usize = 60;

/// The least bytes that a text may take when all of its aliases are replaced. Longer texts may double.
const MIN_EXPANDED: usize = 2 << 20;

fn options(text: &str, max_depth: usize) -> serde_yaml::Options {
    let expanded = MIN_EXPANDED.max(2 * text.len());
    serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        budget: serde_yaml::budget! {
            max_depth: max_depth,
            max_nodes: 200_000,
            max_events: 500_000,
            max_total_scalar_bytes: expanded,
            max_recorded_anchor_bytes: expanded,
            max_recorded_anchor_events: 200_000,
        },
        // Expanded aliases must not cost more than a long list.
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 20_000, max_replay_stack_depth: 16 },
    }
}

/// A value and its line (`None` if lines are not useful, as in a flat key's JSON).
#[derive(Clone, Debug, PartialEq)]
pub struct TreeNode {
    /// The value.
    pub value: Value,
    /// The first line, from 1.
    pub line: Option<u64>,
}

/// A key of a mapping and its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key as text.
    pub name: String,
    /// The line, from 1.
    pub line: Option<u64>,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing after the colon.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    Sequence(Vec<TreeNode>),
    /// A mapping in the order of the text. It may have repeated keys.
    Mapping(Vec<(Key, TreeNode)>),
}

/// The parser's error for a text that is not YAML or not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYaml {
    /// The parser's message.
    pub message: String,
    /// The line, from 1.
    pub line: Option<u64>,
}

impl TreeNode {
    /// The value of a key of the mapping, the first if the key is repeated; `None` if there is none, or if this is no mapping.
    pub fn child(&self, key: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(known, _)| known.name == key).map(|(_, node)| node)
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        let Value::Text(text) = &self.value else { return None };
        Some(text)
    }

    /// Parses one YAML document. Depth, size and the expansion of aliases are bounded by the parser's budget.
    ///
    /// # Errors
    /// The text is not YAML, has several documents or exceeds the budget.
    pub fn from_yaml(text: &str) -> Result<Self, NotYaml> {
        let options = options(text, MAX_DEPTH);
        serde_yaml::from_str_with_options::<Spanned<Value>>(text, options).map(TreeNode::from).map_err(NotYaml::from)
    }

    /// Parses all documents of a file of manifests, except for empty ones.
    ///
    /// # Errors
    /// The text is not YAML or exceeds the budget.
    pub fn documents(text: &str) -> Result<Vec<Self>, NotYaml> {
        let documents =
            serde_yaml::from_multiple_with_options::<Spanned<Value>>(text, options(text, MAX_MANIFEST_DEPTH));
        Ok(documents?.into_iter().map(TreeNode::from).collect())
    }

    /// Parses JSON. Every JSON text is YAML, so the same parser is used, which detects repeated keys.
    ///
    /// # Errors
    /// The parser's message, with line and column.
    pub fn from_json(text: &str) -> Result<Self, NotYaml> {
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| NotYaml { line: Some(error.line() as u64), message: error.to_string() })?;
        Self::from_yaml(text)
    }

    /// Converts the tree to a JSON value. The last of repeated keys counts.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => i64::try_from(*value).map(Into::into).unwrap_or_else(|_| value.to_string().into()),
            Value::Float(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Sequence(nodes) => nodes.iter().map(TreeNode::to_json).collect(),
            Value::Mapping(entries) => entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect(),
        }
    }

    /// Whether it is null or a text of nothing, as templates leave it behind.
    pub fn is_blank(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// Whether it says nothing: it is blank, or a list or a mapping of nothing.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Sequence(items) => items.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
            _ => self.is_blank(),
        }
    }

    /// The type's name in messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a decimal number",
            Value::Text(_) => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

impl From<Spanned<Value>> for TreeNode {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { line: line(spanned.referenced), value: spanned.value }
    }
}

fn line(location: Location) -> Option<u64> {
    Some(location.line()).filter(|line| *line > 0)
}

impl From<serde_yaml::Error> for NotYaml {
    fn from(error: serde_yaml::Error) -> Self {
        let error = error.without_snippet();
        let said = first_line(&error.to_string());
        // The parser's own messages for these are for programmers.
        let message = match error {
            serde_yaml::Error::MultipleDocuments { .. } => {
                "a second document starts here, but a list is a single document".to_owned()
            }
            _ if LIMITS.iter().any(|limit| said.starts_with(limit)) => TOO_MUCH.to_owned(),
            _ if said.contains("string scalar") || said.contains("null into string") => "a key must be text".to_owned(),
            _ => said,
        };
        Self { line: error.location().and_then(line), message }
    }
}

/// The prefixes of the parser's messages about its limits.
const LIMITS: [&str; 3] = ["budget breached", "recursion limit", "alias replay"];
const TOO_MUCH: &str = "it is too large, too deeply nested, or has too many aliases";

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = sequence.next_element::<Spanned<Value>>()? {
            nodes.push(node.into());
        }
        Ok(Value::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { line: line(key.referenced), name: key.value };
            entries.push((key, map.next_value::<Spanned<Value>>()?.into()));
        }
        Ok(Value::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(node: &'a TreeNode, name: &str) -> &'a TreeNode {
        let Value::Mapping(entries) = &node.value else { panic!("not a mapping: {node:?}") };
        &entries.iter().find(|(key, _)| key.name == name).expect("the key is there").1
    }

    #[test]
    fn every_key_and_value_knows_its_line() {
        let node = TreeNode::from_yaml("a: 1\nb:\n  - x\n  - c: true\n").expect("valid YAML");
        assert_eq!(entry(&node, "a").line, Some(1));
        let Value::Sequence(items) = &entry(&node, "b").value else { panic!("not a sequence") };
        assert_eq!(items[0].line, Some(3));
        assert_eq!(entry(&items[1], "c").value, Value::Bool(true));
        assert_eq!(entry(&items[1], "c").line, Some(4));
    }

    #[test]
    fn a_key_that_stands_twice_is_kept_twice() {
        let node = TreeNode::from_yaml("a: 1\na: 2\n").expect("valid YAML");
        let Value::Mapping(entries) = node.value else { panic!("not a mapping") };
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].0.line, Some(2));
    }

    #[test]
    fn nothing_after_the_colon_is_null() {
        let node = TreeNode::from_yaml("images:\n").expect("valid YAML");
        assert_eq!(entry(&node, "images").value, Value::Null);
    }

    #[test]
    fn broken_yaml_is_reported_with_its_line() {
        let error = TreeNode::from_yaml("a: 1\nb: [1, 2\n").expect_err("an open bracket");
        assert!(error.line.is_some(), "{error:?}");
        assert!(!error.message.is_empty());
    }

    #[test]
    fn json_and_yaml_give_the_same_tree() {
        let json = TreeNode::from_json(r#"{"a":[1,"x",null,true]}"#).expect("valid JSON");
        let yaml = TreeNode::from_yaml("a: [1, x, null, true]").expect("valid YAML");
        assert_eq!(json.to_json(), yaml.to_json());
    }

    #[test]
    fn a_key_called_value_is_an_ordinary_key() {
        let node = TreeNode::from_json(r#"{"value":"x","key":"y"}"#).expect("valid JSON");
        assert_eq!(entry(&node, "value").value, Value::Text("x".into()));
    }

    #[test]
    fn an_alias_bomb_and_deep_nesting_end_in_an_error() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let previous = format!("*a{}", i - 1);
            let row = [previous.as_str(); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{row}]\n"));
        }
        assert!(TreeNode::from_yaml(&bomb).is_err());
        for opening in ["[", "{a: ", "- ", "? ", "- ? ", "!x [", "&a ["] {
            assert!(TreeNode::from_yaml(&opening.repeat(100_000)).is_err(), "{opening:?}");
        }
    }
}
