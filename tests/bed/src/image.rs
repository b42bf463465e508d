//! Container images made in memory: no builder, no daemon, the same digest every time.

use std::fmt;
use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index over several platforms' manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A digest in the form `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    /// The digest with these hexadecimal digits, as sha256sum prints them.
    #[must_use]
    pub fn from_hex(digits: &str) -> Self {
        Self(format!("sha256:{digits}"))
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One layer of an image. Folders are made as they are needed.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    path: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    File { bytes: Vec<u8>, mode: u32 },
    Link { target: String },
}

impl Layer {
    /// An empty layer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, at an absolute path.
    #[must_use]
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.entries.push(Entry { path: path.to_owned(), content: Content::File { bytes: bytes.into(), mode } });
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.entries.push(Entry { path: path.to_owned(), content: Content::Link { target: target.to_owned() } });
        self
    }

    /// Adds a file that compression makes no smaller. The same seed gives the same bytes.
    #[must_use]
    pub fn random(self, path: &str, seed: u64, size: usize) -> Self {
        self.file(path, random_bytes(seed, size), 0o644)
    }

    /// Adds a file that compresses to next to nothing.
    #[must_use]
    pub fn zeros(self, path: &str, size: usize) -> Self {
        self.file(path, vec![0; size], 0o644)
    }

    fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut folders: Vec<&str> = Vec::new();
        for entry in &self.entries {
            let path = entry.path.trim_start_matches('/');
            for (end, _) in path.match_indices('/') {
                let folder = &path[..end];
                if !folders.contains(&folder) {
                    folders.push(folder);
                    tar.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, io::empty())?;
                }
            }
            match &entry.content {
                Content::File { bytes, mode } => {
                    let mut header = header(EntryType::Regular, *mode, bytes.len() as u64);
                    tar.append_data(&mut header, path, bytes.as_slice())?;
                }
                Content::Link { target } => tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?,
            }
        }
        tar.into_inner()
    }
}

/// Owned by root, from the beginning of time: nothing in it depends on when and where it is made.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// SplitMix64.
fn random_bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(next());
    }
    bytes.truncate(size);
    bytes
}

/// An image to be made. Without layers of its own it is `FROM scratch` and nothing else.
#[derive(Clone, Debug)]
pub struct Image {
    architecture: String,
    layers: Vec<Layer>,
    is_cut: bool,
    config: serde_json::Map<String, Value>,
}

impl Image {
    /// An empty image for the architecture of this machine.
    #[must_use]
    pub fn from_scratch() -> Self {
        Self {
            architecture: this_architecture().to_owned(),
            layers: Vec::new(),
            is_cut: false,
            config: serde_json::Map::new(),
        }
    }

    /// An image of one file, which nothing could run.
    #[must_use]
    pub fn of_file(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::from_scratch().layer(Layer::new().file(path, bytes, 0o644))
    }

    /// An image of the holder, as `/holder`.
    #[must_use]
    pub fn of_holder(program: Vec<u8>) -> Self {
        Self::from_scratch().layer(Layer::new().file("/holder", program, 0o755))
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets the command that runs.
    #[must_use]
    pub fn entrypoint(mut self, command: &[&str]) -> Self {
        self.config.insert("Entrypoint".into(), json!(command));
        self
    }

    /// Sets the user that the command runs as.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.config.insert("User".into(), json!(user));
        self
    }

    /// Sets a variable in the environment of the command.
    #[must_use]
    pub fn env(mut self, variable: &str, value: &str) -> Self {
        if let Value::Array(variables) = self.config.entry("Env").or_insert_with(|| json!([])) {
            variables.push(json!(format!("{variable}={value}")));
        }
        self
    }

    /// Sets the folder in which the command runs.
    #[must_use]
    pub fn working_directory(mut self, path: &str) -> Self {
        self.config.insert("WorkingDir".into(), json!(path));
        self
    }

    /// Declares a volume, which the runtime fills with what the image has at that path.
    #[must_use]
    pub fn volume(mut self, path: &str) -> Self {
        self.config.entry("Volumes").or_insert_with(|| json!({}))[path] = json!({});
        self
    }

    /// Sets the signal that ends the command.
    #[must_use]
    pub fn stop_signal(mut self, signal: &str) -> Self {
        self.config.insert("StopSignal".into(), json!(signal));
        self
    }

