//! Finds the configuration that the user means, and says where it is.
//!
//! Source: k8s.io/client-go/tools/clientcmd/loader.go and client_config.go.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use kube::Config;
use kube::config::{Cluster, ExecConfig, KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::origin::{KubeconfigContext, Origin};
use super::plugin::Plugin;
use super::proxy::{self, Proxy};

/// How to connect.
pub struct Connection {
    /// Without proxy and credential plugin, which are here.
    pub config: Config,
    pub proxy: Option<Proxy>,
    pub plugin: Option<Plugin>,
    pub origin: Origin,
}

/// Finds the configuration.
///
/// # Errors
/// If there is none, or it is of no use.
pub async fn find(arguments: &KubeconfigContext) -> anyhow::Result<Connection> {
    let files = files(arguments.kubeconfig.as_deref());
    let kubeconfig = read(&files, arguments.kubeconfig.is_some())?;
    let has_none = kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty();
    let may_be_pod = arguments.kubeconfig.is_none() && arguments.context.is_none();
    // As all clients in pods do. The service's address is reached from every pod directly, so variables that something injects for
    // traffic out of the cluster change nothing.
    if has_none && may_be_pod && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        let config = Config::incluster().context("the pod's own account is of no use")?;
        return Ok(Connection { config, proxy: None, plugin: None, origin: Origin::Pod });
    }
    let shown = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" and ");
    if has_none {
        bail!("no kubeconfig with a cluster in {shown}; specify another with --kubeconfig or the variable KUBECONFIG");
    }
    selected(kubeconfig, arguments.context.as_deref(), shown).await
}

fn files(given: Option<&Path>) -> Vec<PathBuf> {
    if let Some(given) = given {
        return vec![given.to_owned()];
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    vec![std::env::home_dir().unwrap_or_default().join(".kube/config")]
}

/// Reads and merges the files. Only one that the arguments name must exist.
fn read(files: &[PathBuf], must_exist: bool) -> anyhow::Result<Kubeconfig> {
    let mut merged = Kubeconfig::default();
    for file in files {
        if !must_exist && !file.exists() {
            continue;
        }
        let read = Kubeconfig::read_from(file).map_err(|error| unreadable(file, &error))?;
        merged = merged.merge(read).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    }
    Ok(merged)
}

/// What a parser says of a file may show its lines, and so its credentials.
fn unreadable(file: &Path, error: &KubeconfigError) -> anyhow::Error {
    let file = file.display();
    match error {
        KubeconfigError::ReadConfig(error, _) => anyhow!("cannot read the kubeconfig {file}: {error}"),
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
            anyhow!("{file} is not a valid kubeconfig{}", place.unwrap_or_default())
        }
        other => anyhow!("cannot read the kubeconfig {file}: {other}"),
    }
}

async fn selected(mut kubeconfig: Kubeconfig, context: Option<&str>, files: String) -> anyhow::Result<Connection> {
    let name = context.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty());
    let known = kubeconfig.contexts.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    let name =
        name.ok_or_else(|| anyhow!("{files} has no current-context; choose one with --context: {known}"))?.to_owned();
    let chosen = kubeconfig.contexts.iter().find(|it| it.name == name).and_then(|it| it.context.clone());
    let chosen =
        chosen.ok_or_else(|| anyhow!("{files} has no context {name:?}; choose one with --context: {known}"))?;
    let user = chosen.user.clone().unwrap_or_default();
    let cluster =
        kubeconfig.clusters.iter_mut().find(|it| it.name == chosen.cluster).and_then(|it| it.cluster.as_mut());
    let cluster = cluster.ok_or_else(|| {
        anyhow!("the context {name:?} in {files} refers to the cluster {:?}, which is not there", chosen.cluster)
    })?;
    let original = cluster.clone();
    // kube would read the environment, by other rules.
    cluster.proxy_url = Some("http://unused".to_owned());
    let origin = Origin::Kubeconfig { files, context: name.clone(), cluster: chosen.cluster.clone(), user };
    let options = KubeConfigOptions { context: Some(name), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .with_context(|| format!("the configuration of {origin} is of no use"))?;
    config.proxy_url = None;
    let proxy = proxy(&config, &original, &origin)?;
    let plugin = exec(&mut config).map(|exec| Plugin::new(&exec, &original, origin.clone())).transpose()?;
    Ok(Connection { config, proxy, plugin, origin })
}

fn proxy(config: &Config, cluster: &Cluster, origin: &Origin) -> anyhow::Result<Option<Proxy>> {
    let place = match origin {
        Origin::Kubeconfig { files, cluster, .. } => format!("proxy-url of the cluster {cluster:?} in {files}"),
        Origin::Pod => String::new(),
    };
    let proxy_url = cluster.proxy_url.as_deref().map(|url| (url, place));
    proxy::choose(&config.cluster_url, proxy_url, &|name| std::env::var(name).ok()).map_err(|problem| anyhow!(problem))
}

/// Takes the credential plugin out of the configuration, unless the user has other credentials, which come first.
fn exec(config: &mut Config) -> Option<ExecConfig> {
    let user = &mut config.auth_info;
    let has_others = user.token.is_some()
        || user.token_file.is_some()
        || user.auth_provider.is_some()
        || (user.username.is_some() && user.password.is_some());
    user.exec.take().filter(|_| !has_others)
}
