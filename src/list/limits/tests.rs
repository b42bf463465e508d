use std::sync::Arc;

use super::*;
use crate::list::config::GateTaints;
use crate::list::discover::found::{Found, FoundImage, GroupFound};
use crate::list::{self, Parsed, Severity};

fn yaml(text: &str) -> ListData {
    data("images.yaml", text)
}

fn data(key: &str, value: &str) -> ListData {
    ListData {
        namespace: "prepull".to_owned(),
        name: "tools".to_owned(),
        data: [(key.to_owned(), value.to_owned())].into(),
        found: None,
    }
}

fn images(number: usize) -> String {
    let images: Vec<String> = (0..number).map(|number| format!("app:{number}")).collect();
    format!("[{}]", images.join(", "))
}

fn groups(number: usize, images_each: usize) -> String {
    let groups = (0..number).map(|number| format!("- {{name: g{number}, images: {}}}\n", images(images_each)));
    format!("groups:\n{}", groups.collect::<String>())
}

/// What is said of a list that is refused for its size, and for nothing else.
fn refused(list: &ListData) -> String {
    let Parsed { config, empty, problems } = list::parse(list);
    assert!(config.is_none() && !empty, "{problems:?}");
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!((problem.code, problem.severity), (Code::TooLarge, Severity::Error));
    assert!(problem.to_string().len() < 600, "{problem}");
    problem.to_string()
}

fn accepted(list: &ListData) -> Config {
    let Parsed { config, problems, .. } = list::parse(list);
    config.unwrap_or_else(|| panic!("{problems:?}"))
}

#[test]
fn a_group_has_as_many_images_as_one_pod_can_hold() {
    let most = Limits::CEILING.images_per_group;
    assert_eq!(accepted(&yaml(&images(most))).groups[0].images.len(), most);
    for text in [images(most + 1), format!("images: {}", images(most + 1)), groups(1, most + 1)] {
        let said = refused(&yaml(&text));
        assert!(said.contains("1001 images of one group exceed the limit of 1000; split them into several"), "{said}");
    }
    let pairs = |number: usize| (0..number).map(|number| format!("a{number}=app:{number};")).collect::<String>();
    assert_eq!(accepted(&data("IMAGES", &pairs(most))).groups[0].images.len(), most);
    assert!(
        refused(&data("IMAGES", &pairs(most + 1))).starts_with("IMAGES: 1001 images exceed the limit of 1000; split")
    );
}

#[test]
fn a_list_has_a_limited_number_of_groups_and_of_images_in_all_of_them() {
    let most = Limits::CEILING;
    assert_eq!(accepted(&yaml(&groups(most.groups, 1))).groups.len(), most.groups);
    assert!(refused(&yaml(&groups(most.groups + 1, 1))).contains(": 101 groups exceed the limit of 100"));
    let with_top = format!("images: [app:1]\n{}", groups(most.groups, 1));
    assert!(refused(&yaml(&with_top)).contains("101 groups"), "the images at the top are a group too");
    let with_discovery = format!("discover: {{namespaces: [a]}}\n{}", groups(most.groups, 1));
    assert!(refused(&yaml(&with_discovery)).contains("101 groups"), "what is discovered at the top is a group too");
    accepted(&yaml(&groups(5, 400)));
    assert!(refused(&yaml(&groups(5, 401))).contains("2005 images in all groups exceed the limit of 2000"));
}

/// A list of references of about this length.
fn long(number: usize, length: usize) -> ListData {
    let images: Vec<_> = (0..number).map(|it| format!("r.example/{}{it:03}:1", "a/".repeat(length / 2))).collect();
    yaml(&format!("[{}]", images.join(", ")))
}

#[test]
fn references_and_annotations_fit_a_daemon_set_together() {
    accepted(&long(1_000, 230));
    assert!(refused(&long(1_000, 400)).contains("bytes of images in one group"));
    let own = format!("images: [a:1]\ndaemonSetAnnotations: {{a: {}, b: {}}}", "x".repeat(30_000), "x".repeat(30_000));
    accepted(&yaml(&own));
    let longest = |number: usize| {
        let repository = format!("r.example/{}{}{number:03}", "a/".repeat(70), "b".repeat(90));
        format!("{repository}:{}@sha256:{}", "t".repeat(128), "0".repeat(64))
    };
    let with_images = own.replace("[a:1]", &format!("{:?}", (0..400).map(longest).collect::<Vec<_>>()));
    let said = refused(&yaml(&with_images));
    assert!(said.contains("100 images of this group") && said.contains("lower `imagesPerPod`"), "{said}");
    accepted(&yaml(&format!("{with_images}\nimagesPerPod: 50")));
}

