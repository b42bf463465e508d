//! A real Prometheus on loopback, for tests that ask it what it makes of what it scrapes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::process::{Process, free_address};
use crate::{log, programs, wait};

const START: Duration = Duration::from_secs(60);

/// What it scrapes, and which rules it evaluates.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The time between two scrapes, and between two evaluations of the rules. At least a millisecond.
    pub interval: Duration,
    /// The text of a rules file; there may be none.
    pub rules: Option<String>,
    /// Where it scrapes `/metrics`, as `host:port`.
    pub targets: Vec<String>,
    /// Labels of every target, as service discovery gives them in a cluster.
    pub labels: BTreeMap<String, String>,
    /// With a token, it sends that over TLS, and takes any certificate.
    pub token: Option<String>,
}

/// A running Prometheus. It ends when this is dropped, and its data goes with it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: String,
    agent: ureq::Agent,
    /// After the process, whose files are in it.
    _folder: Folder,
}

#[derive(Debug)]
struct Folder(PathBuf);

/// An alert that is pending or firing.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    /// `pending` or `firing`.
    pub state: String,
    /// With the alert's name as `alertname`.
    pub labels: BTreeMap<String, String>,
    /// With the templates filled in.
    pub annotations: BTreeMap<String, String>,
}

/// A series and its samples in a range of time.
#[derive(Clone, Debug)]
pub struct Series {
    /// What distinguishes it from others.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970, and the value then.
    pub samples: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// If it cannot be built or started, or if it does not like its configuration.
    pub fn start(configuration: &Configuration) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let program = programs::build(&["prometheus"])?.join("prometheus");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("kube-prepull-prometheus-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let folder = Folder(folder);
        write(&folder.0, configuration)?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command.env_clear();
        command.arg(format!("--config.file={}", folder.0.join("prometheus.yaml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.0.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::start(command, &folder.0.join("log"))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let it = Self { process, address, agent, _folder: folder };
        it.await_ready()?;
        Ok(it)
    }

    fn await_ready(&self) -> Result<()> {
        wait::until("Prometheus to be ready", START, || {
            self.process.ensure_running()?;
            let answer = self.agent.get(format!("http://{}/-/ready", self.address)).call();
            Ok(answer.is_ok_and(|answer| answer.status() == 200).then_some(()))
        })
    }

    /// The alerts that are pending or firing now.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn alerts(&self) -> Result<Vec<Alert>> {
        #[derive(Deserialize)]
        struct Alerts {
            alerts: Vec<Alert>,
        }
        Ok(self.ask::<Alerts>("alerts", &[])?.alerts)
    }

    /// What a query comes to now: each series with one sample.
    ///
    /// # Errors
    /// If it does not answer, or not to such a query.
    pub fn query(&self, promql: &str) -> Result<Vec<Series>> {
        let answer: Value = self.ask("query", &[("query", promql)])?;
        series(&answer["result"], |found| std::slice::from_ref(&found["value"]))
    }

    /// What it came to from one time to another, at every step.
    ///
    /// # Errors
    /// If it does not answer, or not to such a query.
    pub fn query_range(&self, promql: &str, from: Timestamp, to: Timestamp, step: Duration) -> Result<Vec<Series>> {
        let (from, to, step) = (from.to_string(), to.to_string(), step.as_secs_f64().to_string());
        let parameters = [("query", promql), ("start", &from), ("end", &to), ("step", &step)];
        let answer: Value = self.ask("query_range", &parameters)?;
        series(&answer["result"], |found| found["values"].as_array().map_or(&[], Vec::as_slice))
    }

    /// The syntax tree of a query.
    ///
    /// # Errors
    /// If it is no query.
    pub fn parse(&self, promql: &str) -> Result<Value> {
        self.ask("parse_query", &[("query", promql)])
    }

    fn ask<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<T> {
        let request = self.agent.get(format!("http://{}/api/v1/{path}", self.address));
        let mut answer =
            request.query_pairs(parameters.iter().copied()).call().context("Prometheus does not answer")?;
        let mut answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        if answer["status"] != "success" {
            bail!("Prometheus says of {parameters:?}: {}", answer["error"].as_str().unwrap_or_default());
        }
        Ok(serde_json::from_value(answer["data"].take())?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", log::tail(self.process.log()));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// JSON is YAML.
fn write(folder: &Path, configuration: &Configuration) -> Result<()> {
    let interval = format!("{}ms", configuration.interval.as_millis());
    let mut scrape = json!({
        "job_name": "kube-prepull",
        "static_configs": [{"targets": configuration.targets, "labels": configuration.labels}],
    });
    if let Some(token) = &configuration.token {
        scrape["scheme"] = json!("https");
        scrape["authorization"] = json!({"credentials": token});
        scrape["tls_config"] = json!({"insecure_skip_verify": true});
    }
    let mut text = json!({
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [scrape],
    });
    if let Some(rules) = &configuration.rules {
        fs::write(folder.join("rules.yaml"), rules)?;
        text["rule_files"] = json!(["rules.yaml"]);
    }
    fs::write(folder.join("prometheus.yaml"), text.to_string())?;
    Ok(())
}

fn series(result: &Value, samples: impl Fn(&Value) -> &[Value]) -> Result<Vec<Series>> {
    let found = result.as_array().context("an answer without series")?;
    found
        .iter()
        .map(|found| {
            let labels = serde_json::from_value(found["metric"].clone())?;
            let samples = samples(found).iter().map(sample).collect::<Option<Vec<_>>>().context("a sample")?;
            Ok(Series { labels, samples })
        })
        .collect()
}

/// `[1435781451.781, "1"]`
fn sample(sample: &Value) -> Option<(f64, f64)> {
    Some((sample[0].as_f64()?, sample[1].as_str()?.parse().ok()?))
}
