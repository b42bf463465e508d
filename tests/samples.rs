//! The sample lists that users start from are accepted as they are, without so much as a warning.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use kube_prepull::list::{self, IMAGE_LIST_LABEL, ListData};

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn read(path: &Path) -> ConfigMap {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn there_are_samples() {
    assert!(samples().len() >= 4, "{:?}", samples());
}

#[test]
fn every_sample_is_an_image_list_without_a_problem() {
    for path in samples() {
        let sample = read(&path);
        let labels = sample.metadata.labels.unwrap_or_default();
        assert_eq!(labels.get(IMAGE_LIST_LABEL).map(String::as_str), Some("true"), "{}", path.display());
        let list = ListData {
            namespace: sample.metadata.namespace.unwrap_or_else(|| "default".to_owned()),
            name: sample.metadata.name.unwrap(),
            data: sample.data.unwrap(),
            found: None,
        };
        let parsed = list::parse(&list);
        assert_eq!(parsed.problems, [], "{}", path.display());
        assert!(parsed.config.is_some(), "{}", path.display());
    }
}
