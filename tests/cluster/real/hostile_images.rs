//! Images that try to run their own program in place of the holder.
//!
//! Containerd fills an image's volumes with what the image has at that path, and mounts them after the mounts of the pod with as many
//! parts in their path (`internal/cri/opts`, `WithVolumes` and `orderedMounts`). Runc follows links of the image on the way to a mount.
//! So a volume can cover a folder of which the image's author knows the name.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_bed::{Digest, Image, Layer, Node};

use super::faults::HEALING;
use super::{RealTrial, content};
use crate::trial::within;

/// The folder that an author might know from kube-prepull's source, and the program in it.
const KNOWN_FOLDER: &str = "/kube-prepull";

/// What becomes of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The holder runs in its container.
    Held,
    /// Its container does not start, and `status` says this of the cause.
    DoesNotStart(&'static str),
}
use End::{DoesNotStart, Held};

/// All that the runtime mounted is covered by a volume at `/`, the holder too.
const COVERED: &str = "does not find /proc in the container";

/// The hostile images: a name, what the image is, and what becomes of it.
fn hostile_images(program: &[u8]) -> Vec<(&'static str, Image, End)> {
    let planted = || Layer::new().file("/kube-prepull/holder", program, 0o755);
    let image = |layer: Layer, volume: &str| Image::from_scratch().layer(layer).volume(volume);
    let plain = || Image::from_scratch().layer(planted());
    vec![
        ("link", image(planted().symlink("/vol", KNOWN_FOLDER), "/vol"), Held),
        (
            "link-to-link",
            image(planted().symlink("/c", KNOWN_FOLDER).symlink("/b", "c").symlink("/vol", "/b"), "/vol"),
            Held,
        ),
        ("link-upwards", image(planted().symlink("/x/vol", "../../../kube-prepull"), "/x/vol"), Held),
        ("linked-parent", image(planted().symlink("/a", "/"), "/a/kube-prepull"), Held),
        ("relative", image(planted(), "kube-prepull"), Held),
        ("relative-link", image(planted().symlink("/vol", "kube-prepull"), "vol"), Held),
        ("at-the-mount", image(planted(), KNOWN_FOLDER), Held),
        ("trailing-slash", image(planted(), "/kube-prepull/"), Held),
        ("slashes", image(planted(), "//kube-prepull//"), Held),
        ("dots", image(planted().symlink("/x", "/"), "/x/../x/./kube-prepull"), Held),
        ("below", image(planted(), "/kube-prepull/x"), Held),
        ("at-the-program", image(planted(), "/kube-prepull/holder"), DoesNotStart("a VOLUME of the image is a file")),
        ("pattern", image(planted(), "/kube-prepull*"), Held),
        ("root", image(planted(), "/"), DoesNotStart(COVERED)),
        ("linked-root", image(planted().symlink("/vol", "/"), "/vol"), DoesNotStart(COVERED)),
        ("deep-root", image(planted().symlink("/d/e/f/vol", "/"), "/d/e/f/vol"), DoesNotStart(COVERED)),
        ("proc", image(planted(), "/proc"), DoesNotStart("a VOLUME of the image cannot be mounted")),
        ("sys", image(planted(), "/sys"), Held),
        ("dev", image(planted(), "/dev"), DoesNotStart("does not find /dev in the container")),
        ("proc-root", image(planted().symlink("/vol", "/proc/1/root/kube-prepull"), "/vol"), Held),
        ("proc-cwd", image(planted().symlink("/d/e/f/vol", "/proc/self/cwd"), "/d/e/f/vol"), Held),
        (
            "folder-is-link",
            Image::from_scratch().layer(Layer::new().file("/tmp/holder", program, 0o755).symlink(KNOWN_FOLDER, "/tmp")),
            Held,
        ),
        ("folder-is-file", Image::of_file(KNOWN_FOLDER, "in the way"), Held),
        (
            "entrypoint",
            plain().entrypoint(&["/kube-prepull/holder", "hold", "v1"]).healthcheck(&["/kube-prepull/holder"]),
            Held,
        ),
        (
            "environment",
            plain().env("PATH", KNOWN_FOLDER).env("LD_PRELOAD", "/kube-prepull/holder").env("LD_LIBRARY_PATH", "/"),
            Held,
        ),
        ("user", plain().user("nobody-in-particular:0"), Held),
        ("signal", plain().stop_signal("SIGNOPE"), Held),
        ("working-directory", plain().working_directory("/kube-prepull/holder"), Held),
        ("relative-working-directory", plain().working_directory("kube-prepull"), Held),
        ("open-file", plain().working_directory("/proc/self/fd/7"), Held),
    ]
}

