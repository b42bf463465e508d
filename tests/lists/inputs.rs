//! Random inputs: at least 100,000 for each format, arbitrary ones and good and bad lists with some edits.
//! None may panic, take long, be rejected without a reason or be accepted with nonsense inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_prepull::list::config::{Group, TaintKey};
use kube_prepull::list::discover::{Discover, Discovery};
use kube_prepull::list::schedule::Schedule;
use kube_prepull::list::{self, Config, ListData, Parsed, Severity, flat};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{documents, keys, list, schema, validation_results, yaml_list};

/// Some hundred times what the slowest of these inputs takes in a debug build on a busy machine, and far below what a
/// quadratic step would take on a whole ConfigMap.
const LONG: Duration = Duration::from_secs(10);

/// Pieces that mean something to one of the parsers.
const TOKENS: [&str; 76] = [
    "images",
    "groups",
    "discover",
    "namespaces",
    "namespaceSelector",
    "selector",
    "name",
    "image",
    "refresh",
    "every",
    "schedule",
    "timeZone",
    "mode",
    "pullRate",
    "affinity",
    "tolerations",
    "resources",
    "limits",
    "cpu",
    "nodeSelector",
    ":",
    ": ",
    " ",
    "\n",
    "\n  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x",
    "|",
    ">",
    "#",
    "%",
    "---",
    "...",
    "null",
    "~",
    "1",
    "-1",
    ".nan",
    "1e3",
    "0x1F",
    "99999999999999999999",
    "true",
    "no",
    "nginx",
    "nginx:1",
    "@sha256:",
    "docker.io/library/",
    "/",
    ";",
    "=",
    "UTC",
    "* * * * *",
    "30 2 29 2 *",
    "\t",
    "\u{feff}",
    "ä",
    "\0",
    "\r\n",
    "\\",
    "\\u0000",
    "🐳",
    "1h",
    "Mi",
    "Always",
    "default",
];

/// A change of a text.
#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, Index),
    Remove(Index, usize),
    Replace(Index, usize, Index),
    Repeat(Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<Index>;
    let edit = prop_oneof![
        (index(), index()).prop_map(|(at, token)| Edit::Insert(at, token)),
        (index(), 1usize..8).prop_map(|(at, length)| Edit::Remove(at, length)),
        (index(), 1usize..8, index()).prop_map(|(at, length, token)| Edit::Replace(at, length, token)),
        (index(), 1usize..40).prop_map(|(at, length)| Edit::Repeat(at, length)),
    ];
    prop::collection::vec(edit, 1..4)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for edit in edits {
        let range = |at: &Index, length: usize| {
            let start = at.index(text.len() + 1);
            start..text.len().min(start + length)
        };
        match edit {
            Edit::Insert(at, token) => drop(text.splice(range(at, 0), token.get(&TOKENS).chars())),
            Edit::Remove(at, length) => drop(text.drain(range(at, *length))),
            Edit::Replace(at, length, token) => drop(text.splice(range(at, *length), token.get(&TOKENS).chars())),
            Edit::Repeat(at, length) => {
                let range = range(at, *length);
                let again = text[range.clone()].to_vec();
                drop(text.splice(range.end..range.end, again));
            }
        }
    }
    text.into_iter().collect()
}

fn tokens() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<Index>(), 0..24)
        .prop_map(|tokens| tokens.iter().map(|token| *token.get(&TOKENS)).collect())
}

/// The texts of images.yaml that the documentation and the table of bad lists have. What is long in itself is not made
/// longer: there are limits for that, with tests of their own.
static YAML_TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let rejected = validation_results::rejected_yaml().into_iter().map(|(text, _)| text);
    documents::accepted_yaml().into_iter().chain(rejected).filter(|text| text.len() < 300).collect()
});

/// The data of flat lists that the documentation and the table of bad lists have.
static FLAT_DATA: LazyLock<Vec<BTreeMap<String, String>>> = LazyLock::new(|| {
    let lists = keys::flat_example_lists().into_iter().map(|list| list.data);
    lists.chain(validation_results::flat_data()).collect()
});

