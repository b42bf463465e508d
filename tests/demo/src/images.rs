//! The images of the demo, made in memory and pushed to the registry of the cluster.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use test_bed::{Image, Layer};

/// An image of a single file.
pub const SCRATCH: &str = "registry.test/demo/scratch:1.0";
/// An image of 50 MiB.
pub const TOOLS: &str = "registry.test/demo/tools:1.0";
/// An image whose tag moves in the story.
pub const APP: &str = "registry.test/demo/app:stable";
/// An image that joins the list later.
pub const EXTRA: &str = "registry.test/demo/extra:1.0";
/// kube-prepull's own image.
pub const HOLDER: &str = "registry.test/kube-prepull:demo";

const TOOLS_BYTES: usize = 50 << 20;

/// Makes images that no other run of the demo has made: a node that took part in another one does not have them.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    run: u64,
}

impl Maker {
    /// For this run.
    pub fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
        Ok(Self { run: u64::try_from(now.as_nanos())? })
    }

    /// `FROM scratch`, and one file with this text.
    pub fn file(self, text: &str) -> Image {
        let text = format!("{text}, made in run {}\n", self.run);
        Image::of_file("/content.txt", text)
    }

    /// 50 MiB that compression makes no smaller.
    pub fn tools(self) -> Image {
        Image::from_scratch().layer(Layer::new().random("/usr/share/tools.bin", self.run, TOOLS_BYTES))
    }
}
