//! "Did you mean …?"

use super::problem::quoted;

/// How many values are named at most.
const NAMED: usize = 10;

/// Longer than any misspelt key.
const MAX_MISSPELLING: usize = 64;

/// The known name that is closest to `name`, if it is probably misspelt.
pub fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // A longer text is not a misspelling, and distances of long texts take time.
    if name.len() > MAX_MISSPELLING {
        return None;
    }
    let folded = name.to_lowercase();
    let length = folded.chars().count();
    // A distance is at least the difference of the lengths, which is found out in less time.
    let may_be_meant = |candidate: &&str| candidate.chars().count().abs_diff(length) <= most_mistakes(candidate);
    known
        .iter()
        .filter(|candidate| may_be_meant(candidate))
        .map(|candidate| (strsim::osa_distance(&folded, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= most_mistakes(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

fn most_mistakes(candidate: &str) -> usize {
    1 + candidate.len() / 5
}

/// The message and the remedy for an unknown key.
pub fn unknown_key(name: &str, known: &[&str]) -> (String, String) {
    (format!("unknown key {}", quoted(name)), remedy(name, known))
}

/// Suggests the likely spelling of a key, or else all keys.
fn remedy(name: &str, known: &[&str]) -> String {
    did_you_mean(name, known).unwrap_or_else(|| format!("the keys here are {}", known.join(", ")))
}

/// Suggests the likely spelling of a value, or else all values.
pub fn value_remedy(name: &str, known: &[&str]) -> String {
    did_you_mean(name, known).unwrap_or_else(|| format!("write one of {}", some_of(known)))
}

/// Some of the values, and how many more there are.
fn some_of(known: &[&str]) -> String {
    match known.len().saturating_sub(NAMED) {
        0 => known.join(", "),
        more => format!("{} and {more} more", known[..NAMED].join(", ")),
    }
}

/// The likely spelling as a question.
pub fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    closest(name, known).map(|candidate| format!("did you mean {candidate:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_are_recognised() {
        let known = ["images", "nodeSelector", "tolerations"];
        assert_eq!(closest("image", &known), Some("images"));
        assert_eq!(closest("nodeselector", &known), Some("nodeSelector"));
        assert_eq!(closest("tolleratons", &known), Some("tolerations"));
        assert_eq!(closest("replicas", &known), None);
    }
}
