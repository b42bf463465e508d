//! Workloads of others: pods that run an image of the test, and what they need to pull it from a private registry.

use serde_json::{Value, json};
use test_bed::real::Fault;

/// Demands the user `user` with the password `right`.
pub fn private() -> Fault {
    Fault::Private { credentials: "dXNlcjpyaWdodA==".to_owned() }
}

/// A pull secret for the user `user` of a registry.
pub fn pull_secret(name: &str, registry: &str, password: &str) -> Value {
    let auths = json!({"auths": {registry: {"username": "user", "password": password}}});
    json!({"metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
           "stringData": {".dockerconfigjson": auths.to_string()}})
}

/// The spec of a pod that does nothing, in an image with the holder. It takes the image from the disk, if that is there.
pub fn pod_spec(image: &str) -> Value {
    json!({
        "containers": [{
            "name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/holder", "hold", "v1"],
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
        "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    })
}
