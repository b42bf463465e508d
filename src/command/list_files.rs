//! The files that the arguments of `validate` mean: patterns and folders of manifests become files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::source;
use crate::list::is_named_as_document;

/// The most files of one command.
const MAX_FILES: usize = 4_000;
/// How the names of manifests end.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The files that the arguments mean, each once and in their order, and what is wrong with an argument in its place.
pub fn expand(arguments: &[PathBuf]) -> Vec<anyhow::Result<PathBuf>> {
    let mut known = BTreeSet::new();
    let mut files = Vec::new();
    for argument in arguments {
        match files_of(argument) {
            Ok(found) => files.extend(found.into_iter().filter(|file| known.insert(file.clone())).map(Ok)),
            Err(error) => files.push(Err(error)),
        }
        if files.len() > MAX_FILES {
            files.truncate(MAX_FILES);
            files.push(Err(anyhow!("there are more than {MAX_FILES} files; validate fewer at a time")));
            break;
        }
    }
    files
}

fn files_of(argument: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_pattern = argument.to_str().is_some_and(has_wildcard) && !argument.exists();
    let paths = if is_pattern { matches_of(argument)? } else { vec![argument.to_owned()] };
    let files: Vec<Vec<PathBuf>> = paths.iter().map(|path| manifests_of(path)).collect::<Result<_, _>>()?;
    Ok(files.into_iter().flatten().collect())
}

/// The manifests of a folder, sorted. Anything else stays as it is, also a folder with a file per key.
fn manifests_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() || source::has_keys(path) {
        return Ok(vec![path.to_owned()]);
    }
    let is_manifest = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        EXTENSIONS.contains(&extension.as_str()) && path.is_file()
    };
    let manifests: Vec<PathBuf> = entries(path)?.into_iter().map(|name| path.join(name)).filter(is_manifest).collect();
    match manifests.as_slice() {
        [] => bail!(
            "{}: the folder contains no list: it needs a file named images.yaml or IMAGES, or manifests named *.yaml, *.yml or *.json",
            path.display()
        ),
        // What is wrong with the folder is said when it is read.
        [only] if is_misnamed(only) => Ok(vec![path.to_owned()]),
        _ => Ok(manifests),
    }
}

/// Whether the file is probably meant as a key of a list, under another name than the key's.
fn is_misnamed(file: &Path) -> bool {
    let is_named_so = is_named_as_document(&file.file_name().unwrap_or_default().to_string_lossy());
    is_named_so && source::read_file(file).is_ok_and(|text| !text.contains("kind"))
}

/// The paths that a pattern matches, sorted.
fn matches_of(pattern: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = vec![PathBuf::new()];
    for component in pattern.components() {
        paths = match component {
            Component::Normal(name) if has_wildcard(&name.to_string_lossy()) => {
                let pattern = name.to_string_lossy();
                let mut found = Vec::new();
                for folder in paths.iter().filter(|path| path.as_os_str().is_empty() || path.is_dir()) {
                    let names = entries(folder)?.into_iter().filter(|name| matches(&pattern, name));
                    found.extend(names.map(|name| folder.join(name)));
                }
                found
            }
            other => paths.into_iter().map(|path| path.join(other)).collect(),
        };
        paths.truncate(MAX_FILES + 1);
    }
    paths.retain(|path| path.exists());
    if paths.is_empty() {
        bail!("{}: no file matches this pattern", pattern.display());
    }
    Ok(paths)
}

/// The sorted names of what is in a folder. Names that are not Unicode cannot be matched.
fn entries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(read).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| format!("cannot read {}", read.display()))?;
    let names: BTreeSet<String> =
        entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    Ok(names.into_iter().collect())
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether a name matches a pattern, in which `*` is any text and `?` any character. Hidden files have to be named with their dot.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The last `*`, and how much of the name it takes so far.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match (pattern.get(at), star) {
            (Some('*'), _) => {
                star = Some((at, read));
                at += 1;
            }
            (Some(wanted), _) if *wanted == '?' || *wanted == name[read] => {
                (at, read) = (at + 1, read + 1);
            }
            (_, Some((begin, taken))) => {
                star = Some((begin, taken + 1));
                (at, read) = (begin + 1, taken + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_any_character() {
        for (pattern, name) in
            [("*.yaml", "a.yaml"), ("*", "a"), ("a*b*c", "aXbXbc"), ("?.yaml", "ü.yaml"), ("**", ""), (".*", ".a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.yaml", "a.yml"), ("?", ""), ("a*b", "abc"), ("*.yaml", ".a.yaml"), ("", "a"), ("a?", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(5_000).replace("aa", "ab")), "in a short time");
    }

    #[test]
    fn what_is_no_pattern_stays_in_its_order_and_once() {
        let arguments = ["-", "b.yaml", "a.yaml", "-"].map(PathBuf::from);
        let files: Vec<PathBuf> = expand(&arguments).into_iter().flatten().collect();
        assert_eq!(files, ["-", "b.yaml", "a.yaml"].map(PathBuf::from));
    }
}
