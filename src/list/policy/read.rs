//! Reads a policy, with the reader of lists.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::pattern::{Glob, Patterns};
use super::repository::RepositoryPattern;
use super::tolerations::TolerationRule;
use super::{Ceilings, ImageCacheRules, Policy};
use crate::list::config::{ImageCache, Resources};
use crate::list::names::ResourceName;
use crate::list::problem::{Code, Problem, any_error, quoted};
use crate::list::quantity::Nanos;
use crate::list::reader::{At, Place, Problems};
use crate::list::tree::TreeNode;

/// The keys of a policy.
pub const KEYS: [&str; 14] = [
    "images",
    "serviceAccounts",
    "imagePullSecrets",
    "priorityClasses",
    "runtimeClasses",
    "tolerations",
    "podLabels",
    "podAnnotations",
    "daemonSetAnnotations",
    "resources",
    "maxImages",
    "maxGroups",
    "imageCache",
    "controllerServiceAccount",
];
/// The keys of an entry of `tolerations`.
pub const TOLERATION_KEYS: [&str; 5] = ["everyTaint", "key", "operator", "value", "effect"];
/// The keys of `resources`.
pub const RESOURCES_KEYS: [&str; 2] = ["requests", "limits"];
/// The keys of `requests` and `limits`.
pub const QUANTITY_KEYS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// The keys of `imageCache`.
pub const IMAGE_CACHE_KEYS: [&str; 4] = ["allowed", "maxSize", "maxRetentionDays", "annotations"];

/// The key of a Helm values file whose value is a policy, and the name of a policy in the paths of problems.
const DOCUMENT: &str = "policy";

/// The keys of a policy that the values of the chart have as well, with another meaning.
const IN_VALUES: [&str; 6] =
    ["podLabels", "podAnnotations", "imagePullSecrets", "tolerations", "resources", "imageCache"];
/// The most patterns of a key. Each is compared with each image.
const MAX_PATTERNS: usize = 200;

/// Parses a policy: YAML or JSON, or the values of a Helm chart, whose key `policy` counts. Keys that are unset or blank have their
/// default, so a text of nothing is the default policy.
///
/// # Errors
/// All problems, with their lines.
pub fn parse(text: &str) -> Result<Policy, Vec<Problem>> {
    let mut problems = Problems::default();
    let policy = read(text, &mut problems);
    let problems = problems.into_vec();
    if any_error(&problems) { Err(problems) } else { Ok(policy) }
}

