//! Each key of a policy: what it allows and what it refuses, and where.

use proptest::prelude::*;

use super::{Policy, parse_policy};
use crate::list::discover::DiscoveryScope;
use crate::list::names::ResourceName;
use crate::list::reference::ImageReference;
use crate::list::{Code, IMAGE_LIST_LABEL, ListData, Parsed, parse, parse_with_policy};

fn policy(text: &str) -> Policy {
    parse_policy(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn list(data: &[(&str, &str)]) -> ListData {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None }
}

fn yaml(text: &str) -> ListData {
    list(&[("images.yaml", text)])
}

/// The errors that only a policy finds.
fn refused(policy: &Policy, list: &ListData) -> Parsed {
    let without = parse(list);
    assert!(without.config.is_some(), "{list:?}: {:?}", without.problems);
    let with = parse_with_policy(list, policy);
    let more: Vec<_> = with.problems.iter().filter(|it| !without.problems.contains(it)).cloned().collect();
    assert!(more.iter().all(|it| matches!(it.code, Code::NotAllowed | Code::TooLarge)), "{more:?}");
    assert_eq!(with.config.is_none(), !more.is_empty(), "{more:?}");
    Parsed { problems: more, ..with }
}

fn places(policy_text: &str, list: &ListData) -> Vec<String> {
    let place = |path: &str, line: Option<u64>| match line {
        Some(line) => format!("{path} {line}"),
        None => path.to_owned(),
    };
    refused(&policy(policy_text), list).problems.iter().map(|it| place(&it.path, it.line)).collect()
}

#[test]
fn every_key_refuses_at_its_place_in_images_yaml() {
    let group = |rest: &str| format!("images: [nginx]\ngroups:\n- name: a\n  images: [redis]\n  {rest}\n");
    let gpu = "tolerations: [{key: gpu, operator: Exists}]";
    for (policy, text, place) in [
        ("images: ['ghcr.io/**']", "- ghcr.io/a\n- nginx".to_owned(), "images.yaml[1] 2"),
        ("images: ['docker.io/library/nginx']", group(""), "images.yaml: groups[0].images[0] 4"),
        (
            "images: ['**', '!docker.io/library/redis']",
            "images:\n- a\n- image: redis".to_owned(),
            "images.yaml: images[1].image 3",
        ),
        ("", group("serviceAccountName: admin"), "images.yaml: groups[0].serviceAccountName 5"),
        (
            "imagePullSecrets: [a]",
            group("imagePullSecrets: [a, {name: b}]"),
            "images.yaml: groups[0].imagePullSecrets[1] 5",
        ),
        ("", group("priorityClassName: system-node-critical"), "images.yaml: groups[0].priorityClassName 5"),
        ("runtimeClasses: []", group("runtimeClassName: kata"), "images.yaml: groups[0].runtimeClassName 5"),
        ("tolerations: [cpu]", group(gpu), "images.yaml: groups[0].tolerations[0] 5"),
        (
            "tolerations: []",
            "images: [a]\ntolerations: [{operator: Exists}]".to_owned(),
            "images.yaml: tolerations[0] 2",
        ),
        ("", group("podLabels: {team: a, app: web}"), "images.yaml: groups[0].podLabels.app 5"),
        (
            "",
            group("podAnnotations:\n    vault.hashicorp.com/agent-inject: 'true'"),
            "images.yaml: groups[0].podAnnotations.vault.hashicorp.com/agent-inject 6",
        ),
        (
            "daemonSetAnnotations: [a/*]",
            group("\ndaemonSetAnnotations: {b/c: ''}"),
            "images.yaml: daemonSetAnnotations.b/c 6",
        ),
        (
            "resources: {requests: {cpu: 10m}}",
            group("resources: {requests: {cpu: 0.5}}"),
            "images.yaml: groups[0].resources.requests.cpu 5",
        ),
        (
            "resources: {limits: {memory: 1Gi}}",
            group("resources: {limits: {memory: 1025Mi}}"),
            "images.yaml: groups[0].resources.limits.memory 5",
        ),
        (
            "resources: {requests: {ephemeral-storage: 1Mi}}",
            group("resources: {limits: {ephemeral-storage: 1Gi}, requests: {ephemeral-storage: 2Mi}}"),
            "images.yaml: groups[0].resources.requests.ephemeral-storage 5",
        ),
        ("maxImages: 1", group(""), "images.yaml 1"),
        ("maxGroups: 1", group(""), "images.yaml: groups 3"),
        (
            "imageCache: {allowed: false}",
            "images: [a]\nimageCache: {enabled: true}".to_owned(),
            "images.yaml: imageCache 2",
        ),
        (
            "imageCache: {maxSize: 20}",
            "images: [a]\nimageCache: {enabled: true}".to_owned(),
            "images.yaml: imageCache.size 2",
        ),
        (
            "imageCache: {maxSize: 20}",
            "images: [a]\nimageCache: {enabled: true, size: 21}".to_owned(),
            "images.yaml: imageCache.size 2",
        ),
        (
            "imageCache: {maxRetentionDays: 2}",
            "images: [a]\nimageCache:\n  enabled: true\n  retentionDays: 3".to_owned(),
            "images.yaml: imageCache.retentionDays 4",
        ),
        (
            "imagePullSecrets: []",
            "images: [a]\nimageCache:\n  enabled: true\n  imagePullSecrets:\n  - b".to_owned(),
            "images.yaml: imageCache.imagePullSecrets[0] 5",
        ),
        (
            "imageCache: {annotations: []}",
            "images: [a]\nimageCache: {enabled: true, platforms: [{name: linux/amd64, annotations: {b: c}}]}"
                .to_owned(),
            "images.yaml: imageCache.platforms[0] 2",
        ),
        (
            "imageCache: {annotations: []}",
            "images: [a]\nimageCache: {enabled: true, annotations: {b: c}}".to_owned(),
            "images.yaml: imageCache.annotations.b 2",
        ),
    ] {
        assert_eq!(places(policy, &yaml(&text)), [place], "{policy}\n{text}");
    }
}

#[test]
fn every_key_refuses_at_its_flat_key() {
    for (policy, key, value, place) in [
        ("images: ['docker.io/library/*']", "IMAGES", "b=nginx;\nc=ghcr.io/a", "IMAGES[1] 2"),
        ("", "SERVICE_ACCOUNT_NAME", "admin", "SERVICE_ACCOUNT_NAME"),
        ("imagePullSecrets: [a]", "IMAGE_PULL_SECRETS", "a;b", "IMAGE_PULL_SECRETS"),
        ("", "PRIORITY_CLASS_NAME", "system-x", "PRIORITY_CLASS_NAME"),
        ("runtimeClasses: []", "RUNTIME_CLASS_NAME", "kata", "RUNTIME_CLASS_NAME"),
        ("tolerations: [a]", "TOLERATIONS", "[{\"key\":\"a\"},{\"operator\":\"Exists\"}]", "TOLERATIONS[1]"),
        ("", "POD_LABELS", "{\"app\":\"web\"}", "POD_LABELS.app"),
        ("", "POD_ANNOTATIONS", "{\n\"app\":\"web\"}", "POD_ANNOTATIONS.app 2"),
        ("daemonSetAnnotations: []", "DAEMONSET_ANNOTATIONS", "{\"app\":\"web\"}", "DAEMONSET_ANNOTATIONS.app"),
        ("resources: {requests: {memory: 5Mi}}", "CACHING_MEMORY_REQUEST", "10Mi", "CACHING_MEMORY_REQUEST"),
        ("resources: {limits: {cpu: 100m}}", "CACHING_CPU_LIMIT", ".2", "CACHING_CPU_LIMIT"),
        ("maxImages: 1", "IMAGES", "a=nginx;b=redis", "IMAGES"),
        ("imageCache: {allowed: false}", "IMAGE_CACHE", "true", "IMAGE_CACHE"),
    ] {
        let list = list(&[("IMAGES", "a=nginx"), (key, value)]);
        assert_eq!(places(policy, &list), [place], "{policy} {key}");
    }
}

#[test]
fn what_lists_of_kubernetes_image_puller_say_is_allowed_by_default() {
    let list = list(&[
        ("IMAGES", "a=registry.example.com:5000/team/app:1;b=nginx"),
        ("CACHING_MEMORY_REQUEST", "10Gi"),
        ("CACHING_MEMORY_LIMIT", "20Gi"),
        ("CACHING_CPU_REQUEST", "5"),
        ("CACHING_CPU_LIMIT", "20"),
        ("DAEMONSET_ANNOTATIONS", r#"{"example.com/a": "b"}"#),
        ("NODE_SELECTOR", r#"{"disk": "ssd"}"#),
        ("IMAGE_PULL_SECRETS", "a;b"),
        ("AFFINITY", "{}"),
        ("TOLERATIONS", r#"[{"operator": "Exists"}]"#),
    ]);
    assert_eq!(refused(&Policy::default(), &list).problems, []);
}

#[test]
fn keys_of_a_policy_beside_the_key_policy_are_a_mistake_unless_the_chart_has_values_of_that_name() {
    for text in ["policy:\nimages: [a.test/**]", "{policy: {}, maxImages: 1}"] {
        let problems = super::parse_policy(text).expect_err(text);
        assert_eq!(problems[0].code, Code::Conflict, "{problems:?}");
    }
    super::parse_policy("{policy: {}, image: {tag: a}, tolerations: [], resources: {}}").expect("values of the chart");
}

#[test]
fn patterns_are_limited_because_each_is_compared_with_each_image() {
    let patterns = |number: usize| format!("images: [{}]", "\"a.test/**\",".repeat(number));
    super::parse_policy(&patterns(200)).expect("as many as there may be");
    assert_eq!(super::parse_policy(&patterns(201)).expect_err("one more")[0].code, Code::TooLarge);
}

#[test]
fn what_only_newer_keys_can_say_is_allowed_if_it_gives_nobody_more_rights() {
    let text = "\
images: [nginx]
priorityClassName: low
runtimeClassName: kata
podLabels: {team: a, sidecar.istio.io/inject: 'false', cost-center: '7'}
podAnnotations: {linkerd.io/inject: disabled, prometheus.io/scrape: 'false'}
resources: {limits: {ephemeral-storage: 1Gi}}
imageCache: {enabled: true, annotations: {a: b}, imagePullSecrets: [c]}
";
    assert_eq!(refused(&Policy::default(), &yaml(text)).problems, []);
}

#[test]
fn the_controllers_own_service_account_is_refused_whatever_the_policy_says() {
    let own = "{images: [nginx], serviceAccountName: puller}";
    let lenient = policy("serviceAccounts: ['*', puller]");
    assert_eq!(refused(&lenient, &yaml(own)).problems, []);
    for policy in [
        lenient.of_installation(Some("puller"), Some("holder")),
        policy("{serviceAccounts: ['*'], controllerServiceAccount: puller}"),
        policy("{serviceAccounts: ['*'], controllerServiceAccount: puller}").of_installation(None, Some("puller")),
        policy("{serviceAccounts: ['*'], controllerServiceAccount: puller}").of_installation(Some(""), None),
    ] {
        let found = refused(&policy, &yaml(own)).problems;
        assert!(found[0].message.contains("the controller's own ServiceAccount"), "{found:?}");
        assert_eq!(refused(&policy, &yaml("{images: [nginx], serviceAccountName: other}")).problems, []);
    }
}

#[test]
fn the_service_account_that_pods_have_anyway_may_be_named() {
    let holder = yaml("{images: [nginx], serviceAccountName: holder}");
    assert_eq!(refused(&Policy::default(), &holder).problems.len(), 1);
    assert_eq!(refused(&Policy::default().of_installation(Some("puller"), Some("holder")), &holder).problems, []);
}

#[test]
fn a_message_says_what_is_allowed_and_who_decides() {
    let policy = policy("images: [a.io/**, b.io/**, c.io/**, d.io/**, e.io/**, f.io/**]");
    let found = refused(&policy, &yaml("[nginx]")).problems;
    assert_eq!(
        found[0].message,
        "the image nginx is not allowed, which is of docker.io/library/nginx; allowed: a.io/**, b.io/**, c.io/**, d.io/**, e.io/** and 1 more"
    );
    assert!(found[0].remedy.ends_with("ask the operators of kube-prepull to allow it by `images` of their policy"));
    let excluded =
        refused(&super::parse_policy("images: ['**', '!docker.io/**']").expect("a policy"), &yaml("[nginx]"));
    assert!(excluded.problems[0].message.ends_with("\"!docker.io/**\" excludes it"), "{excluded:?}");
}

#[test]
fn of_very_many_refusals_the_rest_is_counted() {
    let images: Vec<String> = (0..500).map(|number| format!("\"app-{number}\"")).collect();
    let found = refused(&policy("images: ['ghcr.io/**']"), &yaml(&format!("[{}]", images.join(","))));
    assert_eq!(found.problems.len(), 51);
    assert!(found.problems[50].message.contains("and 449 more"), "{:?}", found.problems[50]);
}

#[test]
fn a_list_without_images_stays_empty_and_other_mistakes_are_reported_too() {
    let without = parse_with_policy(&yaml("{images: [], serviceAccountName: admin}"), &Policy::default());
    assert!(without.empty, "{without:?}");
    let both = parse_with_policy(&yaml("{images: [nginx, A], serviceAccountName: admin}"), &Policy::default());
    let codes: Vec<Code> = both.problems.iter().map(|it| it.code).collect();
    assert!(codes.contains(&Code::InvalidReference) && codes.contains(&Code::NotAllowed), "{codes:?}");
}

#[test]
fn a_label_that_kube_prepull_sets_is_refused_whatever_the_policy_says() {
    let policy = policy("podLabels: ['*']");
    for key in ["app.kubernetes.io/name", "kube-prepull.io/group", IMAGE_LIST_LABEL] {
        let list = yaml(&format!("{{images: [nginx], podLabels: {{{key}: x}}}}"));
        assert!(parse_with_policy(&list, &policy).config.is_none(), "{key}");
    }
}

#[test]
fn namespaces_whose_workloads_may_not_be_read_are_warned_of() {
    let list = yaml(
        "discover: {namespaces: [a, b]}\ngroups:\n- name: g\n  images: [nginx:1]\n  discover: {namespaces: [b, c]}\n",
    );
    let warned = |scope: DiscoveryScope| -> Vec<String> {
        let parsed = parse_with_policy(&list, &Policy::default().with_discovery(scope));
        assert!(parsed.config.is_some(), "{parsed:?}");
        parsed.problems.iter().map(|it| format!("{} {} {}", it.code, it.path, it.line.unwrap_or_default())).collect()
    };
    let only = |names: &[&str]| {
        DiscoveryScope::Namespaces(names.iter().map(|name| ResourceName::parse(name).expect("a name")).collect())
    };
    assert_eq!(warned(DiscoveryScope::Unknown), [""; 0]);
    assert_eq!(warned(DiscoveryScope::All), [""; 0]);
    assert_eq!(warned(only(&["a", "b", "c"])), [""; 0]);
    let of_top = "Ignored images.yaml: discover.namespaces[0] 1";
    assert_eq!(warned(only(&["b"])), [of_top, "Ignored images.yaml: groups[0].discover.namespaces[1] 5"]);
    assert_eq!(warned(only(&[])), ["Ignored images.yaml: discover 1", "Ignored images.yaml: groups[0].discover 5"]);
}

#[test]
fn a_selector_of_namespaces_is_warned_of_unless_their_labels_may_be_read() {
    let list = yaml(
        "discover: {namespaceSelector: {}}\ngroups:\n- name: g\n  \
         discover: {namespaces: [a], namespaceSelector: {matchLabels: {team: shop}}}\n",
    );
    let warned = |scope: DiscoveryScope| -> Vec<String> {
        let parsed = parse_with_policy(&list, &Policy::default().with_discovery(scope));
        assert!(parsed.config.is_some(), "{parsed:?}");
        parsed.problems.iter().map(|it| format!("{} {} {}", it.code, it.path, it.line.unwrap_or_default())).collect()
    };
    assert_eq!(warned(DiscoveryScope::Unknown), [""; 0]);
    assert_eq!(warned(DiscoveryScope::All), [""; 0]);
    let only = DiscoveryScope::Namespaces([ResourceName::parse("a").expect("a name")].into());
    assert_eq!(
        warned(only),
        [
            "Ignored images.yaml: discover.namespaceSelector 1",
            "Ignored images.yaml: groups[0].discover.namespaceSelector 4",
        ]
    );
    let off = DiscoveryScope::Namespaces([].into());
    assert_eq!(warned(off), ["Ignored images.yaml: discover 1", "Ignored images.yaml: groups[0].discover 4"]);
}

#[test]
fn a_group_beside_what_is_discovered_at_the_top_has_its_own_place() {
    let list = yaml("discover: {namespaces: [a]}\ngroups:\n- {name: g, images: [nginx], serviceAccountName: admin}\n");
    assert_eq!(places("", &list), ["images.yaml: groups[0].serviceAccountName 3"]);
}

#[test]
fn images_that_are_found_are_allowed_as_those_of_the_list() {
    let policy = policy("images: ['ghcr.io/**', '!ghcr.io/acme/*']");
    let allows = |text: &str| policy.allows_image(&ImageReference::parse(text).expect("a reference"));
    assert!(allows("ghcr.io/team/app:1") && allows("GHCR.io:443/team/app"));
    assert!(!allows("ghcr.io/acme/app:1") && !allows("nginx"));
}

proptest! {
    #[test]
    fn a_policy_that_allows_all_adds_no_problem_and_one_of_nothing_refuses_every_image(
        images in prop::collection::btree_set("[a-z]{1,6}(\\.io/[a-z]{1,4})?(:[0-9]{1,2})?", 1..6),
    ) {
        let images: Vec<String> = images.iter().map(|image| format!("{image:?}")).collect();
        let list = yaml(&format!("images: [{}]", images.join(",")));
        let all = "{images: ['**'], serviceAccounts: ['*'], podLabels: ['*'], podAnnotations: ['*']}";
        prop_assert_eq!(parse_with_policy(&list, &policy(all)), parse(&list));
        if let Some(config) = parse(&list).config {
            let refused = parse_with_policy(&list, &policy("images: []")).problems;
            let refused = refused.iter().filter(|it| it.code == Code::NotAllowed).count();
            prop_assert_eq!(refused, config.groups[0].images.len());
        }
    }
}

#[test]
fn in_another_namespace_than_the_controllers_nothing_is_gated_and_only_that_one_discovered() {
    let policy = policy("images: ['ghcr.io/**']").with_discovery(DiscoveryScope::All).elsewhere("shop");
    let gated = "images: [\"ghcr.io/a:1\"]\nnodeGate: {taint: startup-taint.cluster-autoscaler.kubernetes.io/images}\n";
    let parsed = parse_with_policy(&yaml(gated), &policy);
    assert!(parsed.config.is_some_and(|config| config.node_gate.is_none()));
    let [problem] = &parsed.problems[..] else { panic!("one warning: {:?}", parsed.problems) };
    assert!(problem.message.contains("other namespaces") && problem.code == Code::Ignored, "{problem:?}");

    let discovering = yaml("discover: {namespaces: [shop, secret], namespaceSelector: {}}\n");
    let warned = parse_with_policy(&discovering, &policy).problems;
    let places: Vec<_> = warned.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(places, ["images.yaml: discover.namespaceSelector", "images.yaml: discover.namespaces[1]"]);
    let own = Policy::default().with_discovery(DiscoveryScope::Namespaces([].into())).elsewhere("shop");
    assert!(
        !own.discovery().allows(&ResourceName::parse("shop").expect("a name")),
        "the installation discovers nothing"
    );

    assert_eq!(refused(&policy, &yaml("images: [nginx]")).problems.len(), 1, "what it forbids is forbidden there too");
}
