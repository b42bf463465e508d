//! The real helm, which sees nothing of the user's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::manifests::documents;

/// The release's name in every test.
pub const RELEASE: &str = "images";

/// A folder of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn chart() -> PathBuf {
    checkout("deploy/helm")
}

pub struct Helm {
    program: PathBuf,
    /// Its folders, and the values files of this test. It goes with the value.
    folder: PathBuf,
    kubeconfig: Option<PathBuf>,
    namespace: String,
}

impl Helm {
    /// A helm without a cluster.
    pub fn offline(namespace: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let program = test_bed::programs::build(&["helm"]).unwrap().join("helm");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("kube-prepull-helm-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { program, folder, kubeconfig: None, namespace: namespace.to_owned() }
    }

    pub fn of_cluster(kubeconfig: &Path, namespace: &str) -> Self {
        let mut helm = Self::offline(namespace);
        helm.kubeconfig = Some(kubeconfig.to_owned());
        helm
    }

    /// Standard output where it ends well, otherwise standard error.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        // No cluster of the user's is ever asked.
        let kubeconfig = self.kubeconfig.clone().unwrap_or_else(|| self.folder.join("none"));
        command.env("KUBECONFIG", kubeconfig).env("HELM_DRIVER", "secret");
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), self.folder.join(kind));
        }
        let output = command.args(["--namespace", &self.namespace]).args(arguments).output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Runs a subcommand with the release's name, the chart and values.
    pub fn with_chart(&self, subcommand: &str, values: &str, arguments: &[&str]) -> Result<String, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let file = self.folder.join(format!("values-{}.yaml", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, values).unwrap();
        let (chart, file) = (chart(), file.display().to_string());
        let all = [&[subcommand, RELEASE, chart.to_str().unwrap(), "--values", &file], arguments].concat();
        self.run(&all)
    }

    /// What the chart becomes with these values.
    pub fn template(&self, values: &str) -> Vec<Value> {
        let text = self.with_chart("template", values, &[]).unwrap_or_else(|error| panic!("{values}: {error}"));
        documents(&text)
    }

    /// Why the chart does not take these values.
    pub fn rejection(&self, values: &str) -> String {
        self.with_chart("template", values, &[]).expect_err(values)
    }

    /// Expects that the chart does not take these values, and says all of these words of them.
    pub fn rejects(&self, values: &str, words: &[&str]) {
        let said = self.rejection(values);
        assert!(words.iter().all(|word| said.contains(word)), "{values}: {said}");
    }
}

impl Drop for Helm {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}
