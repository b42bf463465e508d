//! What the chart becomes, and what it refuses.

use std::collections::BTreeSet;
use std::fs;

use kube_prepull::list::policy::parse_policy;
use kube_prepull::list::{Code, IMAGE_LIST_LABEL, ListData, Policy, Severity, flat, parse, parse_with_policy};
use kube_prepull::naming::own_images::OwnImages;
use kube_prepull::plan::Platform;
use serde_json::{Value, json};

use super::helm::{Helm, chart};
use super::manifests::{find, list_data, names};
use super::namespace::Namespace;

const EVERYTHING: &str = include_str!("values/everything.yaml");

/// The ConfigMap with the list.
fn list_object(objects: &[Value]) -> &Value {
    let is_list =
        |object: &&Value| !object["data"].is_null() && !object["metadata"]["labels"][IMAGE_LIST_LABEL].is_null();
    objects.iter().find(is_list).unwrap()
}

fn list(objects: &[Value]) -> ListData {
    list_data(list_object(objects))
}

#[test]
fn the_linter_finds_nothing() {
    let helm = Helm::offline("default");
    for values in ["", EVERYTHING] {
        let file = std::env::temp_dir().join(format!("kube-prepull-lint-{}-{}.yaml", std::process::id(), values.len()));
        fs::write(&file, values).unwrap();
        let said = helm.run(&["lint", "--strict", chart().to_str().unwrap(), "--values", file.to_str().unwrap()]);
        fs::remove_file(&file).unwrap();
        let said = said.unwrap();
        assert!(!said.contains("[ERROR]") && !said.contains("[WARNING]"), "{said}");
    }
}

#[test]
fn the_api_server_accepts_everything_that_is_rendered() {
    let namespace = Namespace::create("strict");
    let helm = Helm::offline(&namespace.name);
    for values in ["", "replicas: 2", "namespacedOnly: true", "scope: cluster", EVERYTHING] {
        namespace.accepts(&helm.template(values));
    }
}

/// Without images, the chart installs a list that is new and empty, and `helm test` finds nothing wrong with it.
#[test]
fn without_images_the_list_is_empty_and_its_test_allows_that() {
    let objects = Helm::offline("default").template("");
    assert!(parse(&list(&objects)).empty, "{:?}", list(&objects));
    let test = find(&objects, "Pod", "kubernetes-image-puller-test");
    let arguments = test["spec"]["containers"][0]["args"].as_array().unwrap();
    assert!(arguments.contains(&json!("--allow-empty")), "{arguments:?}");
}

#[test]
fn labels_and_annotations_for_everything_are_on_everything() {
    let objects = Helm::offline("default").template(EVERYTHING);
    assert!(objects.len() >= 12, "{:?}", names(&objects));
    for object in &objects {
        // Helm makes and deletes this one in order to delete the list.
        if object["metadata"]["annotations"]["helm.sh/hook"] == "post-delete" {
            continue;
        }
        for metadata in [&object["metadata"], &object["spec"]["template"]["metadata"]] {
            if !metadata.is_null() {
                assert_eq!(metadata["labels"]["team"], "platform", "{object:#}");
                assert_eq!(metadata["annotations"]["example.com/owner"], "platform", "{object:#}");
            }
        }
    }
}

#[test]
fn labels_for_everything_take_no_label_of_the_charts_own_away() {
    let objects = Helm::offline("default").template("commonLabels: {app: mine}\npodLabels: {app: mine}");
    let deployment = find(&objects, "Deployment", "kubernetes-image-puller");
    let (selector, template) = (&deployment["spec"]["selector"], &deployment["spec"]["template"]);
    assert_eq!(selector["matchLabels"]["app"], template["metadata"]["labels"]["app"]);
}

