//! A file → the lists in it, whose problems have their line in the file.
//!
//! A file is either an `images.yaml` or manifests: YAML documents or JSON, including a `List` of objects as printed by
//! `kubectl get -o yaml`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::config::Config;
use super::data::{IMAGE_LIST_LABEL, ListData};
use super::file_lines::{FileLines, Lines};
use super::foreign;
use super::limits::Limits;
use super::parser::{Parsed, parsed};
use super::policy::Policy;
use super::problem::Problem;
use super::reader::{At, Problems};
use super::tree::{TreeNode, Value};
use super::yaml;

/// The contents of a file.
#[derive(Debug, Default)]
pub struct File {
    /// The lists, in the order of the file.
    pub lists: Vec<FileList>,
    /// The other objects.
    pub others: Vec<OtherObject>,
}

/// A list in a file.
#[derive(Debug)]
pub struct FileList {
    /// The ConfigMap, or what a file without a ConfigMap stands for.
    pub list: ListData,
    /// The first line of its manifest.
    pub line: u64,
    /// Whether it is a manifest without the label that makes a ConfigMap a list.
    pub unlabelled: bool,
    /// The problems of the manifest itself.
    manifest_problems: Vec<Problem>,
    lines: Lines,
}

/// An object that is not a list.
#[derive(Debug, PartialEq, Eq)]
pub struct OtherObject {
    /// Its first line.
    pub line: u64,
    /// Its `kind`, such as `Deployment`.
    pub kind: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// How it becomes a list.
    pub remedy: String,
    /// The same list as the manifest of a ConfigMap, if that is known.
    pub config_map: Option<String>,
}

/// A problem with its line in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The problem, with the line inside the value.
    pub problem: Problem,
    /// The line in the file.
    pub line: u64,
}

/// The validation result of a list in a file.
#[derive(Debug)]
pub struct FileResult {
    /// What it asks for, if it is accepted.
    pub config: Option<Config>,
    /// Whether nothing is wrong except that it has no image.
    pub empty: bool,
    /// All problems, in the order of the file.
    pub problems: Vec<FileProblem>,
}

/// The names to use if the file has none.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// The namespace of a list whose manifest has none; `None`: the list's own key `NAMESPACE`.
    pub namespace: Option<&'a str>,
    /// The name of a list that is an `images.yaml` only.
    pub name: &'a str,
}

impl File {
    /// Finds the lists. A ConfigMap without the label counts only if it is the only object, because the controller may be given
    /// a list by name. A file without manifests counts as an `images.yaml`, even if it is not YAML: then parsing it reports that.
    pub fn read(text: &str, defaults: Defaults) -> Self {
        let documents = TreeNode::documents(text).unwrap_or_default();
        let objects = objects(&documents);
        if objects.is_empty() && documents.iter().any(|node| items_of_list(node).is_some()) {
            return Self::default();
        }
        if objects.is_empty() {
            return Self { lists: vec![FileList::plain(text, defaults)], others: Vec::new() };
        }
        let mut file = Self::default();
        let lines = Rc::new(FileLines::of(text));
        for object in &objects {
            let labelled = object.label().is_some_and(|label| label == "true");
            if object.kind == "ConfigMap" && (labelled || objects.len() == 1) {
                file.lists.push(FileList::from_manifest(object, !labelled, &lines, defaults));
            } else {
                let name = object.metadata("name").unwrap_or_default().to_owned();
                let (line, kind) = (object.line(), object.kind.clone());
                let remedy = foreign::remedy_for(object.node, &kind);
                let config_map = foreign::as_config_map(object.node, &kind);
                file.others.push(OtherObject { line, kind, name, remedy, config_map });
            }
        }
        file
    }
}

/// A node of an object with its kind.
struct Object<'n> {
    node: &'n TreeNode,
    kind: String,
}

impl<'n> Object<'n> {
    fn line(&self) -> u64 {
        self.node.line.unwrap_or(1)
    }

    fn metadata(&self, key: &str) -> Option<&'n str> {
        self.node.child("metadata")?.child(key)?.text()
    }

    fn label(&self) -> Option<&'n str> {
        self.node.child("metadata")?.child("labels")?.child(IMAGE_LIST_LABEL)?.text()
    }
}

/// The objects in documents and in a `List`.
fn objects(documents: &[TreeNode]) -> Vec<Object<'_>> {
    let mut objects = Vec::new();
    for node in documents {
        if let Some((kind, items)) = items_of_list(node) {
            objects.extend(items.iter().map(|node| Object { node, kind: kind_of(node, kind) }));
        } else if let Some(kind) = node.child("kind").and_then(TreeNode::text) {
            objects.push(Object { node, kind: kind.to_owned() });
        }
    }
    objects
}