#[test]
fn a_node_gets_a_limited_number_of_pods() {
    let with = |images_each: usize, keys: &str| yaml(&format!("images: {}\n{keys}", images(images_each)));
    accepted(&with(1_000, "imagesPerPod: 10"));
    let said = refused(&with(1_000, "imagesPerPod: 9"));
    assert!(
        said.contains("a node may get 112 pods of this list, which exceeds the limit of 100; use a higher"),
        "{said}"
    );
    let mut flat = data("IMAGES", &(0..101).map(|number| format!("a{number}=app:{number};")).collect::<String>());
    flat.data.insert("IMAGES_PER_POD".to_owned(), "1".to_owned());
    assert!(refused(&flat).starts_with("IMAGES_PER_POD: a node may get 101 pods"));
    let groups = |number: usize, of_each: &dyn Fn(usize) -> String| {
        let group =
            |it: usize| format!("- {{name: g{it}, images: {}, parallelPulls: 10{}}}\n", images(10), of_each(it));
        yaml(&format!("groups:\n{}", (0..number).map(group).collect::<String>()))
    };
    accepted(&groups(10, &|_| String::new()));
    assert!(refused(&groups(11, &|_| String::new())).contains("110 pods"));
    accepted(&groups(50, &|number| format!(", nodeSelector: {{pool: p{number}}}")));
}

#[test]
fn settings_that_would_be_in_every_pod_are_limited() {
    let long = "x".repeat(70_000);
    for text in [
        format!("images: [a:1]\npodAnnotations: {{a: {long}}}"),
        format!("groups: [{{name: g, images: [a:1], podAnnotations: {{a: {long}}}}}]"),
        format!("images: [a:1]\nimageCache: {{enabled: true, annotations: {{a: {long}}}}}"),
        format!("images: [a:1]\ndaemonSetAnnotations: {{a: {long}}}"),
        format!("discover: {{namespaces: [a], exclude: [a.example/{long}]}}"),
        format!("groups: [{{name: g, discover: {{namespaces: [a], exclude: [a.example/{long}]}}}}]"),
    ] {
        let said = refused(&yaml(&text));
        assert!(said.contains(" bytes of settings exceed the limit of 65536; shorten them"), "{said}");
    }
    let mut flat = data("IMAGES", "a=a:1");
    flat.data.insert("POD_ANNOTATIONS".to_owned(), format!("{{\"a\": \"{long}\"}}"));
    assert!(refused(&flat).starts_with("POD_ANNOTATIONS: "));
}

#[test]
fn data_that_grows_too_much_as_json_cannot_be_stored() {
    let comment = |letter: &str, bytes: usize| yaml(&format!("# {}\nimages: [a:1]\n", letter.repeat(bytes)));
    accepted(&comment("x", 1_000_000));
    for (letter, bytes) in [("\"", 700_000), ("<", 250_000)] {
        assert!(refused(&comment(letter, bytes)).contains("in which accepted versions are stored"), "{letter}");
        accepted(&comment(letter, bytes / 2));
    }
}

/// A list for whose images at the top these references were found.
fn with_found(text: &str, references: impl Iterator<Item = String>) -> ListData {
    let images = references.map(|reference| (reference, FoundImage::default())).collect();
    let found = Found([("default".to_owned(), GroupFound { images, ..GroupFound::default() })].into());
    ListData { found: Some(Arc::new(found)), ..yaml(text) }
}

#[test]
fn images_that_were_found_count_for_the_limits_and_reject_no_list() {
    let fits = |keys: &str, number: usize| {
        let text = format!("discover: {{namespaces: [shop]}}\n{keys}");
        fits(&accepted(&with_found(&text, (0..number).map(|it| format!("app:{it}")))), &Limits::CEILING)
    };
    assert_eq!(fits("", 1_000), Ok(()));
    let too_many = "group default: 1001 images of one group exceed the limit of 1000";
    assert_eq!(fits("", 1_001), Err(too_many.to_owned()));
    assert_eq!(fits("imagesPerPod: 10", 1_000), Ok(()));
    let said = fits("imagesPerPod: 9", 1_000).expect_err("it has too many pods");
    assert!(said.starts_with("group default: a node may get 112 pods of this list"), "{said}");
    let all = format!("{}images: [a:1]\n", groups(2, 999));
    let said = fits(&all, 2).expect_err("it has too many images");
    assert_eq!(said, "list: 2001 images in all groups exceed the limit of 2000");
}

#[test]
fn a_version_is_stored_with_what_was_found() {
    let text = format!("# {}\ndiscover: {{namespaces: [shop]}}\n", "x".repeat(1_000_000));
    let list = |number: usize| with_found(&text, (0..number).map(|it| format!("{}:{it}", "x".repeat(1_000))));
    assert!(can_be_stored(&yaml(&text)) && can_be_stored(&list(100)));
    assert!(!can_be_stored(&list(400)));
}

#[test]
fn a_version_that_was_accepted_under_higher_limits_stays_what_it_was() {
    for text in
        [images(1_600), groups(300, 2), format!("images: [a:1]\npodAnnotations: {{a: {}}}", "x".repeat(200_000))]
    {
        assert!(list::parse(&yaml(&text)).config.is_none());
        assert!(list::parse_accepted(&yaml(&text), &GateTaints::Unknown).is_some());
    }
    let accepted = yaml(&images(1_000));
    assert_eq!(list::parse(&accepted).config, list::parse_accepted(&accepted, &GateTaints::Unknown));
}
