//! Credential plugins: programs that print credentials.
//!
//! Source: k8s.io/client-go/plugin/pkg/client/auth/exec/exec.go.

use std::io::{ErrorKind, IsTerminal};
use std::process::Stdio;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use kube::config::{Cluster, ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::origin::Origin;
use crate::error::ConnectionProblem;

const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// A credential plugin, and how to run it.
#[derive(Clone)]
pub struct Plugin {
    command: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    version: String,
    install_hint: Option<String>,
    interactive: bool,
    /// What the plugin learns of the cluster, if it wants to.
    cluster: Option<ExecAuthCluster>,
    origin: Origin,
}

/// What a plugin has printed. It has no `Debug`: nothing may print it.
#[derive(Default)]
pub struct Credentials {
    pub token: Option<String>,
    /// Certificate and key, as PEM.
    pub certificate: Option<(String, String)>,
    pub expires: Option<Timestamp>,
}

impl Plugin {
    /// The plugin of that configuration.
    ///
    /// # Errors
    /// If the configuration is of no use.
    pub fn new(exec: &ExecConfig, cluster: &Cluster, origin: Origin) -> anyhow::Result<Self> {
        let command = exec.command.clone().filter(|command| !command.is_empty());
        let command = command.ok_or_else(|| anyhow!("the credential plugin of {origin} has no command"))?;
        let version = exec.api_version.clone().unwrap_or_default();
        if !VERSIONS.contains(&version.as_str()) {
            bail!(
                "the credential plugin {command:?} of {origin} is configured with the apiVersion {version:?}; set it to {}, if the \
                 plugin supports that",
                VERSIONS[0]
            );
        }
        let interactive = match exec.interactive_mode {
            Some(ExecInteractiveMode::Never) => false,
            Some(ExecInteractiveMode::Always) if !std::io::stdin().is_terminal() => bail!(
                "the credential plugin {command:?} of {origin} needs a terminal (interactiveMode: Always), and standard input is \
                 none; run the command in a terminal, or use credentials that need none"
            ),
            Some(ExecInteractiveMode::Always) => true,
            Some(ExecInteractiveMode::IfAvailable) | None => std::io::stdin().is_terminal(),
        };
        let variable =
            |it: &std::collections::HashMap<String, String>| Some((it.get("name")?.clone(), it.get("value")?.clone()));
        let cluster = exec.provide_cluster_info.then(|| ExecAuthCluster::try_from(cluster)).transpose()?;
        Ok(Self {
            command,
            arguments: exec.args.clone().unwrap_or_default(),
            environment: exec.env.iter().flatten().filter_map(variable).collect(),
            version,
            install_hint: exec.install_hint.clone().filter(|hint| !hint.trim().is_empty()),
            interactive,
            cluster,
            origin,
        })
    }

    /// Runs the plugin. What it says on standard error goes to ours.
    ///
    /// # Errors
    /// If it cannot be run, fails, or prints something else than credentials.
    pub async fn run(&self) -> Result<Credentials, ConnectionProblem> {
        let mut command = Command::new(&self.command);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("KUBERNETES_EXEC_INFO", self.information());
        command.stdin(if self.interactive { Stdio::inherit() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let started = command.spawn().map_err(|error| self.not_started(&error))?;
        let output = started.wait_with_output().await.map_err(|error| self.problem(&format!("failed: {error}")))?;
        if !output.status.success() {
            return Err(self.problem(&format!("failed ({}); it says why above, if at all", output.status)));
        }
        decode(&output.stdout, &self.version).map_err(|problem| self.problem(&problem))
    }

    fn information(&self) -> String {
        let mut spec = json!({"interactive": self.interactive});
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = json!(cluster);
        }
        json!({"apiVersion": self.version, "kind": "ExecCredential", "spec": spec}).to_string()
    }

    fn not_started(&self, error: &std::io::Error) -> ConnectionProblem {
        let hint = self.install_hint.as_ref().map(|hint| format!("\n{}", hint.trim())).unwrap_or_default();
        self.problem(&match error.kind() {
            ErrorKind::NotFound => format!("cannot be found; install it, or correct its command{hint}"),
            _ => format!("cannot be run: {error}{hint}"),
        })
    }

    fn problem(&self, what: &str) -> ConnectionProblem {
        ConnectionProblem(format!("the credential plugin {:?} of {} {what}", self.command, self.origin))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<PrintedStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedStatus {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// The credentials in what a plugin has printed. What is wrong with it is said without a part of it: it may hold credentials.
fn decode(printed: &[u8], version: &str) -> Result<Credentials, String> {
    // YAML is allowed as well.
    let printed: Printed =
        serde_yaml::from_slice(printed).map_err(|_| "prints something else than an ExecCredential".to_owned())?;
    if printed.kind.as_deref() != Some("ExecCredential") {
        return Err("prints something else than an ExecCredential".to_owned());
    }
    if printed.api_version.as_deref() != Some(version) {
        return Err(format!(
            "is configured with the apiVersion {version}, but prints another one; set apiVersion to the one that it supports"
        ));
    }
    let status = printed.status.ok_or("prints an ExecCredential without a status")?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let certificate = match (filled(status.client_certificate_data), filled(status.client_key_data)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("prints a certificate without its key, or the reverse".to_owned()),
    };
    let token = filled(status.token);
    if token.is_none() && certificate.is_none() {
        return Err("prints neither a token nor a certificate".to_owned());
    }
    let expires = filled(status.expiration_timestamp).map(|text| text.parse()).transpose();
    let expires = expires.map_err(|_| "prints an expirationTimestamp that is not a time")?;
    Ok(Credentials { token, certificate, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = VERSIONS[0];

    fn printed(status: &str) -> String {
        format!(r#"{{"apiVersion": "{V1}", "kind": "ExecCredential", "status": {status}}}"#)
    }

    #[test]
    fn tokens_certificates_and_both_are_taken_in_json_and_yaml() {
        let good = decode(printed(r#"{"token": "t", "expirationTimestamp": "2030-01-01T00:00:00Z"}"#).as_bytes(), V1);
        let Ok(good) = good else { panic!("no credentials") };
        assert_eq!(
            (good.token.as_deref(), good.expires.map(|it| it.to_string())),
            (Some("t"), Some("2030-01-01T00:00:00Z".to_owned()))
        );
        let both = printed(r#"{"token": "t", "clientCertificateData": "c", "clientKeyData": "k"}"#);
        let Ok(both) = decode(both.as_bytes(), V1) else { panic!("no credentials") };
        assert_eq!((both.token.is_some(), both.certificate), (true, Some(("c".to_owned(), "k".to_owned()))));
        let yaml = format!("apiVersion: {V1}\nkind: ExecCredential\nstatus:\n  token: t\n");
        assert!(decode(yaml.as_bytes(), V1).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_without_what_was_printed() {
        for (text, expected) in [
            ("secret".to_owned(), "something else"),
            ("secret: [".to_owned(), "something else"),
            (printed("null"), "without a status"),
            (printed(r#"{"token": ""}"#), "neither a token nor a certificate"),
            (printed(r#"{"clientKeyData": "secret"}"#), "without its key"),
            (printed(r#"{"token": "secret", "expirationTimestamp": "soon"}"#), "not a time"),
            (printed(r#"{"token": "secret"}"#).replace("/v1\"", "/v1beta1\""), "but prints another one"),
            (printed(r#"{"token": "secret"}"#).replace("ExecCredential", "Secret"), "something else"),
        ] {
            let problem = decode(text.as_bytes(), V1).err().expect("a problem");
            assert!(problem.contains(expected) && !problem.contains("secret"), "{text}: {problem}");
        }
    }
}
