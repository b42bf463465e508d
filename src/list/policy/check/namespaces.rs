//! Checks the namespaces that groups discover images in.

use super::super::Policy;
use super::super::place::{BothKeys, Locator};
use super::both;
use crate::list::config::Config;
use crate::list::data::ListData;
use crate::list::problem::{Code, Severity};
use crate::list::reader::Problems;

// No flat key says what is discovered.
const DISCOVER: BothKeys = both(&["discover"], "");
const NAMESPACES: BothKeys = both(&["discover", "namespaces"], "");
const NAMESPACE_SELECTOR: BothKeys = both(&["discover", "namespaceSelector"], "");

/// Warns of namespaces whose workloads the controller may not read. The list is accepted all the same: it may come from
/// elsewhere.
pub fn warn_of_namespaces(policy: &Policy, list: &ListData, config: &Config, problems: &mut Problems) {
    let locator = Locator::new(list);
    for (index, group) in config.groups.iter().enumerate() {
        let Some(discover) = &group.discover else { continue };
        if policy.discovery.is_off() {
            problems.warning(
                locator.of_group(index, DISCOVER, &[]),
                Code::Ignored,
                "no image is discovered: this controller may not read workloads",
                "ask its operator to turn discovery on (discovery.namespaces in the Helm chart), or remove the key",
            );
            continue;
        }
        if discover.namespace_selector.is_some() && !policy.discovery.allows_selectors() {
            problems.warning(
                locator.of_group(index, NAMESPACE_SELECTOR, &[]),
                Code::Ignored,
                "namespaceSelector has no effect: this controller may not read the labels of namespaces",
                "name the namespaces, or ask its operator to allow all (discovery.namespaces={*} in the Helm chart)",
            );
        }
        for namespace in discover.namespaces.iter().filter(|namespace| !policy.discovery.allows(namespace)) {
            if problems.is_full() {
                problems.count(Severity::Warning);
                continue;
            }
            let place = locator.name(Some(index), NAMESPACES, namespace.as_str());
            let message =
                format!("no image is discovered in {namespace}: this controller may not read workloads there");
            let remedy =
                "ask its operator to allow the namespace (discovery.namespaces in the Helm chart), or remove it";
            problems.warning(place, Code::Ignored, message, remedy);
        }
    }
}
