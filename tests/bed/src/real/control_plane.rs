//! The services of the hub: etcd, the API server, the controller manager, the scheduler and the registry.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::layout::{API_PORT, HUB, HUB_ADDRESS, Layout, REGISTRY_PORT, SERVICE_ADDRESS, SERVICE_RANGE, api_server};
use crate::machine::Service;
use crate::pki::{Pki, Use, write_kubeconfig};
use crate::registry::STORAGE;
use crate::{audit, programs};

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";

/// Signs what the control plane needs, and writes its configuration.
pub fn prepare(layout: &Layout, pki: &Pki) -> Result<()> {
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let addresses = [[127, 0, 0, 1].into(), HUB_ADDRESS, SERVICE_ADDRESS];
    pki.issue("apiserver", "kube-apiserver", None, Use::Server(&names, &addresses))?;
    pki.issue("kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters"), Use::Client)?;
    pki.issue_user("admin", "admin", Some("system:masters"), &api_server())?;
    for component in ["kube-controller-manager", "kube-scheduler"] {
        pki.issue_user(component, &format!("system:{component}"), None, &api_server())?;
    }
    fs::write(layout.file(HUB, "audit-policy.yaml"), audit::POLICY)?;
    let registry = json!({
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": false}},
        "storage": {"filesystem": {"rootdirectory": layout.file(HUB, STORAGE)}, "delete": {"enabled": true}},
        "http": {"addr": format!("{HUB_ADDRESS}:{REGISTRY_PORT}"), "relativeurls": true},
    });
    fs::write(layout.file(HUB, "registry.yaml"), serde_json::to_vec_pretty(&registry)?)?;
    Ok(())
}

/// Writes the administrator's kubeconfig for the host, where the API server has another address.
pub fn write_host_kubeconfig(layout: &Layout, server: &str) -> Result<()> {
    let pki = layout.pki("");
    write_kubeconfig(&layout.state.kubeconfig(), &pki, "admin", &format!("https://{server}"))
}

pub fn etcd(layout: &Layout) -> Service {
    let mut arguments = options([
        ("listen-client-urls", ETCD),
        ("advertise-client-urls", ETCD),
        ("listen-peer-urls", ETCD_PEER),
        ("initial-advertise-peer-urls", ETCD_PEER),
        ("initial-cluster", &format!("default={ETCD_PEER}")),
        ("log-level", "warn"),
    ]);
    arguments.extend(files([("data-dir", &layout.file(HUB, "etcd"))]));
    // Nobody needs these data after a power cut.
    arguments.push("--unsafe-no-fsync".into());
    Service { name: "etcd", program: layout.program("etcd"), arguments }
}

pub fn api_server_service(layout: &Layout) -> Service {
    let mut arguments = options([
        ("etcd-servers", ETCD),
        ("bind-address", "0.0.0.0"),
        ("advertise-address", &HUB_ADDRESS.to_string()),
        ("secure-port", &API_PORT.to_string()),
        ("service-cluster-ip-range", SERVICE_RANGE),
        ("service-account-issuer", "https://kubernetes.default.svc"),
        ("authorization-mode", "Node,RBAC"),
        ("enable-admission-plugins", "NodeRestriction,OwnerReferencesPermissionEnforcement,PodNodeSelector"),
        ("allow-privileged", "true"),
        // There is no DNS: a node's name would lead nowhere.
        ("kubelet-preferred-address-types", "InternalIP"),
    ]);
    arguments.extend(files([
        ("client-ca-file", &layout.pki("ca.crt")),
        ("tls-cert-file", &layout.pki("apiserver.crt")),
        ("tls-private-key-file", &layout.pki("apiserver.key")),
        ("service-account-key-file", &layout.pki("sa.pub")),
        ("service-account-signing-key-file", &layout.pki("sa.key")),
        ("kubelet-certificate-authority", &layout.pki("ca.crt")),
        ("kubelet-client-certificate", &layout.pki("kubelet-client.crt")),
        ("kubelet-client-key", &layout.pki("kubelet-client.key")),
        ("audit-policy-file", &layout.file(HUB, "audit-policy.yaml")),
        ("audit-log-path", &layout.file(HUB, "audit.log")),
    ]));
    Service { name: "kube-apiserver", program: layout.program("kube-apiserver"), arguments }
}

pub fn controller_manager(layout: &Layout) -> Service {
    let mut arguments = follower(layout, "kube-controller-manager");
    arguments.push("--use-service-account-credentials".into());
    arguments.extend(files([
        ("service-account-private-key-file", &layout.pki("sa.key")),
        ("root-ca-file", &layout.pki("ca.crt")),
        ("cluster-signing-cert-file", &layout.pki("ca.crt")),
        ("cluster-signing-key-file", &layout.pki("ca.key")),
    ]));
    Service { name: "kube-controller-manager", program: layout.program("kube-controller-manager"), arguments }
}

pub fn scheduler(layout: &Layout) -> Service {
    let arguments = follower(layout, "kube-scheduler");
    Service { name: "kube-scheduler", program: layout.program("kube-scheduler"), arguments }
}

pub fn registry(layout: &Layout) -> Result<Service> {
    let configuration = layout.file(HUB, "registry.yaml").display().to_string();
    let program = programs::find("docker-registry")?;
    Ok(Service { name: "registry", program, arguments: vec!["serve".into(), configuration] })
}

/// What controller manager and scheduler have in common.
fn follower(layout: &Layout, name: &str) -> Vec<String> {
    let mut arguments = options([
        ("bind-address", "127.0.0.1"),
        ("leader-elect", "false"),
        ("kube-api-qps", "300"),
        ("kube-api-burst", "600"),
    ]);
    arguments.extend(files([("kubeconfig", &layout.pki(&format!("{name}.kubeconfig")))]));
    arguments
}

fn options<const N: usize>(options: [(&str, &str); N]) -> Vec<String> {
    options.map(|(name, value)| format!("--{name}={value}")).to_vec()
}

fn files<P: AsRef<Path>, const N: usize>(files: [(&str, P); N]) -> Vec<String> {
    files.map(|(name, path)| format!("--{name}={}", path.as_ref().display())).to_vec()
}
