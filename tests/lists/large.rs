//! Lists as large as they can be, in every way that they can be large. Each takes well under a second in a release build; the
//! limit is far above what a debug build needs on a busy machine, and far below what a step costs that is quadratic.

use std::time::{Duration, Instant};

use kube_prepull::list::{self, ListData, Parsed};

use super::{list, yaml_list};

const LONG: Duration = Duration::from_secs(20);
/// A sixth of a ConfigMap, so that debug builds are done soon.
const BYTES: usize = 160 * 1024;
/// What the settings of a group may take, about.
const SETTINGS: usize = 62 * 1024;

fn parse(list: &ListData) -> Parsed {
    let began = Instant::now();
    let parsed = list::parse(list);
    let took = began.elapsed();
    assert!(took < LONG, "{took:?}");
    parsed
}

fn pieces(piece: impl Fn(usize) -> String) -> String {
    pieces_within(BYTES, piece)
}

/// As many numbered pieces as fit.
pub fn pieces_within(bytes: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes);
    for number in 0.. {
        let next = piece(number);
        if text.len() + next.len() > bytes {
            break;
        }
        text.push_str(&next);
    }
    text
}

#[test]
fn thousands_of_images_are_refused_for_their_number() {
    for text in [pieces(|number| format!("- a:{number}\n")), pieces(|_| "- a\n".to_owned())] {
        let parsed = parse(&yaml_list(&text));
        assert!(parsed.config.is_none() && parsed.problems.len() == 1, "{:?}", parsed.problems);
    }
}

#[test]
fn hundreds_of_images_of_one_repository_are_named_one_by_one() {
    let parsed = parse(&yaml_list(&(0..1_000).map(|number| format!("- a:{number}\n")).collect::<String>()));
    let config = parsed.config.expect("accepted");
    let images = &config.groups[0].images;
    assert_eq!(images.len(), 1_000);
    assert_eq!(images[images.len() - 1].name.as_str(), format!("a-{}", images.len()));
}

#[test]
fn hundreds_of_pairs_are_read_and_thousands_refused() {
    let pair = |number: usize| format!("a{number}=b:{number};");
    let hundreds = (0..1_000).map(pair).collect::<String>();
    assert!(parse(&list([("IMAGES", hundreds.as_str())])).config.is_some());
    let parsed = parse(&list([("IMAGES", pieces(pair).as_str())]));
    assert!(parsed.config.is_none() && parsed.problems.len() == 1, "{:?}", parsed.problems);
}

#[test]
fn hundreds_of_duplicates_are_kept_once_and_reported_in_few_words() {
    let pairs = "a=b;".repeat(1_000);
    let parsed = parse(&list([("IMAGES", pairs.as_str())]));
    assert_eq!(parsed.config.expect("it is accepted").groups[0].images.len(), 1);
    assert!(parsed.problems.len() <= 12, "{}", parsed.problems.len());
}

#[test]
fn thousands_of_duplicate_keys_are_refused() {
    assert!(parse(&yaml_list(&pieces(|_| "images: [a]\n".to_owned()))).config.is_none());
}

#[test]
fn hundreds_of_images_without_tags_are_reported_in_few_words() {
    let parsed = parse(&yaml_list(&(0..1_000).map(|number| format!("- a{number}\n")).collect::<String>()));
    assert!(parsed.config.is_some() && parsed.problems.len() == 11, "{}", parsed.problems.len());
}

#[test]
fn thousands_of_terms_are_compared_with_the_node_selector() {
    let terms = pieces_within(SETTINGS, |_| {
        "{\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"Lt\",\"values\":[\"0\"]}]},".to_owned()
    });
    let affinity = |terms: &str| {
        format!(
            "{{\"nodeAffinity\":{{\"requiredDuringSchedulingIgnoredDuringExecution\":{{\"nodeSelectorTerms\":[{terms}]}}}}}}"
        )
    };
    let many_terms = affinity(terms.trim_end_matches(','));
    assert!(parse(&list([("IMAGES", "a=b:1"), ("AFFINITY", &many_terms)])).config.is_some());
    let expressions = pieces_within(SETTINGS, |number| {
        format!("{{\"key\":\"k\",\"operator\":\"NotIn\",\"values\":[\"{number}\"]}},")
    });
    let one_term = affinity(&format!(
        "{{\"matchExpressions\":[{expressions}{{\"key\":\"k\",\"operator\":\"In\",\"values\":[\"7\"]}}]}}"
    ));
    assert!(parse(&list([("IMAGES", "a=b:1"), ("AFFINITY", &one_term)])).config.is_some());
}

