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
        match suggest::closest(key, known) {
            Some(meant) => problems.error(Place::key(key), Code::UnknownKey, message, remedy(list, meant)),
            None => problems.warning(
                Place::key(key),
                Code::UnknownKey,
                format!("{message}; it has no effect"),
                "remove it if nothing else reads it",
            ),
        }
    }
}

/// Who has written the likely key too did not misspell it.
fn remedy(list: &ListData, meant: &str) -> String {
    match list.data.get(meant).is_some_and(|value| !value.trim().is_empty()) {
        true => format!("remove it, or move what it says into {meant}, which is set as well"),
        false => format!("did you mean {meant:?}?"),
    }
}
