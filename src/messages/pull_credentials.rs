//! What workloads need if kubelets verify that they may use the images that holders pulled.

use std::fmt::Display;

use super::{first_few, number};

/// Names a group whose holders pull with pull secrets and, if known, how many of its nodes verify credentials.
pub fn group<S: Display>(name: &str, secrets: &[S], nodes: Option<usize>) -> String {
    let secrets = first_few(secrets, ", ", "");
    let nodes = nodes.map(|nodes| format!("; {}", number(nodes, "such node"))).unwrap_or_default();
    format!("{name} ({secrets}{nodes})")
}

/// Says what workloads need to use what these groups pulled; nothing if there is no such group. Names the first few groups, or all.
pub fn note(groups: &[String], all: bool) -> Option<String> {
    let named = match groups {
        [] => return None,
        [group] => format!("group {group}"),
        groups if all => format!("groups {}", groups.join(", ")),
        groups => format!("groups {}", first_few(groups, ", ", "")),
    };
    Some(format!(
        "nodes with Kubernetes 1.35 or later verify image pull credentials: give workloads the same pull secrets as {named}; see \
         docs/private-images.md"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(number: usize) -> Vec<String> {
        (0..number).map(|index| group(&format!("g{index}"), &["registry", "nvcr"], Some(index + 1))).collect()
    }

    #[test]
    fn a_note_names_the_groups_with_their_secrets() {
        assert_eq!(note(&[], false), None);
        let one = note(&[group("private", &["registry"], None)], false).expect("a note");
        assert_eq!(
            one,
            "nodes with Kubernetes 1.35 or later verify image pull credentials: give workloads the same pull secrets as group private \
             (registry); see docs/private-images.md"
        );
        let two = note(&groups(2), false).expect("a note");
        let named = "groups g0 (registry, nvcr; 1 such node), g1 (registry, nvcr; 2 such nodes);";
        assert!(two.contains(named), "{two}");
    }

    #[test]
    fn only_the_wide_form_names_all_groups() {
        let few = note(&groups(5), false).expect("a note");
        assert!(few.contains("g2 (") && few.contains(", and 2 more;") && !few.contains("g3"), "{few}");
        assert!(note(&groups(5), true).expect("a note").contains("g4 ("));
    }
}
