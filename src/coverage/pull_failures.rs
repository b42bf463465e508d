//! Which pulls fail since a version of a pod, for the counter of failures.

use super::pod::PULL_FAILURES;
use super::{CoveringPod, ImageState};

/// The kubelet's reasons for pulls that fail `now` and did not `before`: of images, and of the image of the first init container that is
/// not done. What a node holds back or cancels is none until it lasts.
pub fn new_pull_failures(before: Option<&CoveringPod>, now: &CoveringPod) -> Vec<&'static str> {
    let known = before.and_then(failing_init);
    let init = failing_init(now).filter(|(container, _)| known.is_none_or(|(known, _)| known != *container));
    let failed_before = |name: &str| {
        let mut images = before.into_iter().flat_map(|before| &before.images);
        images.any(|image| *image.name == *name && matches!(image.state, ImageState::Failed { .. }))
    };
    let images = now.images.iter().filter_map(|image| match &image.state {
        ImageState::Failed { reason, .. } if !failed_before(&image.name) => Some(&**reason),
        _ => None,
    });
    let reasons = init.map(|(_, reason)| reason).into_iter().chain(images);
    reasons.filter_map(|reason| PULL_FAILURES.into_iter().find(|known| *known == reason)).collect()
}

/// The init container whose image cannot be pulled, and the kubelet's reason.
fn failing_init(pod: &CoveringPod) -> Option<(&str, &str)> {
    let failure = pod.initialization.failure().filter(|failure| !failure.pulled)?;
    Some((&failure.container, &failure.reason))
}