/// JSON with the words of the API in it.
fn json_value() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 20] = [
        "nodeAffinity",
        "podAffinity",
        "podAntiAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        "matchExpressions",
        "matchFields",
        "key",
        "operator",
        "values",
        "weight",
        "preference",
        "podAffinityTerm",
        "topologyKey",
        "labelSelector",
        "matchLabels",
        "effect",
        "value",
        "tolerationSeconds",
    ];
    const TEXTS: [&str; 10] = ["", "a", "Exists", "Equal", "In", "Gt", "NoExecute", "a/b", "1", "metadata.name"];
    let word = any::<Index>().prop_map(|word| (*word.get(&WORDS)).to_owned());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..200).prop_map(Value::from),
        Just(json!(1.5)),
        Just(json!(u64::MAX)),
        any::<Index>().prop_map(|text| Value::from(*text.get(&TEXTS))),
    ];
    leaf.prop_recursive(6, 16, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// What holds for every input.
fn check(list: &ListData) {
    let began = Instant::now();
    let parsed = list::parse(list);
    let took = began.elapsed();
    assert!(took < LONG, "{took:?} for {list:?}");
    let errors = parsed.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(parsed.config.is_none(), errors > 0, "{list:?} {parsed:?}");
    for problem in &parsed.problems {
        assert!(!problem.path.is_empty() && !problem.message.is_empty() && !problem.remedy.is_empty(), "{problem:?}");
        assert!(problem.to_string().len() < 4000, "{problem:?}");
        let lines = list.data.values().map(|value| lines(value)).max().unwrap_or(0) as u64;
        // The end of a text that ends in a line break is on the line after.
        assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem:?} {list:?}");
    }
    if let Some(config) = &parsed.config {
        check_config(config);
        // Reading twice more takes thrice as long, so every fourth is enough.
        if list.data.values().map(String::len).sum::<usize>() % 4 == 0 {
            check_again(list, &parsed, config);
        }
    }
}

/// The lines of a text as YAML counts them: each of CR LF, LF and a CR alone ends one (YAML 1.2.2, 5.4).
fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\n', '\r']).count()
}

fn check_config(config: &Config) {
    let groups: BTreeSet<_> = config.groups.iter().map(|group| &group.name).collect();
    assert!(!groups.is_empty() || !config.discoveries.is_empty());
    assert_eq!(groups.len(), config.groups.len(), "{config:?}");
    for group in &config.groups {
        assert!(!group.images.is_empty(), "{config:?}");
        let names: BTreeSet<_> = group.images.iter().map(|image| image.name.as_str()).collect();
        let forms: BTreeSet<_> = group.images.iter().map(|image| image.reference.normal_form()).collect();
        assert_eq!((names.len(), forms.len()), (group.images.len(), group.images.len()), "{config:?}");
        assert!(names.iter().all(|name| is_container_name(name)), "{names:?}");
    }
}

fn is_container_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name != "install-holder"
}

/// An accepted list is the same when it is read again, when it is written in full in the other format, and to editors.
fn check_again(list: &ListData, parsed: &Parsed, config: &Config) {
    assert_eq!(list::parse(list), *parsed);
    let document = in_full(config);
    let again = list::parse(&yaml_list(&document.to_string()));
    let Some(again) = again.config else { panic!("{list:?}\n{document}\n{:?}", again.problems) };
    assert_eq!((&again.groups, again.pull_rate), (&config.groups, config.pull_rate), "{list:?}");
    assert_eq!(again.daemon_set_annotations, config.daemon_set_annotations);
    assert_eq!(again.node_gate, config.node_gate);
    assert_eq!(discovered(&again), discovered(config), "{list:?}");
    assert!(schema::VALIDATOR.is_valid(&document), "{document}");
    if let Some(value) = list.data.get("images.yaml").and_then(|text| serde_yaml::from_str::<Value>(text).ok()) {
        let value = without_blanks(value);
        assert!(schema::VALIDATOR.is_valid(&value), "{value}");
    }
}

