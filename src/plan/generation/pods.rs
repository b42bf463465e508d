//! The state of pods relative to the generation that they belong to.

use std::collections::HashSet;

use jiff::SignedDuration;

use super::Generation;
use crate::coverage::{CoveredImage, CoveringPod, ImageState};

/// The DaemonSet controller has created the first pods of a generation by then, even on thousands of nodes.
const FIRST_PODS: SignedDuration = SignedDuration::from_mins(2);

impl Generation {
    /// Whether the pod was created from the current template.
    pub fn is_template_of(&self, pod: &CoveringPod) -> bool {
        pod.pull_policies.as_deref() == self.template.as_deref()
    }

    /// Whether admission makes the pod pull with `Always` although its template does not, as the plugin
    /// AlwaysPullImages does. Changing the template does not help in that case.
    pub fn is_overridden_in(&self, pod: &CoveringPod) -> bool {
        let differs = |image: &CoveredImage| image.pulled_always && !self.pulled_always.contains(&image.name);
        pod.always_pulls || self.is_template_of(pod) && pod.images.iter().any(|image| differs(image))
    }

    /// The same for any of these pods. Most look alike, and are checked once.
    pub fn is_overridden_in_any<'a>(&self, pods: impl Iterator<Item = &'a CoveringPod>) -> bool {
        let mut seen = HashSet::new();
        let mut distinct =
            pods.filter(|pod| seen.insert((pod.images.as_ptr(), pod.pull_policies.as_deref(), pod.always_pulls)));
        distinct.any(|pod| self.is_overridden_in(pod))
    }

    /// Whether the pod's node may have the image, from an earlier pod of the generation or from containers of this pod
    /// that are gone. A node that has just joined counts too, since machine images may include container images.
    pub fn has_held(&self, pod: &CoveringPod, image: &CoveredImage) -> bool {
        let first = || self.created.and_then(|created| created.checked_add(FIRST_PODS).ok());
        let until = self.reported.latest_pod.or_else(first);
        image.restarted || pod.created.zip(until).is_some_and(|(created, until)| created > until)
    }

    /// Whether a pod that does not hold the image, but could have, has yet to show whether the image is on the disk.
    pub fn deserves_try(&self, pod: &CoveringPod, image: &CoveredImage) -> bool {
        let to_come = match &image.state {
            ImageState::Waiting | ImageState::Pulling | ImageState::Interrupted { .. } => true,
            ImageState::Failed { .. } => {
                let from_disk = self.is_template_of(pod) && !self.pulled_always.contains(&image.name);
                !from_disk || self.is_overridden_in(pod)
            }
            ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. } => false,
        };
        to_come && self.has_held(pod, image)
    }
}

/// The images of pods with all states that any of them has. Pods that look alike are checked once.
pub fn distinct_images<'a>(pods: impl Iterator<Item = &'a CoveringPod>) -> impl Iterator<Item = &'a CoveredImage> {
    let mut seen = HashSet::new();
    let distinct = pods.filter(move |pod| seen.insert(pod.images.as_ptr()));
    distinct.flat_map(|pod| pod.images.iter()).map(|image| &**image)
}

/// The image as written in the list. Admission may have rewritten it in the pod.
pub fn as_listed<'a>(image: &'a CoveredImage, generation: Option<&'a Generation>) -> &'a str {
    generation.and_then(|generation| generation.images.get(&*image.name)).map_or(&*image.reference, String::as_str)
}