/// The kind and the items of a `List`, which `kubectl` prints for any number of objects, or for none.
fn items_of_list(node: &TreeNode) -> Option<(&str, &[TreeNode])> {
    let kind = node.child("kind").and_then(TreeNode::text).filter(|kind| kind.ends_with("List"))?;
    match &node.child("items")?.value {
        Value::Sequence(items) => Some((kind, items)),
        _ => None,
    }
}

/// The items of a typed list, such as a `ConfigMapList`, need not say their kind.
fn kind_of(item: &TreeNode, list_kind: &str) -> String {
    let kind = item.child("kind").and_then(TreeNode::text).unwrap_or(list_kind.trim_end_matches("List"));
    kind.to_owned()
}

impl FileList {
    fn plain(text: &str, defaults: Defaults) -> Self {
        Self {
            list: ListData {
                namespace: defaults.namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned(),
                name: defaults.name.to_owned(),
                data: [(yaml::KEY.to_owned(), text.to_owned())].into(),
                found: None,
            },
            line: 1,
            unlabelled: false,
            manifest_problems: Vec::new(),
            lines: Lines::new(&Rc::new(FileLines::of(text)), 1).with(yaml::KEY, 1),
        }
    }

    fn from_manifest(object: &Object, unlabelled: bool, lines: &Rc<FileLines>, defaults: Defaults) -> Self {
        let mut problems = Problems::default();
        let mut lines = Lines::new(lines, object.line());
        let mut data = BTreeMap::new();
        if let Some(node) = object.node.child("data").filter(|node| node.value != Value::Null) {
            for (key, value, place) in At::json("data", node, true).texts(&mut problems) {
                lines = lines.with(key, place.line.unwrap_or(object.line()));
                data.insert(key.to_owned(), value.to_owned());
            }
        }
        check_metadata(object.node, &mut problems);
        let own = data.get("NAMESPACE").map(|namespace: &String| namespace.trim()).filter(|own| !own.is_empty());
        let namespace = object.metadata("namespace").or(defaults.namespace).or(own).unwrap_or(DEFAULT_NAMESPACE);
        let name = object.metadata("name").unwrap_or_default();
        Self {
            list: ListData { namespace: namespace.to_owned(), name: name.to_owned(), data, found: None },
            line: object.line(),
            unlabelled,
            manifest_problems: problems.into_vec(),
            lines,
        }
    }

    /// Checks the manifest itself, regardless of the list in it.
    pub fn manifest_problems(&self) -> &[Problem] {
        &self.manifest_problems
    }

    /// Validates the list like the controller, with the lines of the file.
    pub fn validation_result(&self, policy: &Policy) -> FileResult {
        self.result_with(policy, usize::MAX)
    }

    /// The same with at most so many problems of the list that are reported one by one.
    pub fn result_with(&self, policy: &Policy, most: usize) -> FileResult {
        let limits = Limits::CEILING.with_problems(most);
        let Parsed { config, empty, problems } = parsed(&self.list, &limits, Some(policy));
        let of_manifest = self.manifest_problems.iter().map(|problem| FileProblem {
            line: problem.line.unwrap_or(self.line),
            problem: Problem { line: None, ..problem.clone() },
        });
        let mut lines = self.lines.of_values(&self.list.data);
        let of_list = problems.into_iter().map(|problem| FileProblem { line: lines.of(&problem), problem });
        let mut problems: Vec<_> = of_manifest.chain(of_list).collect();
        problems.sort_by_key(|problem| problem.line);
        let intact = self.manifest_problems.is_empty();
        FileResult { config: config.filter(|_| intact), empty: empty && intact, problems }
    }
}

impl FileResult {
    /// Whether the list is accepted.
    pub fn is_accepted(&self) -> bool {
        self.config.is_some()
    }
}

/// The API server refuses labels and annotations that are no text. It takes null for an empty one.
fn check_metadata(node: &TreeNode, problems: &mut Problems) {
    for key in ["labels", "annotations"] {
        let Some(node) = node.child("metadata").and_then(|metadata| metadata.child(key)) else { continue };
        for (_, value) in At::json(&format!("metadata.{key}"), node, true).children() {
            if !value.is_null() {
                value.text(problems);
            }
        }
    }
}

