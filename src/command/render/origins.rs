//! Where the images come from that were discovered. Pure.

use std::iter::once;

use jiff::Timestamp;

use crate::list::Config;
use crate::list::config::{Group, GroupName};
use crate::list::discover::Discovery;
use crate::list::discover::found::{FoundImage, GroupFound};
use crate::text::CleanText;

/// Which workloads name the images of a group, or of a shard of it, and what was left out of the group: a line each.
/// The first shard speaks for the group.
pub fn of_group(config: &Config, group: &Group) -> Vec<CleanText> {
    let discovery = config.discoveries.iter().find(|discovery| discovery.group == group.name);
    let Some((discovery, found)) = discovery.zip(found_for(config, &group.name)) else { return Vec::new() };
    let references = group.images.iter().map(|image| &image.reference);
    let discovered = references.filter(|reference| !discovery.own.contains(&reference.normal_form()));
    let origins = discovered.filter_map(|it| Some(origin(it.as_str(), found.images.get(it.as_str())?)));
    origins.chain(left_out(found).filter(|_| group.shard == 0)).map(CleanText::from).collect()
}

/// That nothing was found for a group, which has no manifest then, and what was left out of it.
pub fn of_groups_without_images(config: &Config) -> Vec<CleanText> {
    let has_none = |discovery: &&Discovery| config.groups.iter().all(|group| group.name != discovery.group);
    let lines = config.discoveries.iter().filter(has_none).flat_map(|discovery| {
        let group = &discovery.group;
        let left_out = found_for(config, group).into_iter().flat_map(left_out);
        once("no image was found in workloads".to_owned()).chain(left_out).map(move |it| format!("group {group}: {it}"))
    });
    lines.map(CleanText::from).collect()
}

fn found_for<'c>(config: &'c Config, group: &GroupName) -> Option<&'c GroupFound> {
    config.found.as_deref()?.0.get(group.as_str())
}

fn origin(reference: &str, image: &FoundImage) -> String {
    let by = image.by.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let kept = image.unnamed_since.map(|since| format!("; no workload has named it since {}", second(since)));
    format!("{reference}: discovered in {by}{}", kept.unwrap_or_default())
}

/// Without the fraction, which nobody needs.
fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn left_out(found: &GroupFound) -> impl Iterator<Item = String> {
    found.left_out.iter().map(|(reference, why)| format!("left out: {reference}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::list::discover::found::Found;
    use crate::list::{ListData, parse};
    use crate::plan::sharding;

    const LIST: &str = "groups:\n- {name: shop, images: ['own:1'], discover: {namespaces: [shop]}}\n\
                        - {name: none, discover: {namespaces: [other]}}\n- {name: plain, images: ['plain:1']}\n";

    /// An image, the workloads that name it, and since when none does.
    type Origin<'t> = (&'t str, &'t [&'t str], Option<&'t str>);

    fn found(group: &str, images: &[Origin], left_out: &[(&str, &str)]) -> (String, GroupFound) {
        let image = |(reference, by, since): &Origin| {
            let image = FoundImage {
                by: by.iter().map(|it| (*it).to_owned()).collect(),
                unnamed_since: since.map(|since| since.parse().expect("a time")),
                ..FoundImage::default()
            };
            ((*reference).to_owned(), image)
        };
        let left_out = left_out.iter().map(|(reference, why)| ((*reference).to_owned(), (*why).to_owned()));
        (group.to_owned(), GroupFound { images: images.iter().map(image).collect(), left_out: left_out.collect() })
    }

    fn config<const N: usize>(text: &str, found: [(String, GroupFound); N]) -> Config {
        let data = [("images.yaml".to_owned(), text.to_owned())].into();
        let found = Some(Arc::new(Found(found.into())));
        let parsed = parse(&ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found });
        parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.problems))
    }

    /// What is said of each DaemonSet.
    fn of_groups(config: &Config) -> Vec<Vec<String>> {
        let split = sharding::split(config, &[]);
        split.groups.iter().map(|group| of_group(config, group).into_iter().map(String::from).collect()).collect()
    }

    #[test]
    fn of_each_image_that_was_found_it_is_said_who_names_it_or_did() {
        let images: [Origin; 3] = [
            ("docker.io/library/own:1", &["Job shop/own"], None),
            ("web:1", &["Deployment shop/web", "StatefulSet shop/db"], None),
            ("web:0", &["Deployment shop/web"], Some("2026-01-02T03:04:05.678Z")),
        ];
        let left_out = [("x:1", "the policy does not allow it")];
        let config = config(LIST, [found("shop", &images, &left_out)]);
        let shop = [
            "web:0: discovered in Deployment shop/web; no workload has named it since 2026-01-02T03:04:05Z",
            "web:1: discovered in Deployment shop/web, StatefulSet shop/db",
            "left out: x:1: the policy does not allow it",
        ];
        assert_eq!(of_groups(&config), [shop.map(str::to_owned).to_vec(), Vec::new()]);
        assert_eq!(of_groups_without_images(&config), ["group none: no image was found in workloads"]);
    }

    #[test]
    fn a_group_without_a_manifest_says_what_it_left_out() {
        let config = config(LIST, [found("none", &[], &[("x:1", "why")])]);
        let expected = ["group none: no image was found in workloads", "group none: left out: x:1: why"];
        assert_eq!(of_groups_without_images(&config), expected);
    }

    #[test]
    fn each_shard_speaks_of_its_own_images_and_the_first_of_what_was_left_out() {
        let list = "{discover: {namespaces: [shop]}, imagesPerPod: 1}";
        let images: [Origin; 2] = [("a:1", &["Job s/a"], None), ("b:1", &["Job s/b"], None)];
        let config = config(list, [found("default", &images, &[("x:1", "why")])]);
        let first = ["a:1: discovered in Job s/a", "left out: x:1: why"].map(str::to_owned).to_vec();
        assert_eq!(of_groups(&config), [first, vec!["b:1: discovered in Job s/b".to_owned()]]);
    }

    #[test]
    fn no_text_of_the_cluster_begins_a_line() {
        let breaks = "x\nkind: Secret\r\u{2028}\u{85}---";
        let images: [Origin; 1] = [("web:1", &[breaks], None)];
        let config = config(LIST, [found("shop", &images, &[(breaks, breaks)]), found("none", &[], &[("y", breaks)])]);
        let lines: Vec<String> = of_groups(&config).concat();
        let others = of_groups_without_images(&config);
        assert_eq!((lines.len(), others.len()), (2, 2));
        for line in lines.iter().map(String::as_str).chain(others.iter().map(CleanText::as_str)) {
            assert!(!line.chars().any(|it| it.is_control() || it == '\u{2028}'), "{line:?}");
        }
    }
}
