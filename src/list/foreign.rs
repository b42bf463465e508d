//! What is given as a list and is none: manifests of other objects, and values of the Helm chart.

use super::problem::quoted;
use super::tree::{TreeNode, Value};

/// How many images of an object are named.
const NAMED: usize = 20;

/// The resource of kubernetes-image-puller's operator.
const PULLER: &str = "KubernetesImagePuller";

/// Its settings and the flat keys that they correspond to (`KubernetesImagePullerSpec` in
/// `github.com/che-incubator/kubernetes-image-puller-operator/api/v1alpha1`). The operator writes the same keys.
const PULLER_KEYS: [(&str, &str); 11] = [
    ("images", "IMAGES"),
    ("daemonsetName", "DAEMONSET_NAME"),
    ("cachingIntervalHours", "CACHING_INTERVAL_HOURS"),
    ("cachingMemoryRequest", "CACHING_MEMORY_REQUEST"),
    ("cachingMemoryLimit", "CACHING_MEMORY_LIMIT"),
    ("cachingCPURequest", "CACHING_CPU_REQUEST"),
    ("cachingCPULimit", "CACHING_CPU_LIMIT"),
    ("nodeSelector", "NODE_SELECTOR"),
    ("imagePullSecrets", "IMAGE_PULL_SECRETS"),
    ("affinity", "AFFINITY"),
    ("tolerations", "TOLERATIONS"),
];

/// What a text is instead of a list: the message and the remedy; `None` if it may be a list.
pub fn recognize(node: &TreeNode) -> Option<(String, String)> {
    if node.child("images").or(node.child("groups")).is_some() {
        return None;
    }
    if let Some(kind) = node.child("kind").and_then(TreeNode::text) {
        return Some((format!("this is a manifest of the kind {}, not a list", quoted(kind)), remedy_for(node, kind)));
    }
    are_values(node).then(|| {
        let remedy = "pass them to helm with --values; to validate the list in them: helm template NAME CHART --values FILE | \
                      kube-prepull validate --file -";
        ("these are values of a Helm chart, not a list".to_owned(), remedy.to_owned())
    })
}

/// Values of the chart describe the list in `configMap`; those of nearly every chart describe an image by its repository.
fn are_values(node: &TreeNode) -> bool {
    let is_mapping = |it: &&TreeNode| matches!(it.value, Value::Mapping(_));
    node.child("configMap").filter(is_mapping).is_some()
        || node.child("image").and_then(|image| image.child("repository")).is_some()
}

/// How an object becomes a list, on one line.
pub fn remedy_for(node: &TreeNode, kind: &str) -> String {
    if kind == PULLER {
        let keys = flat_keys(node).into_iter().map(|(key, value)| format!("{key}: {}", shown(&value)));
        let keys = keys.collect::<Vec<_>>().join(", ");
        return format!("write its settings as keys of a ConfigMap's data: {keys}");
    }
    let mut found = Vec::new();
    images(node, &mut found);
    if found.is_empty() {
        return "list images, as in images: [nginx:1.27]".to_owned();
    }
    // One more than are named is looked for, to know that there are more.
    let more = if found.len() > NAMED { ", …" } else { "" };
    found.truncate(NAMED);
    format!("list its images, as in images: [{}{more}]", found.join(", "))
}

/// A value as it can be copied, unless it is too long for one line.
fn shown(value: &str) -> String {
    const MAX: usize = 300;
    if value.len() <= MAX { format!("{value:?}") } else { quoted(value) }
}

/// A `KubernetesImagePuller` as the manifest of a list; `None` for other objects.
pub fn as_config_map(node: &TreeNode, kind: &str) -> Option<String> {
    if kind != PULLER {
        return None;
    }
    let metadata = |key: &str| node.child("metadata").and_then(|metadata| metadata.child(key)).and_then(TreeNode::text);
    let name = node.child("spec").and_then(|spec| spec.child("configMapName")).and_then(TreeNode::text);
    let name = name.or(metadata("name")).unwrap_or("k8s-image-puller");
    let namespace = metadata("namespace").map_or_else(String::new, |it| format!("  namespace: {it:?}\n"));
    let data = flat_keys(node).into_iter().map(|(key, value)| format!("  {key}: {value:?}\n")).collect::<String>();
    let data = if data.is_empty() { "  IMAGES: \"\"\n".to_owned() } else { data };
    let label = super::data::IMAGE_LIST_LABEL;
    Some(format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name:?}\n{namespace}  labels: {{{label}: \"true\"}}\ndata:\n{data}"
    ))
}

