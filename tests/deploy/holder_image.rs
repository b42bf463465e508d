//! The image that nodes pull: what is in it, and how little that is. `make image` checks the sizes of what it builds too.

use std::fs;
use std::process::{Command, Stdio};

use test_bed::image::index;
use test_bed::{Image, Layer};

use super::helm::checkout;

/// Bytes that a node may pull of kube-prepull.
const MOST: usize = 10_000;
/// The architectures as Rust and as registries name them.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

fn containerfile(name: &str) -> String {
    // Lines that go on in the next one are joined.
    fs::read_to_string(checkout("deploy").join(name)).unwrap().replace("\\\n", " ")
}

/// The arguments of an instruction, each time it is there.
fn arguments<'a>(containerfile: &'a str, instruction: &str) -> Vec<&'a str> {
    containerfile.lines().filter_map(|line| line.strip_prefix(instruction)?.strip_prefix(' ')).map(str::trim).collect()
}

/// The programs as `make image` builds them.
fn programs() -> Vec<Vec<u8>> {
    let mut build = Command::new(checkout("src/holder/build.sh"));
    let output = build.args(ARCHITECTURES.map(|(name, _)| name)).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "its messages are above");
    String::from_utf8(output.stdout).unwrap().lines().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_node_pulls_at_most_ten_kilobytes_of_the_holders_image() {
    let text = containerfile("Containerfile.holder");
    let (version, revision) = (env!("CARGO_PKG_VERSION"), "0".repeat(40));
    let labels = arguments(&text, "LABEL").join(" ").replace("${VERSION}", version).replace("${REVISION}", &revision);
    let images = programs().into_iter().zip(ARCHITECTURES).map(|(program, (_, architecture))| {
        let image =
            Image::from_scratch().layer(Layer::new().file("/holder", program, 0o755)).architecture(architecture);
        let image = image.user("65532:65532").entrypoint(&["/holder"]);
        let labels = labels.split_whitespace().map(|label| label.split_once('=').unwrap());
        labels.fold(image, |image, (key, value)| image.label(key, value.trim_matches('"'))).build().unwrap()
    });
    let images: Vec<_> = images.collect();
    let index = index(&images).unwrap().bytes.len();
    for (image, (_, architecture)) in images.iter().zip(ARCHITECTURES) {
        let blobs: usize = image.blobs.iter().map(|blob| blob.bytes.len()).sum();
        let bytes = index + image.manifest.bytes.len() + blobs;
        println!("{bytes} bytes for linux/{architecture}");
        assert!(bytes <= MOST, "{architecture}: {bytes}");
    }
    let script = fs::read_to_string(checkout("deploy/image.sh")).unwrap();
    assert!(script.contains(&format!("\nlargest_of_holder={MOST}\n")), "the build checks the same");
}

#[test]
fn the_holders_image_has_the_holder_where_the_controllers_has_it_and_nothing_else() {
    let (holder, controller) = (containerfile("Containerfile.holder"), containerfile("Containerfile"));
    let copied = arguments(&holder, "COPY");
    assert_eq!(copied, ["${TARGETARCH}/holder /"]);
    assert!(arguments(&controller, "COPY").contains(&copied[0]));
    for instruction in ["FROM", "USER"] {
        assert_eq!(arguments(&holder, instruction), arguments(&controller, instruction));
    }
    assert_eq!(arguments(&holder, "ADD").len() + arguments(&holder, "RUN").len(), 0);
}
