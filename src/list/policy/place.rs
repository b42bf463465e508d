//! Finds where in a list something is written that is not allowed. A [`Config`](crate::list::Config) has no places, and a place is
//! only needed for what is wrong, so the text is read again then.

use std::cell::OnceCell;

use crate::list::data::ListData;
use crate::list::flat;
use crate::list::reader::{At, Place};
use crate::list::reference::ImageReference;
use crate::list::tree::{TreeNode, Value};
use crate::list::yaml;

/// A key in both formats.
#[derive(Clone, Copy, Debug)]
pub struct BothKeys {
    /// The path in `images.yaml`, from the group or from the document.
    pub yaml: &'static [&'static str],
    /// The flat key.
    pub flat: &'static str,
}

/// Finds places in a list.
pub struct Locator<'l> {
    list: &'l ListData,
    document: OnceCell<Option<TreeNode>>,
}

impl<'l> Locator<'l> {
    /// For this list.
    pub fn new(list: &'l ListData) -> Self {
        Self { list, document: OnceCell::new() }
    }

    /// The list as a whole.
    pub fn list(&self) -> Place {
        match self.document() {
            Some(document) => document.place(),
            None => Place::key(flat::KEY),
        }
    }

    /// The groups.
    pub fn groups(&self) -> Place {
        match self.document() {
            Some(document) if document.is_mapping() => document.child("groups").place(),
            _ => self.list(),
        }
    }

    /// An image of the group with this index.
    pub fn image(&self, group: usize, reference: &ImageReference) -> Place {
        let Some(at) = self.group(group) else {
            let text = self.list.data.get(flat::KEY).map_or("", String::as_str);
            return flat::place_of_image(text, reference.as_str()).unwrap_or_else(|| Place::key(flat::KEY));
        };
        let images = if at.is_mapping() { at.child("images") } else { at };
        let Value::Sequence(items) = &images.node().value else { return images.place() };
        let is_it = |node: &TreeNode| text_of(node, "image") == Some(reference.as_str());
        let Some(index) = items.iter().position(is_it) else { return images.place() };
        let item = images.item(index);
        if item.is_mapping() { item.child("image").place() } else { item.place() }
    }

    /// A key of the group with this index, and a path inside its value.
    pub fn of_group(&self, group: usize, keys: BothKeys, inside: &[&str]) -> Place {
        match self.group(group) {
            Some(at) => descend(&at, keys.yaml, inside),
            None => self.flat(keys.flat, inside, None),
        }
    }

    /// An item of a sequence of the group with this index.
    pub fn item_of_group(&self, group: usize, keys: BothKeys, index: usize) -> Place {
        match self.group(group) {
            Some(at) => keys.yaml.iter().fold(at, |at, key| at.child(key)).item(index).place(),
            None => self.flat(keys.flat, &[], Some(index)),
        }
    }

    /// A name in a sequence of the group with this index, or of the document. Entries may be mappings with a `name`.
    pub fn name(&self, group: Option<usize>, keys: BothKeys, name: &str) -> Place {
        let at = match group {
            Some(group) => self.group(group),
            None => self.document(),
        };
        let Some(at) = at else { return Place::key(keys.flat) };
        let at = keys.yaml.iter().fold(at, |at, key| at.child(key));
        let Value::Sequence(items) = &at.node().value else { return at.place() };
        let index = items.iter().position(|node| text_of(node, "name") == Some(name));
        index.map_or_else(|| at.place(), |index| at.item(index).place())
    }

    /// A key of the document, and a path inside its value.
    pub fn of_document(&self, keys: BothKeys, inside: &[&str]) -> Place {
        match self.document() {
            Some(document) => descend(&document, keys.yaml, inside),
            None => self.flat(keys.flat, inside, None),
        }
    }

    /// The text of `images.yaml`; `None` if the list has flat keys.
    fn document(&self) -> Option<At<'_>> {
        let node = self.document.get_or_init(|| {
            let text = self.list.data.get(yaml::KEY).filter(|text| !yaml::is_empty(text))?;
            TreeNode::from_yaml(text).ok()
        });
        node.as_ref().map(|node| At::document(yaml::KEY, node))
    }

    /// Where a group is written: the document itself for the images at its top.
    fn group(&self, index: usize) -> Option<At<'_>> {
        let document = self.document()?;
        let node = document.node();
        let has_top = node.child("images").is_some_and(|images| !images.is_empty())
            || node.child("discover").is_some_and(|discover| !discover.is_blank());
        Some(match index.checked_sub(usize::from(has_top)) {
            Some(index) if document.is_mapping() => document.child("groups").item(index),
            _ => document,
        })
    }

    fn flat(&self, key: &str, inside: &[&str], index: Option<usize>) -> Place {
        let text = self.list.data.get(key).map_or("", String::as_str);
        let Some(node) = TreeNode::from_json(text).ok().filter(|node| !node.is_blank()) else { return Place::key(key) };
        let at = At::json(key, &node, text.trim_end().contains('\n'));
        match (index, inside) {
            (Some(index), _) => at.item(index).place(),
            (None, []) => Place::key(key),
            (None, inside) => descend(&at, &[], inside),
        }
    }
}

fn descend(at: &At, keys: &[&str], inside: &[&str]) -> Place {
    keys.iter().chain(inside).fold(at.clone(), |at, key| at.child(key)).place()
}

fn text_of<'n>(node: &'n TreeNode, key: &str) -> Option<&'n str> {
    node.text().or_else(|| node.child(key)?.text())
}