#[test]
fn rights_to_image_caches_and_their_clean_up_come_with_the_option_only() {
    let helm = Helm::offline("default");
    let about = |values: &str| {
        let objects = helm.template(values);
        objects
            .into_iter()
            .filter(|it| it.to_string().contains("imagecaches") || it["kind"] == "Job")
            .collect::<Vec<_>>()
    };
    assert_eq!(about(""), Vec::<Value>::new());
    let with = about("imageCache: {enabled: true}");
    assert_eq!(with.len(), 4, "{:?}", names(&with));
    let job = with.iter().find(|it| it["kind"] == "Job").unwrap();
    assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "pre-delete");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["clean-up", "--namespace=default"]));
    let without_rights = about("imageCache: {enabled: true}\nrbac: {create: false}");
    assert_eq!(names(&without_rights), ["Job kubernetes-image-puller-clean-up"]);
}

/// The objects with rights for node gates, the tolerations of the controller, and its variable with the taints.
fn gate_of(values: &str) -> (Vec<Value>, Value, Option<Value>) {
    let objects = Helm::offline("images").template(values);
    let is_of_gate = |it: &&Value| it["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(":node-gate"));
    let rights = objects.iter().filter(is_of_gate).cloned().collect();
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let tolerations = deployment["spec"]["template"]["spec"]["tolerations"].clone();
    (rights, tolerations, variable(&objects, "NODE_GATE_TAINTS"))
}

#[test]
fn rights_and_tolerations_for_node_gates_come_with_the_option_only() {
    const TAINT: &str = "startup-taint.cluster-autoscaler.kubernetes.io/images";
    let own = json!({"key": "dedicated", "operator": "Exists"});
    let without = "tolerations: [{key: dedicated, operator: Exists}]\nnodeGate: {taints: [example.com/other]}";
    assert_eq!(gate_of(""), (vec![], Value::Null, None));
    assert_eq!(gate_of(without), (vec![], json!([own]), None));

    let (objects, tolerations, taints) = gate_of("nodeGate: {enabled: true}");
    assert_eq!(tolerations, json!([{"key": TAINT, "operator": "Exists"}]));
    assert_eq!(taints, Some(json!({"name": "NODE_GATE_TAINTS", "value": TAINT})));
    let name = "kube-prepull:images:kubernetes-image-puller:node-gate";
    let all = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    assert_eq!(objects.len(), all.len(), "{:?}", names(&objects));
    for kind in all {
        let object = find(&objects, kind, name);
        // Events about nodes are stored in this namespace.
        let namespace = if kind.starts_with("Cluster") { Value::Null } else { json!("default") };
        assert_eq!(object["metadata"]["namespace"], namespace, "{kind}");
        if kind.ends_with("Binding") {
            let account = json!([{"kind": "ServiceAccount", "name": "k8s-image-puller", "namespace": "images"}]);
            assert_eq!((&object["subjects"], &object["roleRef"]["name"]), (&account, &json!(name)), "{kind}");
        }
    }
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    assert_eq!(
        find(&objects, "ClusterRole", name)["rules"],
        json!([rule("", "nodes", &["patch"]), rule("", "nodes/status", &["patch"])])
    );
    assert_eq!(find(&objects, "Role", name)["rules"], json!([rule("events.k8s.io", "events", &["create", "patch"])]));

    let (objects, tolerations, taints) =
        gate_of(&format!("{without}\nrbac: {{create: false}}").replace("taints: [", "enabled: true, taints: [a/b, "));
    assert_eq!(names(&objects), [""; 0]);
    let of_taint = |taint: &str| json!({"key": taint, "operator": "Exists"});
    assert_eq!(tolerations, json!([own, of_taint("a/b"), of_taint("example.com/other")]));
    assert_eq!(taints.unwrap()["value"], "a/b,example.com/other");
}

/// The objects with rights for discovery, and the controller's variable with the namespaces.
fn discovery_of(values: &str) -> (Vec<Value>, Option<Value>) {
    let objects = Helm::offline("images").template(values);
    let is_of_discovery =
        |it: &&Value| it["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(":discovery"));
    let rights = objects.iter().filter(is_of_discovery).cloned().collect();
    (rights, variable(&objects, "DISCOVER_NAMESPACES").map(|variable| variable["value"].clone()))
}

/// Nothing is written there, and no single object can be read.
#[test]
fn workloads_can_be_listed_and_watched_in_the_namespaces_that_are_named() {
    assert_eq!(discovery_of(""), (vec![], None));
    assert_eq!(discovery_of("discovery: {namespaces: []}"), (vec![], None));
    let without_rights = discovery_of("discovery: {namespaces: [shop]}\nrbac: {create: false}");
    assert_eq!(without_rights, (vec![], Some(json!("shop"))));

    let verbs = ["list", "watch"];
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": verbs},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": verbs},
    ]);
    let name = "kube-prepull:images:kubernetes-image-puller:discovery";
    let account = json!([{"kind": "ServiceAccount", "name": "k8s-image-puller", "namespace": "images"}]);
    // Names are enough for a release that has no rights on the cluster.
    for more in ["", "namespacedOnly: true\n"] {
        let (objects, named) = discovery_of(&format!("{more}discovery: {{namespaces: [shop, images]}}"));
        assert_eq!(named, Some(json!("shop,images")));
        assert_eq!(objects.len(), 4, "{:?}", names(&objects));
        for namespace in ["shop", "images"] {
            let here: Vec<Value> =
                objects.iter().filter(|object| object["metadata"]["namespace"] == namespace).cloned().collect();
            assert_eq!(find(&here, "Role", name)["rules"], rules, "{namespace}");
            let binding = find(&here, "RoleBinding", name);
            assert_eq!((&binding["subjects"], &binding["roleRef"]["kind"]), (&account, &json!("Role")), "{namespace}");
            assert_eq!(binding["roleRef"]["name"], name, "{namespace}");
        }
    }

    let (objects, named) = discovery_of("discovery: {namespaces: [\"*\"]}");
    assert_eq!(named, Some(json!("*")));
    assert_eq!(objects.len(), 2, "{:?}", names(&objects));
    // Lists may select namespaces by labels, which can only be read in the whole cluster.
    let mut rules = rules.as_array().unwrap().clone();
    rules.push(json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": verbs}));
    assert_eq!(find(&objects, "ClusterRole", name)["rules"], json!(rules));
    let binding = find(&objects, "ClusterRoleBinding", name);
    assert_eq!((&binding["subjects"], &binding["roleRef"]["name"]), (&account, &json!(name)));
}

