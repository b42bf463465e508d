//! Keys of a ConfigMap that are not a list's.

use super::data::ListData;
use super::problem::{Code, quoted};
use super::reader::{Place, Problems};
use super::suggest;

/// A key that is close to a known one is probably misspelt, so it is an error. Other keys may be for another reader of the same
/// ConfigMap. The keys of the other format are empty, and so count as unset.
pub fn check_keys(list: &ListData, known: &[&str], of_other_format: &[&str], problems: &mut Problems) {
    let is_of_a_list = |key: &str| known.contains(&key) || of_other_format.contains(&key);
    for key in list.data.keys().filter(|key| !is_of_a_list(key) && !key.is_empty()) {
        let message = format!("unknown key {}", quoted(key));
        match suggest::did_you_mean(key, known) {
            Some(remedy) => problems.error(Place::key(key), Code::UnknownKey, message, remedy),
            None => problems.warning(
                Place::key(key),
                Code::UnknownKey,
                format!("{message}; it has no effect"),
                "remove it if nothing else reads it",
            ),
        }
    }
}
