//! The platforms that Alibaba Cloud builds ImageCaches for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The annotation that tells ECI an ImageCache's architecture.
const ARCHITECTURE: &str = "k8s.aliyun.com/imc-cpu-arch";
/// The annotation that tells ECI an ImageCache's operating system.
const OS: &str = "k8s.aliyun.com/imc-os-type";

/// What the pods that start from an ImageCache run on: operating system and architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub enum CachePlatform {
    #[serde(rename = "linux/amd64")]
    LinuxAmd64,
    #[serde(rename = "linux/arm64")]
    LinuxArm64,
    #[serde(rename = "windows/amd64")]
    WindowsAmd64,
}

impl CachePlatform {
    /// All values.
    pub const ALL: [Self; 3] = [Self::LinuxAmd64, Self::LinuxArm64, Self::WindowsAmd64];

    /// Its name, as image indexes and `docker --platform` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinuxAmd64 => "linux/amd64",
            Self::LinuxArm64 => "linux/arm64",
            Self::WindowsAmd64 => "windows/amd64",
        }
    }

    /// The value of the label `kubernetes.io/os` of its nodes.
    pub fn os(self) -> &'static str {
        match self {
            Self::LinuxAmd64 | Self::LinuxArm64 => "linux",
            Self::WindowsAmd64 => "windows",
        }
    }

    /// The value of the label `kubernetes.io/arch` of its nodes.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::LinuxAmd64 | Self::WindowsAmd64 => "amd64",
            Self::LinuxArm64 => "arm64",
        }
    }

    /// The annotations that tell ECI what to build an ImageCache for.
    pub fn annotations(self) -> BTreeMap<&'static str, &'static str> {
        [(ARCHITECTURE, self.architecture()), (OS, self.os())].into()
    }
}

impl fmt::Display for CachePlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_spelled_alike_everywhere() {
        for platform in CachePlatform::ALL {
            assert_eq!(platform.name(), format!("{}/{}", platform.os(), platform.architecture()));
            assert_eq!(serde_json::to_value(platform).ok(), Some(platform.name().into()));
        }
    }
}
