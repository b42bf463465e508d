//! What runtimes say when they cannot start a container: runc (`github.com/opencontainers/runc/libcontainer`), crun, containerd's
//! shim, CRI-O, Docker, and the kubelet (`k8s.io/kubernetes/pkg/kubelet/kuberuntime`).

/// What a message means in which each group has words that are said, or that are the kubelet's reason.
#[derive(Debug)]
pub struct Rule {
    /// In lower case.
    pub when: &'static [&'static [&'static str]],
    /// In a few words.
    pub what: &'static str,
    /// What to do about it, if that is right in every case.
    pub remedy: Option<&'static str>,
}

const fn rule(when: &'static [&'static [&'static str]], what: &'static str, remedy: &'static str) -> Rule {
    Rule { when, what, remedy: Some(remedy) }
}

const MISSING: &[&str] = &["no such file or directory", "not found", "does not exist", "not loaded"];
const REFUSED: &[&str] = &["permission denied", "operation not permitted"];
const CGROUPS: &[&str] = &["cgroup", "cgroups", "/sys/fs/cgroup", "cgroup.procs", "cgroup.controllers", "cgroupfs"];
const RUNS: &[&str] =
    &["exec:", "exec", "exec user process", "exec user process caused", "open executable", "executable file"];
const MOUNTS: &[&str] = &["to rootfs", "mounting"];

/// The first one that fits counts: security and cgroups come before the files that they are read from.
pub const RULES: &[Rule] = &[
    rule(
        &[
            &["\"runc", "\"crun", "\"conmon", "containerd-shim", "containerd-shim-runc-v2", "binary not installed"],
            MISSING,
        ],
        "the installation of the node's runtime is damaged: one of its programs is missing",
        "repair the runtime on the node",
    ),
    rule(
        &[&["namespace path", "namespace paths"], MISSING],
        "the pod's sandbox on the node has ended, so no container can join it",
        "wait, since the kubelet creates it again; if it lasts, delete the pod: the DaemonSet creates another one",
    ),
    rule(
        &[&["apparmor_parser"]],
        "the node cannot load AppArmor profiles: apparmor_parser is missing or fails",
        "install AppArmor's programs on the node, or check why they fail there",
    ),
    rule(
        &[&["apparmor"], MISSING],
        "the AppArmor profile of the container is not loaded on the node",
        "load the profile on all nodes of the group",
    ),
    rule(
        &[&["apparmor"]],
        "AppArmor on the node keeps the container from starting",
        "check AppArmor and its profiles on the node",
    ),
    rule(
        &[&["attr/keycreate", "attr/exec", "attr/fscreate", "selinux", "relabel", "lsetxattr"]],
        "SELinux on the node refuses the container's label",
        "check the SELinux policy of the node (container-selinux)",
    ),
    rule(
        &[&["seccomp"]],
        "the node's kernel or runtime refuses the seccomp filter",
        "check the kernel and the runtime of the node",
    ),
    rule(
        &[&["non-numeric user"]],
        "runAsNonRoot needs a numeric user (runAsUser, or USER of the image), and the image only names one",
        "find out what removed or changed runAsUser in the pod: admission, such as a webhook or a policy",
    ),
    rule(
        &[&["image will run as root", "breaks non-root policy", "runasnonroot"]],
        "the pod's security context (runAsNonRoot) forbids to run as root",
        "find out what removed or changed runAsUser in the pod: admission, such as a webhook or a policy",
    ),
    rule(
        &[&[
            "unable to set memory limit",
            "oomkilled",
            "OOMKilled",
            "oom-killed",
            "memory limit too low",
            "oom killed",
        ]],
        "killed for its memory limit, which is too low even to start",
        "raise the group's memory limit, or remove it",
    ),
    rule(
        &[&["getting the final child's pid", "read init-p", "signal: killed"]],
        "the container's first process died while it started, most likely because the memory limit is too low",
        "raise the group's memory limit if it has one",
    ),
    rule(
        &[&["session key", "session keyring", "join keyctl"]],
        "the kernel of the node has no keys left for containers",
        "raise kernel.keys.maxkeys and kernel.keys.maxbytes on the node",
    ),
    rule(
        &[&["inotify", "fsnotify"], &["too many open files", "no space left on device"]],
        "the node has no inotify watches or instances left",
        "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches on the node",
    ),
    rule(
        &[CGROUPS, &["no space left on device", "cannot allocate memory"]],
        "the kernel of the node can create no more cgroups",
        "remove cgroups that are no longer used on the node, or restart it",
    ),
    rule(
        &[CGROUPS, &["expected cgroupspath", "systemd cgroup"]],
        "the kubelet and the runtime of the node use different cgroup drivers",
        "set the same cgroup driver for both",
    ),
    rule(
        &[CGROUPS, MISSING],
        "the container's cgroup on the node is missing: it vanished, or was never created",
        "wait, since the kubelet retries; if it lasts, check systemd and the cgroup driver of the node's kubelet and runtime",
    ),
    Rule { when: &[CGROUPS], what: "the node could not set up the container's cgroup", remedy: None },
    rule(
        &[&[
            "newuidmap",
            "newgidmap",
            "uid_map",
            "gid_map",
            "idmap",
            "idmapped",
            "id-mapped",
            "user namespaces",
            "userns",
        ]],
        "the node cannot set up the pod's user namespace (as with hostUsers: false)",
        "check that the kernel, the file systems and the runtime of the node support user namespaces",
    ),
    rule(
        &[&["failed to reserve container name", "is reserved for", "name is reserved", "error reserving ctr name"]],
        "an earlier attempt to create this container still hangs on the node, which is slow or stuck",
        "wait, since the kubelet retries; if it lasts, check the node's disk and restart its runtime",
    ),
    rule(
        &[&["container name"], &["already in use"]],
        "an earlier attempt to create this container still hangs on the node, which is slow or stuck",
        "wait, since the kubelet retries; if it lasts, check the node's disk and restart its runtime",
    ),
    rule(
        &[&["failed to sync secret cache", "failed to sync configmap cache"]],
        "the node's kubelet could not read the Secrets or ConfigMaps of the pod in time",
        "wait, since the kubelet retries; if it lasts, check the node's connection to the API server",
    ),
    Rule {
        when: &[&["services have not yet been read"]],
        what: "the node's kubelet has just started and has not read the Services yet",
        remedy: None,
    },
    rule(
        &[&["context deadline exceeded", "timed out waiting", "operation timed out"]],
        "the node's runtime did not answer the kubelet in time: the node is slow or stuck",
        "wait, since the kubelet retries; if it lasts, check the node's disk and restart its runtime",
    ),
    rule(
        &[&["gathering device information", "adding custom device"]],
        "the node does not have a device that was given to the container",
        "check the device's driver and its device plugin on the node",
    ),
    // Containerd keeps the content of an image's volumes there (`github.com/containerd/containerd/v2/internal/cri/server`,
    // `volumeMounts`).
    rule(
        &[MOUNTS, &["io.containerd.grpc.v1.cri/containers"], &["/volumes/"], &["to rootfs"]],
        "a VOLUME of the image cannot be mounted into the container",
        "check VOLUME of the image: something that is no directory, or the mount of another volume, is in the way",
    ),
    rule(
        &[&["taking runtime copy of volume"], &["is not directory"]],
        "a VOLUME of the image is a file or a link to one, and volumes are directories",
        "check VOLUME of the image",
    ),
    rule(
        &[&["taking runtime copy of volume"], &["no such file or directory"]],
        "a VOLUME of the image is no absolute path, and the pod has another volume there",
        "check VOLUME of the image",
    ),
    rule(
        &[&["closing exec fds", "ensure /proc/thread-self/fd is on procfs", "ensure /proc/self/fd is on procfs"]],
        "the runtime does not find /proc in the container: another mount covers it, such as a VOLUME of the image at / or at /proc",
        "check VOLUME of the image, and whether it is a link to one of these",
    ),
    rule(
        &[&["unable to setup user"], &["/dev/null"]],
        "the runtime does not find /dev in the container: another mount covers it, such as a VOLUME of the image at /dev",
        "check VOLUME of the image, and whether it is a link to /dev",
    ),
    rule(
        &[MOUNTS, &["/kube-prepull"], &["to rootfs"]],
        "the holder cannot be mounted into the image",
        "remove the file or link /kube-prepull from the image: the holder needs a directory there",
    ),
    rule(
        &[MOUNTS, &["volume-subpaths"]],
        "a volume's subPath could not be mounted: what it named on the node is gone, as after a change of its ConfigMap",
        "delete the pod: the DaemonSet creates another one",
    ),
    Rule {
        when: &[&["failed to prepare subpath", "failed to create subpath"]],
        what: "a volume's subPath could not be prepared on the node",
        remedy: None,
    },
    Rule {
        when: &[&["not a shared mount", "not a shared or slave mount"]],
        what: "a volume of the container needs a shared mount on the node, and it is none",
        remedy: None,
    },
    Rule {
        when: &[MOUNTS, &["to rootfs"]],
        what: "a volume or a file of the node could not be mounted into the container",
        remedy: None,
    },
    rule(
        &[&["exec format error"]],
        "the program is built for another CPU type than the node's, or is no program",
        "check that the image of kube-prepull is built for the node's architecture",
    ),
    rule(
        &[RUNS, &["executable file not found", "executable file"], &["hook"]],
        "a hook of the node's runtime is not installed",
        "check the hooks of the node's runtime",
    ),
    rule(
        &[&["cwd must be an absolute path"]],
        "the image's working directory is no absolute path",
        "check WORKDIR of the image",
    ),
    // runc creates the working directory; what it creates for mounts is reported with the mount.
    rule(
        &[&["error during container init"], &["mkdir"], &["not a directory", "file exists"]],
        "the image's working directory cannot be created: a file of the image is in the way",
        "check WORKDIR of the image",
    ),
    rule(
        &[&["chdir to cwd", "working directory"]],
        "the image's working directory cannot be entered",
        "check WORKDIR of the image, and that every user may enter it",
    ),
    rule(
        &[&[
            "unable to find user",
            "unable to find group",
            "no matching entries in passwd",
            "no matching entries in group",
        ]],
        "the image names a user or group that does not exist in it",
        "check USER of the image",
    ),
    rule(
        &[&["/kube-prepull"], &["/holder"], RUNS, MISSING],
        "the holder, which the init container puts into a volume of the pod, is not there: it was removed, or a VOLUME of the image \
         covers it",
        "delete the pod, since the DaemonSet creates another one; if that one lacks it too, check VOLUME of the image",
    ),
    rule(
        &[RUNS, REFUSED],
        "the program of the container may not be run: its mode, its user or the node forbids it",
        "check for volumes mounted noexec and for security modules on the node",
    ),
    rule(
        &[RUNS, &["no such file or directory", "not found", "is a directory"]],
        "the program of the container, or the loader that it needs, cannot be run; a program for another CPU type shows the same",
        "check that the program and its loader are in the image, and the image's architecture",
    ),
    rule(
        &[&["unable to apply caps", "no new privileges", "unable to apply capabilities"]],
        "the node does not give the container the capabilities that its security context names",
        "check security modules on the node, and what admission changes in the pod's security context",
    ),
];