/// The programs that run in the containers of this namespace on a node, by container.
fn programs(real: &RealTrial, node: &Node) -> BTreeMap<String, Option<Digest>> {
    let containers = node.containers().unwrap();
    let ours = containers.into_iter().filter(|it| it.namespace == real.trial.namespace && it.running);
    ours.map(|it| (it.name.clone(), node.program(&it).unwrap())).collect()
}

/// What `status` says of the images whose containers do not start, by image.
fn failures(real: &RealTrial) -> BTreeMap<String, Value> {
    let report = real.trial.status();
    let images = report["lists"][0]["groups"][0]["images"].as_array().cloned().unwrap_or_default();
    let stuck = images.iter().filter_map(|image| {
        let behind = image["behind"].as_array()?.iter().find(|it| it["state"] == "cannotStart")?;
        Some((image["name"].as_str()?.to_owned(), behind.clone()))
    });
    stuck.collect()
}

#[tokio::test]
async fn no_image_runs_a_program_of_its_own() {
    let real = RealTrial::begin("hostile").await;
    let holder = real.bed.holder().unwrap();
    // It runs just as the holder does, but is another file.
    let hostile = [&holder[..], b"hostile"].concat();
    let (ours, theirs) = (Digest::of(&holder), Digest::of(&hostile));
    let images = hostile_images(&hostile);
    let listed = images.iter().map(|(name, image, _)| {
        real.push(&format!("{name}:1"), image);
        json!({"name": name, "image": real.reference(&format!("{name}:1"))})
    });
    let list = json!({"images": listed.collect::<Vec<_>>()});
    let _controller = real.controller().await;
    real.trial.write_list("tools", &list.to_string()).await;

    let mut last = String::new();
    within(HEALING, "the holder to run, or its failure to be explained", async || {
        let failures = failures(&real);
        let on_nodes: Vec<_> = real.nodes.iter().map(|node| programs(&real, node)).collect();
        let mut running = on_nodes.iter().flatten().filter_map(|(_, program)| program.as_ref());
        assert!(running.all(|program| *program != theirs), "a program of an image runs: {on_nodes:?}");
        // For a moment a container's process is still runc, which has yet to become the container's program.
        let holds = |programs: &BTreeMap<String, Option<Digest>>, name: &str| {
            programs.get(name).is_some_and(|program| program.as_ref() == Some(&ours))
        };
        let pending: Vec<String> = images
            .iter()
            .filter(|(name, _, end)| match end {
                Held => !on_nodes.iter().all(|programs| holds(programs, name)),
                DoesNotStart(cause) => {
                    let failure = failures.get(*name).unwrap_or(&Value::Null);
                    let nodes = failure["nodes"].as_array().map_or(0, Vec::len);
                    !failure["cause"].as_str().is_some_and(|it| it.contains(cause)) || nodes != real.nodes.len()
                }
            })
            .map(|(name, ..)| format!("{name}: {}", failures.get(*name).unwrap_or(&Value::Null)))
            .collect();
        let pending = pending.join("\n");
        if pending != last {
            eprintln!("not yet:\n{pending}");
            last.clone_from(&pending);
        }
        pending.is_empty().then_some(())
    })
    .await;

    let app = real.push("app:1", &content("app"));
    real.trial.write_list("tools", &json!({"images": [real.reference("app:1")]}).to_string()).await;
    // Whatever signal an image asks for, its container ends.
    real.only_held_everywhere(&[app.as_str()]).await;
}
