//! What an edit changes, in words.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::first_few;
use crate::list::Config;
use crate::list::config::{Group, Image, Placement, PullPolicy};
use crate::list::discover::{Discover, Discovery};
use crate::list::names::{GroupName, ResourceName};

/// What has changed from one accepted version of a list to another, a sentence each. Nothing if both ask for the same.
pub fn list_changes(before: &Config, after: &Config) -> Vec<String> {
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
        ("images changed", images.replaced),
        ("settings", settings(before, after)),
    ];
    let changed = lists.into_iter().filter(|(_, what)| !what.is_empty());
    changed.map(|(of, what)| format!("{of}: {}", first_few(what, ", ", ""))).collect()
}

fn find<'c>(config: &'c Config, group: &str) -> Option<&'c Group> {
    config.groups.iter().find(|it| it.name.as_str() == group)
}

#[derive(Debug, Default, PartialEq)]
struct ImageChanges {
    added: Vec<String>,
    removed: Vec<String>,
    moved: Vec<String>,
    replaced: Vec<String>,
}

impl ImageChanges {
    fn of(before: &Config, after: &Config) -> Self {
        let (mut changes, mut removed) = (Self::default(), Removed::of(before, after));
        // A list with one group needs no group names.
        let several = before.groups.len() > 1 || after.groups.len() > 1;
        for (group, image) in only_in(after, before) {
            if let Some((_, old)) = removed.take_named(group, image) {
                changes.replaced.push(format!("{} → {}", old.reference, image.reference));
            } else if let Some((from, _)) = removed.take_same(image) {
                changes.moved.push(format!("{} from {} to {}", image.reference, from.name, group.name));
            } else {
                changes.added.push(named(image, group, several));
            }
        }
        changes.removed.extend(removed.left().map(|(group, image)| named(image, group, several)));
        changes
    }
}

/// The images that groups no longer have, while it is found out what became of them.
struct Removed<'c> {
    /// In the order of the list; `None` for those of which it is known.
    all: Vec<Option<(&'c Group, &'c Image)>>,
    /// Where they are, by the names of group and container.
    by_name: HashMap<(&'c str, &'c str), VecDeque<usize>>,
    /// Where they are, by normal form: first the first.
    by_form: HashMap<String, VecDeque<usize>>,
}

impl<'c> Removed<'c> {
    fn of(before: &'c Config, after: &Config) -> Self {
        let all = only_in(before, after);
        let (mut by_name, mut by_form) = (HashMap::new(), HashMap::new());
        for (index, (group, image)) in all.iter().enumerate() {
            let name = (group.name.as_str(), image.name.as_str());
            by_name.entry(name).or_insert_with(VecDeque::new).push_back(index);
            by_form.entry(image.reference.normal_form()).or_insert_with(VecDeque::new).push_back(index);
        }
        Self { all: all.into_iter().map(Some).collect(), by_name, by_form }
    }

    /// What the group had in the image's container.
    fn take_named(&mut self, group: &'c Group, image: &'c Image) -> Option<(&'c Group, &'c Image)> {
        let places = self.by_name.get_mut(&(group.name.as_str(), image.name.as_str()))?;
        take_first(&mut self.all, places)
    }

    /// The same image in the first group that had it.
    fn take_same(&mut self, image: &Image) -> Option<(&'c Group, &'c Image)> {
        let places = self.by_form.get_mut(&image.reference.normal_form())?;
        take_first(&mut self.all, places)
    }

    /// Those that are nowhere now.
    fn left(self) -> impl Iterator<Item = (&'c Group, &'c Image)> {
        self.all.into_iter().flatten()
    }
}

fn take_first<T>(all: &mut [Option<T>], places: &mut VecDeque<usize>) -> Option<T> {
    std::iter::from_fn(|| places.pop_front()).find_map(|place| all[place].take())
}

fn named(image: &Image, group: &Group, several: bool) -> String {
    if several { format!("{} ({})", image.reference, group.name) } else { image.reference.to_string() }
}

/// The images that a group has in this form and not in the other.
fn only_in<'c>(config: &'c Config, other: &Config) -> Vec<(&'c Group, &'c Image)> {
    let of_group = |group: &Group| (group.name.to_string(), normal_forms(group));
    let others: HashMap<String, HashSet<String>> = other.groups.iter().map(of_group).collect();
    let has = |group: &Group, image: &Image| {
        others.get(group.name.as_str()).is_some_and(|forms| forms.contains(&image.reference.normal_form()))
    };
    let all = config.groups.iter().flat_map(|group| group.images.iter().map(move |image| (group, image)));
    all.filter(|(group, image)| !has(group, image)).collect()
}

fn normal_forms(group: &Group) -> HashSet<String> {
    group.images.iter().map(|image| image.reference.normal_form()).collect()
}

