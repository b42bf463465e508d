//! What is wrong with an image, its reference or its signature, whatever registry it comes from.

use super::cause::{Diagnosis, ListPart};
use super::said::{Said, between, says, says_any};

/// Explains why a kubelet or a runtime rejects a reference before it asks any registry.
pub fn reference(reason: &str, said: &Said) -> Option<Diagnosis> {
    let short = ["short-name", "no unqualified-search registries", "no registries configured while trying to pull"];
    if says_any(&said.lower, &short) {
        return Diagnosis::of_list(
            "the node's runtime (CRI-O) needs the full name of the image, with the registry in front",
            "write the registry in front of the name, as in docker.io/library/nginx",
            ListPart::Reference,
        );
    }
    if reason == "ErrImageNeverPull" || says(&said.lower, "pull policy of never") {
        return Diagnosis::new(
            "the image is not on the node, and the pod's pull policy (Never) forbids to pull it",
            "find out what sets imagePullPolicy: Never on the pods, such as a mutating webhook",
        );
    }
    let invalid = ["couldn't parse image", "invalid reference format", "invalid image name"];
    if reason != "InvalidImageName" && !says_any(&said.lower, &invalid) {
        return None;
    }
    match template(&said.text) {
        Some(variable) => Diagnosis::of_list(
            format!("a template variable in the reference was never filled in: {variable}"),
            "fill in the variable before the list is applied",
            ListPart::Reference,
        ),
        None => {
            let why = said.text.split_once("invalid reference format: ").map_or("it is malformed", |(_, why)| why);
            Diagnosis::of_list(
                format!("the node's runtime rejects the reference: {why}"),
                "check the reference",
                ListPart::Reference,
            )
        }
    }
}

/// A placeholder of shells, Helm, Go templates, Kustomize or Ansible.
fn template(text: &str) -> Option<String> {
    let open = [("${", '}'), ("#{", '}'), ("$(", ')'), ("{{", '}'), ("<", '>'), ("%(", ')')];
    let found = open.iter().find_map(|(open, close)| {
        let start = text.find(open)?;
        let end = text[start..].rfind(*close)? + start + 1;
        let quote = text[start..].find('"').map_or(text.len(), |quote| start + quote);
        Some(text[start..end.min(quote)].to_owned())
    });
    let bare = || {
        let start = text.find("\"$").map(|at| at + 1)?;
        Some(text[start..].split(['"', '/', ':']).next().unwrap_or_default().to_owned())
    };
    found.or_else(bare)
}

/// Explains why signatures keep the image from the node.
pub fn signature(reason: &str, said: &Said) -> Option<Diagnosis> {
    let rejected =
        says_any(&said.lower, &["source image rejected", "signature verification failed", "no signature exists"]);
    if reason != "SignatureValidationFailed" && !rejected {
        return None;
    }
    if says_any(&said.lower, &["signature was required", "no signature exists"]) {
        return Diagnosis::new(
            "the node's signature policy demands a signature, and the image has none",
            "sign the image, or check the signature policy of the node's runtime",
        );
    }
    if says(&said.lower, "rejected by policy") {
        return Diagnosis::new(
            "the node's signature policy rejects images from there",
            "check the signature policy of the node's runtime",
        );
    }
    Diagnosis::new(
        "the node's signature policy does not accept the signature of the image",
        "sign the image with a key that the nodes trust, or check the signature policy of the node's runtime",
    )
}

/// Explains why the image does not suit the node, or is none at all.
pub fn content(said: &Said) -> Option<Diagnosis> {
    platform(said).or_else(|| encrypted(said)).or_else(|| format(said))
}

