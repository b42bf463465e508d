//! The services of a node, containerd and the kubelet, and their configuration.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::layout::{HUB_ADDRESS, Layout, NodeId, PAUSE_IMAGE, REGISTRY_NAME, REGISTRY_PORT, api_server};
use crate::machine::Service;
use crate::pki::{Pki, Use};
use crate::programs;

/// Signs what a node needs, and writes its configuration.
pub fn prepare(layout: &Layout, pki: &Pki, node: NodeId) -> Result<()> {
    let name = node.name();
    let user = format!("system:node:{name}");
    pki.issue_user(&name, &user, Some("system:nodes"), &api_server())?;
    let addresses = [node.address(), [127, 0, 0, 1].into()];
    pki.issue(&serving(&name), &user, Some("system:nodes"), Use::Server(&[&name], &addresses))?;

    let registry = layout.file(&name, "certs.d").join(REGISTRY_NAME);
    let cni = layout.file(&name, "cni");
    fs::create_dir_all(&registry)?;
    fs::create_dir_all(&cni)?;
    fs::write(registry.join("hosts.toml"), format!("server = \"http://{HUB_ADDRESS}:{REGISTRY_PORT}\"\n"))?;
    fs::write(cni.join("10-bed.conflist"), serde_json::to_vec_pretty(&pod_network(node))?)?;
    fs::write(layout.file(&name, "containerd.toml"), containerd_configuration(layout, &name)?)?;
    fs::write(layout.file(&name, "resolv.conf"), "nameserver 127.0.0.1\n")?;
    let kubelet = serde_json::to_vec_pretty(&kubelet_configuration(layout, node))?;
    fs::write(layout.file(&name, "kubelet.yaml"), kubelet)?;
    Ok(())
}

pub fn containerd(layout: &Layout, node: NodeId) -> Service {
    let configuration = layout.file(&node.name(), "containerd.toml").display().to_string();
    let arguments = vec!["--config".into(), configuration];
    Service { name: "containerd", program: layout.program("containerd"), arguments }
}

pub fn kubelet(layout: &Layout, node: NodeId) -> Service {
    let name = node.name();
    let arguments = vec![
        format!("--config={}", layout.file(&name, "kubelet.yaml").display()),
        format!("--kubeconfig={}", layout.pki(&format!("{name}.kubeconfig")).display()),
        format!("--hostname-override={name}"),
        format!("--node-ip={}", node.address()),
    ];
    Service { name: "kubelet", program: layout.program("kubelet"), arguments }
}

fn serving(node: &str) -> String {
    format!("{node}-serving")
}

fn pod_network(node: NodeId) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "bed",
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": node.pods()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn containerd_configuration(layout: &Layout, node: &str) -> Result<String> {
    let quote = |path: &Path| format!("{:?}", path.display().to_string());
    Ok(format!(
        r#"version = 3
imports = []
disabled_plugins = ["io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
pinned_images = {{ sandbox = "{PAUSE_IMAGE}" }}
registry = {{ config_path = {certs} }}

[plugins."io.containerd.cri.v1.runtime"]
# Where the bed itself has been given a score, going below it is refused, and every sandbox would fail.
restrict_oom_score_adj = true
cni = {{ bin_dirs = [{plugins}], conf_dir = {cni} }}

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
options = {{ BinaryName = {runc}, SystemdCgroup = false }}
"#,
        certs = quote(&layout.file(node, "certs.d")),
        plugins = quote(&programs::cni_plugins()?),
        cni = quote(&layout.file(node, "cni")),
        runc = quote(&programs::find("runc")?),
    ))
}

pub fn kubelet_configuration(layout: &Layout, node: NodeId) -> serde_json::Value {
    let name = node.name();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address(),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.pki("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.pki(&format!("{}.crt", serving(&name))),
        "tlsPrivateKeyFile": layout.pki(&format!("{}.key", serving(&name))),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", layout.cgroup(node)),
        "enforceNodeAllocatable": ["pods"],
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        // There is no kube-proxy that would need them.
        "makeIPTablesUtilChains": false,
        "clusterDNS": ["10.96.0.10"],
        "resolvConf": layout.file(&name, "resolv.conf"),
        // The machine's disk and memory are not the bed's: evict and collect only when they are all but used up.
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        "imageGCHighThresholdPercent": 99,
        "imageGCLowThresholdPercent": 98,
        "imageMinimumGCAge": "1h",
        "serializeImagePulls": false,
        "maxParallelImagePulls": 4,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "10s",
        // By default the images of other tests could push those of the test that compares sizes out of the 50 largest.
        "nodeStatusMaxImages": -1,
    })
}