/// The settings of a `KubernetesImagePuller` that are set.
fn flat_keys(node: &TreeNode) -> Vec<(&'static str, String)> {
    let Some(spec) = node.child("spec") else { return Vec::new() };
    let set = PULLER_KEYS.iter().filter_map(|(field, key)| Some((*key, as_text(spec.child(field)?))));
    set.filter(|(_, value)| !value.trim().is_empty()).collect()
}

fn as_text(node: &TreeNode) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        _ => node.to_json().to_string(),
    }
}

/// The images anywhere in an object, each once: those of containers, and lists of images, as an ImageCache has them.
fn images(node: &TreeNode, found: &mut Vec<String>) {
    match &node.value {
        _ if found.len() > NAMED => {}
        Value::Sequence(items) => items.iter().for_each(|item| images(item, found)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                match (key.name.as_str(), &value.value) {
                    ("image", Value::Text(image)) => add(image, found),
                    ("images", Value::Sequence(items)) if items.iter().all(|item| item.text().is_some()) => {
                        items.iter().filter_map(TreeNode::text).for_each(|image| add(image, found));
                    }
                    _ => images(value, found),
                }
            }
        }
        _ => {}
    }
}

fn add(image: &str, found: &mut Vec<String>) {
    if found.len() <= NAMED && !found.iter().any(|it| it == image) {
        found.push(image.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::manifest::{Defaults, File};

    fn node(yaml: &str) -> TreeNode {
        TreeNode::from_yaml(yaml).unwrap_or_else(|error| panic!("{yaml}: {error:?}"))
    }

    const PULLER_YAML: &str = "apiVersion: che.eclipse.org/v1alpha1\nkind: KubernetesImagePuller\nmetadata: {name: puller, namespace: images}\n\
        spec:\n  configMapName: k8s-image-puller\n  daemonsetName: \"\"\n  images: a=nginx:1;b=redis:7\n  cachingIntervalHours: 6\n  \
        cachingCPULimit: .2\n  nodeSelector: '{\"disk\": \"ssd\"}'\n";

    #[test]
    fn a_kubernetes_image_puller_becomes_an_accepted_list() {
        let manifest = as_config_map(&node(PULLER_YAML), PULLER).expect("a manifest");
        let file = File::read(&manifest, Defaults { namespace: None, name: "images" });
        let [list] = &file.lists[..] else { panic!("{manifest}") };
        assert_eq!((list.list.name.as_str(), list.list.namespace.as_str()), ("k8s-image-puller", "images"));
        assert!(
            list.validation_result(&crate::list::Policy::default()).is_accepted() && !list.unlabelled,
            "{manifest}\n{:?}",
            list.validation_result(&crate::list::Policy::default())
        );
        let keys = ["CACHING_CPU_LIMIT", "CACHING_INTERVAL_HOURS", "IMAGES", "NODE_SELECTOR"];
        assert_eq!(list.list.data.keys().collect::<Vec<_>>(), keys);
        let (message, remedy) = recognize(&node(PULLER_YAML)).expect("it is no list");
        assert!(
            message.contains("KubernetesImagePuller") && remedy.contains("IMAGES: \"a=nginx:1;b=redis:7\""),
            "{remedy}"
        );
    }

    #[test]
    fn objects_with_pods_name_their_images_once() {
        let pod = "spec:\n  initContainers: [{image: \"busybox:1\"}]\n  containers: [{image: \"nginx:1\"}, {image: \"busybox:1\"}]\n";
        let deployment =
            format!("kind: Deployment\nspec: {{template: {{{}}}}}\n", "spec: {containers: [{image: \"redis:7\"}]}");
        for (yaml, images) in [
            (format!("kind: Pod\n{pod}"), "images: [busybox:1, nginx:1]"),
            (deployment, "images: [redis:7]"),
            (
                "kind: ImageCache\nspec: {cacheSpec: [{images: [\"a:1\", \"b:1\"]}, {images: [\"a:1\", \"c:1\"]}]}\n"
                    .to_owned(),
                "images: [a:1, b:1, c:1]",
            ),
            ("kind: Service\n".to_owned(), "list images, as in"),
        ] {
            let (_, remedy) = recognize(&node(&yaml)).unwrap_or_else(|| panic!("{yaml}"));
            assert!(remedy.contains(images), "{yaml}: {remedy}");
        }
    }

    #[test]
    fn values_of_the_chart_are_recognized_and_lists_are_not() {
        for values in ["image: {repository: x}", "deploymentName: x\nconfigMap:\n  images: a=b\n"] {
            assert!(recognize(&node(values)).is_some(), "{values}");
        }
        for list in [
            "images: [a]",
            "[a]",
            "kind: x\nimages: [a]",
            "groups: []",
            "refresh: {every: 1h}",
            "configMap: x",
            "image: x",
        ] {
            assert_eq!(recognize(&node(list)), None, "{list}");
        }
    }
}
