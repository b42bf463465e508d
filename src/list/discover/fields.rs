//! Reads what the user wrote into the key `discover` of a group, and checks it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::{Discover, WorkloadKind};
use crate::list::names::ResourceName;
use crate::list::policy::repository::RepositoryPattern;
use crate::list::problem::{Code, quoted};
use crate::list::reader::{At, Fields, Problems};
use crate::list::refresh::{interval_text, interval_within};
use crate::list::{affinity, group, suggest};

/// The keys of `discover`.
pub const KEYS: [&str; 8] =
    ["namespaces", "namespaceSelector", "selector", "kinds", "exclude", "keepFor", "max", "settle"];

/// The most patterns. Each is compared with each image.
const MAX_PATTERNS: usize = 200;

/// Reads what a group discovers, and collects every problem; `None` if it is no mapping. The result is valid only if there is no
/// error.
pub fn parse(at: &At, problems: &mut Problems) -> Option<Discover> {
    let fields = at.fields(&KEYS, problems)?;
    let max = fields.get("max").and_then(|at| Some((at.place(), at.integer(problems)?)));
    Some(Discover {
        namespaces: namespaces(&fields, problems),
        namespace_selector: fields.get("namespaceSelector").and_then(|at| selector(at, problems)),
        selector: fields.get("selector").and_then(|at| selector(at, problems)).unwrap_or_default(),
        kinds: match fields.get("kinds") {
            Some(at) => kinds(at, problems),
            None => WorkloadKind::ALL.iter().map(|(_, kind)| *kind).collect(),
        },
        exclude: fields.get("exclude").map(|at| patterns(at, problems)).unwrap_or_default(),
        keep_for: interval(&fields, "keepFor", &Discover::KEEP_FORS, "an image cannot be kept for", problems)
            .unwrap_or(Discover::KEEP_FOR),
        max: group::in_range(max, Discover::MAXES, "number of images", problems).unwrap_or(Discover::MAX),
        settle: interval(&fields, "settle", &Discover::SETTLES, "changes of workloads cannot settle for", problems)
            .unwrap_or(Discover::SETTLE),
    })
}

fn interval(
    fields: &Fields,
    key: &str,
    range: &RangeInclusive<SignedDuration>,
    refused: &str,
    problems: &mut Problems,
) -> Option<SignedDuration> {
    let written = interval_text(fields.get(key)?, problems)?;
    interval_within(written, range, refused, problems)
}

fn namespaces(fields: &Fields, problems: &mut Problems) -> BTreeSet<ResourceName> {
    let Some(at) = fields.get("namespaces") else {
        if fields.get("namespaceSelector").is_none() {
            let message = "it is not said in which namespaces the workloads are";
            let remedy = "add the key `namespaces` or `namespaceSelector`";
            problems.error(fields.place(), Code::MissingKey, message, remedy);
        }
        return BTreeSet::new();
    };
    let items = at.some_items("namespaces", "name at least one namespace", problems);
    items.iter().filter_map(|item| namespace(item, problems)).collect()
}

fn namespace(at: &At, problems: &mut Problems) -> Option<ResourceName> {
    let text = at.text(problems)?;
    if text.contains('*') {
        let message = format!("{} is a pattern, and namespaces have to be named", quoted(text));
        let remedy = "name each of the namespaces, or select them by labels with `namespaceSelector`";
        problems.error(at.place(), Code::InvalidName, message, remedy);
        return None;
    }
    group::namespace_name(&at.place(), text, problems)
}

fn selector(at: &At, problems: &mut Problems) -> Option<Selector> {
    let selector: LabelSelector = at.typed(problems)?;
    // What cannot be converted is reported here.
    affinity::check_selector(at, &selector, problems);
    Selector::try_from(selector).ok()
}

fn kinds(at: &At, problems: &mut Problems) -> BTreeSet<WorkloadKind> {
    let items = at.some_items("kinds", "name at least one kind, or remove the key for all of them", problems);
    items.iter().filter_map(|item| kind(item, problems)).collect()
}

fn kind(at: &At, problems: &mut Problems) -> Option<WorkloadKind> {
    let text = at.text(problems)?;
    let found = WorkloadKind::ALL.into_iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let message = format!("no images are discovered in objects of the kind {}", quoted(text));
        let remedy = suggest::value_remedy(text, &WorkloadKind::ALL.map(|(name, _)| name));
        problems.error(at.place(), Code::InvalidValue, message, remedy);
    }
    found.map(|(_, kind)| kind)
}

fn patterns(at: &At, problems: &mut Problems) -> Vec<RepositoryPattern> {
    let items = at.items(problems);
    if items.len() > MAX_PATTERNS {
        let message = format!("{} patterns exceed the limit of {MAX_PATTERNS}", items.len());
        problems.error(at.place(), Code::TooLarge, message, "use patterns with '*' that stand for several of them");
        return Vec::new();
    }
    items.iter().filter_map(|item| pattern(item, problems)).collect()
}

