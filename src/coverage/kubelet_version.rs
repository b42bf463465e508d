//! What follows from the version of a kubelet.

use serde::Deserialize;

/// What is known of a kubelet by its version. The version itself is not kept, since every node would have a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct KubeletVersion {
    /// Whether the kubelet by default verifies that a pod's credentials may pull an image that is on the disk (KEP-2535). Not so if
    /// the version is in another form than those of Kubernetes.
    pub verifies_credentials: bool,
}

impl KubeletVersion {
    /// The first version with the feature gate `KubeletEnsureSecretPulledImages` on by default.
    const VERIFYING: (u16, u16) = (1, 35);
}

impl From<&str> for KubeletVersion {
    fn from(version: &str) -> Self {
        let numbers = version.strip_prefix('v').unwrap_or(version);
        let mut numbers = numbers.split('.').map(str::parse);
        let verifies_credentials = match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= Self::VERIFYING,
            _ => false,
        };
        Self { verifies_credentials }
    }
}

impl From<String> for KubeletVersion {
    fn from(version: String) -> Self {
        version.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verifies(version: &str) -> bool {
        KubeletVersion::from(version).verifies_credentials
    }

    #[test]
    fn kubelets_verify_credentials_since_1_35() {
        for version in ["v1.35.0", "v1.35.1-eks-abc", "v1.36.0+k3s1", "v1.100.2-gke.1009000", "1.35.3", "v2.0.0"] {
            assert!(verifies(version), "{version}");
        }
        for version in ["v1.34.9", "v1.9.36", "v1.34.2-eks-1.35.0", "v0.36.0"] {
            assert!(!verifies(version), "{version}");
        }
    }

    #[test]
    fn what_is_no_version_is_unknown() {
        for version in ["", "v", "v1", "v1.", "1.x.0", "kwok-v1.36.0", "v1.36-beta", "v1.99999999.0", "fake"] {
            assert!(!verifies(version), "{version}");
        }
    }

    proptest! {
        #[test]
        fn major_and_minor_version_decide(minor in 0..200_u16, patch in 0..100_u16, suffix in "([-+][a-z0-9.+-]{0,20})?") {
            prop_assert_eq!(verifies(&format!("v1.{minor}.{patch}{suffix}")), minor >= 35);
        }
    }
}
