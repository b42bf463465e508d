//! Which images are pulled of lists, and by which digest.

use serde_json::{Value, json};

use super::*;
use crate::list::{ListData, parse};
use crate::status::tests::{report, warm};
use crate::summary::tests::world;

const LIST: &str = "
images: ['nginx:1.29', 'ghcr.io/acme/app:2']
groups:
- {name: gpu, images: ['nvcr.io/nvidia/cuda:12', 'docker.io/library/nginx:1.29'], architectures: [amd64]}
- {name: arm, images: [{name: tools, image: 'nvcr.io/nvidia/cuda:12'}, 'arm:1'], nodeSelector: {kubernetes.io/arch: arm64}}
";

fn config(text: &str) -> Config {
    let data = [("images.yaml".to_owned(), text.to_owned())].into();
    let parsed = parse(&ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None });
    parsed.config.unwrap_or_else(|| panic!("{:#?}", parsed.problems))
}

fn list<'a>(name: &'a str, config: &'a Config, report: Option<&'a ListReport>) -> ListToPull<'a> {
    ListToPull { namespace: "prepull", name, config, report }
}

fn pulls(list: &PullList) -> Vec<&str> {
    list.images.iter().map(|image| image.pull.as_str()).collect()
}

fn selected(groups: &[&str], architecture: Option<Architecture>) -> PullSelection {
    PullSelection { groups: groups.iter().map(|name| (*name).to_owned()).collect(), architecture, digests: false }
}

#[test]
fn every_image_is_there_once_in_the_order_of_the_lists_and_in_full() {
    let (first, second) = (config(LIST), config("images: ['redis:8', 'index.docker.io/nginx:1.29']"));
    let lists = [list("tools", &first, None), list("more", &second, None)];
    let all = PullList::of(&lists, &PullSelection::default());
    assert_eq!(
        pulls(&all),
        [
            "docker.io/library/nginx:1.29",
            "ghcr.io/acme/app:2",
            "nvcr.io/nvidia/cuda:12",
            "docker.io/library/arm:1",
            "docker.io/library/redis:8"
        ]
    );
    assert_eq!((all.without_digest.len(), all.notes.len()), (0, 0));
    let of = |list: &str, group: &str, name: &str| json!({"namespace": "prepull", "list": list, "group": group, "name": name});
    let json = serde_json::to_value(&all).expect("JSON");
    assert_eq!(
        json["images"][0],
        json!({
            "reference": "nginx:1.29",
            "pull": "docker.io/library/nginx:1.29",
            "usedBy": [of("tools", "default", "nginx"), of("tools", "gpu", "nginx"), of("more", "default", "nginx")],
        }),
        "one of its groups is for any architecture"
    );
    let cuda = &json["images"][2];
    assert_eq!(cuda["architectures"], json!(["amd64", "arm64"]));
    assert_eq!(cuda["usedBy"], json!([of("tools", "gpu", "cuda"), of("tools", "arm", "tools")]));
    assert_eq!(json["images"][3]["architectures"], json!(["arm64"]));
}

#[test]
fn groups_and_an_architecture_select_images() {
    let config = config(LIST);
    let lists = [list("tools", &config, None)];
    let of = |groups: &[&str], architecture| {
        let list = PullList::of(&lists, &selected(groups, architecture));
        list.images.iter().map(|image| image.reference.as_str().to_owned()).collect::<Vec<_>>()
    };
    let (cuda, arm) = ("nvcr.io/nvidia/cuda:12", "arm:1");
    assert_eq!(of(&["gpu"], None), [cuda, "docker.io/library/nginx:1.29"]);
    assert_eq!(of(&["arm", "gpu"], None), [cuda, "docker.io/library/nginx:1.29", arm]);
    assert_eq!(of(&[], Some(Architecture::Arm64)), ["nginx:1.29", "ghcr.io/acme/app:2", cuda, arm]);
    assert_eq!(of(&["arm"], Some(Architecture::Arm64)), [cuda, arm]);
    let none = PullList::of(&lists, &selected(&["gpu", "arm"], Some(Architecture::S390x)));
    assert_eq!((none.images.len(), none.notes), (0, vec!["no selected group has images for s390x".to_owned()]));
}

