//! The values that people know from other charts: names, registries, and what is added to the controller's pod.

use serde_json::{Value, json};

use super::helm::{Helm, RELEASE};
use super::manifests::{find, list_data, names};
use super::namespace::Namespace;

const CONVENTIONS: &str = include_str!("values/conventions.yaml");

fn rendered() -> Vec<Value> {
    Helm::offline("images").template(CONVENTIONS)
}

fn deployment(objects: &[Value]) -> &Value {
    objects.iter().find(|object| object["kind"] == "Deployment").unwrap()
}

fn pod(objects: &[Value]) -> &Value {
    &deployment(objects)["spec"]["template"]["spec"]
}

/// The value of a variable of the controller.
fn variable(objects: &[Value], name: &str) -> Value {
    let variables = pod(objects)["containers"][0]["env"].as_array().unwrap();
    variables.iter().find(|variable| variable["name"] == name).map_or(Value::Null, |found| found["value"].clone())
}

#[test]
fn the_api_server_accepts_them_where_restricted_is_enforced() {
    let namespace = Namespace::create("conventions");
    let helm = Helm::offline(&namespace.name);
    for values in [CONVENTIONS, "nameOverride: warm\nimageCache: {enabled: true}"] {
        namespace.accepts(&helm.template(values));
    }
}

#[test]
fn the_full_name_comes_before_the_name_and_that_before_the_name_of_the_deployment() {
    let helm = Helm::offline("images");
    let name = |values: &str| deployment(&helm.template(values))["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(name(""), "kubernetes-image-puller");
    assert_eq!(name("deploymentName: one"), "one");
    assert_eq!(name("deploymentName: one\nnameOverride: two"), format!("{RELEASE}-two"));
    // The release's name is not repeated.
    assert_eq!(name("nameOverride: image"), RELEASE);
    assert_eq!(name("deploymentName: one\nnameOverride: two\nfullnameOverride: three"), "three");
    let long = name(&format!("nameOverride: {}", "a".repeat(54)));
    assert_eq!(long.len(), 54, "{long}");
}

/// Of objects that are deployed under the former name, none may be left: Helm would refuse a second release.
#[test]
fn no_object_of_another_name_has_the_default_one() {
    let values = format!(
        "{CONVENTIONS}\nimageCache: {{enabled: true}}\ndashboard: {{enabled: true}}\npodMonitor: {{enabled: true}}\n\
         prometheusRule: {{enabled: true}}\nadmissionPolicy: {{create: true}}\nmetrics: {{secure: true}}\n"
    )
    .replace("podMonitor: {", "podMonitor: {authorization: {credentials: {name: a, key: b}}, ");
    let objects = Helm::offline("images").template(&values);
    assert!(objects.len() > 20, "{:?}", names(&objects));
    for object in &objects {
        // Alerts and messages of policies may speak of the former one.
        let is_text = ["PrometheusRule", "ValidatingAdmissionPolicy"].iter().any(|kind| object["kind"] == *kind);
        let text = if is_text { object["metadata"].to_string() } else { object.to_string() };
        assert!(!text.contains("image-puller"), "{text}");
    }
    let list = objects.iter().find(|it| it["metadata"]["labels"]["kube-prepull.io/image-list"] == "true").unwrap();
    assert_eq!(list["metadata"]["name"], "prepull");
    assert_eq!(list_data(list).data["DAEMONSET_NAME"], "prepull");
    assert_eq!(variable(&objects, "DEPLOYMENT_NAME"), "prepull");
    assert_eq!(pod(&objects)["serviceAccountName"], "prepull");
    let bindings = objects.iter().flat_map(|object| object["subjects"].as_array().cloned().unwrap_or_default());
    assert!(bindings.into_iter().all(|subject| subject["name"] == "prepull"));
}

#[test]
fn one_registry_serves_both_images() {
    let helm = Helm::offline("images");
    let images = |values: &str| {
        let objects = helm.template(&format!("global: {{imageRegistry: \"mirror.test:5000/team\"}}\n{values}"));
        let image = pod(&objects)["containers"][0]["image"].as_str().unwrap().to_owned();
        assert_eq!(variable(&objects, "CONTROLLER_IMAGE"), image);
        (image, variable(&objects, "HOLDER_IMAGE").as_str().unwrap().to_owned())
    };
    let mirrored = |path: &str| format!("mirror.test:5000/team/{path}");
    assert_eq!(images(""), (mirrored("kube-prepull:0.1.0"), String::new()));
    for registry in ["registry.test/", "registry:5000/", "localhost/", ""] {
        let values =
            format!("image: {{repository: \"{registry}a/b\", tag: 2}}\nholderImage: \"{registry}a/b:2-holder\"");
        assert_eq!(images(&values), (mirrored("a/b:2"), mirrored("a/b:2-holder")), "{registry}");
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let values = format!("image: {{repository: registry.test/kube-prepull, digest: \"{digest}\"}}");
    assert_eq!(images(&values).0, mirrored(&format!("kube-prepull@{digest}")));
    // That of kubernetes-image-puller cannot be used.
    assert_eq!(
        images("image: {repository: quay.io/eclipse/kubernetes-image-puller}").0,
        mirrored("kube-prepull:0.1.0")
    );
    let of_list = helm.template(CONVENTIONS);
    assert!(find(&of_list, "ConfigMap", "prepull")["data"]["IMAGES"].as_str().unwrap().contains("web=nginx:1.29"));
}

#[test]
fn pull_secrets_are_given_by_name_or_as_in_a_pod() {
    let objects = rendered();
    let all = json!([{"name": "shared"}, {"name": "registry"}, {"name": "plain"}]);
    for account in ["prepull", "prepull-holder"] {
        assert_eq!(find(&objects, "ServiceAccount", account)["imagePullSecrets"], all, "{account}");
    }
    let without = Helm::offline("images").template("global: null");
    assert_eq!(find(&without, "ServiceAccount", "k8s-image-puller")["imagePullSecrets"], Value::Null);
}

#[test]
fn what_is_added_to_the_controller_comes_after_its_own() {
    let objects = rendered();
    assert_eq!(deployment(&objects)["spec"]["revisionHistoryLimit"], 5);
    let pod = pod(&objects);
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&pod["initContainers"]), ["wait"]);
    assert_eq!(names(&pod["containers"]), ["kube-prepull", "proxy"]);
    assert_eq!(names(&pod["volumes"]), ["api", "extra-ca"]);
    let controller = &pod["containers"][0];
    assert_eq!(controller["args"], json!(["run", "--log-level=debug"]));
    assert_eq!(names(&controller["volumeMounts"]), ["api", "extra-ca"]);
    assert_eq!(names(&controller["env"]).last().unwrap(), "STATUS_LISTEN");
    assert_eq!((&pod["dnsPolicy"], &pod["dnsConfig"]), (&json!("None"), &json!({"nameservers": ["192.0.2.1"]})));
}

