//! Which configuration is meant, and where credentials come from.

use std::fmt::{Display, Formatter, Result as Written};
use std::path::PathBuf;

/// How to find the cluster.
#[derive(Clone, Debug, Default)]
pub struct KubeconfigContext {
    /// A kubeconfig file; otherwise `KUBECONFIG`, `~/.kube/config` or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
}

/// Where the credentials come from.
#[derive(Clone, Debug)]
pub enum Origin {
    Pod,
    Kubeconfig { files: String, context: String, cluster: String, user: String },
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        match self {
            Self::Pod => f.write_str("the pod's ServiceAccount"),
            Self::Kubeconfig { files, context, user, .. } => {
                write!(f, "the user {user:?} of the context {context:?} in {files}")
            }
        }
    }
}
