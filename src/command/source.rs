//! Reads lists from a file.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::{Map, Value, json};

use super::terminal::ErrorWithManifest;
use crate::list::manifest::{Defaults, File, OtherObject};
use crate::list::{IMAGE_LIST_LABEL, ListData, flat, is_named_as_document, yaml};

/// No manifest is larger. A larger file is not read to its end.
const MAX_BYTES: u64 = 64 << 20;

/// Reads all lists of a file: manifests of ConfigMaps, or the text of an `images.yaml`. `-` is standard input. In a folder, each
/// file is a key, as in a volume of a ConfigMap.
///
/// # Errors
/// If the file cannot be read, or contains no list.
pub fn read_all(file: &Path, defaults: Defaults) -> anyhow::Result<File> {
    let lists = File::read(&read_text(file)?, defaults);
    if lists.lists.is_empty() {
        let shown = file.display();
        match lists.others.as_slice() {
            [only] if only.kind != "ConfigMap" => {
                let kind = &only.kind;
                let said = format!("{shown}: the kind of this object is {kind}, and a list is a ConfigMap; ");
                return Err(with_translation(said, Some(only)));
            }
            [] => bail!("{shown}: there is no ConfigMap in it"),
            others => {
                let puller = others.iter().find(|other| other.config_map.is_some());
                let said = format!(
                    "{shown}: none of these {} objects is a ConfigMap with the label {IMAGE_LIST_LABEL}: \"true\"{}",
                    others.len(),
                    if puller.is_some() { "; " } else { "" }
                );
                return Err(with_translation(said, puller));
            }
        }
    }
    Ok(lists)
}

/// What is wrong, followed by how the object becomes a list.
fn with_translation(said: String, object: Option<&OtherObject>) -> anyhow::Error {
    let Some(object) = object else { return anyhow!(said) };
    let Some(config_map) = &object.config_map else { return anyhow!("{said}{}", object.remedy) };
    let error = format!("{said}as a ConfigMap, this {} is:", object.kind);
    ErrorWithManifest { error: error.into(), manifest: config_map.clone() }.into()
}

/// Reads the only list of a file.
///
/// # Errors
/// If the file cannot be read, does not contain exactly one list, or is not a valid manifest.
pub fn read(file: &Path, namespace: &str, name: &str) -> anyhow::Result<ListData> {
    let mut lists = read_all(file, Defaults { namespace: Some(namespace), name })?.lists;
    ensure!(lists.len() == 1, "{}: there are {} lists in it; give one at a time", file.display(), lists.len());
    let list = lists.remove(0);
    if let Some(problem) = list.manifest_problems().first() {
        bail!("{}: {problem}", file.display());
    }
    Ok(list.list)
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    if file.is_dir() {
        return folder_as_manifest(file);
    }
    read_file(file)
}

/// Reads a file of text; `-` is standard input.
///
/// # Errors
/// If it cannot be read, or is too large.
pub(super) fn read_file(file: &Path) -> anyhow::Result<String> {
    let shown = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        let opened = fs::File::open(file).with_context(|| format!("cannot read {shown}"))?;
        opened.take(MAX_BYTES).read_to_string(&mut text)
    };
    read.with_context(|| format!("cannot read {shown}"))?;
    ensure!(text.len() < MAX_BYTES as usize, "{shown} is too large for a list: more than {MAX_BYTES} bytes");
    Ok(text)
}

fn folder_as_manifest(folder: &Path) -> anyhow::Result<String> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    // In a volume of a ConfigMap, these are links to files.
    let files = entries.with_context(|| format!("cannot read {shown}"))?.into_iter().map(|entry| entry.path());
    let files: Vec<_> = files.filter(|path| path.is_file()).map(|path| (key_of(&path), path)).collect();
    if !files.iter().any(|(key, _)| is_key(key)) {
        let meant = files.iter().find(|(key, _)| is_named_as_document(key));
        let hint = meant.map(|(key, _)| format!("; if {key} is the list, rename it to {}", yaml::KEY));
        let needed = format!("it needs a file named {} or {}", yaml::KEY, flat::KEY);
        bail!("{shown}: the folder contains no list: {needed}{}", hint.unwrap_or_default());
    }
    let data = files.into_iter().map(|(key, path)| Ok((key, read_text(&path)?.into())));
    let data: Map<String, Value> = data.collect::<anyhow::Result<_>>()?;
    // A volume does not contain the ConfigMap's labels.
    let metadata = json!({"name": "images", "labels": {IMAGE_LIST_LABEL: "true"}});
    Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).to_string())
}

/// Whether a folder has a file per key of a list, as in a volume of a ConfigMap.
pub(super) fn has_keys(folder: &Path) -> bool {
    let mut paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.any(|path| path.is_file() && is_key(&key_of(&path)))
}

fn is_key(key: &str) -> bool {
    key == yaml::KEY || flat::KEYS.contains(&key)
}

fn key_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
