//! Commands and controllers that reach the API server through proxies and with credential plugins, which are real programs.

mod plugins;
mod proxies;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::trial::Trial;

/// The API server by a name that only proxies know.
const HOST: &str = "api.example.test";
/// A name in the API server's certificate.
const CERTIFIED: &str = "kubernetes.default.svc";
/// None of these commands may take longer, whatever is wrong.
const BOUND: Duration = Duration::from_secs(40);

/// A kubeconfig of the test's own.
struct Access {
    config: Value,
    path: PathBuf,
    server: SocketAddr,
}

impl Access {
    /// The cluster's kubeconfig, as a file that can be changed.
    fn of(trial: &Trial, name: &str) -> Self {
        let mut config = serde_json::to_value(Kubeconfig::read_from(&trial.kubeconfig).unwrap()).unwrap();
        let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
        let server = server.split("//").nth(1).unwrap().trim_end_matches('/').parse().unwrap();
        let context = config["contexts"][0]["name"].clone();
        config["current-context"] = context;
        let path = std::env::temp_dir().join(format!("{}-{name}.kubeconfig", trial.namespace));
        Self { config, path, server }.written()
    }

    /// The same by the name that only proxies know.
    fn behind_proxy(trial: &Trial, name: &str) -> Self {
        let mut access = Self::of(trial, name);
        access.config["clusters"][0]["cluster"]["server"] = json!(format!("https://{HOST}:6443"));
        access.config["clusters"][0]["cluster"]["tls-server-name"] = json!(CERTIFIED);
        access.written()
    }

    fn with_proxy_url(mut self, url: &str) -> Self {
        self.config["clusters"][0]["cluster"]["proxy-url"] = json!(url);
        self.written()
    }

    fn with_user(mut self, user: Value) -> Self {
        self.config["users"][0]["user"] = user;
        self.written()
    }

    fn written(self) -> Self {
        fs::write(&self.path, self.config.to_string()).unwrap();
        self
    }

    fn command(&self, trial: &Trial, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        command.args(arguments).args(["--namespace", &trial.namespace, "--kubeconfig"]).arg(&self.path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The exit code, and what is written to standard output and standard error.
    async fn run(&self, trial: &Trial, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = self.command(trial, arguments);
        command.envs(variables.iter().copied());
        // The test's own thread is not kept.
        let begun = Instant::now();
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(begun.elapsed() < BOUND, "{arguments:?} took {:?}", begun.elapsed());
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}