/// Nothing after a key, a blank text or no images, as templates leave them behind, are the same as no key. Editors mark them.
fn without_blanks(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let is_blank = |value: &Value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
            let is_empty = |key: &str, value: &Value| ["images", "groups"].contains(&key) && *value == json!([]);
            let entries = entries.into_iter().filter(|(key, value)| !is_blank(value) && !is_empty(key, value));
            Value::Object(entries.map(|(key, value)| (key, without_blanks(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_blanks).collect(),
        other => other,
    }
}

/// What is discovered, by the names of the groups, without the patterns, which have no written form.
fn discovered(config: &Config) -> BTreeMap<String, Discovery> {
    let discoveries = config.discoveries.iter().cloned().map(|mut discovery| {
        discovery.discover.exclude.clear();
        (discovery.group.to_string(), discovery)
    });
    discoveries.collect()
}

fn groups_in_full(config: &Config) -> Vec<Value> {
    let mut discovers: BTreeMap<&str, Value> =
        config.discoveries.iter().map(|it| (it.group.as_str(), discover_in_full(&it.discover))).collect();
    let with_images = config.groups.iter().map(|group| {
        let mut value = group_in_full(group);
        if let Some(discover) = discovers.remove(group.name.as_str()) {
            value["discover"] = discover;
        }
        value
    });
    let mut groups: Vec<Value> = with_images.collect();
    groups.extend(discovers.into_iter().map(|(name, discover)| json!({"name": name, "discover": discover})));
    groups
}

fn in_full(config: &Config) -> Value {
    let mut document = json!({
        "groups": groups_in_full(config),
        "pullRate": config.pull_rate.0,
        "daemonSetAnnotations": config.daemon_set_annotations,
    });
    if let Schedule::Every(interval) = &config.refresh.schedule {
        document["refresh"] = json!({"every": format!("{}s", interval.as_secs())});
    }
    if let Some(gate) = &config.node_gate {
        document["nodeGate"] = json!({
            "taint": gate.taint.as_ref().map(TaintKey::as_str),
            "condition": gate.condition,
            "timeout": format!("{}s", gate.timeout.as_secs()),
        });
        if !gate.wait_for.is_empty() {
            document["nodeGate"]["waitFor"] = json!(gate.wait_for);
        }
    }
    document
}

fn discover_in_full(discover: &Discover) -> Value {
    json!({
        "namespaces": Some(&discover.namespaces).filter(|namespaces| !namespaces.is_empty()),
        "namespaceSelector": discover.namespace_selector.clone().map(LabelSelector::from),
        "selector": LabelSelector::from(discover.selector.clone()),
        "kinds": discover.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "keepFor": format!("{:#}", discover.keep_for),
        "max": discover.max,
        "settle": format!("{:#}", discover.settle),
    })
}

fn group_in_full(group: &Group) -> Value {
    let quantities = |cpu: Option<&_>, memory: Option<&_>, storage: Option<&_>| json!({"cpu": cpu, "memory": memory, "ephemeral-storage": storage});
    let resources = &group.resources;
    json!({
        "name": group.name,
        "images": group.images.iter().map(|image| json!({"name": image.name, "image": image.reference, "imagePullPolicy": image.pull_policy})).collect::<Vec<_>>(),
        "nodeSelector": group.placement.node_selector,
        "affinity": group.placement.affinity,
        "tolerations": group.placement.tolerations,
        "architectures": group.placement.architectures,
        "imagePullSecrets": group.image_pull_secrets,
        "serviceAccountName": group.service_account_name,
        "priorityClassName": group.priority_class_name,
        "runtimeClassName": group.runtime_class_name,
        "hostUsers": group.host_users,
        "podLabels": group.pod_labels,
        "podAnnotations": group.pod_annotations,
        "imagesPerPod": group.images_per_pod,
        "parallelPulls": group.parallel_pulls,
        "resources": {
            "requests": quantities(
                Some(&resources.cpu_request),
                Some(&resources.memory_request),
                resources.ephemeral_storage_request.as_ref(),
            ),
            "limits": quantities(
                resources.cpu_limit.as_ref(),
                resources.memory_limit.as_ref(),
                resources.ephemeral_storage_limit.as_ref(),
            ),
        },
    })
}

fn cases(cases: u32) -> ProptestConfig {
    // A failure prints its smallest input, which belongs into the table of validation results; nothing is left behind on the disk.
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 1000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(50_000))]

    #[test]
    fn an_edited_images_yaml_is_accepted_or_refused_with_reason(base in any::<Index>(), edits in edits()) {
        check(&yaml_list(&edited(&YAML_TEXTS[base.index(YAML_TEXTS.len())], &edits)));
    }

    #[test]
    fn edited_flat_keys_are_accepted_or_refused_with_reason(
        base in any::<Index>(),
        key in any::<Index>(),
        edits in edits(),
        rename in prop::bool::weighted(0.05),
    ) {
        let mut data = FLAT_DATA[base.index(FLAT_DATA.len())].clone();
        if !data.is_empty() {
            let key = data.keys().nth(key.index(data.len())).cloned().unwrap_or_default();
            let value = data.remove(&key).unwrap_or_default();
            match rename {
                true => data.insert(edited(&key, &edits), value),
                false => data.insert(key, edited(&value, &edits)),
            };
        }
        check(&ListData { data, ..list([]) });
    }
}

