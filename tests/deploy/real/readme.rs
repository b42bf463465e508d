//! The README, followed word by word on real nodes: from the install to what is warm.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use test_bed::programs;

use super::Install;
use crate::helm::checkout;

/// How long the commands may take together, until all images are warm.
const TWO_MINUTES: Duration = Duration::from_secs(120);

/// What a reader of the README has: a copy of the project, the file of the README, and the plugin. It goes with the value, as does what was
/// installed.
struct Reader<'i> {
    install: &'i Install,
    folder: PathBuf,
    path: String,
}

impl<'i> Reader<'i> {
    fn begin(install: &'i Install) -> Self {
        let folder = std::env::temp_dir().join(&install.it.namespace.name);
        fs::create_dir_all(&folder).unwrap();
        symlink(checkout("deploy"), folder.join("deploy")).unwrap();
        symlink(env!("CARGO_BIN_EXE_kube-prepull"), folder.join("kubectl-prepull")).unwrap();
        let tools = programs::build(&["kubectl", "helm"]).unwrap();
        let path = format!("{}:{}:{}", folder.display(), tools.display(), std::env::var("PATH").unwrap());
        Self { install, folder, path }
    }

    fn run(&self, line: &str) -> Output {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(&self.folder).env("PATH", &self.path);
        shell.env("KUBECONFIG", self.install.it.namespace.kubeconfig());
        for kind in ["CACHE", "CONFIG", "DATA"] {
            shell.env(format!("HELM_{kind}_HOME"), self.folder.join(kind));
        }
        shell.output().unwrap()
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.run(&format!("helm uninstall prepull --namespace {} --wait", self.install.it.namespace.name));
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The first block of that language after a heading.
fn block<'r>(readme: &'r str, heading: &str, language: &str) -> &'r str {
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
#[ignore = "make test-faults"]
fn the_readme_leads_from_the_install_to_warm_images_within_two_minutes() {
    let install = Install::begin_alone("readme");
    install.push_controller(env!("CARGO_PKG_VERSION"));
    let readme = fs::read_to_string(checkout("README.md")).unwrap();
    // The images of the README are in registries that no test asks. No node has the GPU of the other group.
    let mut list = block(&readme, "Install", "yaml").to_owned();
    for (image, ours) in [("nginx:1.29", "nginx:1"), ("redis:7.4", "redis:1")] {
        assert!(list.contains(image), "{list}");
        install.push_content(ours, image);
        list = list.replace(image, &install.reference(ours));
    }
    let reader = Reader::begin(&install);
    fs::write(reader.folder.join("images.yaml"), list).unwrap();
    let commands = block(&readme, "Install", "sh").replace("\\\n", " ");
    let commands = commands.replace("registry.example.com/kube-prepull", &install.reference("kube-prepull"));
    let commands = commands.replace("--namespace prepull", &format!("--namespace {}", install.it.namespace.name));
    let lines: Vec<&str> = commands.lines().collect();
    // That builds for two architectures; the images were pushed above.
    assert!(lines[0].starts_with("make image PUSH="), "{lines:?}");

    let started = Instant::now();
    let (status, others) = lines[1..].split_last().unwrap();
    for line in others {
        let output = reader.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
    }
    assert!(status.starts_with("kubectl prepull status"), "{status}");
    install.it.eventually("the README's status to be good", || reader.run(status).status.success());
    let (took, shown) = (started.elapsed(), reader.run(status));
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("2/2") && shown.contains("tools: accepted"), "{shown}");
    assert!(took < TWO_MINUTES, "{took:?}");
    println!("the README takes {} s", took.as_secs());
}