    /// Sets the command that tells whether the image's own works.
    #[must_use]
    pub fn healthcheck(mut self, command: &[&str]) -> Self {
        let test: Vec<&str> = std::iter::once("CMD").chain(command.iter().copied()).collect();
        self.config.insert("Healthcheck".into(), json!({"Test": test, "Interval": 1_000_000_000_u64}));
        self
    }

    /// Cuts the layers in the middle, as a publisher that was interrupted might. Digests and sizes are those of what is left.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// Adds a label. Two images that differ only in a label have different digests.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        let labels = self.config.entry("Labels").or_insert_with(|| json!({}));
        labels[key] = json!(value);
        self
    }

    /// Sets the architecture, in Go's words (`amd64`, `arm64`). The files are what they are.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Makes it.
    pub fn build(&self) -> Result<Built> {
        let mut blobs = Vec::new();
        let mut layers = Vec::new();
        let mut uncompressed = Vec::new();
        for layer in &self.layers {
            let tar = layer.tar().context("cannot make a layer")?;
            uncompressed.push(Digest::of(&tar).to_string());
            let mut compressed = gzip(&tar)?;
            compressed.truncate(if self.is_cut { compressed.len() / 2 } else { usize::MAX });
            let blob = Blob::new(compressed);
            layers.push(blob.descriptor(LAYER));
            blobs.push(blob);
        }
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": uncompressed},
        });
        let config = Blob::new(serde_json::to_vec(&config)?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": layers,
        });
        blobs.push(config);
        Ok(Built {
            architecture: self.architecture.clone(),
            manifest: Blob::new(serde_json::to_vec(&manifest)?),
            blobs,
        })
    }
}

/// An image as a registry wants it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The manifest, whose digest is the image's.
    pub manifest: Blob,
    /// Layers and configuration.
    pub blobs: Vec<Blob>,
    architecture: String,
}

/// Bytes and their digest.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest.as_str(), "size": self.bytes.len()})
    }
}

/// The index over images of several architectures.
pub fn index(images: &[Built]) -> Result<Blob> {
    let manifests = images.iter().map(|image| {
        let mut descriptor = image.manifest.descriptor(MANIFEST);
        descriptor["platform"] = json!({"os": "linux", "architecture": image.architecture});
        descriptor
    });
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests.collect::<Vec<_>>()});
    Ok(Blob::new(serde_json::to_vec(&index)?))
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn this_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Image {
        let layer = Layer::new().file("/usr/bin/app", "#!", 0o755).file("/usr/lib/x", "", 0o644).symlink("/sh", "usr");
        Image::from_scratch().layer(layer).entrypoint(&["/usr/bin/app"]).label("version", "1")
    }

    #[test]
    fn an_image_is_the_same_every_time() {
        let first = sample().build().unwrap();
        assert_eq!(first.manifest.digest, sample().build().unwrap().manifest.digest);
        assert_ne!(first.manifest.digest, sample().label("version", "2").build().unwrap().manifest.digest);
        assert_ne!(first.manifest.digest, sample().architecture("riscv64").build().unwrap().manifest.digest);
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let image = sample();
        let tar = image.layers[0].tar().unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let paths: Vec<_> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(paths, ["usr", "usr/bin", "usr/bin/app", "usr/lib", "usr/lib/x", "sh"]);
    }

    #[test]
    fn random_bytes_do_not_compress_and_depend_on_the_seed() {
        let bytes = random_bytes(1, 100_000);
        assert_eq!(bytes.len(), 100_000);
        assert!(gzip(&bytes).unwrap().len() > 99_000);
        assert_ne!(bytes, random_bytes(2, 100_000));
        assert_eq!(bytes, random_bytes(1, 100_000));
    }

    #[test]
    fn an_index_names_the_platforms() {
        let images = ["amd64", "arm64"].map(|name| sample().architecture(name).build().unwrap());
        let index: Value = serde_json::from_slice(&index(&images).unwrap().bytes).unwrap();
        assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
        assert_eq!(index["manifests"][0]["digest"], images[0].manifest.digest.as_str());
    }

    #[test]
    fn a_digest_is_spelt_as_registries_spell_it() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
    }
}