/// Which settings have changed: of the list, and of the groups that both forms have. Every field is named here, so that a new
/// one cannot be forgotten.
fn settings(before: &Config, after: &Config) -> Vec<String> {
    let Config {
        name,
        daemon_set_annotations,
        groups,
        refresh,
        pull_rate,
        image_cache,
        node_gate,
        discoveries,
        // Its images are in the groups.
        found: _,
    } = after;
    let of_list = [
        ("name of the DaemonSets", *name == before.name),
        ("annotations of the DaemonSets", *daemon_set_annotations == before.daemon_set_annotations),
        ("refresh", *refresh == before.refresh),
        ("pullRate", *pull_rate == before.pull_rate),
        ("imageCache", *image_cache == before.image_cache),
        ("nodeGate", *node_gate == before.node_gate),
        ("discover", discoveries.iter().map(sought).eq(before.discoveries.iter().map(sought))),
    ];
    let of_list = of_list.into_iter().filter(|(_, same)| !same).map(|(what, _)| what.to_owned());
    let in_both = groups.iter().filter_map(|new| Some((find(before, new.name.as_str())?, new)));
    let of_groups = in_both.flat_map(|(old, new)| {
        let changed = of_group(old, new).into_iter().filter(|(_, same)| !same);
        changed.map(|(what, _)| format!("{what} of group {}", new.name))
    });
    of_list.chain(of_groups).collect()
}

/// What is sought for a group. The images that it has anyway are no setting.
fn sought(discovery: &Discovery) -> (&GroupName, &Discover) {
    (&discovery.group, &discovery.discover)
}

/// The settings of a group, and whether each is the same in both forms.
fn of_group(old: &Group, new: &Group) -> [(&'static str, bool); 17] {
    let Group {
        name: _,
        images: _,
        // The taint of the gate is named with the gate.
        placement: Placement { node_selector, affinity, tolerations, architectures, gate_taints: _ },
        image_pull_secrets,
        service_account_name,
        resources,
        priority_class_name,
        runtime_class_name,
        host_users,
        pod_labels,
        pod_annotations,
        images_per_pod,
        parallel_pulls,
        // It is a part of the list by now.
        discover: _,
        shard: _,
    } = new;
    let (images, old_images) = (kept_images(new, old), kept_images(old, new));
    let same_order = images.iter().map(|(image, _)| image).eq(old_images.iter().map(|(image, _)| image));
    let old_images: BTreeMap<String, Rest> = old_images.into_iter().collect();
    let all_same = |same: fn(&Rest, &Rest) -> bool| {
        images.iter().all(|(image, rest)| old_images.get(image).is_none_or(|old| same(old, rest)))
    };
    [
        ("nodeSelector", *node_selector == old.placement.node_selector),
        ("affinity", *affinity == old.placement.affinity),
        ("tolerations", *tolerations == old.placement.tolerations),
        ("architectures", *architectures == old.placement.architectures),
        ("imagePullSecrets", *image_pull_secrets == old.image_pull_secrets),
        ("serviceAccountName", *service_account_name == old.service_account_name),
        ("resources", *resources == old.resources),
        ("priorityClassName", *priority_class_name == old.priority_class_name),
        ("runtimeClassName", *runtime_class_name == old.runtime_class_name),
        ("hostUsers", *host_users == old.host_users),
        ("podLabels", *pod_labels == old.pod_labels),
        ("podAnnotations", *pod_annotations == old.pod_annotations),
        ("imagesPerPod", *images_per_pod == old.images_per_pod),
        ("parallelPulls", *parallel_pulls == old.parallel_pulls),
        ("image names", all_same(|(old, _), (new, _)| old == new)),
        ("imagePullPolicy", all_same(|(_, old), (_, new)| old == new)),
        ("order", same_order),
    ]
}

/// What an image has besides its reference.
type Rest<'g> = (&'g ResourceName, Option<PullPolicy>);