fn pattern(at: &At, problems: &mut Problems) -> Option<RepositoryPattern> {
    let text = at.text(problems)?;
    let parsed = match text.starts_with('!') {
        true => Err(("begins with '!', and all patterns here exclude".to_owned(), "remove the '!'".to_owned())),
        false => RepositoryPattern::parse(text),
    };
    let refused = |(why, remedy): (String, String)| {
        let message = format!("{} is not a pattern: it {why}", quoted(text));
        problems.error(at.place(), Code::InvalidValue, message, remedy);
    };
    parsed.map_err(refused).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::SelectorExt;

    use super::*;
    use crate::list::tree::TreeNode;

    /// What is read of a `discover` with one namespace and these keys, and the problems with it.
    fn read(keys: &str) -> (Discover, Vec<String>) {
        let node = TreeNode::from_yaml(&format!("namespaces: [shop]\n{keys}\n")).expect("valid YAML");
        let mut problems = Problems::default();
        let discover = parse(&At::document("x", &node), &mut problems).expect("a mapping");
        (discover, shown(problems))
    }

    fn shown(problems: Problems) -> Vec<String> {
        problems.into_vec().iter().map(|it| format!("{} {}", it.code, it.path)).collect()
    }

    /// The problems of the value of the key `discover`.
    fn problems(text: &str) -> Vec<String> {
        let node = TreeNode::from_yaml(text).expect("valid YAML");
        let mut problems = Problems::default();
        parse(&At::document("x", &node), &mut problems);
        shown(problems)
    }

    fn names<'n>(of: impl IntoIterator<Item = &'n ResourceName>) -> Vec<&'n str> {
        of.into_iter().map(ResourceName::as_str).collect()
    }

    #[test]
    fn only_the_namespaces_are_required() {
        let (discover, problems) = read("");
        assert_eq!(problems, [""; 0]);
        assert_eq!(names(&discover.namespaces), ["shop"]);
        assert_eq!(discover.namespace_selector, None);
        assert!(discover.selector.selects_all() && discover.exclude.is_empty());
        assert_eq!(discover.kinds.len(), WorkloadKind::ALL.len());
        assert_eq!(
            (discover.keep_for, discover.max, discover.settle),
            (Discover::KEEP_FOR, Discover::MAX, Discover::SETTLE)
        );
    }

    #[test]
    fn what_is_written_counts() {
        let (discover, problems) = read(
            "selector:\n  matchLabels: {prepull: 'true'}\n  matchExpressions: [{key: tier, operator: NotIn, values: [test]}]\n\
             kinds: [Job, CronJob, Job]\nexclude: ['registry.internal/debug/*']\nkeepFor: 0s\nmax: 1000\nsettle: 1h",
        );
        assert_eq!(problems, [""; 0]);
        let labels = |of: &[(&str, &str)]| -> BTreeMap<String, String> {
            of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert!(discover.selector.matches(&labels(&[("prepull", "true")])));
        assert!(!discover.selector.matches(&labels(&[("prepull", "true"), ("tier", "test")])));
        assert!(!discover.selector.matches(&labels(&[])));
        assert_eq!(discover.kinds, [WorkloadKind::CronJob, WorkloadKind::Job].into());
        assert_eq!(discover.exclude, [RepositoryPattern::parse("registry.internal/debug/*").expect("a pattern")]);
        assert_eq!(
            (discover.keep_for, discover.max, discover.settle),
            (SignedDuration::ZERO, 1000, SignedDuration::from_hours(1))
        );
    }

    #[test]
    fn keys_without_a_value_count_as_unset() {
        let keys = "namespaceSelector:\nselector:\nkinds: ''\nexclude: null\nkeepFor: ' '\nmax:\nsettle: ~";
        assert_eq!(read(keys), read(""));
    }

    #[test]
    fn a_selector_that_says_nothing_selects_all() {
        for keys in ["selector: {}", "selector: {matchLabels: {}, matchExpressions: []}"] {
            let (discover, problems) = read(keys);
            assert!(problems.is_empty() && discover.selector.selects_all(), "{keys}: {problems:?}");
        }
    }

    #[test]
    fn namespaces_may_be_selected_beside_those_that_are_named_or_instead() {
        for (text, counting) in [
            ("namespaceSelector: {matchLabels: {team: shop}}", [false, true, false]),
            ("{namespaces: [pay], namespaceSelector: {matchLabels: {team: shop}}}", [true, true, false]),
            ("namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}", [true, false, false]),
            ("namespaceSelector: {}", [true, true, false]),
            ("{namespaces: [gone], namespaceSelector: null}", [false, false, true]),
        ] {
            let node = TreeNode::from_yaml(text).expect("valid YAML");
            let mut problems = Problems::default();
            let discover = parse(&At::document("x", &node), &mut problems).expect("a mapping");
            assert_eq!(shown(problems), [""; 0], "{text}");
            let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
            let none = BTreeMap::new();
            let namespaces = [("pay", Some(&none)), ("shop", Some(&labels)), ("gone", None)];
            assert_eq!(namespaces.map(|(name, labels)| discover.asks_for(name, labels)), counting, "{text}");
        }
    }

    #[test]
    fn what_is_no_mapping_discovers_nothing() {
        let node = TreeNode::from_yaml("[shop]").expect("valid YAML");
        let mut problems = Problems::default();
        assert_eq!(parse(&At::document("x", &node), &mut problems), None);
        assert_eq!(shown(problems), ["WrongType x"]);
    }

    #[test]
    fn namespaces_are_named_one_by_one() {
        for (text, found) in [
            ("{}", "MissingKey x"),
            ("namespaces:", "MissingKey x"),
            ("namespaceSelector: ''", "MissingKey x"),
            ("namespaceSelector: [shop]", "WrongType x: namespaceSelector"),
            ("{namespaces: [], namespaceSelector: {}}", "InvalidValue x: namespaces"),
            ("{namespaces: []}", "InvalidValue x: namespaces"),
            ("{namespaces: shop}", "WrongType x: namespaces"),
            ("{namespaces: [shop, 7]}", "WrongType x: namespaces[1]"),
            ("{namespaces: [Shop]}", "InvalidName x: namespaces[0]"),
            ("{namespaces: [shop.web]}", "InvalidName x: namespaces[0]"),
            ("{namespaces: ['*']}", "InvalidName x: namespaces[0]"),
        ] {
            assert_eq!(problems(text), [found], "{text}");
        }
    }

    #[test]
    fn each_wrong_value_is_reported_at_its_place() {
        for (keys, found) in [
            ("selectors: {}", "UnknownKey x: selectors"),
            ("namespaceSelector: {matchLabels: {a/b/c: d}}", "InvalidName x: namespaceSelector.matchLabels.a/b/c"),
            ("namespaceSelector: {matchNames: [shop]}", "UnknownKey x: namespaceSelector.matchNames"),
            ("selector: prepull=true", "WrongType x: selector"),
            ("selector: {matchLabels: {a/b/c: d}}", "InvalidName x: selector.matchLabels.a/b/c"),
            ("selector: {matchLabels: {a: true}}", "WrongType x: selector.matchLabels.a"),
            ("selector: {labels: {a: b}}", "UnknownKey x: selector.labels"),
            (
                "selector: {matchExpressions: [{key: a, operator: In}]}",
                "InvalidValue x: selector.matchExpressions[0].values",
            ),
            (
                "selector: {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}",
                "InvalidValue x: selector.matchExpressions[0].operator",
            ),
            ("kinds: []", "InvalidValue x: kinds"),
            ("kinds: [Pod]", "InvalidValue x: kinds[0]"),
            ("kinds: [deployment]", "InvalidValue x: kinds[0]"),
            ("exclude: ['nginx']", "InvalidValue x: exclude[0]"),
            ("exclude: ['ghcr.io/acme/app:1']", "InvalidValue x: exclude[0]"),
            ("exclude: ['**', '!ghcr.io/acme/**']", "InvalidValue x: exclude[1]"),
            ("exclude: [1]", "WrongType x: exclude[0]"),
            ("keepFor: 24", "WrongType x: keepFor"),
            ("keepFor: 1d", "InvalidValue x: keepFor"),
            ("keepFor: -1s", "OutOfRange x: keepFor"),
            ("keepFor: 8785h", "OutOfRange x: keepFor"),
            ("max: 0", "OutOfRange x: max"),
            ("max: 1001", "OutOfRange x: max"),
            ("max: many", "WrongType x: max"),
            ("settle: 0s", "OutOfRange x: settle"),
            ("settle: 61m", "OutOfRange x: settle"),
        ] {
            assert_eq!(read(keys).1, [found], "{keys}");
        }
    }

    #[test]
    fn patterns_are_limited() {
        let exclude = |number: usize| format!("exclude: [{}]", vec!["ghcr.io/acme/*"; number].join(", "));
        assert_eq!(read(&exclude(MAX_PATTERNS)).1, [""; 0]);
        assert_eq!(read(&exclude(MAX_PATTERNS + 1)).1, ["TooLarge x: exclude"]);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let found = problems("{kinds: [Pod], exclude: [x], keepFor: x, max: 0, settle: x, selector: {a: b}, what: 1}");
        assert_eq!(found.len(), 8, "{found:?}");
    }
}