fn platform(said: &Said) -> Option<Diagnosis> {
    const NONE: [&str; 6] = [
        "no match for platform",
        "no matching manifest for",
        "no image found in manifest list for architecture",
        "no image found in image index for architecture",
        "cannot be used on this platform",
        "does not match the specified platform",
    ];
    if !says_any(&said.words, &NONE) {
        return None;
    }
    if says(&said.words, "image operating system") {
        let system = between(&said.lower, "image operating system \"", &['"']);
        let system = system.map_or_else(String::new, |system| format!(" ({system})"));
        return Diagnosis::of_list(
            format!("the image is for another operating system than the node's{system}"),
            "list an image for the nodes' operating system, or keep such nodes out of the group (nodeSelector: kubernetes.io/os)",
            ListPart::Reference,
        );
    }
    let named = between(&said.lower, "no matching manifest for ", &[' ']).map(str::to_owned);
    let named =
        named.or_else(|| Some(between(&said.lower, "for architecture ", &[','])?.trim_matches(['"', ' ']).to_owned()));
    let named = named.map_or_else(String::new, |platform| format!(" ({platform})"));
    Diagnosis::of_list(
        format!("the image does not exist for this node's architecture{named}"),
        "set the architectures of the group (architectures: [amd64]), or build the image for all of them",
        ListPart::Architectures,
    )
}

fn encrypted(said: &Said) -> Option<Diagnosis> {
    let is = says_any(&said.words, &["ocicrypt", "missing private key needed for decryption", "no suitable key"])
        || said.lower.contains("+encrypted")
        || says(&said.words, "decrypt") && says(&said.words, "key");
    let what = "the image is encrypted, and the node has no key to read it";
    if is {
        Diagnosis::new(what, "give the node's runtime the key, or list an image that is not encrypted")
    } else {
        None
    }
}

fn format(said: &Said) -> Option<Diagnosis> {
    let schema_1 = said.lower.contains("manifest.v1+")
        || says_any(&said.words, &["schema 1", "schema1", "docker image format v1"]);
    if schema_1 {
        return Diagnosis::new(
            "the image has the old format (schema 1), which the node's runtime no longer reads",
            "build the image again with a current tool, and push it",
        );
    }
    let none = ["invalid rootfs in image configuration", "unsupported image-specific operation on artifact"];
    if says_any(&said.words, &none)
        || ["application/vnd.cncf.helm", "application/vnd.wasm"].iter().any(|it| said.lower.contains(it))
    {
        return Diagnosis::of_list(
            "what the reference names is not a container image that can run, but another artifact such as a Helm chart",
            "check the reference: it must name a container image",
            ListPart::Reference,
        );
    }
    if says_any(
        &said.words,
        &["layers from manifest don't match image configuration", "mismatched image rootfs and manifest"],
    ) {
        return Diagnosis::new(
            "the published image is inconsistent: its manifest and its configuration list different layers",
            "push the image again",
        );
    }
    let unknown = [
        "no processor for media-type",
        "invalid tar header",
        "unsupported media type",
        "unknown media type",
        "unsupported manifest media type",
        "unsupported manifest",
        "unknown compression",
        "zstd",
        "magic number mismatch",
    ];
    if says_any(&said.words, &unknown) || said.lower.contains("tar+zstd") {
        return Diagnosis::new(
            "the node's runtime cannot read the format of the image or of a layer (such as zstd); it may be too old for it",
            "update the node's runtime, or push the image with gzip layers",
        );
    }
    None
}

/// What answers in HTML is no registry. containerd stores that, and calls it `not found` when it resolves or unpacks it
/// (`core/images`).
pub fn text(said: &Said) -> Option<Diagnosis> {
    if says(&said.lower, "media type text/") { no_registry() } else { None }
}

/// The same in the words of who expects JSON.
pub fn page(said: &Said) -> Option<Diagnosis> {
    if says_any(&said.lower, &["invalid character '<'", "looking for beginning of value"]) {
        no_registry()
    } else {
        None
    }
}

fn no_registry() -> Option<Diagnosis> {
    Diagnosis::new(
        "what answered is no registry: it sent a page instead of a manifest, as proxies and login pages do",
        "check the registry's name, and proxies between the nodes and it",
    )
}
