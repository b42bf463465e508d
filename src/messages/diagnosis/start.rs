//! Why the container of a pulled image does not run: by operation, then by cause.

use super::cause::Diagnosis;
use super::said::{Said, between, says, says_any};
use super::start_rules::RULES;
use super::{pull, storage};

/// Explains why a container does not run.
pub fn explain(reason: &str, said: &Said) -> Option<Diagnosis> {
    let special = || hook(said).or_else(|| configuration(said)).or_else(|| seccomp(said)).or_else(|| pull::owner(said));
    special()
        .or_else(|| root(said))
        .or_else(|| by_rule(reason, said))
        .or_else(|| storage::daemon(said))
        .or_else(|| in_storage(said))
}

/// Each group of words has one that is said.
fn by_rule(reason: &str, said: &Said) -> Option<Diagnosis> {
    let fits = |words: &[&str]| says_any(&said.lower, words) || words.contains(&reason);
    let rule = RULES.iter().find(|rule| rule.when.iter().all(|words| fits(words)))?;
    Some(Diagnosis { what: rule.what.to_owned(), remedy: rule.remedy, part: None })
}

/// What runs before the container, most often to give it a GPU.
fn hook(said: &Said) -> Option<Diagnosis> {
    const HOOKS: [&str; 13] = [
        "prestart hook",
        "running hook",
        "createruntime hook",
        "createcontainer hook",
        "startcontainer hook",
        "poststart hook",
        "executing hook",
        "nvidia-container-cli",
        "nvidia-container-runtime",
        "nvidia container runtime",
        "cdi",
        "select device driver",
        "habana-container-hook",
    ];
    let text = said.lower.as_str();
    if !says_any(text, &HOOKS) {
        return None;
    }
    if let Some(needed) = between(text, "unsatisfied condition: ", &[',', ' ']) {
        let needed = needed.trim_end_matches([':', '.']);
        return Diagnosis::new(
            match needed.starts_with("cuda") {
                true => format!("the image requires {needed}, and the node's NVIDIA driver is older"),
                false => format!("the image requires {needed}, which the node's NVIDIA driver or GPU does not fulfil"),
            },
            "update the driver on the node, or exclude such nodes with the group's nodeSelector",
        );
    }
    let cdi = "unresolvable cdi devices ";
    if let Some(at) = text.find(cdi) {
        let device = said.text.get(at + cdi.len()..).and_then(|rest| rest.split([' ', ',']).next()).unwrap_or_default();
        let device =
            if said.text.len() == text.len() { format!(" {}", device.trim_end_matches(':')) } else { String::new() };
        return Diagnosis::new(
            format!("the node's runtime does not know the CDI device{device}"),
            "check the device's driver and its CDI specification on the node (/etc/cdi, /var/run/cdi)",
        );
    }
    let nvidia = text.contains("nvidia");
    if nvidia && says(text, "file creation failed") && says(text, "file exists") {
        return Diagnosis::new(
            "the image has its own copy of a file that the hook of the node's runtime adds from the NVIDIA driver",
            "build the image without the libraries and programs of the driver: they come from the node",
        );
    }
    let what = match () {
        () if nvidia && says(text, "driver not loaded") => "the NVIDIA driver is not loaded on the node",
        () if nvidia && text.contains("driver/library version mismatch") => {
            "the NVIDIA driver and its libraries on the node have different versions"
        }
        () if nvidia && says_any(text, &["load library failed", "cannot open shared object"]) => {
            "the libraries of the NVIDIA driver are missing on the node"
        }
        () if nvidia && says_any(text, &["unknown device", "device error", "no devices were found"]) => {
            "the node has no such NVIDIA GPU, or it has failed"
        }
        () if nvidia => "the hook of the node's runtime that gives containers a GPU (NVIDIA) failed",
        () => "a hook of the node's runtime, such as one for GPUs, failed before the container started",
    };
    let remedy = match nvidia {
        true => "check the NVIDIA driver and the NVIDIA Container Toolkit on the node",
        false => "check the hooks and the device drivers of the node's runtime",
    };
    Diagnosis::new(what, remedy)
}

/// A Secret or ConfigMap that the container refers to (`k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go`).
fn configuration(said: &Said) -> Option<Diagnosis> {
    let object = |kind: &str, text: &str| {
        let name = between(text, &format!("{kind} \""), &['"'])?;
        Some(name.to_owned())
    };
    let text = said.text.as_str();
    if let Some((key, place)) = text.split_once("couldn't find key ").and_then(|(_, rest)| rest.split_once(" in ")) {
        let key = key.trim();
        return Diagnosis::new(
            format!(
                "the container refers to the key {key}, which does not exist in the {}",
                place.trim_end_matches(['.', ' '])
            ),
            "add the key, or find out what refers to it: kube-prepull's own containers use no such object",
        );
    }
    if !says(&said.lower, "not found") || says(&said.lower, "image") {
        return None;
    }
    let (kind, name) = [("Secret", "secret"), ("ConfigMap", "configmap")]
        .iter()
        .find_map(|(kind, word)| Some((kind, object(word, text)?)))?;
    Diagnosis::new(
        format!("the {kind} {name}, which the container uses, does not exist"),
        "create it in the pod's namespace, or find out what refers to it: kube-prepull's own containers use no such object",
    )
}

fn seccomp(said: &Said) -> Option<Diagnosis> {
    if !says(&said.lower, "seccomp")
        || !says_any(&said.lower, &["no such file or directory", "not found", "does not exist"])
    {
        return None;
    }
    let profile = between(&said.text, "seccomp profile \"", &['"']).map_or_else(String::new, |path| format!(" {path}"));
    Diagnosis::new(
        format!("the seccomp profile{profile} is not on the node"),
        "put the profile on all nodes of the group",
    )
}

/// The container's root file system: layers of the image, mounted above each other.
fn root(said: &Said) -> Option<Diagnosis> {
    let (_, mount) =
        ["rootfs component", "creating overlay mount to"].iter().find_map(|it| said.lower.split_once(it))?;
    // containerd names all layers, so the cause may not fit into a message of limited length.
    let (_, cause) =
        mount.rsplit_once("]}").or_else(|| (!mount.contains("&{")).then_some(("", mount))).unwrap_or_default();
    if says_any(cause, &["no such file or directory", "not found"]) {
        return Diagnosis::new(
            "the storage of the node's runtime is damaged: a layer of the container's root file system is gone",
            storage::REPAIR,
        );
    }
    if !cause.is_empty() {
        let refused = || {
            Diagnosis::new(
                "the node's kernel or file system refuses to mount the container's root file system",
                "check the node's kernel, and the file system below its runtime's storage",
            )
        };
        return storage::fault(said).or_else(refused);
    }
    let what = "the node could not mount the container's root file system; the message is cut off before the cause";
    Some(Diagnosis { what: what.to_owned(), ..Diagnosis::default() })
}

/// What the runtime does in its storage before it can create a container.
fn in_storage(said: &Said) -> Option<Diagnosis> {
    const PREPARES: [&str; 11] = [
        "locating item named",
        "locating image",
        "failed to create containerd container",
        "failed to create prepare snapshot dir",
        "rootfs component",
        "snapshotter",
        "parent snapshot",
        "image id",
        "image not known",
        "layer not known",
        "/containers/storage",
    ];
    let damage = || {
        storage::damage(said, &said.lower)
            .filter(|_| says_any(&said.lower, &PREPARES) || said.lower.contains("io.containerd."))
    };
    storage::fault(said).or_else(damage)
}
