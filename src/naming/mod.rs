//! How objects of ours are named and known in the cluster. All other modules build on it, and it on none of them.

pub mod hash;
pub mod labels;

/// The longest DNS label (RFC 1123), and so the longest container name and label value.
pub const MAX_LABEL: usize = 63;

/// The name of the container that installs the holder and waits for the node's turn, which no image may have.
pub const INIT_CONTAINER: &str = "install-holder";
