//! The names, labels and annotations of kube-prepull's objects. All other modules depend on it, and it on none of them.

pub mod hash;
pub mod labels;
pub mod own_images;

/// The longest DNS label (RFC 1123), and so the longest container name and label value.
pub const MAX_LABEL: usize = 63;

/// The name of the container that installs the holder and waits for the node's start delay. No image may have this name.
pub const INIT_CONTAINER: &str = "install-holder";