proptest! {
    #![proptest_config(cases(45_000))]

    #[test]
    fn an_arbitrary_images_yaml_is_accepted_or_refused_with_reason(text in tokens()) {
        check(&yaml_list(&text));
    }

    #[test]
    fn arbitrary_flat_values_are_accepted_or_refused_with_reason(key in any::<Index>(), text in tokens()) {
        check(&list([("IMAGES", "a=b"), (*key.get(flat::KEYS), &text)]));
    }
}

proptest! {
    #![proptest_config(cases(15_000))]

    #[test]
    fn arbitrary_json_is_accepted_or_refused_with_reason(key in any::<Index>(), value in json_value()) {
        const KEYS: [&str; 6] =
            ["AFFINITY", "TOLERATIONS", "NODE_SELECTOR", "POD_LABELS", "POD_ANNOTATIONS", "DAEMONSET_ANNOTATIONS"];
        check(&list([("IMAGES", "a=b"), (*key.get(&KEYS), &value.to_string())]));
    }

    #[test]
    fn any_text_at_all_is_accepted_or_refused_with_reason(text in any::<String>()) {
        check(&yaml_list(&text));
        check(&list([("IMAGES", text.as_str())]));
    }
}

/// Texts of up to a whole ConfigMap: some pieces, each repeated up to thousands of times.
fn long_texts() -> impl Strategy<Value = String> {
    let piece = (prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 1..6), 1..60_000usize);
    prop::collection::vec(piece, 1..6).prop_map(|pieces| {
        let mut text = String::from("images:\n");
        for (tokens, times) in pieces {
            let piece = tokens.concat();
            let times = times.min((list::MAX_BYTES - 1000 - text.len()) / piece.len().max(1));
            text.push_str(&piece.repeat(times));
        }
        text
    })
}

fn check_long(list: &ListData) {
    let parsed = list::parse(list);
    assert_eq!(parsed.config.is_none(), parsed.problems.iter().any(|it| it.severity == Severity::Error));
    assert!(parsed.problems.len() <= 1001, "{}", parsed.problems.len());
    let longest = parsed.problems.iter().map(|problem| problem.to_string().chars().count()).max();
    assert!(longest.is_none_or(|longest| longest <= 3_100), "{longest:?}");
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn a_long_images_yaml_is_accepted_or_refused_in_bounded_words(text in long_texts()) {
        check_long(&yaml_list(&text));
    }

    #[test]
    fn long_flat_values_are_accepted_or_refused_in_bounded_words(key in any::<Index>(), text in long_texts()) {
        let key = flat::KEYS[key.index(flat::KEYS.len())];
        let text = text.trim_start_matches("images:\n");
        check_long(&list([("IMAGES", "a=b:1"), (key, text)]));
    }
}
