//! `validate` reads a volume of a ConfigMap, which is how `helm test` checks the list.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder as a kubelet makes it: links to files in a folder beside them.
struct Volume(PathBuf);

impl Volume {
    fn of(name: &str, data: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("kube-prepull-volume-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("..2026_01_01")).unwrap();
        symlink("..2026_01_01", folder.join("..data")).unwrap();
        for (key, value) in data {
            fs::write(folder.join("..2026_01_01").join(key), value).unwrap();
            symlink(format!("..data/{key}"), folder.join(key)).unwrap();
        }
        Self(folder)
    }

    /// As the chart's test does.
    fn validate(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(["validate", "--allow-empty", "--namespace", "images", "--file"]).arg(&self.0).output().unwrap()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_list_in_either_format_is_accepted() {
    for (name, data) in [
        ("flat", [("IMAGES", "web=nginx:1.27"), ("NAMESPACE", "images")].as_slice()),
        ("yaml", [("images.yaml", "images: [nginx:1.27]\n")].as_slice()),
        ("new", [("IMAGES", ""), ("NAMESPACE", "images"), ("CACHING_INTERVAL_HOURS", "1")].as_slice()),
    ] {
        let output = Volume::of(name, data).validate();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[test]
fn a_bad_list_is_rejected_with_what_is_wrong() {
    let output = Volume::of("bad", &[("IMAGES", "web=nginx:1.27"), ("NAMESPACE", "another")]).validate();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("NAMESPACE"), "{}", said(&output));
}

#[test]
fn an_empty_volume_is_no_list() {
    let output = Volume::of("empty", &[]).validate();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("contains no list"), "{}", said(&output));
}
