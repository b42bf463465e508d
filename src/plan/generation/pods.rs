//! What pods say in view of the generation that they belong to.

use jiff::SignedDuration;

use super::Generation;
use crate::coverage::{CoveredImage, CoveringPod, ImageState};

/// The DaemonSet controller has created a generation's first pods by then; on thousands of nodes it takes this long.
const FIRST_PODS: SignedDuration = SignedDuration::from_mins(2);

impl Generation {
    /// Whether the pod was created from the template as it is now.
    pub fn is_template_of(&self, pod: &CoveringPod) -> bool {
        pod.pull_policies.as_deref() == self.template.as_deref()
    }

    /// Whether admission makes the pod ask the registry for what its template takes from the disk, as the plugin
    /// AlwaysPullImages does. No template helps there.
    pub fn is_overridden_in(&self, pod: &CoveringPod) -> bool {
        let differs = |image: &CoveredImage| image.pulled_always && !self.pulled_always.contains(&image.name);
        pod.always_pulls || self.is_template_of(pod) && pod.images.iter().any(|image| differs(image))
    }

    /// Whether the node of the pod may have had the image in an earlier pod of the generation, or in this one before its
    /// containers were gone. A node that has just joined may have it as well: images are baked into machines.
    pub fn has_held(&self, pod: &CoveringPod, image: &CoveredImage) -> bool {
        let first = || self.created.and_then(|created| created.checked_add(FIRST_PODS).ok());
        let until = self.reported.latest_pod.or_else(first);
        image.restarted || pod.created.zip(until).is_some_and(|(created, until)| created > until)
    }

    /// Whether a pod that does not hold the image, and could have held it, is still to show whether it is on the disk.
    pub fn deserves_try(&self, pod: &CoveringPod, image: &CoveredImage) -> bool {
        let to_come = match &image.state {
            ImageState::Waiting | ImageState::Pulling => true,
            ImageState::Failed { .. } => {
                let from_disk = self.is_template_of(pod) && !self.pulled_always.contains(&image.name);
                !from_disk || self.is_overridden_in(pod)
            }
            ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. } => false,
        };
        to_come && self.has_held(pod, image)
    }
}

/// The image as the list spelled it: admission may have rewritten it in the pod.
pub fn as_listed<'a>(image: &'a CoveredImage, generation: Option<&'a Generation>) -> &'a str {
    generation.and_then(|generation| generation.images.get(&*image.name)).map_or(&*image.reference, String::as_str)
}