/// A list's namespace is a label of its series, and another one than the controller's may be.
#[test]
fn monitors_keep_the_namespaces_of_lists() {
    for kind in ["serviceMonitor", "podMonitor"] {
        let monitored = Helm::offline("images").template(&format!("{kind}: {{enabled: true}}\n"));
        let monitor = monitored.iter().find(|object| object["kind"].as_str().is_some_and(|it| it.ends_with("Monitor")));
        let spec = &monitor.unwrap()["spec"];
        let endpoint = [&spec["endpoints"], &spec["podMetricsEndpoints"]].into_iter().find(|it| !it.is_null()).unwrap();
        assert_eq!(endpoint[0]["honorLabels"], true, "{kind}");
    }
}

/// What the controller writes is in all namespaces then, but its Lease and its Deployment are not.
#[test]
fn with_the_cluster_as_scope_the_controller_has_its_rights_in_all_namespaces_and_uninstalling_cleans_up() {
    let helm = Helm::offline("images");
    let (name, lists) = ("kubernetes-image-puller", "kube-prepull-all-namespaces");
    let (own, everywhere) = (helm.template(""), helm.template("scope: cluster"));
    assert!(variable(&own, "ALL_NAMESPACES").is_none());
    assert_eq!(variable(&everywhere, "ALL_NAMESPACES").unwrap()["value"], "true");
    let resources = |role: &Value| -> BTreeSet<String> {
        let rules = role["rules"].as_array().unwrap().iter().flat_map(|rule| rule["resources"].as_array().unwrap());
        rules.map(|resource| resource.as_str().unwrap().to_owned()).collect()
    };
    let at_home = resources(find(&own, "Role", name));
    assert_eq!(at_home, resources(find(&everywhere, "Role", name)));
    let mut granted = resources(find(&everywhere, "ClusterRole", lists));
    assert!(granted.insert("deployments".to_owned()), "its own Deployment is in its namespace");
    assert_eq!(granted, at_home);
    let binding = find(&everywhere, "ClusterRoleBinding", lists);
    assert_eq!(binding["subjects"][0]["name"], "k8s-image-puller");
    let hook = find(&everywhere, "Job", "kubernetes-image-puller-clean-up");
    let arguments = &hook["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(*arguments, json!(["clean-up", "--namespace=images", "--all-namespaces"]));
    assert!(!names(&own).iter().any(|name| name.contains("clean-up") || name.ends_with(lists)), "{:?}", names(&own));
}

/// A node that waits may be the only one there is.
#[test]
fn every_pod_of_the_release_tolerates_the_taints_of_node_gates() {
    let objects = Helm::offline("images").template("nodeGate: {enabled: true}\nimageCache: {enabled: true}");
    let pods: Vec<&Value> = objects
        .iter()
        .filter_map(|object| match object["kind"].as_str()? {
            "Pod" => Some(&object["spec"]),
            "Deployment" | "Job" => Some(&object["spec"]["template"]["spec"]),
            _ => None,
        })
        .collect();
    assert_eq!(pods.len(), 3, "{:?}", names(&objects));
    for pod in pods {
        assert_eq!(pod["tolerations"].as_array().map(Vec::len), Some(1), "{pod}");
    }
}

/// Neither changes anything for a single controller.
#[test]
fn controllers_are_spread_over_nodes_and_drained_one_at_a_time() {
    let helm = Helm::offline("default");
    for values in ["", "replicas: 2"] {
        let objects = helm.template(values);
        let template = &find(&objects, "Deployment", "kubernetes-image-puller")["spec"]["template"];
        let spread = &template["spec"]["topologySpreadConstraints"][0];
        assert_eq!(
            (&spread["topologyKey"], &spread["whenUnsatisfiable"]),
            (&json!("kubernetes.io/hostname"), &json!("ScheduleAnyway"))
        );
        let budget = &find(&objects, "PodDisruptionBudget", "kubernetes-image-puller")["spec"];
        assert_eq!(budget["maxUnavailable"], 1);
        for (label, value) in budget["selector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(&template["metadata"]["labels"][label], value, "{label}");
        }
    }
}

#[test]
fn rights_on_the_cluster_go_with_the_option_that_does_without_nodes() {
    let all = names(&Helm::offline("default").template("namespacedOnly: true"));
    assert!(!all.iter().any(|name| name.starts_with("Cluster")), "{all:?}");
    assert!(all.contains(&"Role kubernetes-image-puller".to_owned()));
}

#[test]
fn rights_of_users_can_be_left_out() {
    let roles = |values: &str| {
        let all = names(&Helm::offline("default").template(values));
        all.into_iter().filter(|name| name.ends_with(":reader") || name.ends_with(":editor")).collect::<Vec<_>>()
    };
    let prefix = "ClusterRole kube-prepull:default:kubernetes-image-puller";
    assert_eq!(roles(""), [format!("{prefix}:reader"), format!("{prefix}:editor")]);
    let with_image_caches = roles("imageCache: {enabled: true}");
    assert!(with_image_caches.contains(&format!("{prefix}:imagecaches:reader")), "{with_image_caches:?}");
    for values in ["rbac: {userRoles: false}", "rbac: {create: false}", "namespacedOnly: true"] {
        assert_eq!(roles(&format!("{values}\nimageCache: {{enabled: true}}")), [""; 0], "{values}");
    }
}

#[test]
fn nobody_gets_a_right_on_secrets() {
    let objects = Helm::offline("default").template(EVERYTHING);
    let rules = objects.iter().flat_map(|object| object["rules"].as_array().cloned().unwrap_or_default());
    let resources: Vec<_> = rules.flat_map(|rule| rule["resources"].as_array().cloned().unwrap_or_default()).collect();
    assert!(resources.contains(&json!("configmaps")), "{resources:?}");
    assert!(!resources.contains(&json!("secrets")) && !resources.contains(&json!("*")), "{resources:?}");
}

#[test]
fn the_pods_on_the_nodes_have_an_account_without_rights_and_without_a_token() {
    let objects = Helm::offline("default").template(EVERYTHING);
    let account = find(&objects, "ServiceAccount", "puller-holder");
    assert_eq!(account["automountServiceAccountToken"], false);
    let subjects = objects.iter().flat_map(|object| object["subjects"].as_array().cloned().unwrap_or_default());
    let subjects: Vec<_> = subjects.map(|subject| subject["name"].clone()).collect();
    assert_eq!(subjects.iter().filter(|name| **name == "puller").count(), 8);
    assert!(!subjects.contains(&json!("puller-holder")), "{subjects:?}");
}

/// API servers accept a token of 3,607 seconds, as is mounted by default, for a year (`k8s.io/kubernetes/pkg/serviceaccount`,
/// `WarnOnlyBoundTokenExpirationPeriod`).
#[test]
fn the_token_of_the_controller_expires_after_an_hour() {
    let objects = Helm::offline("default").template("");
    let pod = &find(&objects, "Deployment", "kubernetes-image-puller")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let source = &pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(*source, json!({"path": "token", "expirationSeconds": 3600}));
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!(
        *mount,
        json!({"name": "api", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true})
    );
}

/// From which images the controller that is installed with these values lets new generations install the holder.
fn own_images(objects: &[Value]) -> OwnImages {
    let value = |name: &str| variable(objects, name).and_then(|it| it["value"].as_str().map(str::to_owned)).unwrap();
    OwnImages::of(Some(&value("HOLDER_IMAGE")), &value("CONTROLLER_IMAGE"))
}

#[test]
fn the_holder_comes_from_the_image_that_is_published_with_the_controllers_or_from_that() {
    let helm = Helm::offline("default");
    let digest = format!("registry.test/kube-prepull@sha256:{}", "0".repeat(64));
    for (values, image, holder) in [
        ("", "kube-prepull:0.1.0", "kube-prepull:0.1.0-holder"),
        (
            "image: {repository: \"registry.test:5000/a/b\", tag: 1.5}",
            "registry.test:5000/a/b:1.5",
            "registry.test:5000/a/b:1.5-holder",
        ),
        (
            "image: {repository: quay.io/eclipse/kubernetes-image-puller, tag: next}",
            "kube-prepull:0.1.0",
            "kube-prepull:0.1.0-holder",
        ),
        (
            &format!("image: {{repository: registry.test/kube-prepull, digest: \"sha256:{}\"}}", "0".repeat(64)),
            &digest,
            &digest,
        ),
        (EVERYTHING, &digest, "registry.test/holders:1"),
    ] {
        let objects = helm.template(values);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"].as_str(), Some(image), "{values}");
        let found = own_images(&objects);
        let serves = (holder != image && values != EVERYTHING).then(|| image.to_owned());
        assert_eq!(found, OwnImages { holder: holder.to_owned(), controller: serves }, "{values}");
    }
}

#[test]
fn the_version_of_the_chart_is_that_of_the_program() {
    let text = fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(
        (&chart["version"], &chart["appVersion"]),
        (&json!(env!("CARGO_PKG_VERSION")), &json!(env!("CARGO_PKG_VERSION")))
    );
}

/// `KIP_IMAGE` is only known so that lists of kubernetes-image-puller are accepted. Intervals and schedules exclude each other.
#[test]
fn the_chart_can_write_every_flat_key() {
    let objects = Helm::offline("default").template(EVERYTHING);
    let written = list(&objects).data;
    let others = ["KIP_IMAGE", "CACHING_INTERVAL_HOURS"];
    let missing: Vec<&&str> =
        flat::KEYS.iter().filter(|key| !written.contains_key(**key) && !others.contains(key)).collect();
    assert_eq!(missing, [&""; 0], "add it to values.yaml, templates/_list.tpl and tests/deploy/values/everything.yaml");
}

#[test]
fn every_value_of_the_list_arrives() {
    let objects = Helm::offline("default").template(EVERYTHING);
    let list = list(&objects);
    let parsed = parse(&list);
    assert_eq!(parsed.problems, []);
    let config = parsed.config.unwrap();
    let made = kube_prepull::plan::daemon_set::build(
        kube_prepull::plan::AcceptedList { namespace: &list.namespace, label: &list.name, config: &config },
        &config.groups[0],
        &kube_prepull::plan::Record {
            revision: 1,
            content: String::new(),
            epoch: jiff::Timestamp::UNIX_EPOCH,
            spread_seconds: 0,
            holder_image: "kube-prepull:1".to_owned(),
            format: 1,
            folder: Default::default(),
            refresh_request: None,
            pulled_always: Default::default(),
            gate_taints: config.groups[0].placement.gate_taints.clone(),
        },
        &kube_prepull::plan::Settings { platform: Platform::Kubernetes, ..Default::default() },
    );
    let made = serde_json::to_value(made).unwrap();
    let (template, spec) = (&made["spec"]["template"]["metadata"], &made["spec"]["template"]["spec"]);
    assert_eq!(spec["containers"][0]["image"], "nginx:1.27");
    assert_eq!(spec["containers"][1]["image"], "redis:7");
    assert_eq!(
        spec["containers"][0]["resources"],
        json!({
            "requests": {"cpu": ".05", "memory": "10Mi", "ephemeral-storage": "1Mi"},
            "limits": {"cpu": "0.2", "memory": "20Mi", "ephemeral-storage": "2Mi"},
        })
    );
    assert_eq!(spec["nodeSelector"], json!({"disk": "ssd"}));
    let gpu = json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"});
    assert_eq!(spec["tolerations"], json!([gpu, {"key": "example.com/images", "operator": "Exists"}]));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "one"}, {"name": "two"}]));
    assert_eq!(spec["priorityClassName"], "prepull-test");
    assert_eq!(spec["runtimeClassName"], "sandboxed");
    assert_eq!(spec["hostUsers"], false);
    assert_eq!(spec["serviceAccountName"], "holder");
    assert_eq!(made["metadata"]["annotations"]["example.com/on"], "daemonset");
    assert_eq!(template["labels"]["example.com/on"], "pod");
    assert_eq!(template["annotations"]["example.com/on"], "pod");
    let affinity = spec["affinity"].to_string();
    assert!(affinity.contains("zone-a") && affinity.contains("arm64"), "{affinity}");
    assert_eq!((config.groups[0].images_per_pod, config.groups[0].parallel_pulls), (Some(50), 2));
    assert_eq!(config.pull_rate.spread_seconds(600), 60);
    assert_eq!(list.data["REFRESH_SCHEDULE"], "0 3 * * 1-5");
    assert_eq!(list.data["REFRESH_TIME_ZONE"], "Europe/Berlin");
    assert_eq!(list.data["REFRESH_MODE"], "Recreate");
    let image_cache = config.image_cache.unwrap();
    assert_eq!((image_cache.size, image_cache.retention_days), (Some(40), Some(7)));
    let platforms: Vec<&str> = image_cache.platforms.iter().map(|it| it.platform.name()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(image_cache.annotations["k8s.aliyun.com/imc-enable-reuse"], "true");
    assert_eq!(image_cache.image_pull_secrets[0].as_str(), "three");
    assert_eq!(image_cache.keep_previous_for, jiff::SignedDuration::from_mins(30));
    let gate = config.node_gate.unwrap();
    assert_eq!((gate.taint.as_ref().unwrap().as_str(), gate.condition), ("example.com/images", true));
    assert_eq!((gate.waits_for("web"), gate.waits_for("cache")), (true, false));
    assert_eq!(gate.timeout, jiff::SignedDuration::from_mins(5));
}

