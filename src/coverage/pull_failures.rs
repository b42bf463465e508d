//! Which pulls fail since a version of a pod, for the counter of failures.

use super::init::Initialization;
use super::pod::{ImageState, PULL_FAILURES};

/// The kubelet's reasons for pulls that fail now and did not before: of images, and of the image of the first init container that is
/// not done. Each comes with what was known before. What a node holds back or cancels is none until it lasts.
pub fn new_pull_failures<'a>(
    (init, known_init): (&'a Initialization, Option<&Initialization>),
    images: impl Iterator<Item = (&'a ImageState, Option<&'a ImageState>)>,
) -> Vec<&'static str> {
    let known = known_init.and_then(failing_init);
    let init = failing_init(init).filter(|(container, _)| known.is_none_or(|(known, _)| known != *container));
    let images = images.filter_map(|(state, known)| match state {
        ImageState::Failed { reason, .. } if !matches!(known, Some(ImageState::Failed { .. })) => Some(&**reason),
        _ => None,
    });
    let reasons = init.map(|(_, reason)| reason).into_iter().chain(images);
    reasons.filter_map(|reason| PULL_FAILURES.into_iter().find(|known| *known == reason)).collect()
}

/// The init container whose image cannot be pulled, and the kubelet's reason.
fn failing_init(init: &Initialization) -> Option<(&str, &str)> {
    let failure = init.failure().filter(|failure| !failure.pulled)?;
    Some((&failure.container, &failure.reason))
}
