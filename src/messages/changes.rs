//! What an edit changes, in words.

use std::collections::BTreeMap;

use super::first_few;
use crate::list::Config;
use crate::list::config::{Group, Image};

/// What has changed from one accepted form of a list to another, a sentence each; nothing where they ask for the same.
pub fn changes(before: &Config, after: &Config) -> Vec<String> {
    let groups = |of: &Config, without: &Config| -> Vec<String> {
        of.groups.iter().map(|group| group.name.to_string()).filter(|name| find(without, name).is_none()).collect()
    };
    let (new, gone) = (groups(after, before), groups(before, after));
    let images = ImageChanges::of(before, after);
    let lists = [
        ("groups added", new),
        ("groups removed", gone),
        ("images added", images.added),
        ("images removed", images.removed),
        ("images moved", images.moved),
        ("images replaced", images.replaced),
        ("settings", settings(before, after)),
    ];
    let told = lists.into_iter().filter(|(_, what)| !what.is_empty());
    told.map(|(of, what)| format!("{of}: {}", first_few(what, ", ", ""))).collect()
}

fn find<'c>(config: &'c Config, group: &str) -> Option<&'c Group> {
    config.groups.iter().find(|it| it.name.as_str() == group)
}

#[derive(Default)]
struct ImageChanges {
    added: Vec<String>,
    removed: Vec<String>,
    moved: Vec<String>,
    replaced: Vec<String>,
}

impl ImageChanges {
    fn of(before: &Config, after: &Config) -> Self {
        let (mut changes, mut removed) = (Self::default(), only_in(before, after));
        // The name of a group says something only where there are several.
        let several = before.groups.len() > 1 || after.groups.len() > 1;
        for (group, image) in only_in(after, before) {
            let renewed = removed.iter().position(|(other, old)| other.name == group.name && old.name == image.name);
            let normal_form = image.reference.normal_form();
            let same = removed.iter().position(|(_, old)| old.reference.normal_form() == normal_form);
            match (renewed, same) {
                (Some(renewed), _) => {
                    let (_, old) = removed.remove(renewed);
                    changes.replaced.push(format!("{} by {}", old.reference, image.reference));
                }
                (None, Some(same)) => {
                    let (from, _) = removed.remove(same);
                    changes.moved.push(format!("{} from {} to {}", image.reference, from.name, group.name));
                }
                (None, None) => changes.added.push(named(image, group, several)),
            }
        }
        changes.removed.extend(removed.iter().map(|(group, image)| named(image, group, several)));
        changes
    }
}

fn named(image: &Image, group: &Group, several: bool) -> String {
    if several { format!("{} ({})", image.reference, group.name) } else { image.reference.to_string() }
}

/// The images that a group of one form has and the group of that name in the other has not.
fn only_in<'c>(config: &'c Config, other: &Config) -> Vec<(&'c Group, &'c Image)> {
    let has = |group: &Group, image: &Image| {
        let normal_form = image.reference.normal_form();
        let of_group = find(other, group.name.as_str());
        of_group.is_some_and(|it| it.images.iter().any(|other| other.reference.normal_form() == normal_form))
    };
    let all = config.groups.iter().flat_map(|group| group.images.iter().map(move |image| (group, image)));
    all.filter(|(group, image)| !has(group, image)).collect()
}

/// What is asked for besides images: of the list, and of the groups that both have.
fn settings(before: &Config, after: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    let mut compare = |what: &str, same: bool| changed.extend((!same).then(|| what.to_owned()));
    compare("name of the DaemonSets", before.name == after.name);
    compare("annotations of the DaemonSets", before.daemon_set_annotations == after.daemon_set_annotations);
    compare("refresh", before.refresh == after.refresh);
    compare("pullRate", before.pull_rate == after.pull_rate);
    compare("imageCache", before.image_cache == after.image_cache);
    for (old, new) in after.groups.iter().filter_map(|new| Some((find(before, new.name.as_str())?, new))) {
        for (what, same) in of_group(old, new) {
            compare(&format!("{what} of group {}", new.name), same);
        }
    }
    changed
}

