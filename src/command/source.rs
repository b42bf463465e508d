//! Reading a list from a file.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::list::{ListData, yaml};

/// Reads a list: a ConfigMap's manifest, or the text of an `images.yaml`. `-` is standard input.
///
/// # Errors
/// Where the file cannot be read, or looks like a manifest but is none of a ConfigMap.
pub fn read(file: &Path, namespace: &str, name: &str) -> anyhow::Result<ListData> {
    let text = read_text(file)?;
    let plain = || ListData {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        data: [(yaml::KEY.to_owned(), text.clone())].into(),
    };
    let Some(kind) = kind(&text) else { return Ok(plain()) };
    anyhow::ensure!(kind == "ConfigMap", "{}: this is a {kind}, and a list is a ConfigMap", file.display());
    let config_map: ConfigMap =
        serde_yaml::from_str(&text).with_context(|| format!("{}: not a ConfigMap", file.display()))?;
    Ok(ListData {
        namespace: config_map.metadata.namespace.unwrap_or_else(|| namespace.to_owned()),
        name: config_map.metadata.name.unwrap_or_else(|| name.to_owned()),
        data: config_map.data.unwrap_or_default(),
    })
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The kind of a manifest; `None` for anything else, such as an `images.yaml`.
fn kind(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        kind: String,
    }
    serde_yaml::from_str::<Manifest>(text).ok().map(|manifest| manifest.kind)
}