/// The default namespace of `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults { namespace: None, name: "images" };

    /// The lines on which a file's problems stand, by their paths.
    fn problem_lines(text: &str) -> Vec<(String, u64)> {
        let file = File::read(text, DEFAULTS);
        let validation_results = file.lists.iter().flat_map(|list| list.validation_result(&Policy::default()).problems);
        validation_results.map(|problem| (problem.problem.path.into(), problem.line)).collect()
    }

    fn expect(text: &str, expected: &[(&str, u64)]) {
        let expected: Vec<_> = expected.iter().map(|(path, line)| ((*path).to_owned(), *line)).collect();
        assert_eq!(problem_lines(text), expected, "{text}");
    }

    #[test]
    fn a_literal_block_has_the_lines_of_the_file() {
        expect(
            "kind: ConfigMap\nmetadata: {name: a}\ndata:\n  images.yaml: |\n    images:\n      - a\n      - B\n",
            &[("images.yaml: images[1]", 7)],
        );
        expect(
            "# comment\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  images.yaml: |+ # why\n\n\n    images: [a]\n    x: 1\n\n",
            &[("images.yaml: x", 9)],
        );
    }

    #[test]
    fn a_value_in_quotes_has_the_line_of_its_beginning() {
        expect(
            "{\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"},\n\"data\": {\n\"images.yaml\": \"images:\\n- a\\n- B\\n\"}}",
            &[("images.yaml: images[1]", 3)],
        );
    }

    #[test]
    fn flat_keys_have_the_lines_of_their_values() {
        expect(
            "kind: ConfigMap\nmetadata: {name: a}\ndata:\n  IMAGES: |\n    a=a;\n    b=B;\n  PULL_RATE: many\n  NODE_SELECTOR: |\n    {\n      \"a\": 1\n    }\n",
            &[("IMAGES[1]", 6), ("PULL_RATE", 7), ("NODE_SELECTOR.a", 10)],
        );
    }

    #[test]
    fn a_number_where_a_configmap_wants_text_is_reported() {
        let text = "kind: ConfigMap\nmetadata: {name: a}\ndata:\n  IMAGES: a=a:1\n  CACHING_INTERVAL_HOURS: 1\n";
        expect(text, &[("data.CACHING_INTERVAL_HOURS", 5)]);
        assert!(!File::read(text, DEFAULTS).lists[0].validation_result(&Policy::default()).is_accepted());
    }

    #[test]
    fn a_label_or_an_annotation_that_is_no_text_is_reported() {
        let text = "kind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    kube-prepull.io/image-list: true\n    a: \"1\"\n    b:\n  \
                    annotations: {c: 1}\ndata:\n  IMAGES: a=a:1\n";
        expect(text, &[("metadata.labels.kube-prepull.io/image-list", 5), ("metadata.annotations.c", 8)]);
        assert!(!File::read(text, DEFAULTS).lists[0].validation_result(&Policy::default()).is_accepted());
    }

    #[test]
    fn a_list_of_no_objects_contains_no_list() {
        for text in ["kind: List\nitems: []\n", "{kind: ConfigMapList, items: []}"] {
            let file = File::read(text, DEFAULTS);
            assert!(file.lists.is_empty() && file.others.is_empty(), "{text}");
        }
    }

    #[test]
    fn every_labelled_configmap_of_a_file_is_a_list() {
        let config_map = |name: &str, label: &str| {
            format!(
                "---\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels: {{kube-prepull.io/image-list: '{label}'}}\ndata:\n  images.yaml: '[A]'\n"
            )
        };
        let text = format!(
            "kind: Service\n{}{}---\n{}",
            config_map("a", "true"),
            config_map("b", "false"),
            config_map("c", "true")
        );
        let file = File::read(&text, DEFAULTS);
        assert_eq!(file.lists.iter().map(|list| list.list.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(file.others.iter().map(|other| other.kind.as_str()).collect::<Vec<_>>(), ["Service", "ConfigMap"]);
        expect(&text, &[("images.yaml[0]", 8), ("images.yaml[0]", 23)]);
    }

    #[test]
    fn the_items_of_a_list_are_objects() {
        let text = "kind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: a, labels: {kube-prepull.io/image-list: 'true'}}\n  data: {IMAGES: a}\n- kind: Pod\n";
        expect(text, &[("IMAGES[0]", 5)]);
    }

    #[test]
    fn a_list_without_a_namespace_is_where_it_says() {
        let text = "kind: ConfigMap\nmetadata: {name: a}\ndata: {IMAGES: \"a=a:1\", NAMESPACE: k8s-image-puller}\n";
        expect(text, &[]);
        let elsewhere = Defaults { namespace: Some("other"), ..DEFAULTS };
        assert!(!File::read(text, elsewhere).lists[0].validation_result(&Policy::default()).is_accepted());
    }

    #[test]
    fn a_text_that_is_no_manifest_is_an_images_yaml() {
        expect("images: [a]\nx: 1\n", &[("images.yaml: x", 2)]);
        expect("images: [a\n", &[("images.yaml", 1)]);
        expect("images: [a]\n---\nimages: [b]\n", &[("images.yaml", 3)]);
    }
}
