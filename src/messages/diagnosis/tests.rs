//! What is said about messages that kubelets and runtimes were seen to produce, and about others of their kinds.

use super::*;
use crate::coverage::Texts;

const REFERENCE: &str = "ghcr.io/acme/app:7";

/// The cause and the remedy, as status prints them.
fn said(state: NodeState, reason: &str, message: &str) -> String {
    let Diagnosis { what, remedy, .. } = explain(state, reason, message, REFERENCE);
    format!("{what}: {}", remedy.unwrap_or_default())
}

#[test]
fn what_was_reported_in_public_is_explained_and_not_mistaken_for_something_else() {
    let rows = include_str!("messages.tsv").lines().filter(|line| !line.starts_with('#'));
    let (mut wrong, mut count) = (Vec::new(), 0);
    for row in rows {
        let columns: Vec<&str> = row.split('\t').collect();
        let [phase, reason, message, says, never, source] = columns[..] else { panic!("six columns: {row}") };
        let state = if phase == "pull" { NodeState::Failed } else { NodeState::CannotStart };
        let message = message.replace("\\n", "\n");
        // As kubelets send it, and as coverage keeps it.
        for message in [message.as_str(), &Texts::default().message(&message)] {
            let found = said(state, reason, message);
            let lower = found.to_lowercase();
            let has = |words: &&str| lower.contains(&words.to_lowercase());
            let missing: Vec<&str> = says.split('|').filter(|words| !has(words)).collect();
            let forbidden: Vec<&str> = never.split('|').filter(has).collect();
            if !missing.is_empty() || !forbidden.is_empty() {
                wrong.push(format!(
                    "{source}: {found:?}\n  lacks {missing:?}, must not say {forbidden:?}\n  of {message}"
                ));
            }
        }
        count += 1;
    }
    assert!(count >= 72, "{count} rows");
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

/// Checks the cause and the remedy of each message.
fn check(state: NodeState, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (message, what, remedy) in cases {
        let found = explain(state, "", message, REFERENCE);
        let found_remedy = found.remedy.unwrap_or_default();
        let right = found.what.contains(what) && found_remedy.contains(remedy);
        if !right || remedy.is_empty() != found_remedy.is_empty() {
            wrong.push(format!("{message}\n  is {found:?}\n  not {what}; {remedy}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn answers_of_registries_are_read_in_the_words_of_every_runtime() {
    const RESOLVE: &str = r#"failed to pull and unpack image "a.test/x:1": failed to resolve reference "a.test/x:1": "#;
    let resolving = |rest: &str| format!("rpc error: code = Unknown desc = {RESOLVE}{rest}");
    let owned: Vec<(String, &str, &str)> = vec![
        (resolving("a.test/x:1: not found"), "no such image or tag from a.test", "check the reference"),
        (
            resolving("unexpected status from HEAD request to https://a.test/v2/x/manifests/1: 403 Forbidden"),
            "403 from a.test",
            "rights",
        ),
        (
            resolving(
                "unexpected status from HEAD request to https://a.test/v2/x/manifests/1: 503 Service Unavailable",
            ),
            "a.test failed: it answered 503",
            "wait",
        ),
        (
            resolving(
                "unexpected status from HEAD request to https://a.test/v2/x/manifests/1: 412 Precondition Failed",
            ),
            "a policy of a.test",
            "policy",
        ),
        (
            resolving("unexpected status from HEAD request to https://a.test/v2/x/manifests/1: 402 Payment Required"),
            "402 Payment Required",
            "",
        ),
        (
            resolving(
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.a.test/token?scope=x: 429 Too Many Requests",
            ),
            "429, too many requests, from auth.a.test",
            "pullRate",
        ),
        (
            resolving(
                "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://auth.a.test/token: 500 Internal Server Error",
            ),
            "the token server auth.a.test failed",
            "wait",
        ),
        (
            resolving(
                "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://auth.a.test/token: 401 Unauthorized",
            ),
            "401 from auth.a.test: it refused the credentials that were sent",
            "renew",
        ),
        (
            resolving(r#"failed to do request: Head "https://a.test/v2/x/manifests/1": Forbidden"#),
            "a proxy between the node and a.test",
            "proxy",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/x/manifests/1": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused"#,
            ),
            "the proxy of the node's runtime (10.0.0.1:3128)",
            "proxy",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": dial tcp: lookup a.test on 10.96.0.10:53: server misbehaving"#,
            ),
            "a.test cannot be resolved: the node's DNS server 10.96.0.10:53 gives no answer",
            "DNS",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": dial tcp: lookup a.test: Temporary failure in name resolution"#,
            ),
            "a.test cannot be resolved",
            "DNS",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
            ),
            "a.test has a certificate that the node does not trust",
            "CA",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": tls: failed to verify certificate: x509: certificate is valid for b.test, not a.test"#,
            ),
            "a.test has a certificate for other names",
            "name",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": x509: cannot validate certificate for 10.0.0.9 because it doesn't contain any IP SANs"#,
            ),
            "certificate for other names",
            "name",
        ),
        (
            resolving(r#"failed to do request: Head "https://a.test/v2/": remote error: tls: handshake failure"#),
            "agree on no TLS connection",
            "TLS",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": tls: first record does not look like a TLS handshake"#,
            ),
            "does not speak the protocol",
            "port",
        ),
        (
            resolving(
                r#"failed to do request: Head "https://a.test/v2/": dial tcp 192.0.2.1:443: connect: no route to host"#,
            ),
            "no route to it at 192.0.2.1:443",
            "routes",
        ),
        (
            resolving(r#"failed to do request: Head "https://a.test/v2/": context deadline exceeded"#),
            "a.test does not answer in time",
            "registry",
        ),
        (resolving("unexpected status code [manifests 1]: 401 Unauthorized"), "401 from a.test", "imagePullSecrets"),
    ];
    let resolved: Vec<_> = owned.iter().map(|(message, what, remedy)| (message.as_str(), *what, *remedy)).collect();
    check(NodeState::Failed, &resolved);
    check(
        NodeState::Failed,
        &[
            // Docker
            (
                "Error response from daemon: manifest for team/app:9 not found: manifest unknown: manifest unknown",
                "no such image or tag",
                "check the reference",
            ),
            (
                "Error response from daemon: pull access denied for team/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                "does not say which",
                "name",
            ),
            (
                "Error response from daemon: Get \"https://a.test/v2/\": unauthorized: incorrect username or password",
                "refused",
                "renew",
            ),
            (
                "Error response from daemon: toomanyrequests: You have reached your pull rate limit.",
                "429, too many requests, from ghcr.io",
                "pullRate",
            ),
            (
                "Error response from daemon: Get \"https://a.test/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                "a.test does not answer in time",
                "registry",
            ),
            (
                "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: \"<html>\"",
                "502 Bad Gateway",
                "wait",
            ),
            (
                "error pulling image configuration: download failed after attempts=6: dial tcp 192.0.2.7:443: i/o timeout",
                "no answer at 192.0.2.7:443",
                "routes",
            ),
            (
                "denied: Your authorization token has expired. Reauthenticate and try again.",
                "refused the credentials that were sent: wrong, expired",
                "renew",
            ),
            ("denied: denied", "ghcr.io denied the pull", "rights"),
            ("unauthorized: authentication required", "ghcr.io wants valid credentials", "imagePullSecrets"),
            (
                "unauthorized: You don't have the needed permissions to perform this operation, and you may have invalid credentials. To authenticate your request, follow the steps in: https://docs.test/auth",
                "ghcr.io wants valid credentials",
                "imagePullSecrets",
            ),
            (
                "unauthorized: access to the requested resource is not authorized",
                "ghcr.io wants valid credentials",
                "imagePullSecrets",
            ),
            (
                "Requested image's platform (linux/amd64) does not match the specified platform",
                "does not exist for this node's architecture",
                "architectures",
            ),
            // CRI-O
            (
                "initializing source docker://a.test/x:1: Requesting bearer token: invalid status code from registry 403 (Forbidden)",
                "403 from a.test",
                "rights",
            ),
            (
                "initializing source docker://a.test/x:1: reading manifest 1 in a.test/x: name unknown: repository name not known to registry",
                "no such image or tag from a.test",
                "check the reference",
            ),
            (
                "initializing source docker://a.test/x:1: pinging container registry a.test: Get \"https://a.test/v2/\": dial tcp 192.0.2.1:443: connect: connection refused",
                "a.test refuses connections",
                "firewalls",
            ),
            (
                "choosing an image from manifest list docker://a.test/x:1: no image found in manifest list for architecture \"arm64\", variant \"v8\", OS \"linux\"",
                "architecture (arm64)",
                "architectures",
            ),
            (
                "copying system image from manifest list: reading blob sha256:1: Get \"https://cdn.test/x\": read tcp 192.0.2.1:443: read: connection reset by peer",
                "connection to cdn.test is being cut",
                "firewalls",
            ),
            (
                "copying system image from manifest list: writing blob: adding layer with blob \"sha256:1\": unpacking failed (error: exit status 1; output: write /usr/x: no space left on device)",
                "disk for images is full",
                "disk",
            ),
            (
                "Source image rejected: Running image docker://a.test/x:1 is rejected by policy.",
                "rejects images from there",
                "policy",
            ),
            // The image itself
            (
                "failed to pull and unpack image \"a.test/x:1\": no match for platform in manifest: not found",
                "architecture",
                "architectures",
            ),
            (
                "failed to extract layer sha256:1: failed to get stream processor for application/vnd.oci.image.layer.v1.tar+zstd: no processor for media-type: unknown",
                "cannot read the format",
                "gzip",
            ),
            (
                "failed to extract layer sha256:1: failed to get stream processor for application/vnd.oci.image.layer.v1.tar+gzip+encrypted: no processor for media-type: unknown",
                "encrypted",
                "key",
            ),
            (
                "httpReadSeeker: failed open: content at https://a.test/v2/x/blobs/sha256:1 not found: not found",
                "incomplete at a.test",
                "push",
            ),
        ],
    );
}

#[test]
fn what_a_mirror_answers_is_not_said_of_the_registry() {
    let resolving = |answer: &str| {
        let url = "http://m.test:5000/v2/x/manifests/1?ns=a.test";
        format!("failed to resolve reference \"a.test/x:1\": unexpected status from HEAD request to {url}: {answer}")
    };
    let (failed, private) = (resolving("502 Bad Gateway"), resolving("401 Unauthorized"));
    let limited = resolving("429 Too Many Requests");
    check(
        NodeState::Failed,
        &[
            (&failed, "the mirror m.test:5000 (for a.test) answered 502 Bad Gateway", "check the mirror"),
            (&private, "401 from the mirror m.test:5000 (for a.test): it wants valid credentials", "imagePullSecrets"),
            (&limited, "429, too many requests, from the mirror m.test:5000 (for a.test)", "mirror"),
            (
                "httpReadSeeker: failed open: content at http://m.test/v2/x/blobs/sha256:1?ns=a.test not found: not found",
                "the image is incomplete at the mirror m.test (for a.test)",
                "check the mirror",
            ),
        ],
    );
}

#[test]
fn what_the_node_does_with_an_image_is_not_blamed_on_a_registry() {
    const EXTRACT: &str = r#"failed to pull and unpack image "a.test/x:1": failed to extract layer sha256:1: "#;
    let owned: Vec<(String, &str, &str)> = [
        ("write /var/lib/containerd/x/fs/a: input/output error: unknown", "input/output error", "disk"),
        ("mkdir /var/lib/containerd/x: read-only file system", "read-only", "disk"),
        ("write /var/lib/containerd/x/fs/a: disk quota exceeded", "quota", "quota"),
        ("mount callback failed on /tmp/m: unexpected EOF: unknown", "bytes on the node end early", "wait"),
        ("gzip: invalid checksum: unknown", "match their checksum", "wait"),
        (
            "failed to Lchown \"/etc/gshadow\" for UID 0, GID 42: lchown /etc/gshadow: invalid argument",
            "user namespace",
            "owners",
        ),
        ("mount callback failed on /tmp/m: open /tmp/m/x: permission denied", "may not create a file", "security"),
        ("wrong diff id calculated on extraction \"sha256:2\"", "match their checksum", "wait"),
        (
            "failed to create snapshot: parent snapshot sha256:1 does not exist: not found",
            "storage of the node's runtime is damaged",
            "repair",
        ),
        (
            "failed to stat parent: stat /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs: no such file or directory",
            "storage of the node's runtime is damaged",
            "repair",
        ),
        ("no such file or directory: not found", "no such file or directory", ""),
        ("exec: \"unpigz\": executable file not found in $PATH", "not installed on the node (unpigz)", "install"),
        ("exec: \"mount.fuse\": executable file not found in $PATH", "not installed on the node (mount.fuse)", "install"),
        ("open /etc/mtab: no such file or directory", "open /etc/mtab", ""),
        ("user \"app\" not found", "user \"app\" not found", ""),
        ("snapshotter overlayfs does not exist: not found", "snapshotter overlayfs does not exist", ""),
        ("failed to get ztoc: not found", "failed to get ztoc", ""),
    ]
    .map(|(rest, what, remedy)| (format!("{EXTRACT}{rest}"), what, remedy))
    .into();
    let unpacked: Vec<_> = owned.iter().map(|(message, what, remedy)| (message.as_str(), *what, *remedy)).collect();
    check(NodeState::Failed, &unpacked);
    check(
        NodeState::Failed,
        &[
            (
                "failed commit on ref \"layer-sha256:1\": unexpected commit digest sha256:2, expected sha256:1: failed precondition",
                "does not match its size or digest",
                "network",
            ),
            (
                "failed to copy: write /var/lib/containerd/io.containerd.content.v1.content/ingest/1/data: no space left on device",
                "disk for images is full",
                "disk",
            ),
            (
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused\"",
                "container runtime is not running",
                "service",
            ),
            ("layers from manifest don't match image configuration", "inconsistent", "push"),
        ],
    );
}

#[test]
fn a_failure_to_store_what_arrived_is_a_mismatch_only_if_the_runtime_says_so() {
    let owned: Vec<(String, &str, &str)> = [
        ("lease does not exist: not found", "lease does not exist", ""),
        ("context deadline exceeded", "context deadline exceeded", ""),
        (
            "open /var/lib/containerd/io.containerd.content.v1.content/ingest/x: permission denied",
            "permission denied",
            "",
        ),
        ("commit failed: database not open", "database not open", ""),
        (
            "rename /var/lib/containerd/io.containerd.content.v1.content/ingest/x/data /var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/1: no such file or directory",
            "storage of the node's runtime is damaged",
            "repair",
        ),
        ("unexpected commit digest sha256:2, expected sha256:1", "does not match its size or digest", "network"),
    ]
    .map(|(rest, what, remedy)| (format!("failed commit on ref \"layer-sha256:1\": {rest}"), what, remedy))
    .into();
    let stored: Vec<_> = owned.iter().map(|(message, what, remedy)| (message.as_str(), *what, *remedy)).collect();
    check(NodeState::Failed, &stored);
    check(
        NodeState::Failed,
        &[
            (
                "filesystem layer verification failed for digest sha256:1",
                "does not match its size or digest",
                "network",
            ),
            (
                "writing blob: happened during read: Digest did not match, expected sha256:1, got sha256:2",
                "does not match its size or digest",
                "network",
            ),
            (
                "failed to unpack image on snapshotter overlayfs: unexpected media type text/html for sha256:1: not found",
                "what answered is no registry",
                "proxies",
            ),
            (
                "choosing image instance: image operating system \"windows\" cannot be used on this platform",
                "another operating system than the node's (windows)",
                "operating system",
            ),
        ],
    );
}

#[test]
fn who_denies_a_pull_is_read_before_credentials_are_blamed() {
    const URL: &str = "https://a.test/v2/x/manifests/1";
    let head = |answer: &str| {
        format!("failed to resolve reference \"a.test/x:1\": unexpected status from HEAD request to {URL}: {answer}")
    };
    let token = |kind: &str, answer: &str| {
        let url = "https://a.test/oauth2/token?scope=x";
        let before = "failed to resolve reference \"a.test/x:1\": failed to authorize: failed to fetch";
        format!("{before} {kind} token: unexpected status from GET request to {url}: {answer}")
    };
    let blocked =
        "403 Forbidden - Server message: denied: client with IP '192.0.2.4' is not allowed access. Refer to a page";
    let expired = "403 Forbidden - Server message: denied: The subscription has ended";
    let owned = [
        (head("407 Proxy Authentication Required"), "a proxy between the node and a.test refused", "proxy settings"),
        (head("511 Network Authentication Required"), "a proxy between the node and a.test refused", "proxy settings"),
        (
            format!("failed to do request: Head \"{URL}\": Proxy Authentication Required"),
            "a proxy between the node and a.test refused",
            "proxy settings",
        ),
        (format!("Get \"{URL}\": Forbidden"), "a proxy between the node and a.test refused", "proxy settings"),
        (token("anonymous", blocked), "the firewall of a.test does not admit the node's address (192.0.2.4)", "admit"),
        (token("oauth", blocked), "the firewall of a.test does not admit the node's address (192.0.2.4)", "admit"),
        (token("oauth", expired), "403 from a.test: it denied the pull: The subscription has ended", ""),
        (token("anonymous", "403 Forbidden"), "the registry does not say which", "if it is private"),
        (token("anonymous", "401 Unauthorized"), "the node asked without any", "imagePullSecrets"),
        (
            "failed to resolve reference \"a.test/x:1\": pull access denied, repository does not exist or may require \
             authorization: authorization failed: no basic auth credentials"
                .to_owned(),
            "401 from a.test: it wants credentials, and the node asked without any",
            "imagePullSecrets",
        ),
        ("image policy webhook denied: not from our registry".to_owned(), "image policy webhook denied", ""),
        (
            format!(
                "failed to do request: Head \"{URL}\": x509: certificate relies on legacy Common Name field, use SANs instead"
            ),
            "without Subject Alternative Names",
            "issue",
        ),
    ];
    let denied: Vec<_> = owned.iter().map(|(message, what, remedy)| (message.as_str(), *what, *remedy)).collect();
    check(NodeState::Failed, &denied);
}

#[test]
fn containers_that_do_not_start_are_explained_by_what_failed() {
    const RUNC: &str = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
        unable to start container process: ";
    let owned: Vec<(String, &str, &str)> = [
        ("exec: \"/kube-prepull/holder\": stat /kube-prepull/holder: no such file or directory: unknown", "the holder, which the init container", "delete the pod"),
        ("exec: \"/kube-prepull-00112233445566778899aabbccddeeff/holder\": stat /kube-prepull-00112233445566778899aabbccddeeff/holder: no such file or directory", "a VOLUME of the image covers it", "delete the pod"),
        ("error closing exec fds: open /proc/self/fd: no such file or directory", "/proc in the container", "VOLUME"),
        ("error closing exec fds: ensure /proc/self/fd is on procfs: operation not permitted", "/proc in the container", "VOLUME"),
        ("error during container init: error mounting \"/var/lib/containerd/io.containerd.grpc.v1.cri/containers/…/volumes/…\" to rootfs at \"/kube-prepull/x\": mkdir /run/containerd/io.containerd.runtime.v2.task/k8s.io/…/rootfs/kube-prepull/x: read-only file system", "a VOLUME of the image cannot be mounted", "VOLUME"),
        ("unable to setup user: stat /dev/null: no such file or directory", "/dev in the container", "VOLUME"),
        ("Cwd must be an absolute path", "no absolute path", "WORKDIR"),
        ("exec: \"/app\": stat /app: no such file or directory: unknown", "cannot be run", "loader"),
        ("error running prestart hook #0: exit status 1, stdout: , stderr: nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/1/merged/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1: file exists", "the image has its own copy", "without the libraries"),
        ("mkdir /run/containerd/io.containerd.runtime.v2.task/k8s.io/1: no space left on device: unknown", "the node's /run", "free space"),
        ("error during container init: error mounting \"/var/lib/x\" to rootfs at \"/kube-prepull\": not a directory", "cannot be mounted into the image", "/kube-prepull"),
        ("error during container init: error mounting \"/var/lib/x\" to rootfs at \"/etc/hosts\": not a directory", "could not be mounted into the container", ""),
        ("error during container init: unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory", "AppArmor profile", "load"),
        ("error during container init: error loading seccomp filter into kernel: errno 524", "seccomp filter", "kernel"),
        ("error running prestart hook #0: exit status 1, stdout: , stderr: nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory", "libraries of the NVIDIA driver are missing", "driver"),
        ("error running createContainer hook #0: exec: \"/usr/bin/amd-hook\": permission denied", "a hook of the node's runtime", "hooks"),
        ("unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/kubepods/x: no space left on device", "no more cgroups", "restart"),
        ("unable to join session keyring: unable to create session key: disk quota exceeded", "no keys left", "kernel.keys"),
        ("container init was OOM-killed (memory limit too low?)", "memory limit", "raise"),
    ]
    .map(|(rest, what, remedy)| (format!("{RUNC}{rest}"), what, remedy))
    .into();
    let started: Vec<_> = owned.iter().map(|(message, what, remedy)| (message.as_str(), *what, *remedy)).collect();
    check(NodeState::CannotStart, &started);
    check(
        NodeState::CannotStart,
        &[
            (
                "standard_init_linux.go:228: exec user process caused: exec format error",
                "another CPU type",
                "architecture",
            ),
            (
                "executable file `x` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
                "cannot be run",
                "loader",
            ),
            (
                "couldn't find key password in Secret team/db",
                "the key password, which does not exist in the Secret team/db",
                "add the key",
            ),
            ("configmap \"settings\" not found", "ConfigMap settings", "create it"),
            (
                "container has runAsNonRoot and image will run as root (pod: \"x\", container: app)",
                "forbids to run as root",
                "runAsUser",
            ),
            ("OOMKilled (exit code 137)", "memory limit", "raise"),
            ("Conflict. The container name \"/k8s_a\" is already in use by container \"1\"", "earlier attempt", "wait"),
            ("context deadline exceeded", "did not answer the kubelet in time", "wait"),
            (
                "failed to create containerd container: mkdir /var/lib/x: no space left on device",
                "disk for images is full",
                "disk",
            ),
            (
                "failed to create containerd container: taking runtime copy of volume: source /tmp/ctd-volume…/data is not directory",
                "is a file",
                "VOLUME",
            ),
            (
                "failed to create containerd container: taking runtime copy of volume: open /var/lib/containerd/io.containerd.grpc.v1.cri/containers/…/volumes/…: no such file or directory",
                "no absolute path",
                "VOLUME",
            ),
            (
                "failed to create containerd container: taking runtime copy of volume: write /var/lib/x: no space left on device",
                "disk for images is full",
                "disk",
            ),
            ("Error (exit code 1)", "Error (exit code 1)", ""),
        ],
    );
}

#[test]
fn what_a_runtime_or_a_kubelet_lacks_on_the_node_is_not_taken_for_something_in_the_image() {
    check(
        NodeState::CannotStart,
        &[
            (
                "exec: \"runc\": executable file not found in $PATH: unknown",
                "installation of the node's runtime",
                "repair",
            ),
            (
                "get apparmor_parser version: exec: \"apparmor_parser\": executable file not found in $PATH",
                "apparmor_parser",
                "install",
            ),
            (
                "error creating read-write layer with ID \"1\": Stat /var/lib/containers/storage/overlay/1: no such file or directory",
                "storage of the node's runtime is damaged",
                "repair",
            ),
            (
                "reading image \"1\": locating item named \"manifest\" for image with ID \"1\": file does not exist",
                "lost the image",
                "repair",
            ),
            (
                "failed to sync configmap cache: timed out waiting for the condition",
                "could not read the Secrets or ConfigMaps",
                "API server",
            ),
            (
                "services have not yet been read at least once, cannot construct envvars",
                "has not read the Services",
                "",
            ),
            (
                "error creating overlay mount to /var/lib/docker/overlay2/1/merged: invalid argument",
                "refuses to mount",
                "kernel",
            ),
            (
                "failed to create shim task: failed to mount rootfs component &{overlay overlay [lowerdir=/a:/b]}: no such file or directory: unknown",
                "a layer of the container's root file system is gone",
                "repair",
            ),
            (
                "error during container init: error setting cgroup config for procHooks process: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted",
                "could not set up the container's cgroup",
                "",
            ),
            (
                "failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all: unknown",
                "CDI device nvidia.com/gpu=all",
                "CDI",
            ),
            (
                "Cannot enforce AppArmor: AppArmor is not enabled on the host",
                "keeps the container from starting",
                "AppArmor",
            ),
        ],
    );
    let inspected = |message| explain(NodeState::Failed, "ImageInspectError", message, REFERENCE).what;
    assert!(inspected("rpc error: code = DeadlineExceeded desc = context deadline exceeded").contains("slow or stuck"));
    check(
        NodeState::Failed,
        &[
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", "context deadline exceeded", ""),
            (
                "failed to copy: ref k8s.io/1/layer-sha256:1 locked for 234ms (since 2026-03-01): unavailable",
                "another download of the same layer",
                "wait",
            ),
            (
                "failed to resolve reference \"a.test/x:1\": no resolve hosts: not found",
                "has no host configured",
                "mirrors",
            ),
            ("unknown: artifact team/app:7 not found", "no such image or tag", "reference"),
            ("failed to extract layer sha256:1: link /a/b /a/c: no such file or directory", "link /a/b", ""),
            ("failed to extract layer sha256:1: mkparent /a/b: not a directory: unknown", "not a directory", ""),
            (
                "failed to prepare extraction snapshot \"x\": failed to rename: rename /a/new-1 /a/2: file exists",
                "storage of the node's runtime is damaged",
                "repair",
            ),
            (
                "failed to extract layer sha256:1: failed to mount /tmp/containerd-mount1: operation not permitted",
                "refuses to mount a layer",
                "kernel",
            ),
            (
                "failed to resolve reference \"a.test/x:1\": unexpected media type text/html for sha256:1: not found",
                "sent a page",
                "proxies",
            ),
            (
                "initializing source docker://a.test/x:1: (Mirrors also failed: [m.test/x:1: pinging container registry m.test: Get \"https://m.test/v2/\": EOF]): a.test/x:1: reading manifest 1 in a.test/x: manifest unknown",
                "no such image or tag from a.test",
                "reference",
            ),
            (
                "couldn't parse image name \"Acme/app\": invalid reference format: repository name must be lowercase",
                "must be lowercase",
                "reference",
            ),
            (
                "couldn't parse image name \"{{ .Values.image }}\": invalid reference format",
                "{{ .Values.image }}",
                "variable",
            ),
        ],
    );
}

#[test]
fn what_nothing_fits_is_passed_on_without_a_remedy() {
    for (message, what) in [
        ("rpc error: code = Unknown desc = something new.", "something new"),
        (
            "tls: failed to verify certificate: x509: unhandled critical extension",
            "tls: failed to verify certificate: x509: unhandled critical extension",
        ),
        ("no such thing: not found", "no such thing: not found"),
        ("permission denied", "permission denied"),
        (
            r#"failed to resolve reference "a.test/unauthorized/no-such-host:404": something new"#,
            r#"failed to resolve reference "a.test/unauthorized/no-such-host:404": something new"#,
        ),
        (OMITTED, "(too many different messages; see the pod)"),
        ("", ""),
    ] {
        for state in [NodeState::Failed, NodeState::CannotStart] {
            let expected = Diagnosis { what: what.to_owned(), ..Diagnosis::default() };
            assert_eq!(explain(state, "", message, REFERENCE), expected, "{message}");
        }
    }
}

#[test]
fn a_pull_that_the_node_holds_back_is_explained_while_it_still_counts_as_pulling() {
    let found = explain(NodeState::Pulling, "ErrImagePull", "pull QPS exceeded", REFERENCE);
    assert!(found.what.contains("registryPullQPS") && found.remedy.is_none(), "{found:?}");
    assert_eq!(explain(NodeState::Pulling, "", "", REFERENCE), Diagnosis::default());
}

#[test]
fn what_the_scheduler_and_the_daemon_set_report_has_a_remedy() {
    for (state, reason, message) in [
        (NodeState::NoCapacity, "Unschedulable", "Too many pods"),
        (NodeState::NoCapacity, "OutOfcpu", ""),
        (NodeState::Displaced, "Evicted", "The node was low on resource: ephemeral-storage. "),
        (NodeState::Displaced, "Altered", "kubectl-patch"),
        (NodeState::Displaced, "Missing", ""),
        (NodeState::Tainted, "Unschedulable", "node(s) had untolerated taint {gpu: }"),
    ] {
        assert!(explain(state, reason, message, REFERENCE).remedy.is_some(), "{reason}");
    }
}

proptest::proptest! {
    #[test]
    fn any_message_is_explained(message in ".{0,200}", reference in ".{0,50}") {
        for (state, _) in NodeState::ALL {
            explain(state, "ErrImagePull", &message, &reference);
        }
    }

    #[test]
    fn any_order_of_what_runtimes_say_is_explained(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "[", "]", "Back-off pulling image \"a", "\": ErrImagePull: ", "rpc error: code = ", " desc = ", "lookup ", " on ",
                "https://", "Get \"", "?ns=", "failed size validation: ", "rootfs component", "&{", "]}", "${", "{{", "\"", ": ", "İ",
                "unresolvable CDI devices ", "401 Unauthorized", "not found", "failed to extract layer", ", failed to pull and unpack image",
            ]),
            0..12,
        )
    ) {
        let message = parts.concat();
        for (state, _) in NodeState::ALL {
            explain(state, "ErrImagePull", &message, REFERENCE);
        }
    }
}
