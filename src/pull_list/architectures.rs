//! Which architectures a group is for: those that its list names, unless a label that it selects nodes by says otherwise.

use std::collections::BTreeSet;

use crate::list::config::{Architecture, Placement};
use crate::list::satisfiable::{PlacementPart, contradictions};

/// Whether nodes of that architecture may have the images of a group. A placement that no node can match excludes none.
pub fn may_have(placement: &Placement, architecture: Architecture) -> bool {
    let listed = &placement.architectures;
    if !listed.is_empty() && !listed.contains(&architecture) {
        return false;
    }
    let restricted = Placement { architectures: [architecture].into(), ..placement.clone() };
    !selects_nothing(&restricted) || selects_nothing(placement)
}

/// The architectures of the nodes that may have the images of a group; `None`: any.
pub fn of(placement: &Placement) -> Option<BTreeSet<Architecture>> {
    let all = Architecture::ALL.map(|(_, architecture)| architecture);
    let possible: BTreeSet<Architecture> = all.into_iter().filter(|it| may_have(placement, *it)).collect();
    (possible.len() < all.len()).then_some(possible)
}

/// Whether no node can match the placement. One that matches any of the terms of the affinity is enough.
fn selects_nothing(placement: &Placement) -> bool {
    let found = contradictions(placement);
    let of_terms = found.iter().filter(|it| matches!(it.part, PlacementPart::Term(_))).count();
    found.len() > of_terms || (of_terms > 0 && of_terms == terms(placement))
}

/// How many terms the required node affinity has.
fn terms(placement: &Placement) -> usize {
    let node = placement.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = node.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    required.map_or(0, |selector| selector.node_selector_terms.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{ListData, parse};

    /// The architectures of a group with these keys.
    fn architectures(keys: &str) -> Option<Vec<&'static str>> {
        let text = format!("groups:\n- name: g\n  images: ['a:1']\n  {keys}\n");
        let data = [("images.yaml".to_owned(), text)].into();
        let parsed = parse(&ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None });
        let config = parsed.config.unwrap_or_else(|| panic!("{:#?}", parsed.problems));
        of(&config.groups[0].placement).map(|it| it.into_iter().map(Architecture::name).collect())
    }

    fn terms_of(labels: &[(&str, &str)]) -> String {
        let term = |(key, value): &(&str, &str)| {
            format!("{{matchExpressions: [{{key: {key}, operator: In, values: [{value}]}}]}}")
        };
        let terms: Vec<String> = labels.iter().map(term).collect();
        format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{}]}}}}}}",
            terms.join(", ")
        )
    }

    #[test]
    fn a_group_is_for_the_architectures_that_it_names_and_otherwise_for_any() {
        assert_eq!(architectures("nodeSelector: {accelerator: nvidia}"), None);
        assert_eq!(architectures("architectures: [arm64, amd64]"), Some(vec!["amd64", "arm64"]));
    }

    #[test]
    fn labels_that_nodes_are_selected_by_count_too() {
        for key in ["kubernetes.io/arch", "beta.kubernetes.io/arch"] {
            assert_eq!(architectures(&format!("nodeSelector: {{{key}: arm64}}")), Some(vec!["arm64"]), "{key}");
        }
        let arch = ("kubernetes.io/arch", "s390x");
        assert_eq!(architectures(&terms_of(&[arch])), Some(vec!["s390x"]));
        assert_eq!(architectures(&terms_of(&[arch, ("zone", "a")])), None, "any node of the zone may have it");
        assert_eq!(
            architectures(&terms_of(&[arch, ("kubernetes.io/arch", "amd64")])),
            Some(vec!["amd64", "s390x"]),
            "each of the terms is enough"
        );
    }

    #[test]
    fn a_placement_that_no_node_can_match_says_nothing_of_architectures() {
        assert_eq!(architectures("nodeSelector: {kubernetes.io/os: windows}"), None);
    }
}