fn read(text: &str, problems: &mut Problems) -> Policy {
    let mut policy = Policy::default();
    let node = match TreeNode::from_yaml(text) {
        Ok(node) => node,
        Err(error) => {
            let place = Place { path: DOCUMENT.to_owned(), line: error.line };
            let remedy = "correct the YAML at this line; put patterns that begin with '*' or '!' in quotes";
            problems.error(place, Code::InvalidYaml, error.message, remedy);
            return policy;
        }
    };
    let of_values = node.child(DOCUMENT);
    if of_values.is_some()
        && let Some(key) = KEYS.iter().find(|key| node.child(key).is_some_and(|_| !IN_VALUES.contains(*key)))
    {
        let message = format!("`{key}` stands beside `{DOCUMENT}`, where it has no effect");
        let remedy = format!("indent it, so that it is a part of `{DOCUMENT}`");
        problems.error(
            Place { path: (*key).to_owned(), line: node.child(key).and_then(|it| it.line) },
            Code::Conflict,
            message,
            remedy,
        );
    }
    let document = At::document(DOCUMENT, of_values.unwrap_or(&node));
    if document.is_blank() {
        return policy;
    }
    let Some(fields) = document.fields(&KEYS, problems) else { return policy };
    for (key, patterns) in [
        ("serviceAccounts", &mut policy.service_accounts),
        ("imagePullSecrets", &mut policy.image_pull_secrets),
        ("priorityClasses", &mut policy.priority_classes),
        ("runtimeClasses", &mut policy.runtime_classes),
        ("podLabels", &mut policy.pod_labels),
        ("podAnnotations", &mut policy.pod_annotations),
        ("daemonSetAnnotations", &mut policy.daemon_set_annotations),
    ] {
        if let Some(at) = fields.get(key) {
            *patterns = names(at, problems);
        }
    }
    if let Some(at) = fields.get("images") {
        policy.images = repositories(at, problems);
    }
    if let Some(at) = fields.get("tolerations") {
        policy.tolerations = at.items(problems).iter().filter_map(|item| toleration(item, problems)).collect();
    }
    if let Some(fields) = fields.get("resources").and_then(|at| at.fields(&RESOURCES_KEYS, problems)) {
        let Resources { cpu_request, memory_request, .. } = Resources::default();
        let defaults = [Some(cpu_request), Some(memory_request), None];
        let mut of = |key, least| fields.get(key).map(|at| ceilings(at, least, problems)).unwrap_or_default();
        policy.requests = of("requests", &defaults);
        policy.limits = of("limits", &[None, None, None]);
    }
    policy.max_images = fields.get("maxImages").and_then(|at| number(at, 1, u32::MAX, problems));
    policy.max_groups = fields.get("maxGroups").and_then(|at| number(at, 1, u32::MAX, problems));
    if let Some(at) = fields.get("imageCache") {
        image_cache(at, &mut policy.image_cache, problems);
    }
    policy.controller_service_account =
        fields.get("controllerServiceAccount").and_then(|at| service_account(at, problems));
    policy
}

fn names(at: &At, problems: &mut Problems) -> Patterns<Glob> {
    let parse = |text: &str| {
        if text.contains(char::is_whitespace) {
            return Err(("contains white space".to_owned(), "write each pattern as an entry of its own".to_owned()));
        }
        Glob::of_name(text).map_err(|why| (why, "write a name, in which '*' stands for any text".to_owned()))
    };
    patterns(at, parse, problems)
}

fn repositories(at: &At, problems: &mut Problems) -> Patterns<RepositoryPattern> {
    patterns(at, RepositoryPattern::parse, problems)
}

fn patterns<P>(at: &At, parse: impl Fn(&str) -> Result<P, (String, String)>, problems: &mut Problems) -> Patterns<P> {
    let mut patterns = Patterns::default();
    let items = at.items(problems);
    if items.len() > MAX_PATTERNS {
        let message = format!("{} patterns exceed the limit of {MAX_PATTERNS}", items.len());
        problems.error(at.place(), Code::TooLarge, message, "use patterns with '*' that stand for several of them");
        return patterns;
    }
    for item in items {
        let Some(text) = item.text(problems) else { continue };
        if let Err((why, remedy)) = patterns.add(text, &parse) {
            problems.error(
                item.place(),
                Code::InvalidValue,
                format!("{} is not a pattern: it {why}", quoted(text)),
                remedy,
            );
        }
    }
    if patterns.only_excludes() {
        problems.error(
            at.place(),
            Code::InvalidValue,
            "patterns that begin with '!' only exclude, so these allow nothing",
            "add a pattern of what is allowed, such as \"*\" (\"**\" for images), or write [] to allow nothing",
        );
    }
    patterns
}

