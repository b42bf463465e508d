//! The demo's namespace on the cluster, be it real or simulated, and kubectl in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use test_bed::state::{Kind, State};
use test_bed::{Real, Simulated};

use crate::list;
use crate::screen::Screen;
use crate::text;

/// Where the list is, and everything that is made from it.
pub const NAMESPACE: &str = "prepull-demo";

/// Selects the ImageCaches of its lists, which are in no namespace.
pub const OF_LISTS: &str = "kube-prepull.io/namespace=prepull-demo";

/// What has to be known to a cluster that has ImageCaches.
const DEFINITION: &str = "imagecaches.eci.alibabacloud.com";

/// How long the API server and the controller may take for a step: the machine may be busy with other things.
pub const SOON: Duration = Duration::from_secs(120);

/// A cluster of this checkout.
pub enum Cluster {
    /// Of real nodes.
    Real(Real),
    /// Of simulated nodes.
    Simulated(Simulated),
}

impl Cluster {
    /// The one of that kind, if it runs.
    pub fn find(kind: Kind) -> Result<Option<Self>> {
        Ok(match kind {
            Kind::Real => Real::find()?.map(Self::Real),
            Kind::Simulated => Simulated::find()?.map(Self::Simulated),
        })
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        match self {
            Self::Real(real) => real.kubeconfig(),
            Self::Simulated(simulated) => simulated.kubeconfig(),
        }
    }

    /// A folder for files of the demo, which goes with the cluster.
    pub fn folder(&self) -> Result<PathBuf> {
        let kind = match self {
            Self::Real(_) => Kind::Real,
            Self::Simulated(_) => Kind::Simulated,
        };
        let folder = folder(kind);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Makes the namespace, which enforces the strictest of the Pod Security Standards. One of an earlier demo goes first.
    pub fn make_namespace(&self) -> Result<()> {
        self.clean_up()?;
        let manifest = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}, \
             labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
        );
        match self {
            Self::Real(real) => real.apply(&manifest),
            Self::Simulated(simulated) => simulated.apply(&manifest),
        }
        .map(drop)
    }

    /// Deletes the namespace with everything in it and the ImageCaches of its lists, and waits until they are gone. The
    /// definition of ImageCaches stays: who runs beside may need it.
    pub fn clean_up(&self) -> Result<()> {
        self.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"])?;
        let defined = ["get", "customresourcedefinition", DEFINITION, "--ignore-not-found", "-o", "name"];
        if !self.kubectl(&defined)?.is_empty() {
            self.kubectl(&["delete", "imagecaches", "--selector", OF_LISTS, "--timeout=120s"])?;
        }
        Ok(())
    }

    /// Runs kubectl in the namespace without showing it.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let all: Vec<_> = ["--namespace", NAMESPACE].iter().chain(arguments).collect();
        match self {
            Self::Real(real) => real.kubectl(all),
            Self::Simulated(simulated) => simulated.kubectl(all),
        }
    }

    /// Runs kubectl in the namespace, as the user would, and shows it with its output.
    pub fn show(&self, screen: &Screen, arguments: &[&str]) -> Result<()> {
        screen.command(&format!("kubectl {}", arguments.join(" ")));
        screen.output(&self.kubectl(arguments)?);
        Ok(())
    }

    /// Applies the sample as it is.
    pub fn apply_sample(&self, screen: &Screen) -> Result<()> {
        screen.command(&format!("kubectl apply --server-side -f {}", list::SAMPLE));
        screen.output(&self.kubectl(&["apply", "--server-side", "-f", &list::path().display().to_string()])?);
        Ok(())
    }

    /// Shows an edit of the list, and applies it.
    pub fn edit(&self, screen: &Screen, old: &str, new: &str) -> Result<()> {
        let path = self.folder()?.join("edited.yaml");
        fs::write(&path, new).with_context(|| format!("cannot write {}", path.display()))?;
        screen.command("kubectl apply --server-side -f edited.yaml     # the list with this edit:");
        screen.output(&text::difference(old, new).join("\n"));
        self.kubectl(&["apply", "--server-side", "-f", &path.display().to_string()]).map(drop)
    }

    /// Waits until the list has this validation result.
    pub fn await_state(&self, screen: &Screen, state: &str) -> Result<()> {
        let query = ["get", "configmap", list::NAME, "-o", r"jsonpath={.metadata.labels.kube-prepull\.io/state}"];
        screen.wait(&format!("the list to be {state}"), SOON, || Ok((self.kubectl(&query)? == state).then_some(())))
    }

    /// Waits for an Event with that reason, and shows it.
    pub fn show_event(&self, screen: &Screen, reason: &str) -> Result<()> {
        let selector = format!("reason={reason}");
        let query = ["get", "events", "--field-selector", &selector, "-o", "jsonpath={.items[*].message}"];
        screen.wait(&format!("the Event {reason}"), SOON, || Ok((!self.kubectl(&query)?.is_empty()).then_some(())))?;
        self.show(screen, &["get", "events", "--field-selector", &selector])
    }

    /// What the cluster has of generations: names, uids and versions of their DaemonSets' specs.
    pub fn generations(&self) -> Result<String> {
        let each = r#"{range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.generation}{"\n"}{end}"#;
        self.kubectl(&["get", "daemonsets", "-o", &format!("jsonpath={each}")])
    }
}

/// The demo's folder in a cluster's.
pub fn folder(kind: Kind) -> PathBuf {
    State::of_checkout(kind).folder().join("demo")
}

/// How to use what was left running.
pub fn how_to_go_on(screen: &Screen, cluster: &Cluster) -> Result<()> {
    let programs = match cluster {
        Cluster::Real(real) => real.programs(),
        Cluster::Simulated(simulated) => simulated.programs()?,
    };
    let name = list::NAME;
    screen.say("To go on:");
    screen.output(&format!("export PATH={}:$PATH     # for kubectl", programs.display()));
    screen.output(&format!("export KUBECONFIG={}", cluster.kubeconfig().display()));
    screen.output(&format!("kubectl -n {NAMESPACE} edit configmap {name}"));
    screen.output(&format!("kubectl -n {NAMESPACE} get daemonsets,pods,events"));
    screen.output(&format!("tail -f {}", crate::controller::log(&cluster.folder()?).display()));
    screen.output("make down                 # ends all of it");
    Ok(())
}
