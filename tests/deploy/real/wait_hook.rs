//! An application's chart with the hook of config/wait-hook.yaml, as docs/wait.md describes it.

use std::fs;
use std::path::{Path, PathBuf};

use super::Install;
use crate::helm::checkout;

const APPLICATION: &str = "configmap/application";

/// A chart whose application is a ConfigMap that names its image. It goes with the value.
struct Application<'i> {
    install: &'i Install,
    folder: PathBuf,
    /// The hook's name for all that it makes: what belongs to the whole cluster must be this test's alone.
    hook: String,
}

impl<'i> Application<'i> {
    fn of(install: &'i Install) -> Self {
        let namespace = &install.it.namespace.name;
        let folder = std::env::temp_dir().join(format!("kube-prepull-chart-{namespace}"));
        let hook = format!("wait-{namespace}");
        let template = fs::read_to_string(checkout("config/wait-hook.yaml")).unwrap();
        let replaced = [
            ("wait-for-images", hook.as_str()),
            ("namespace: kube-prepull", &format!("namespace: {namespace}")),
            ("registry.example.com/kube-prepull:0.1.0", &install.reference("kube-prepull:1")),
            ("ghcr.io/acme/app:8", "{{ .Values.image }}"),
            ("--timeout, 15m", "--timeout, {{ .Values.patience }}"),
        ];
        let template = replaced.iter().fold(template, |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let application = "{apiVersion: v1, kind: ConfigMap, metadata: {name: application}, data: {image: {{ .Values.image | quote }}}}";
        fs::create_dir_all(folder.join("templates")).unwrap();
        fs::write(folder.join("Chart.yaml"), "{apiVersion: v2, name: application, version: 1.0.0}").unwrap();
        fs::write(folder.join("templates/hook.yaml"), template).unwrap();
        fs::write(folder.join("templates/application.yaml"), application).unwrap();
        Self { install, folder, hook }
    }

    fn chart(&self) -> &Path {
        &self.folder
    }

    /// Installs or upgrades it to that image, for which the hook waits so long.
    fn roll_out(&self, image: &str, patience: &str) -> Result<String, String> {
        let values = format!("image={},patience={patience}", self.install.reference(image));
        let chart = self.chart().display().to_string();
        let arguments = ["upgrade", "application", &chart, "--install", "--set-string", &values, "--timeout", "5m"];
        self.install.it.helm.run(&arguments)
    }

    /// The image that it runs.
    fn image(&self) -> String {
        self.install.it.namespace.get(APPLICATION, ".data.image")
    }

    /// Whether all nodes hold that digest now.
    fn is_held(&self, digest: &str) -> bool {
        let holding = self.install.holding();
        holding.iter().filter(|container| container.digest.as_deref() == Some(digest)).count()
            == self.install.nodes.len()
    }
}

impl Drop for Application<'_> {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
        // Hooks are no part of a release.
        drop(self.install.it.namespace.kubectl(&["delete", "clusterrole,clusterrolebinding", &self.hook]));
    }
}

#[test]
#[ignore = "make test-faults"]
fn an_application_is_upgraded_when_its_new_image_is_warm_and_not_when_it_cannot_be() {
    let install = Install::begin("hook");
    install.push_controller("1");
    let (one, two) = (install.push_content("app:1", "one"), install.push_content("app:2", "two"));
    install.it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    let application = Application::of(&install);

    application.roll_out("app:1", "3m").unwrap();
    assert_eq!(application.image(), install.reference("app:1"));
    assert!(application.is_held(&one), "helm came back before the image was there");
    application.roll_out("app:2", "3m").unwrap();
    assert_eq!(application.image(), install.reference("app:2"));
    assert!(application.is_held(&two), "helm came back before the image was there");

    // Long enough for a busy machine to find out that there is no such image.
    let refused = application.roll_out("app:3", "90s").unwrap_err();
    assert!(refused.contains("pre-upgrade"), "{refused}");
    assert_eq!(application.image(), install.reference("app:2"), "nothing of the application has changed");
    let log = install.it.namespace.kubectl(&["logs", &format!("job/{}", application.hook)]).unwrap();
    assert!(log.contains("timed out") && log.contains("app:3") && log.contains("no such image or tag"), "{log}");
}