/// Two variables of one name: the API server would refuse them, and older versions of Helm would drop one.
#[test]
fn a_variable_of_the_chart_is_not_overridden_silently() {
    let said = Helm::offline("images").rejection("extraEnv: [{name: LOG_LEVEL, value: debug}]");
    assert!(said.contains("extraEnv: the chart sets LOG_LEVEL itself"), "{said}");
}

#[test]
fn security_contexts_are_merged_into_safe_ones_for_every_pod_of_the_release() {
    let values =
        "podSecurityContext: {fsGroup: 2000}\ncontainerSecurityContext: {runAsUser: 1000}\nimageCache: {enabled: true}";
    let objects = Helm::offline("images").template(values);
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
        let of_pod = json!({"fsGroup": 2000, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(pod["securityContext"], of_pod);
        let of_container = json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true, "runAsUser": 1000,
        });
        assert_eq!(pod["containers"][0]["securityContext"], of_container);
    }
    let without = Helm::offline("images").template("podSecurityContext: {seccompProfile: null}");
    assert_eq!(pod(&without)["securityContext"], json!({"runAsNonRoot": true}));
}

/// With its default, a pod in the network of its node does not resolve names of the cluster.
#[test]
fn in_the_network_of_the_node_the_dns_is_still_the_clusters() {
    let helm = Helm::offline("images");
    let network = |values: &str| {
        let objects = helm.template(values);
        (pod(&objects)["hostNetwork"].clone(), pod(&objects)["dnsPolicy"].clone())
    };
    assert_eq!(network(""), (Value::Null, Value::Null));
    assert_eq!(network("hostNetwork: true"), (json!(true), json!("ClusterFirstWithHostNet")));
    assert_eq!(network("hostNetwork: true\ndnsPolicy: Default"), (json!(true), json!("Default")));
}

#[test]
fn templates_in_extra_objects_are_filled_in() {
    let objects = rendered();
    for name in [&format!("{RELEASE}-yaml"), "prepull-text"] {
        assert_eq!(find(&objects, "ConfigMap", name)["metadata"]["namespace"], "images");
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    let helm = Helm::offline("images");
    for (values, words) in [
        ("fullnameOverride: Prepull", ["/fullnameOverride", "Prepull"]),
        ("nameOverride: a.b", ["/nameOverride", "a.b"]),
        ("global: {imageRegistry: \"https://mirror.test\"}", ["/global/imageRegistry", "https://mirror.test"]),
        ("imagePullSecrets: [{secret: a}]", ["/imagePullSecrets/0", "'secret' not allowed"]),
        ("revisionHistoryLimit: few", ["/revisionHistoryLimit", "want integer"]),
        ("hostNetwork: yes please", ["/hostNetwork", "want boolean"]),
        ("dnsPolicy: Cluster", ["/dnsPolicy", "'ClusterFirst'"]),
        ("extraArgs: --verbose", ["/extraArgs", "want array"]),
        ("extraEnv: {A: b}", ["/extraEnv", "want array"]),
        ("sidecars: [{image: nginx}]", ["/sidecars/0", "'name'"]),
        ("extraObjects: [1]", ["/extraObjects/0", "want string or object"]),
    ] {
        helm.rejects(values, &words);
    }
}

/// `--reuse-values` takes the values of the former chart, in which newer ones are missing.
#[test]
fn an_upgrade_that_reuses_values_from_before_these_existed_renders_what_the_defaults_do() {
    let newer = [
        "global",
        "nameOverride",
        "fullnameOverride",
        "revisionHistoryLimit",
        "scope",
        "podSecurityContext",
        "hostNetwork",
        "dnsPolicy",
        "dnsConfig",
        "extraArgs",
        "extraEnv",
        "extraVolumes",
        "extraVolumeMounts",
        "initContainers",
        "sidecars",
        "extraObjects",
    ];
    let missing: String = newer.iter().map(|value| format!("{value}: null\n")).collect();
    let helm = Helm::offline("images");
    assert_eq!(helm.template(&missing), helm.template(""));
    let image_caches = "imageCache: {enabled: true}\n";
    assert_eq!(helm.template(&format!("{missing}{image_caches}")), helm.template(image_caches));
}