#[test]
fn thousands_of_unknown_keys_are_refused() {
    assert!(parse(&yaml_list(&pieces(|number| format!("key{number}: 1\n")))).config.is_none());
    let affinity = format!("{{{}\"z\": 1}}", pieces(|number| format!("\"k{number}\": 1,")));
    assert!(parse(&list([("IMAGES", "a=b"), ("AFFINITY", &affinity)])).config.is_none());
}

#[test]
fn thousands_of_wrong_types_are_refused() {
    let tolerations = format!("[{}1]", pieces(|_| "{\"key\":1},".to_owned()));
    assert!(parse(&list([("IMAGES", "a=b"), ("TOLERATIONS", &tolerations)])).config.is_none());
    let values = format!(
        "{{\"nodeAffinity\":{{\"requiredDuringSchedulingIgnoredDuringExecution\":{{\"nodeSelectorTerms\":[{{\"matchExpressions\":[{{\"key\":\"a\",\"operator\":\"In\",\"values\":[{}1]}}]}}]}}}}}}",
        pieces(|_| "1,".to_owned())
    );
    assert!(parse(&list([("IMAGES", "a=b"), ("AFFINITY", &values)])).config.is_none());
}

#[test]
fn thousands_of_labels_are_read() {
    let labels = format!("{{{}\"z\": \"1\"}}", pieces_within(SETTINGS, |number| format!("\"k{number}\":\"v\",")));
    assert!(parse(&list([("IMAGES", "a=b"), ("NODE_SELECTOR", &labels)])).config.is_some());
    let ours =
        format!("{{{}\"z\": \"1\"}}", pieces_within(SETTINGS, |number| format!("\"kube-prepull.io/{number}\":\"v\",")));
    assert!(parse(&list([("IMAGES", "a=b"), ("POD_LABELS", &ours)])).config.is_none());
}

#[test]
fn endless_nesting_is_refused_without_exhausting_the_stack() {
    for opening in ["[", "{a: ", "- ", "? ", "- ? ", "? - ", "!x [", "&a [", "a:\n ", "[{a: ", "<<: {"] {
        assert!(parse(&yaml_list(&opening.repeat(BYTES / opening.len()))).config.is_none(), "{opening:?}");
    }
    for opening in ["[", "{\"a\":"] {
        let json = opening.repeat(BYTES / opening.len());
        assert!(parse(&list([("IMAGES", "a=b"), ("AFFINITY", &json)])).config.is_none(), "{opening:?}");
    }
}

#[test]
fn aliases_do_not_expand_without_end() {
    let row = |number: usize| format!("a{number}: &a{number} [{}]\n", format!("*a{}, ", number - 1).repeat(9));
    let bomb: String = (1..30).map(row).collect();
    assert!(parse(&yaml_list(&format!("a0: &a0 [x, x]\n{bomb}"))).config.is_none());
}

#[test]
fn long_texts_are_refused_in_short_messages() {
    let long = "x".repeat(BYTES);
    for data in [
        vec![("images.yaml", format!("images: [{long}]"))],
        vec![("images.yaml", format!("images: ['{}']", "x/".repeat(BYTES / 2)))],
        vec![("images.yaml", format!("images: [{{name: {long}, image: a}}]"))],
        vec![("images.yaml", format!("images: [a]\nrefresh: {{every: {long}, mode: {long}}}"))],
        vec![("images.yaml", format!("? {long}\n: 1\n"))],
        vec![("IMAGES", long.clone())],
        vec![("IMAGES", "a=b".to_owned()), ("PULL_RATE", "9".repeat(BYTES))],
        vec![("IMAGES", "a=b".to_owned()), ("CACHING_CPU_LIMIT", format!("1e{}", "9".repeat(BYTES)))],
        vec![("IMAGES", "a=b".to_owned()), ("REFRESH_SCHEDULE", "0,".repeat(BYTES / 2))],
        vec![("IMAGES", "a=b".to_owned()), ("TOLERATIONS", format!("[{{\"effect\":\"{long}\"}}]"))],
    ] {
        let parsed = parse(&list(data.iter().map(|(key, value)| (*key, value.as_str()))));
        assert!(parsed.config.is_none());
        for problem in parsed.problems {
            assert!(problem.to_string().len() < 2000, "{} bytes: {:?}", problem.to_string().len(), problem.code);
        }
    }
}
