//! "Did you mean …?"

/// The known name that `name` is most likely a misspelling of.
pub fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = name.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(&folded, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min()
        .map(|(_, candidate)| candidate)
}

/// What to do about an unknown key: the likely spelling, or the keys that there are.
pub fn remedy(name: &str, known: &[&str]) -> String {
    match closest(name, known) {
        Some(candidate) => format!("did you mean {candidate:?}?"),
        None => format!("the keys here are {}", known.join(", ")),
    }
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
