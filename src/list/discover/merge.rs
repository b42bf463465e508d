//! Adds the images that were found to those that the user wrote.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Discovery;
use super::found::{Found, FoundImage, GroupFound};
use crate::list::config::{Config, Image};
use crate::list::group::{self, FreeNames};
use crate::list::names::ResourceName;
use crate::list::reference::ImageReference;

/// Adds what was found to the groups of a list that was just parsed. Groups without images are only in [`Config::discoveries`]
/// then.
pub fn merged(config: &mut Config, found: Option<&Arc<Found>>) {
    let mut discoveries = Vec::new();
    for group in &mut config.groups {
        let Some(discover) = group.discover.take() else { continue };
        let own: BTreeSet<String> = group.images.iter().map(|image| image.reference.normal_form()).collect();
        if let Some(found) = found.and_then(|found| found.0.get(group.name.as_str())) {
            add(&mut group.images, found, own.clone());
        }
        discoveries.push(Discovery { group: group.name.clone(), discover, own });
    }
    config.groups.retain(|group| !group.images.is_empty());
    config.found = found.filter(|_| !discoveries.is_empty()).cloned();
    config.discoveries = discoveries;
}

/// Adds the images that are not there in another spelling, in the order of their references. They keep the names that are stored with
/// them, unless the user has given these to others.
fn add(images: &mut Vec<Image>, found: &GroupFound, mut known: BTreeSet<String>) {
    let parsed = found.images.iter().filter_map(|(text, image)| Some((ImageReference::parse(text).ok()?, image)));
    let new: Vec<(ImageReference, &FoundImage)> =
        parsed.filter(|(reference, _)| known.insert(reference.normal_form())).collect();
    let mut names = FreeNames::new(images.iter().map(|image| image.name.to_string()));
    let stored = new.iter().map(|(_, image)| ResourceName::parse(&image.name).ok().filter(|name| names.claim(name)));
    // All of them before the first free name is taken, which could be one of them.
    let stored: Vec<Option<ResourceName>> = stored.collect();
    images.extend(new.into_iter().zip(stored).map(|((reference, _), name)| {
        let name = name.unwrap_or_else(|| names.take(&reference));
        Image { name, reference, pull_policy: None }
    }));
}