/// A pattern of keys, or a mapping.
fn toleration(at: &At, problems: &mut Problems) -> Option<TolerationRule> {
    if !at.is_mapping() {
        return Some(TolerationRule { key: glob(at, problems), ..TolerationRule::default() });
    }
    let fields = at.fields(&TOLERATION_KEYS, problems)?;
    let every_taint = fields.get("everyTaint").and_then(|at| at.boolean(problems)).unwrap_or_default();
    for key in ["key", "value"] {
        if let Some(at) = fields.get(key).filter(|_| every_taint) {
            let message = format!("`everyTaint` allows every taint, and `{key}` only some");
            problems.error(at.place(), Code::Conflict, message, "keep one of them");
        }
    }
    if !every_taint && fields.get("key").is_none() {
        let remedy = "add the key, or write everyTaint: true to allow tolerations of every taint";
        problems.error(at.place(), Code::MissingKey, "this entry has no `key`", remedy);
    }
    let mut one_of = |key: &str, known: &[&str]| {
        let at = fields.get(key)?;
        let text = at.text(problems)?;
        if !known.contains(&text) {
            let remedy = format!("write {}, or leave it out for all", known.join(", "));
            problems.error(at.place(), Code::InvalidValue, format!("unknown {key} {}", quoted(text)), remedy);
        }
        Some(text.to_owned())
    };
    let operator = one_of("operator", &["Equal", "Exists", "Lt", "Gt"]);
    let effect = one_of("effect", &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    let key = fields.get("key").and_then(|at| glob(at, problems));
    let value = fields.get("value").and_then(|at| glob(at, problems));
    Some(TolerationRule { every_taint, key, operator, value, effect })
}

fn glob(at: &At, problems: &mut Problems) -> Option<(String, Glob)> {
    let text = at.text(problems)?;
    match Glob::of_name(text) {
        Ok(glob) => Some((text.to_owned(), glob)),
        Err(why) => {
            let message = format!("{} is not a pattern: it {why}", quoted(text));
            problems.error(at.place(), Code::InvalidValue, message, "write a text, in which '*' stands for any other");
            None
        }
    }
}

/// `least`: what a list requests that says nothing, which has to be allowed.
fn ceilings(at: &At, least: &[Option<Quantity>; 3], problems: &mut Problems) -> Ceilings {
    let Some(fields) = at.fields(&QUANTITY_KEYS, problems) else { return Ceilings::default() };
    let mut of = |key: &str, least: &Option<Quantity>| {
        let at = fields.get(key)?;
        let text = at.quantity(problems)?;
        let Ok(ceiling) = Nanos::parse(&text) else {
            let message = format!("{} is not a quantity", quoted(&text));
            problems.error(
                at.place(),
                Code::InvalidQuantity,
                message,
                "write a number with a unit, such as 50m or 1Gi",
            );
            return None;
        };
        if let Some(least) = least.as_ref().filter(|least| Nanos::parse(&least.0).is_ok_and(|least| ceiling < least)) {
            let message = format!("{text} is less than the {} that containers request by default", least.0);
            problems.error(at.place(), Code::OutOfRange, message, format!("write {} or more", least.0));
        }
        Some(Quantity(text))
    };
    Ceilings {
        cpu: of("cpu", &least[0]),
        memory: of("memory", &least[1]),
        ephemeral_storage: of("ephemeral-storage", &least[2]),
    }
}

fn number(at: &At, least: u32, most: u32, problems: &mut Problems) -> Option<u32> {
    let number = at.integer(problems)?;
    let found = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
    if found.is_none() {
        let message = format!("{number} is out of range");
        problems.error(at.place(), Code::OutOfRange, message, format!("write a whole number from {least} to {most}"));
    }
    found
}

fn image_cache(at: &At, rules: &mut ImageCacheRules, problems: &mut Problems) {
    let Some(fields) = at.fields(&IMAGE_CACHE_KEYS, problems) else { return };
    if let Some(allowed) = fields.get("allowed").and_then(|at| at.boolean(problems)) {
        rules.allowed = allowed;
    }
    let mut of = |key, range: std::ops::RangeInclusive<u32>| {
        fields.get(key).and_then(|at| number(at, *range.start(), *range.end(), problems))
    };
    rules.max_size = of("maxSize", ImageCache::SIZES);
    rules.max_retention_days = of("maxRetentionDays", ImageCache::RETENTIONS);
    if let Some(at) = fields.get("annotations") {
        rules.annotations = names(at, problems);
    }
}

fn service_account(at: &At, problems: &mut Problems) -> Option<String> {
    let text = at.text(problems)?;
    if let Err(why) = ResourceName::parse_subdomain(text) {
        let message = format!("{} cannot be the name of a ServiceAccount: it {why}", quoted(text));
        problems.error(at.place(), Code::InvalidName, message, "write the name as `kubectl get` shows it");
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let found = parse(text).err().unwrap_or_default();
        found.iter().map(|it| format!("{} {} {}", it.code, it.path, it.line.unwrap_or_default())).collect()
    }

    #[test]
    fn a_policy_that_says_nothing_is_the_default() {
        for text in ["", "# nothing", "{}", "images:\ntolerations: \"\"", "policy:", "policy: {}\nreplicas: 2"] {
            assert_eq!(parse(text), Ok(Policy::default()), "{text}");
        }
    }

    #[test]
    fn the_defaults_can_be_written() {
        let all = |patterns: &[&str]| serde_json::json!(patterns);
        let text = serde_json::json!({
            "images": all(&super::super::ANY_REPOSITORY),
            "serviceAccounts": [],
            "imagePullSecrets": all(&super::super::ANY),
            "priorityClasses": all(&super::super::PRIORITY_CLASSES),
            "runtimeClasses": all(&super::super::ANY),
            "tolerations": [{"everyTaint": true}],
            "podLabels": all(&super::super::POD_LABELS),
            "podAnnotations": all(&super::super::POD_ANNOTATIONS),
            "daemonSetAnnotations": all(&super::super::ANY),
            "resources": {},
            "maxImages": null,
            "imageCache": {"allowed": true, "annotations": all(&super::super::ANY)},
        });
        assert_eq!(parse(&text.to_string()), Ok(Policy::default()));
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "\
image: ['**']
images: ['**', nginx, 7]
serviceAccounts: 'a'
priorityClasses: ['!system-*']
tolerations:
  - {effect: NoSchedule}
  - {everyTaint: true, key: a, effect: Never}
  - {key: a, operator: Is}
podLabels: ['a b']
resources: {requests: {cpu: many, memory: 1k}, limit: {}}
maxImages: 0
imageCache: {allowed: 1, maxSize: 1}
controllerServiceAccount: A
";
        let expected = [
            "UnknownKey policy: image 1",
            "WrongType policy: serviceAccounts 3",
            "InvalidValue policy: priorityClasses 4",
            "InvalidValue policy: podLabels[0] 9",
            "InvalidValue policy: images[1] 2",
            "WrongType policy: images[2] 2",
            "MissingKey policy: tolerations[0] 6",
            "Conflict policy: tolerations[1].key 7",
            "InvalidValue policy: tolerations[1].effect 7",
            "InvalidValue policy: tolerations[2].operator 8",
            "UnknownKey policy: resources.limit 10",
            "InvalidQuantity policy: resources.requests.cpu 10",
            "OutOfRange policy: resources.requests.memory 10",
            "OutOfRange policy: maxImages 11",
            "WrongType policy: imageCache.allowed 12",
            "OutOfRange policy: imageCache.maxSize 12",
            "InvalidName policy: controllerServiceAccount 13",
        ];
        assert_eq!(problems(text), expected);
    }

    #[test]
    fn of_the_values_of_a_chart_the_policy_counts() {
        let values = "replicas: 2\npolicy:\n  maxImages: 0\n";
        assert_eq!(problems(values), ["OutOfRange policy: maxImages 3"]);
        let policy = parse("configMap: {}\npolicy: {maxImages: 5}").expect("a policy");
        assert_eq!(policy, parse("maxImages: 5").expect("a policy"));
    }

    #[test]
    fn a_star_without_quotes_gets_a_remedy() {
        let found = parse("images: [**]").expect_err("no YAML");
        assert!(found[0].remedy.contains("in quotes"), "{found:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_policy_or_refused(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }
    }
}
