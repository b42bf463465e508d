//! The version of a list in the cluster, which has what was discovered for it.

use anyhow::bail;
use kube::Client;

use crate::cluster::command_reader;
use crate::command::rights::lacking;
use crate::list::{Config, ListData, parse};
use crate::plan::versions::Revision;

/// The version that is in effect of the list with this namespace and name.
///
/// # Errors
/// If there is none, or it cannot be read.
pub async fn in_effect(client: &Client, list: &ListData) -> anyhow::Result<Revision> {
    let ListData { namespace, name, .. } = list;
    let newest = command_reader::newest_version(client, namespace, name).await;
    match newest.map_err(|error| lacking(error, "list controllerrevisions.apps", namespace))? {
        Some(version) => Ok(version),
        None => bail!(
            "the cluster has no accepted version of the list {namespace}/{name}: the list is not there, or the controller \
             has not accepted it yet; if the file does not say which list it is, choose it with --namespace and \
             --name"
        ),
    }
}

/// What the user should know of that version, besides what it found. `config` is the list of the file.
pub fn notes(version: &Revision, config: &Config) -> Vec<String> {
    let ListData { namespace, name, .. } = &*version.list;
    let is_missing = version.missing_since.is_some();
    let is_other = parse(&version.list).config.is_some_and(|it| it.discoveries != config.discoveries);
    let notes = [
        (is_missing, "does not exist any more; what is shown was discovered for the version that is still in effect"),
        (is_other, "is in effect in another version than that of the file, which may discover other images"),
    ];
    let applying = notes.into_iter().filter(|(applies, _)| *applies);
    applying.map(|(_, note)| format!("{namespace}/{name} {note}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;

    fn list(text: &str) -> ListData {
        let data = [("images.yaml".to_owned(), text.to_owned())].into();
        ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None }
    }

    fn version(text: &str, missing_since: Option<Timestamp>) -> Revision {
        let (name, uid) = ("tools-1".to_owned(), "uid".to_owned());
        let list = Arc::new(list(text));
        Revision { name, uid, number: 1, list, missing_since, created: None, image_caches: None }
    }

    #[test]
    fn a_version_that_is_not_that_of_the_file_is_noted() {
        let config = parse(&list("{discover: {namespaces: [shop]}}")).config.expect("a list");
        let notes = |text: &str, missing_since| notes(&version(text, missing_since), &config);
        assert_eq!(notes("discover: {namespaces: ['shop']}", None), [""; 0]);
        let other = notes("{discover: {namespaces: [shop, checkout]}}", None);
        assert!(matches!(&other[..], [note] if note.starts_with("prepull/tools is in effect in another")), "{other:?}");
        let missing = notes("{discover: {namespaces: [shop]}}", Some(Timestamp::UNIX_EPOCH));
        assert!(matches!(&missing[..], [note] if note.starts_with("prepull/tools does not exist")), "{missing:?}");
    }
}