/// The value of a variable of the controller.
fn variable(objects: &[Value], name: &str) -> Option<Value> {
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    variables.iter().find(|variable| variable["name"] == name).cloned()
}

#[test]
fn the_policy_reaches_the_controller_and_allows_the_charts_own_list() {
    let helm = Helm::offline("default");
    let policy = |objects: &[Value]| {
        let text = variable(objects, "POLICY")?["value"].as_str().unwrap().to_owned();
        Some(parse_policy(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}")))
    };
    assert_eq!(policy(&helm.template("")), None);
    let objects = helm.template(EVERYTHING);
    let everything = policy(&objects).unwrap();
    assert_ne!(everything, Policy::default());
    let parsed = parse_with_policy(&list(&objects), &everything);
    assert_eq!(parsed.problems, []);
    // A values file is a policy too, without what the chart adds.
    let all_values = fs::read_to_string(chart().join("values.yaml")).unwrap();
    assert_eq!(parse_policy(&all_values), Ok(Policy::default()));
    let of_values = parse_policy(EVERYTHING).unwrap();
    assert_eq!(parse_with_policy(&list(&objects), &of_values).problems[0].code, Code::NotAllowed);
    let account = helm.template("configMap: {serviceAccountName: puller, images: a=nginx}");
    assert_eq!(policy(&account), parse_policy("serviceAccounts: [puller]").ok());
    let own = variable(&objects, "CONTROLLER_SERVICE_ACCOUNT").unwrap();
    assert_eq!(own["valueFrom"]["fieldRef"]["fieldPath"], "spec.serviceAccountName");
}

#[test]
fn a_whole_images_yaml_can_be_given_as_yaml_or_as_text() {
    let helm = Helm::offline("default");
    let as_yaml = "configMap: {imagesYaml: {images: [nginx:1.27], groups: [{name: gpu, images: [cuda:12]}]}}";
    let as_text =
        "configMap:\n  imagesYaml: |\n    images: [nginx:1.27]\n    groups: [{name: gpu, images: [cuda:12]}]\n";
    let configs = [as_yaml, as_text].map(|values| {
        let list = list(&helm.template(values));
        assert_eq!(list.data.keys().collect::<Vec<_>>(), ["images.yaml"]);
        let parsed = parse(&list);
        assert_eq!(parsed.problems, []);
        parsed.config.unwrap()
    });
    assert_eq!(configs[0], configs[1]);
    assert_eq!(configs[0].groups.len(), 2);
    let both = helm.rejection("configMap: {images: a=b, imagesYaml: [c]}");
    assert!(both.contains("two formats of one list"), "{both}");
}

#[test]
fn a_list_is_labelled_and_one_without_images_says_what_to_do() {
    let objects = Helm::offline("default").template("");
    assert_eq!(list_object(&objects)["metadata"]["labels"][IMAGE_LIST_LABEL], "true");
    let problems = parse(&list(&objects)).problems;
    assert!(problems.iter().all(|problem| problem.severity == Severity::Error), "{problems:?}");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].path, "IMAGES");
}