/// The name for an image that is found now, in a group whose images have these names. It is stored with the image.
pub fn free_name(taken: &BTreeSet<String>, reference: &ImageReference) -> ResourceName {
    group::free_name(reference, |name| taken.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{ListData, parse};

    /// References with their stored names, by group.
    type Stored<'t> = &'t [(&'t str, &'t [(&'t str, &'t str)])];

    fn found(groups: Stored) -> Option<Arc<Found>> {
        let image = |(reference, name): &(&str, &str)| {
            ((*reference).to_owned(), FoundImage { name: (*name).to_owned(), ..FoundImage::default() })
        };
        let group = |(name, images): &(&str, &[(&str, &str)])| {
            ((*name).to_owned(), GroupFound { images: images.iter().map(image).collect(), ..GroupFound::default() })
        };
        Some(Arc::new(Found(groups.iter().map(group).collect())))
    }

    fn config(text: &str, found: Option<Arc<Found>>) -> Config {
        let data = [("images.yaml".to_owned(), text.to_owned())].into();
        let list = ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found };
        let parsed = parse(&list);
        parsed.config.unwrap_or_else(|| panic!("{text}: {:?}", parsed.problems))
    }

    /// The images of the groups, each as `name=reference`.
    fn images(config: &Config) -> Vec<(&str, Vec<String>)> {
        let image = |image: &Image| format!("{}={}", image.name, image.reference);
        config.groups.iter().map(|group| (group.name.as_str(), group.images.iter().map(image).collect())).collect()
    }

    const BESIDE: &str = "{images: ['nginx:1', {name: web, image: 'b:1'}], discover: {namespaces: [shop]}}";

    #[test]
    fn images_are_added_after_those_of_the_user_in_the_order_of_their_references() {
        let found = found(&[("default", &[("z:1", "z"), ("a:1", "a")])]);
        let config = config(BESIDE, found.clone());
        let expected: Vec<String> = ["nginx=nginx:1", "web=b:1", "a=a:1", "z=z:1"].map(str::to_owned).into();
        assert_eq!(images(&config), [("default", expected)]);
        assert_eq!(config.found, found);
        let [discovery] = &config.discoveries[..] else { panic!("{config:?}") };
        assert!(discovery.group.is_default());
        let own = ["docker.io/library/b:1", "docker.io/library/nginx:1"];
        assert_eq!(discovery.own, own.map(str::to_owned).into(), "what was found is not the user's own");
    }

    #[test]
    fn an_image_that_is_there_in_another_spelling_is_not_added() {
        let found = found(&[(
            "default",
            &[("docker.io/library/nginx:1", "own"), ("docker.io/c:1", "first"), ("c:1", "again"), ("Not/one", "x")],
        )]);
        let expected: Vec<String> = ["nginx=nginx:1", "web=b:1", "again=c:1"].map(str::to_owned).into();
        assert_eq!(images(&config(BESIDE, found)), [("default", expected)]);
    }

    #[test]
    fn stored_names_stay_whatever_else_is_found() {
        let only = "{discover: {namespaces: [shop]}}";
        let before = config(only, found(&[("default", &[("b/app:1", "app"), ("d/app:1", "app-2")])]));
        let after = config(only, found(&[("default", &[("a/app:1", ""), ("b/app:1", "app"), ("d/app:1", "app-2")])]));
        let expected = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(images(&before), [("default", expected(&["app=b/app:1", "app-2=d/app:1"]))]);
        assert_eq!(images(&after), [("default", expected(&["app-3=a/app:1", "app=b/app:1", "app-2=d/app:1"]))]);
    }

    #[test]
    fn a_name_of_the_user_or_of_the_init_container_is_not_given_to_another_image() {
        let stored =
            [("c/web:1", "web"), ("d:1", "install-holder"), ("e:1", "Not a name"), ("f/e:1", "f"), ("g:1", "f")];
        let config = config(BESIDE, found(&[("default", &stored)]));
        let expected = ["nginx=nginx:1", "web=b:1", "web-2=c/web:1", "d=d:1", "e=e:1", "f=f/e:1", "g=g:1"];
        let expected: Vec<String> = expected.map(str::to_owned).into();
        assert_eq!(images(&config), [("default", expected)]);
    }

    #[test]
    fn groups_without_images_are_left_out_and_what_they_discover_is_not() {
        let text = "groups:\n- {name: none, discover: {namespaces: [a]}}\n- {name: own, images: ['a:1']}\n\
                    - {name: some, discover: {namespaces: [b]}}\n";
        let sought = |config: &Config| -> Vec<String> {
            config.discoveries.iter().map(|discovery| discovery.group.to_string()).collect()
        };
        let all = config(text, found(&[("some", &[("b:1", "b")]), ("gone", &[("c:1", "c")])]));
        let groups = [("own", vec!["a=a:1".to_owned()]), ("some", vec!["b=b:1".to_owned()])];
        assert_eq!((images(&all), sought(&all)), (groups.to_vec(), vec!["none".to_owned(), "some".to_owned()]));
        let nothing = config("{discover: {namespaces: [a]}}", None);
        assert_eq!((images(&nothing), sought(&nothing)), (vec![], vec!["default".to_owned()]));
    }

    #[test]
    fn a_list_that_discovers_nothing_has_nothing_found() {
        let list = "{images: ['a:1']}";
        assert_eq!(config(list, found(&[("default", &[("b:1", "b")])])), config(list, None));
    }

    #[test]
    fn a_name_for_a_new_image_is_none_that_is_taken() {
        let name = |taken: &[&str], text: &str| {
            let reference = ImageReference::parse(text).expect("a reference");
            free_name(&taken.iter().map(|it| (*it).to_owned()).collect(), &reference).to_string()
        };
        assert_eq!(name(&[], "ghcr.io/acme/My_app:1".to_lowercase().as_str()), "my-app");
        assert_eq!(name(&["app", "app-2"], "a/app:1"), "app-3");
        assert_eq!(name(&[], "acme/install-holder"), "install-holder-2");
    }
}