/// The images of a group that the other form of it has too, by normal form, in order.
fn kept_images<'g>(group: &'g Group, other: &Group) -> Vec<(String, Rest<'g>)> {
    let others = normal_forms(other);
    let images = group
        .images
        .iter()
        .map(|Image { name, reference, pull_policy }| (reference.normal_form(), (name, *pull_policy)));
    images.filter(|(normal_form, _)| others.contains(normal_form)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::list::{ListData, parse};

    fn config(images_yaml: &str) -> Config {
        let data = [("images.yaml".to_owned(), images_yaml.to_owned())].into();
        let parsed = parse(&ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None });
        parsed.config.unwrap_or_else(|| panic!("{images_yaml}: {:?}", parsed.problems))
    }

    fn changed(before: &str, after: &str) -> Vec<String> {
        list_changes(&config(before), &config(after))
    }

    #[test]
    fn images_come_go_and_are_replaced_by_others_of_the_same_name() {
        assert_eq!(changed("[a:1, b:1]", "[a:1, c:1, d:1]"), ["images added: c:1, d:1", "images removed: b:1"]);
        assert_eq!(
            changed("[{name: web, image: \"nginx:1.27\"}]", "[{name: web, image: \"nginx:1.28\"}]"),
            ["images changed: nginx:1.27 → nginx:1.28"]
        );
        assert_eq!(changed("[a:1, b:1]", "[b:1, a:1]"), ["settings: order of group default"]);
    }

    #[test]
    fn other_names_and_pull_policies_of_the_same_images_are_changes() {
        let before = "[{name: a, image: \"a:1\"}, b:1]";
        assert_eq!(
            changed(before, "[{name: x, image: \"a:1\", imagePullPolicy: Always}, b:1]"),
            ["settings: image names of group default, imagePullPolicy of group default"]
        );
        assert_eq!(changed(before, "[b:1, {name: a, image: \"a:1\"}]"), ["settings: order of group default"]);
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

    #[test]
    fn what_is_discovered_is_a_setting_and_the_images_beside_it_are_none() {
        let list = |images: &str, namespaces: &str| {
            format!("{{images: [{images}], discover: {{namespaces: [{namespaces}]}}}}")
        };
        assert_eq!(changed(&list("a:1", "shop"), &list("a:1", "shop, pay")), ["settings: discover"]);
        assert_eq!(changed(&list("a:1", "shop"), &list("a:1, b:1", "shop")), ["images added: b:1"]);
    }

    /// The same, with a look at every removed image for each new one.
    fn plain_changes(before: &Config, after: &Config) -> ImageChanges {
        let has = |of: &Config, group: &Group, image: &Image| {
            let form = image.reference.normal_form();
            let same = of.groups.iter().filter(|other| other.name == group.name).flat_map(|other| &other.images);
            same.into_iter().any(|other| other.reference.normal_form() == form)
        };
        let all = |of: &Config, without: &Config| -> Vec<(Group, Image)> {
            let all = of.groups.iter().flat_map(|group| group.images.iter().map(move |image| (group, image)));
            all.filter(|(group, image)| !has(without, group, image)).map(|(g, i)| (g.clone(), i.clone())).collect()
        };
        let (mut changes, mut removed) = (ImageChanges::default(), all(before, after));
        let several = before.groups.len() > 1 || after.groups.len() > 1;
        for (group, image) in all(after, before) {
            let form = image.reference.normal_form();
            let renewed = removed.iter().position(|(other, old)| other.name == group.name && old.name == image.name);
            let same = removed.iter().position(|(_, old)| old.reference.normal_form() == form);
            match (renewed, same) {
                (Some(renewed), _) => {
                    let (_, old) = removed.remove(renewed);
                    changes.replaced.push(format!("{} → {}", old.reference, image.reference));
                }
                (None, Some(same)) => {
                    let (from, _) = removed.remove(same);
                    changes.moved.push(format!("{} from {} to {}", image.reference, from.name, group.name));
                }
                (None, None) => changes.added.push(named(&image, &group, several)),
            }
        }
        changes.removed.extend(removed.iter().map(|(group, image)| named(image, group, several)));
        changes
    }

    /// Groups of images, each with a name, a tag and whether it is spelled in full.
    fn lists() -> impl Strategy<Value = String> {
        let image = (prop::sample::select(vec!["a", "b", "c", "d"]), 0..4_u8, any::<bool>());
        let images = prop::collection::vec(image, 1..5);
        prop::collection::btree_map("[uvw]", images, 1..4).prop_map(|groups| {
            let groups = groups.iter().map(|(group, images)| {
                let (mut names, mut forms) = (HashSet::new(), HashSet::new());
                let images = images.iter().filter(|(name, tag, _)| names.insert(*name) & forms.insert(*tag));
                let images = images.map(|(name, tag, in_full)| {
                    let registry = if *in_full { "docker.io/library/" } else { "" };
                    format!("{{name: {name}, image: '{registry}i:{tag}'}}")
                });
                format!("{{name: {group}, images: [{}]}}", images.collect::<Vec<_>>().join(", "))
            });
            format!("groups: [{}]", groups.collect::<Vec<_>>().join(", "))
        })
    }

    proptest! {
        #[test]
        fn what_became_of_each_image_is_what_a_look_at_all_others_finds(before in lists(), after in lists()) {
            let (before, after) = (config(&before), config(&after));
            prop_assert_eq!(ImageChanges::of(&before, &after), plain_changes(&before, &after));
        }
    }
}