fn of_group(old: &Group, new: &Group) -> [(&'static str, bool); 11] {
    // Only what both have: the rest was told of already.
    let order = |of: &Group, in_: &Group| -> Vec<String> {
        let there: BTreeMap<String, ()> = in_.images.iter().map(|image| (image.reference.normal_form(), ())).collect();
        let normal_forms = of.images.iter().map(|image| image.reference.normal_form());
        normal_forms.filter(|normal_form| there.contains_key(normal_form)).collect()
    };
    [
        ("nodeSelector", old.placement.node_selector == new.placement.node_selector),
        ("affinity", old.placement.affinity == new.placement.affinity),
        ("tolerations", old.placement.tolerations == new.placement.tolerations),
        ("architectures", old.placement.architectures == new.placement.architectures),
        ("imagePullSecrets", old.image_pull_secrets == new.image_pull_secrets),
        ("serviceAccountName", old.service_account_name == new.service_account_name),
        ("resources", old.resources == new.resources),
        ("priorityClassName", old.priority_class_name == new.priority_class_name),
        ("podLabels", old.pod_labels == new.pod_labels),
        ("podAnnotations", old.pod_annotations == new.pod_annotations),
        ("order", order(old, new) == order(new, old)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{ListData, parse};

    fn config(images_yaml: &str) -> Config {
        let data = [("images.yaml".to_owned(), images_yaml.to_owned())].into();
        let parsed = parse(&ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data });
        parsed.config.unwrap_or_else(|| panic!("{images_yaml}: {:?}", parsed.problems))
    }

    fn changed(before: &str, after: &str) -> Vec<String> {
        changes(&config(before), &config(after))
    }

    #[test]
    fn images_come_go_and_are_replaced_by_others_of_the_same_name() {
        assert_eq!(changed("[a:1, b:1]", "[a:1, c:1, d:1]"), ["images added: c:1, d:1", "images removed: b:1"]);
        assert_eq!(
            changed("[{name: web, image: \"nginx:1.27\"}]", "[{name: web, image: \"nginx:1.28\"}]"),
            ["images replaced: nginx:1.27 by nginx:1.28"]
        );
        assert_eq!(changed("[a:1, b:1]", "[b:1, a:1]"), ["settings: order of group default"]);
    }

    #[test]
    fn another_spelling_is_no_change() {
        assert_eq!(changed("[nginx:1.27]", "[docker.io/library/nginx:1.27]"), [""; 0]);
        assert_eq!(changed("[a:1]", "# the same\nimages: [a:1]\n"), [""; 0]);
    }

    #[test]
    fn images_move_between_groups_and_groups_come_and_go() {
        let one = "groups: [{name: x, images: [a:1, b:1]}]";
        let other = "groups: [{name: x, images: [a:1]}, {name: z, images: [b:1, c:1]}]";
        assert_eq!(changed(one, other), ["groups added: z", "images added: c:1 (z)", "images moved: b:1 from x to z"]);
        assert_eq!(
            changed(other, one),
            ["groups removed: z", "images removed: c:1 (z)", "images moved: b:1 from z to x"]
        );
    }

    #[test]
    fn settings_are_named_and_of_many_things_the_first_three() {
        let one = "groups: [{name: x, images: [a:1]}]";
        let other = "groups: [{name: x, images: [a:1], nodeSelector: {gpu: a}, imagePullSecrets: [s]}]\nrefresh: {every: 3h}\npullRate: 7";
        assert_eq!(changed(one, other), ["settings: refresh, pullRate, nodeSelector of group x, and 1 more"]);
        assert_eq!(changed("[a:1]", "[a:1, b:1, c:1, d:1, e:1, f:1]"), ["images added: b:1, c:1, d:1, and 2 more"]);
    }
}
