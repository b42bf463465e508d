//! The plugin `kubectl prepull`: its manifest for krew, and the archives that it names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::helm::checkout;

/// A folder of the test's own, with programs that stand for the built ones.
struct Packed(PathBuf);

impl Packed {
    fn begin(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("krew-{name}-{}", std::process::id()));
        for architecture in ["amd64", "arm64"] {
            let context = folder.join("context").join(architecture);
            fs::create_dir_all(&context).unwrap();
            fs::write(context.join("kube-prepull"), architecture).unwrap();
        }
        Self(folder)
    }

    fn pack(&self, arguments: &[&str]) -> Output {
        let mut script = Command::new(checkout("deploy/krew/archives.sh"));
        script.args(arguments).env("CONTEXT", self.0.join("context")).env("OUT", self.0.join("out"));
        script.output().unwrap()
    }

    fn manifest(&self) -> Value {
        serde_yaml::from_str(&fs::read_to_string(self.0.join("out/prepull.yaml")).unwrap()).unwrap()
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn what_the_manifest_names_is_what_is_packed() {
    let packed = Packed::begin("manifest");
    let output = packed.pack(&["https://kube-prepull.example", "https://kube-prepull.example/v0"]);
    assert!(output.status.success(), "{output:?}");
    let manifest = packed.manifest();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"prepull".into()));
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    // What krew's index asks for.
    assert!(spec["shortDescription"].as_str().unwrap().len() <= 50 && !spec["homepage"].as_str().unwrap().is_empty());
    assert!(spec["description"].as_str().unwrap().lines().all(|line| line.len() <= 80));
    let platforms = spec["platforms"].as_array().unwrap();
    let architectures: Vec<&str> =
        platforms.iter().map(|it| it["selector"]["matchLabels"]["arch"].as_str().unwrap()).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    for platform in platforms {
        let uri = platform["uri"].as_str().unwrap();
        let archive = packed.0.join("out").join(uri.strip_prefix("https://kube-prepull.example/v0/").unwrap());
        assert_eq!(platform["sha256"], sha256(&archive).as_str());
        let inside = Command::new("tar").arg("--list").arg("--file").arg(&archive).output().unwrap();
        let inside = String::from_utf8(inside.stdout).unwrap();
        let named = platform["files"].as_array().unwrap().iter().map(|file| file["from"].as_str().unwrap());
        assert_eq!(named.collect::<Vec<_>>(), inside.lines().collect::<Vec<_>>());
        assert_eq!(platform["bin"], platform["files"][0]["to"], "krew links what is called so");
    }
}

#[test]
fn the_same_programs_give_the_same_archives() {
    let sums = ["one", "two"].map(|name| {
        let packed = Packed::begin(name);
        assert!(packed.pack(&["https://kube-prepull.example", "https://kube-prepull.example"]).status.success());
        packed.manifest()["spec"]["platforms"][0]["sha256"].clone()
    });
    assert_eq!(sums[0], sums[1]);
    assert_eq!(Packed::begin("usage").pack(&[]).status.code(), Some(2));
}

/// kubectl finds a plugin by its name in PATH.
#[test]
fn kubectl_runs_it_and_help_is_called_as_it_was() {
    let packed = Packed::begin("kubectl");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kube-prepull"), packed.0.join("kubectl-prepull")).unwrap();
    let bed = test_bed::Simulated::running().unwrap();
    let kubectl = |arguments: &[&str]| {
        let mut kubectl = Command::new(bed.programs().unwrap().join("kubectl"));
        kubectl.env("KUBECONFIG", bed.kubeconfig()).env("PATH", &packed.0);
        kubectl.arg("prepull").args(arguments).output().unwrap()
    };
    let help = kubectl(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("Usage: kubectl prepull <COMMAND>"), "{text}");
    let text = String::from_utf8(kubectl(&["status", "--help"]).stdout).unwrap();
    assert!(text.contains("Usage: kubectl prepull status"), "{text}");
    assert_eq!(kubectl(&["status", "--nonsense"]).status.code(), Some(2));
    let nothing = kubectl(&["status", "--namespace", "there-is-none"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no image list"), "{nothing:?}");
}
