//! What was found in workloads, and what is not known of them.

use std::collections::BTreeSet;

use super::{Message, Reason, first_few, number, subject_of};
use crate::discovery::Unknown;
use crate::list::discover::found::{Found, FoundImage};

/// What workloads have changed of a list; nothing if its images are the same, and no other ones are left out.
pub fn found(before: Option<&Found>, after: Option<&Found>) -> Option<Message> {
    let none = Found::default();
    let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
    // A list with one group needs no group names.
    let several = before.0.keys().chain(after.0.keys()).collect::<BTreeSet<_>>().len() > 1;
    let part = |what: &str, named: Vec<String>| {
        let list = first_few(&named, ", ", "");
        (!named.is_empty()).then(|| format!("{} {what}: {list}", number(named.len(), "image")))
    };
    let parts: Vec<String> = [
        part("added", added(before, after, several)),
        part("removed", removed(before, after, several)),
        part("left out", left_out(before, after, several)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let note = format!("from workloads: {}", parts.join("; "));
    (!parts.is_empty()).then(|| Message::new(Reason::ImagesDiscovered, subject_of(&note), note))
}

fn added(before: &Found, after: &Found, several: bool) -> Vec<String> {
    let named = |(group, reference, image): (&str, &str, &FoundImage)| {
        let by = image.by.first().map(|workload| format!(" by {workload}")).unwrap_or_default();
        format!("{reference}{by}{}", in_group(group, several))
    };
    only_in(after, before).into_iter().map(named).collect()
}

fn removed(before: &Found, after: &Found, several: bool) -> Vec<String> {
    let named = |(group, reference, _): (&str, &str, &FoundImage)| format!("{reference}{}", in_group(group, several));
    only_in(before, after).into_iter().map(named).collect()
}

/// Those that were not left out before, or for another reason.
fn left_out(before: &Found, after: &Found, several: bool) -> Vec<String> {
    let known = |group: &str, reference: &str| before.0.get(group).and_then(|it| it.left_out.get(reference));
    let all = after.0.iter().flat_map(|(group, it)| it.left_out.iter().map(move |(it, why)| (group, it, why)));
    let new = all.filter(|(group, reference, why)| known(group, reference) != Some(*why));
    new.map(|(group, reference, why)| {
        // What is wrong with a reference quotes it.
        let named = if why.starts_with('"') { String::new() } else { format!("{reference}: ") };
        format!("{named}{why}{}", in_group(group, several))
    })
    .collect()
}

/// The images that a group has here and not there.
fn only_in<'f>(here: &'f Found, there: &Found) -> Vec<(&'f str, &'f str, &'f FoundImage)> {
    let has = |group: &str, reference: &str| there.0.get(group).is_some_and(|it| it.images.contains_key(reference));
    let all = here.0.iter().flat_map(|(group, found)| {
        found.images.iter().map(move |(reference, image)| (group.as_str(), reference.as_str(), image))
    });
    all.filter(|(group, reference, _)| !has(group, reference)).collect()
}

fn in_group(group: &str, several: bool) -> String {
    if several { format!(" (group {group})") } else { String::new() }
}

/// It is not known what the workloads of a namespace name, or of all that a list selects. It lasts.
pub fn unknown(namespace: &str, why: Unknown) -> Message {
    let note = match why {
        Unknown::NotWatched => format!(
            "the workloads of the namespace {namespace} are not read, because the installation does not allow \
             discovery there; images that were found there before stay; add the namespace to discovery.namespaces of \
             the chart, or to --discover-namespaces of the controller, or remove it from `discover.namespaces` of the list"
        ),
        Unknown::NotListed => format!(
            "the workloads of the namespace {namespace} are not known, because they were not all listed yet or their \
             watch fails; no image that was found before goes meanwhile; if this persists, check that the controller's \
             ServiceAccount may list and watch workloads there (the controller's log has the error), and the API server"
        ),
        Unknown::NoWorkloads => format!(
            "the namespace {namespace} has no workloads any more: it is empty, or it was deleted; images that were \
             found there stay until it is removed from `discover.namespaces` of the list"
        ),
        Unknown::NamespacesNotWatched => {
            "`discover.namespaceSelector` selects no namespace, because the installation does not allow to read their \
             labels; images that were found in namespaces that it selected before stay; allow all namespaces \
             (discovery.namespaces={*} in the chart, or --discover-namespaces '*' of the controller), or name the \
             namespaces in `discover.namespaces` of the list instead"
                .to_owned()
        }
        Unknown::NamespacesNotListed => {
            "the namespaces that `discover.namespaceSelector` selects are not known, or not their workloads, because \
             they were not all listed yet or a watch fails; no image that was found before goes meanwhile; if this \
             persists, check that the controller's ServiceAccount may list and watch namespaces and workloads in the \
             whole cluster (the controller's log has the error), and the API server"
                .to_owned()
        }
    };
    let subject = match namespace {
        Unknown::SELECTED => "selected namespaces".to_owned(),
        _ => format!("namespace {namespace}"),
    };
    Message::new(Reason::DiscoveryIncomplete, subject, note)
}

/// With what was found, a list would be too large, or not valid. It lasts.
pub fn does_not_fit(why: &str) -> Message {
    let note = format!(
        "what was found in workloads is not taken into the list: {why}; what was found before stays; lower \
         `discover.max`, exclude images with `discover.exclude`, or split the list"
    );
    Message::new(Reason::DiscoveryIncomplete, "what was found", note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::discover::found::GroupFound;

    fn group(images: &[(&str, &str)], left_out: &[(&str, &str)]) -> GroupFound {
        let image = |(reference, by): &(&str, &str)| {
            let by = [(*by).to_owned()].into();
            ((*reference).to_owned(), FoundImage { name: "it".to_owned(), by, ..FoundImage::default() })
        };
        let left_out = left_out.iter().map(|(reference, why)| ((*reference).to_owned(), (*why).to_owned()));
        GroupFound { images: images.iter().map(image).collect(), left_out: left_out.collect() }
    }

    fn one(images: &[(&str, &str)], left_out: &[(&str, &str)]) -> Found {
        Found([("shop".to_owned(), group(images, left_out))].into())
    }

    fn note(before: Option<&Found>, after: Option<&Found>) -> Option<String> {
        found(before, after).map(|message| message.note.into())
    }

    #[test]
    fn images_are_added_with_a_workload_that_names_them_and_removed() {
        let (old, new) = (one(&[("a:1", "Job shop/a")], &[]), one(&[("b:1", "Deployment shop/web")], &[]));
        assert_eq!(
            note(None, Some(&new)).as_deref(),
            Some("from workloads: 1 image added: b:1 by Deployment shop/web")
        );
        assert_eq!(
            note(Some(&old), Some(&new)).as_deref(),
            Some("from workloads: 1 image added: b:1 by Deployment shop/web; 1 image removed: a:1")
        );
        assert_eq!(note(Some(&old), None).as_deref(), Some("from workloads: 1 image removed: a:1"));
    }

    #[test]
    fn what_changes_no_image_is_not_reported() {
        let old = one(&[("a:1", "Job shop/a")], &[("b:1", "why")]);
        let new = one(&[("a:1", "Job shop/b")], &[("b:1", "why")]);
        assert_eq!(note(Some(&old), Some(&new)), None);
        assert_eq!(note(None, None), None);
        assert_eq!(note(None, Some(&Found::default())), None);
    }

    #[test]
    fn of_many_images_the_first_three_are_named() {
        let images = ["a:1", "b:1", "c:1", "d:1", "e:1"].map(|reference| (reference, "Job s/j"));
        assert_eq!(
            note(Some(&one(&images, &[])), Some(&one(&[], &[]))).as_deref(),
            Some("from workloads: 5 images removed: a:1, b:1, c:1, and 2 more")
        );
    }

    #[test]
    fn images_that_are_left_out_now_have_the_reason() {
        let old = one(&[], &[("a:1", "it is too much")]);
        let wrong = "\"B\" is not an image reference: the repository has upper case letters";
        let new = one(&[], &[("B", wrong), ("a:1", "it is too much"), ("c:1", "the policy does not allow it")]);
        assert_eq!(
            note(Some(&old), Some(&new)),
            Some(format!("from workloads: 2 images left out: {wrong}, c:1: the policy does not allow it"))
        );
        let other = one(&[], &[("a:1", "the policy does not allow it")]);
        assert_eq!(
            note(Some(&old), Some(&other)).as_deref(),
            Some("from workloads: 1 image left out: a:1: the policy does not allow it")
        );
    }

    #[test]
    fn groups_are_named_if_there_are_several() {
        let of = |name: &str, images: &[(&str, &str)]| (name.to_owned(), group(images, &[]));
        let both = Found([of("shop", &[("a:1", "Job s/j")]), of("web", &[("b:1", "Job w/j")])].into());
        assert_eq!(
            note(None, Some(&both)).as_deref(),
            Some("from workloads: 2 images added: a:1 by Job s/j (group shop), b:1 by Job w/j (group web)")
        );
        assert_eq!(
            note(Some(&both), Some(&one(&[("a:1", "Job s/j")], &[]))).as_deref(),
            Some("from workloads: 1 image removed: b:1 (group web)")
        );
    }

    #[test]
    fn each_change_is_a_subject_of_its_own() {
        let (a, b) = (one(&[("a:1", "Job s/j")], &[]), one(&[("b:1", "Job s/j")], &[]));
        let subject = |before, after| found(Some(before), Some(after)).expect("a change").subject;
        assert_ne!(subject(&a, &b), subject(&b, &a));
    }

    #[test]
    fn what_is_not_known_is_said_with_what_stays_and_the_remedy() {
        let note = |why| unknown("shop", why).note.to_string();
        let not_watched = note(Unknown::NotWatched);
        assert!(
            not_watched.contains("allow discovery there; images that were found there before stay;"),
            "{not_watched}"
        );
        assert!(not_watched.contains("discovery.namespaces of the chart"), "{not_watched}");
        let not_listed = note(Unknown::NotListed);
        assert!(not_listed.contains("no image that was found before goes meanwhile"), "{not_listed}");
        assert_eq!(
            note(Unknown::NoWorkloads),
            "the namespace shop has no workloads any more: it is empty, or it was deleted; images that were found \
             there stay until it is removed from `discover.namespaces` of the list"
        );
        let note = |why| unknown(Unknown::SELECTED, why).note.to_string();
        let not_watched = note(Unknown::NamespacesNotWatched);
        assert!(not_watched.contains("selected before stay; allow all namespaces"), "{not_watched}");
        let not_listed = note(Unknown::NamespacesNotListed);
        assert!(not_listed.contains("no image that was found before goes meanwhile"), "{not_listed}");
        for why in [Unknown::NamespacesNotWatched, Unknown::NamespacesNotListed] {
            let message = unknown(Unknown::SELECTED, why);
            assert_eq!(message.short_note(), message.note, "it fits an Event");
            assert_eq!(message.subject, "selected namespaces");
        }
        for why in [Unknown::NotWatched, Unknown::NotListed, Unknown::NoWorkloads] {
            let message = unknown(&"n".repeat(63), why);
            assert_eq!(message.short_note(), message.note, "it fits an Event");
            assert_eq!(message.subject, unknown(&"n".repeat(63), Unknown::NotListed).subject);
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_the_reason() {
        let note = does_not_fit("it has 1,200 images").note;
        assert!(
            note.starts_with("what was found in workloads is not taken into the list: it has 1,200 images; "),
            "{note}"
        );
    }
}
