//! Where the holder comes from: of `run` and `render`.

use clap::Args;

use crate::naming::own_images::OwnImages;

/// Where the holder comes from.
#[derive(Debug, Args)]
pub struct HolderArguments {
    /// The image that new generations install the holder from [default: the controller's image, with the suffix -holder to its tag]
    #[arg(long, env = "HOLDER_IMAGE", value_name = "IMAGE")]
    pub holder_image: Option<String>,
    /// The controller's image, from which the holder is installed if that image does not exist or this one is pinned by digest
    #[arg(long, env = "CONTROLLER_IMAGE", value_name = "IMAGE", default_value = concat!("kube-prepull:", env!("CARGO_PKG_VERSION")))]
    pub controller_image: String,
    /// The ServiceAccount of pods, unless their group names one [default: the namespace's default]
    #[arg(long, env = "POD_SERVICE_ACCOUNT", value_name = "NAME")]
    pub pod_service_account: Option<String>,
}

impl HolderArguments {
    /// kube-prepull's own images.
    pub fn own_images(&self) -> OwnImages {
        OwnImages::of(self.holder_image.as_deref(), &self.controller_image)
    }
}
