//! What a catalogue of charts shows of this one.

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use test_bed::programs;

use super::helm::{chart, checkout};

fn metadata() -> Value {
    serde_yaml::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap()
}

/// An annotation that is YAML itself.
fn list_in(metadata: &Value, annotation: &str) -> Vec<Value> {
    let text = metadata["annotations"][format!("artifacthub.io/{annotation}")].as_str().unwrap();
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_icon_is_the_one_in_the_folder() {
    let icon = metadata()["icon"].as_str().unwrap().to_owned();
    let content = STANDARD.encode(fs::read(chart().join("icon.svg")).unwrap());
    assert_eq!(icon, format!("data:image/svg+xml;base64,{content}"));
}

#[test]
fn changes_are_of_the_kinds_that_artifact_hub_knows() {
    let metadata = metadata();
    let kinds = ["added", "changed", "deprecated", "removed", "fixed", "security"];
    let changes = list_in(&metadata, "changes");
    assert!(!changes.is_empty());
    for change in changes {
        assert!(kinds.contains(&change["kind"].as_str().unwrap()), "{change}");
        assert!(!change["description"].as_str().unwrap().is_empty(), "{change}");
    }
    let annotations = &metadata["annotations"];
    assert_eq!(annotations["artifacthub.io/license"], "Apache-2.0");
    assert_eq!(annotations["artifacthub.io/category"], "integration-delivery");
    assert!(!metadata["maintainers"][0]["name"].is_null() && metadata["keywords"].as_array().unwrap().len() > 4);
}

/// Nobody knows them before: the project is where it is released, and so are its images.
#[test]
fn a_release_adds_where_the_project_and_its_images_are() {
    let out = std::env::temp_dir().join(format!("kube-prepull-package-{}", std::process::id()));
    let helm = programs::build(&["helm"]).unwrap().join("helm");
    let run = |arguments: &[&str]| {
        let mut script = Command::new(checkout("deploy/package-chart.sh"));
        script.args(arguments).env("HELM", &helm).env("OUT", &out).output().unwrap()
    };
    assert_eq!(run(&["https://example.com/project"]).status.code(), Some(2));
    let output = run(&["https://example.com/project", "registry.test/team"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let version = env!("CARGO_PKG_VERSION");
    let package = out.join(format!("kube-prepull-{version}.tgz"));
    let shown = |what: &str| Command::new(&helm).args(["show", what]).arg(&package).output().unwrap().stdout;
    let packed: Value = serde_yaml::from_slice(&shown("chart")).unwrap();
    let values = shown("values");
    let linted = Command::new(&helm).args(["lint", "--strict"]).arg(&package).output().unwrap();
    fs::remove_dir_all(&out).unwrap();

    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
    assert_eq!(packed["home"], "https://example.com/project");
    assert_eq!(packed["sources"], json!(["https://example.com/project"]));
    let images = list_in(&packed, "images");
    let image = |suffix: &str| json!(format!("registry.test/team/kube-prepull:{version}{suffix}"));
    assert_eq!((&images[0]["image"], &images[1]["image"]), (&image(""), &image("-holder")));
    let page = format!("https://example.com/project/blob/v{version}/");
    for link in &list_in(&packed, "links")[..2] {
        let path = link["url"].as_str().unwrap().strip_prefix(&page).unwrap();
        assert!(checkout(path).is_file(), "{path}");
    }
    // Everything else is as in the folder.
    let mut rest = packed.clone();
    for key in ["home", "sources"] {
        rest.as_object_mut().unwrap().remove(key);
    }
    for annotation in ["artifacthub.io/links", "artifacthub.io/images"] {
        rest["annotations"].as_object_mut().unwrap().remove(annotation);
    }
    assert_eq!(rest, metadata());
    let written: Value = serde_yaml::from_str(&fs::read_to_string(chart().join("values.yaml")).unwrap()).unwrap();
    assert_eq!(serde_yaml::from_slice::<Value>(&values).unwrap(), written);
}