#[test]
fn wrong_values_are_refused_by_name() {
    let helm = Helm::offline("default");
    for (values, words) in [
        ("replicaCount: 2", ["replicaCount", "not allowed"]),
        ("configMap: {image: nginx}", ["/configMap", "'image' not allowed"]),
        ("image: {tags: next}", ["/image", "'tags' not allowed"]),
        ("configMap: {cachingIntervalHours: soon}", ["/configMap/cachingIntervalHours", "soon"]),
        ("configMap: {cachingIntervalHours: 0}", ["/configMap/cachingIntervalHours", "minimum"]),
        ("configMap: {cachingMemoryLimit: 10MB}", ["/configMap/cachingMemoryLimit", "10MB"]),
        ("configMap: {managedBy: argo}", ["/configMap/managedBy", "'kubectl'"]),
        ("configMap: {tolerations: {key: a}}", ["/configMap/tolerations", "want string or array"]),
        ("configMap: {nodeSelector: [a]}", ["/configMap/nodeSelector", "got array"]),
        ("configMap: {images: [nginx]}", ["/configMap/images/0", "want object"]),
        ("policy: {image: [a]}", ["/policy", "'image' not allowed"]),
        ("policy: {images: nginx}", ["/policy/images", "want null or array"]),
        ("policy: {resources: {requests: {cpu: lots}}}", ["/policy/resources/requests/cpu", "lots"]),
        ("priorityClass: {value: 1}", ["/priorityClass/value", "maximum"]),
        ("priorityClassName: {name: high}", ["/priorityClassName", "max"]),
        ("platform: windows", ["/platform", "'openshift'"]),
        ("nodeGate: {taints: []}", ["/nodeGate/taints", "min"]),
        ("nodeGate: {taints: [\"images=true:NoSchedule\"]}", ["/nodeGate/taints/0", "images=true:NoSchedule"]),
        ("nodeGate: {taints: [node.kubernetes.io/not-ready]}", ["/nodeGate/taints/0", "not"]),
        ("nodeGate: {enabled: true}\nnamespacedOnly: true", ["nodeGate.enabled needs the right to read", "only one"]),
        ("discovery: {namespaces: shop}", ["/discovery/namespaces", "want array"]),
        ("discovery: {namespaces: [Shop]}", ["/discovery/namespaces/0", "Shop"]),
        ("discovery: {namespaces: [shop, \"*\"]}", ["/discovery/namespaces", "maxItems"]),
        ("discovery: {namespaces: [shop, shop]}", ["/discovery/namespaces", "equal"]),
        (
            "discovery: {namespaces: [\"*\"]}\nnamespacedOnly: true",
            ["discovery.namespaces: [\"*\"]", "name the namespaces"],
        ),
        ("scope: Cluster", ["/scope", "'cluster'"]),
        ("scope: cluster\nnamespacedOnly: true", ["scope: cluster needs rights", "only one"]),
        ("updateStrategy: {type: Restart}", ["/updateStrategy/type", "'Recreate'"]),
        ("deploymentName: Puller", ["/deploymentName", "Puller"]),
        ("image: {repository: \"kube-prepull:1\"}", ["/image/repository", "kube-prepull:1"]),
        ("replicas: two", ["/replicas", "want integer"]),
    ] {
        helm.rejects(values, &words);
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let read = |file: &str| fs::read_to_string(chart().join(file)).unwrap();
    let values: Value = serde_yaml::from_str(&read("values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    assert_same_keys(&values, &schema, "");
}

fn assert_same_keys(values: &Value, schema: &Value, path: &str) {
    // Values of other charts may be among the global ones.
    assert!(path == ".global" || schema["additionalProperties"] == false, "{path}");
    // What only RollingUpdate has.
    let optional = ["rollingUpdate"];
    let known = schema["properties"].as_object().unwrap();
    let mut known: Vec<_> = known.keys().filter(|key| !optional.contains(&key.as_str())).collect();
    let mut there: Vec<_> = values.as_object().unwrap().keys().collect();
    known.sort();
    there.sort();
    assert_eq!(known, there, "{path}");
    for key in there {
        if !schema["properties"][key]["properties"].is_null() {
            assert_same_keys(&values[key], &schema["properties"][key], &format!("{path}.{key}"));
        }
    }
}
