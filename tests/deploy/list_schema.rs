//! The list among the values is checked before anything is installed: the schema of the values contains that of `images.yaml`.

use std::fs;

use serde_json::Value;

use super::helm::{Helm, chart, checkout};

const BEGIN: &str = "    \"list\": {\n";
const END: &str = "\n    },\n";

/// The schema of lists as a definition in that of the values, which is of an older draft, for all versions of Helm.
fn embedded() -> String {
    let text = fs::read_to_string(checkout("config/images.schema.json")).unwrap();
    let is_own = |line: &&str| !["  \"$schema\": ", "  \"$id\": "].iter().any(|own| line.starts_with(own));
    let lines = text.lines().skip(1).filter(is_own).take_while(|line| *line != "}");
    let indented: Vec<String> = lines.map(|line| format!("    {line}")).collect();
    indented
        .join("\n")
        .replace("\"#/$defs/", "\"#/$defs/list/$defs/")
        .replace("\"dependentSchemas\":", "\"dependencies\":")
}

#[test]
fn the_schema_of_the_values_contains_the_one_of_lists() {
    let path = chart().join("values.schema.json");
    let schema = fs::read_to_string(&path).unwrap();
    let (before, rest) = schema.split_once(BEGIN).expect("the definition of a list");
    let (written, after) = rest.split_once(END).expect("its end");
    let right = embedded();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{right}{END}{after}")).unwrap();
        return;
    }
    assert!(written == right, "run UPDATE_SCHEMA=1 cargo test --test deploy list_schema");
}

#[test]
fn a_mistake_in_a_list_is_refused_with_its_path() {
    let helm = Helm::offline("images");
    for (list, words) in [
        (
            "imagesYaml: {images: [nginx], groups: [{name: gpu, images: [cuda], nodeSelektor: {a: b}}]}",
            ["/groups/0", "'nodeSelektor' not allowed"],
        ),
        ("imagesYaml: {image: [nginx]}", ["/configMap/imagesYaml", "'image' not allowed"]),
        ("imagesYaml: {groups: [{images: [cuda]}]}", ["/imagesYaml/groups/0", "'name'"]),
        ("imagesYaml: {images: [nginx], refresh: {mode: always}}", ["/imagesYaml/refresh/mode", "'OnChange'"]),
        ("imagesYaml: {images: [nginx], pullRate: fast}", ["/imagesYaml/pullRate", "got string"]),
        ("imagesYaml: [{image: nginx, nam: web}]", ["/imagesYaml/0", "'nam' not allowed"]),
        (
            "imagesYaml: {images: [nginx], tolerations: [{kye: gpu}]}",
            ["/imagesYaml/tolerations/0", "'kye' not allowed"],
        ),
        ("imagesYaml: {nodeSelector: {a: b}, groups: [{name: a, images: [b]}]}", ["/configMap/imagesYaml", "'images'"]),
        ("tolerations: [{key: gpu, operator: exists}]", ["/configMap/tolerations/0/operator", "'Exists'"]),
        ("affinity: {nodeAfinity: {}}", ["/configMap/affinity", "'nodeAfinity' not allowed"]),
        ("architectures: [x86]", ["/configMap/architectures/0", "'amd64'"]),
        ("refreshMode: always", ["/configMap/refreshMode", "'Always'"]),
    ] {
        helm.rejects(&format!("configMap: {{{list}}}"), &words);
    }
}

/// Whatever stands for no list, and what only the controller can check.
#[test]
fn texts_and_empty_values_are_accepted() {
    let helm = Helm::offline("images");
    for list in [
        "imagesYaml: {}",
        "imagesYaml: []",
        "imagesYaml: \"image: [nginx]\"",
        "imagesYaml: [nginx]",
        "affinity: {}",
        "affinity: \"{}\"",
        "tolerations: []",
        "tolerations: '[{\"key\": \"gpu\"}]'",
        "architectures: amd64;arm64",
    ] {
        helm.template(&format!("configMap: {{{list}}}"));
    }
}

/// Versions of Helm differ in what validates the values.
#[test]
fn another_validator_reads_the_schema_in_the_same_way() {
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    assert!(jsonschema::draft7::meta::is_valid(&schema));
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let read = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    let own = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let others = [include_str!("values/everything.yaml"), include_str!("values/conventions.yaml")];
    for text in [own.as_str()].into_iter().chain(others) {
        let wrong: Vec<String> = validator.iter_errors(&read(text)).map(|error| error.to_string()).collect();
        assert_eq!(wrong, [""; 0], "{text}");
    }
    for (list, is_valid) in [
        ("{images: [nginx]}", true),
        ("[nginx]", true),
        ("{}", true),
        ("{images: [nginx], refesh: {}}", false),
        ("{nodeSelector: {a: b}, groups: [{name: a, images: [b]}]}", false),
    ] {
        assert_eq!(validator.is_valid(&read(&format!("configMap: {{imagesYaml: {list}}}"))), is_valid, "{list}");
    }
}