#[test]
fn a_group_that_no_list_has_is_named_with_those_that_exist() {
    let (first, second) = (config(LIST), config("groups: [{name: web, images: ['a:1']}]"));
    let lists = [list("tools", &first, None), list("more", &second, None)];
    assert_eq!(selected(&["web", "gpu"], None).unknown_group(&lists), None);
    assert_eq!(
        selected(&["gpu", "gpus"], None).unknown_group(&lists).as_deref(),
        Some("there is no group gpus; the groups are arm, default, gpu, web")
    );
    assert_eq!(
        selected(&["gpu"], None).unknown_group(&[]).as_deref(),
        Some("there is no group gpu: the lists have no images")
    );
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

/// A report of [`world::config`], whose groups are `p` with the images `a` and `b`, and `q` with `c` and the same `b`. Nodes hold only
/// these: a group, an image, an architecture, a digest, and a number of nodes.
fn held(digests: &[(&str, &str, &str, &str, usize)]) -> ListReport {
    let mut report = report(&warm()).lists.remove(0);
    for group in &mut report.groups {
        for image in &mut group.images {
            image.digests.clear();
            let names = (group.name.clone(), image.name.clone());
            let of_image = digests.iter().filter(|(group, image, ..)| names.0 == *group && names.1 == *image);
            for (_, _, architecture, digest, nodes) in of_image {
                image.digests.entry((*architecture).into()).or_default().insert((*digest).into(), *nodes);
            }
        }
    }
    report
}

/// What is pulled by digest; and why other images are missing, with the notes.
fn by_digests(report: &ListReport, groups: &[&str], architecture: Option<Architecture>) -> [Vec<String>; 2] {
    let config = world::config();
    let selection = PullSelection { digests: true, ..selected(groups, architecture) };
    let list = PullList::of(&[list("tools", &config, Some(report))], &selection);
    let said = list.without_digest.iter().map(ToString::to_string).chain(list.notes.iter().cloned());
    [pulls(&list).into_iter().map(str::to_owned).collect(), said.collect()]
}

#[test]
fn a_digest_is_the_one_that_most_nodes_hold() {
    let (old, new) = (digest('a'), digest('b'));
    let report = held(&[
        ("p", "a", "amd64", &old, 3),
        ("p", "b", "amd64", &old, 2),
        ("p", "b", "arm64", &new, 1),
        ("q", "b", "arm64", &new, 3),
    ]);
    let [pulled, said] = by_digests(&report, &["p"], None);
    assert_eq!(pulled, [format!("docker.io/library/a@{old}"), format!("docker.io/library/b@{old}")]);
    let note = format!("nodes hold 2 digests of b:1: {old} is printed, because fewer nodes hold {new}");
    assert_eq!(said, [note]);
    let [pulled, said] = by_digests(&report, &["p", "q"], None);
    assert_eq!(pulled[1], format!("docker.io/library/b@{new}"), "the nodes of both groups count");
    assert_eq!(said[0], "no node holds c:1");
    let [pulled, said] = by_digests(&report, &["p"], Some(Architecture::Arm64));
    assert_eq!(pulled, [format!("docker.io/library/b@{new}")]);
    assert_eq!(said, ["no arm64 node holds a:1, only nodes of other architectures: amd64"]);
}

#[test]
fn if_as_many_nodes_hold_another_digest_the_choice_is_the_same_each_time_and_is_reported() {
    let (one, other) = (digest('1'), digest('2'));
    for (first, second) in [(&one, &other), (&other, &one)] {
        let report = held(&[("p", "a", "amd64", first, 2), ("p", "a", "arm64", second, 2)]);
        let [pulled, said] = by_digests(&report, &["p"], None);
        assert_eq!(pulled, [format!("docker.io/library/a@{one}")]);
        assert!(
            said.contains(&format!(
                "nodes hold 2 digests of a:1: {one} is printed, although as many nodes hold {other}"
            ))
        );
    }
}

#[test]
fn an_id_of_a_runtime_is_no_digest() {
    let (id, known) = ("6".repeat(64), digest('7'));
    let report =
        held(&[("p", "a", "unknown", &id, 9), ("p", "b", "unknown", &id, 9), ("p", "b", "unknown", &known, 1)]);
    let [pulled, said] = by_digests(&report, &["p"], None);
    assert_eq!(pulled, [format!("docker.io/library/b@{known}")]);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("nodes report an ID of a:1 and no digest"), "{said:?}");
}

#[test]
fn what_the_list_pins_needs_no_node() {
    let pinned = digest('c');
    let config = config(&format!("images: ['nginx:1.29@{pinned}', 'ghcr.io/acme/app:1']"));
    let lists = [list("tools", &config, None)];
    let nginx = format!("docker.io/library/nginx@{pinned}");
    let by_digest = PullList::of(&lists, &PullSelection { digests: true, ..PullSelection::default() });
    assert_eq!(pulls(&by_digest), [nginx.as_str()]);
    assert_eq!(by_digest.images[0].digest.as_ref(), Some(&pinned));
    assert_eq!(some_of(&by_digest.without_digest), "ghcr.io/acme/app:1");
    let by_tag = PullList::of(&lists, &PullSelection::default());
    assert_eq!(pulls(&by_tag), [nginx.as_str(), "ghcr.io/acme/app:1"], "the digest decides, whatever the tag says");
    assert_eq!(serde_json::to_value(&by_tag).expect("JSON")["images"][0]["digest"], Value::Null);
}

#[test]
fn two_tags_of_one_digest_are_one_line() {
    let same = digest('d');
    // With the names of images in the report.
    let images = "[{name: a, image: 'ghcr.io/acme/app:1'}, {name: b, image: 'ghcr.io/acme/app:stable'}]";
    let config = config(&format!("groups: [{{name: p, images: {images}}}]"));
    let report = held(&[("p", "a", "amd64", &same, 1), ("p", "b", "amd64", &same, 1)]);
    let selection = PullSelection { digests: true, ..PullSelection::default() };
    let list = PullList::of(&[list("tools", &config, Some(&report))], &selection);
    let mut printed = Vec::new();
    list.print(&mut printed).expect("a vector takes everything");
    assert_eq!(list.images.len(), 2);
    assert_eq!(String::from_utf8(printed).expect("UTF-8"), format!("ghcr.io/acme/app@{same}\n"));
}
