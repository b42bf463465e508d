//! The path of a value inside a list. It becomes a text only for a problem: a list may have as many values as letters, below keys of any
//! length.

use std::borrow::Cow;
use std::fmt::Write;
use std::rc::Rc;

/// More bytes than any path in a problem has; what is longer is cut there anyway.
const ENOUGH: usize = 4096;

/// The path of a value inside a list.
#[derive(Clone, Debug)]
pub struct Path<'a>(Rc<Link<'a>>);

#[derive(Debug)]
struct Link<'a> {
    above: Option<Path<'a>>,
    part: PathPart<'a>,
}

#[derive(Debug)]
enum PathPart<'a> {
    /// A whole document: paths start in it.
    Document(String),
    /// The value of a flat key.
    Value(String),
    Key(Cow<'a, str>),
    Item(usize),
}

impl<'a> Path<'a> {
    /// The document of a key.
    pub fn document(key: &str) -> Self {
        Self(Rc::new(Link { above: None, part: PathPart::Document(key.to_owned()) }))
    }

    /// The value of a key.
    pub fn value(key: &str) -> Self {
        Self(Rc::new(Link { above: None, part: PathPart::Value(key.to_owned()) }))
    }

    /// The value of a key of this mapping.
    pub fn key(&self, name: impl Into<Cow<'a, str>>) -> Self {
        self.below(PathPart::Key(name.into()))
    }

    /// An item of this sequence.
    pub fn item(&self, index: usize) -> Self {
        self.below(PathPart::Item(index))
    }

    fn below(&self, part: PathPart<'a>) -> Self {
        Self(Rc::new(Link { above: Some(self.clone()), part }))
    }

    /// The path as text. A very long one is cut.
    pub fn text(&self) -> String {
        let mut links = vec![&self.0];
        while let Some(above) = links.last().and_then(|link| link.above.as_ref()) {
            links.push(&above.0);
        }
        let mut text = String::new();
        let mut in_document = false;
        for link in links.iter().rev() {
            match &link.part {
                PathPart::Document(key) => text.push_str(beginning(key)),
                PathPart::Value(key) => text.push_str(beginning(key)),
                PathPart::Key(name) => {
                    text.push_str(if in_document { ": " } else { "." });
                    text.push_str(beginning(name));
                }
                // Writing to a text cannot fail.
                PathPart::Item(index) => drop(write!(text, "[{index}]")),
            }
            in_document = matches!(link.part, PathPart::Document(_));
            if text.len() >= ENOUGH {
                break;
            }
        }
        text
    }
}

fn beginning(name: &str) -> &str {
    &name[..name.floor_char_boundary(ENOUGH)]
}
