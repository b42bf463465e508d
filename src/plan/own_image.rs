//! From which of kube-prepull's own images the next generation installs the holder.
//!
//! ```text
//! the holder's image ─► a generation tries it ─► a node has pulled it ─► it stays
//!                                           └──► none has, since it is absent ─► the controller's image serves instead
//! ```
//! Only nodes know what their registries and mirrors have, so it takes a generation to find out. What it has found is stored on those
//! that follow it, until another version of the controller brings another image.

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::generation::Generation;
use crate::coverage::{FailureCause, InitFailure, Initialization, PodState};
use crate::list::reference::ImageReference;
use crate::messages::diagnosis::{ListPart, explain};
use crate::naming::{INIT_CONTAINER, labels};
use crate::summary::node_state::NodeState;

/// How long the holder's image has to be absent. The first node that answers may be the only one whose mirror lacks it.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// The image for new generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnImage<'a> {
    /// Its reference.
    pub reference: &'a str,
    /// The holder's image, if the controller's serves instead.
    pub absent: Option<Absent<'a>>,
    /// When it will be known that the holder's image is absent, if it seems so.
    pub known_at: Option<Timestamp>,
}

/// An image with nothing but the holder, which no registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent<'a> {
    /// Its reference.
    pub reference: &'a str,
    /// Why it cannot be pulled, unless an earlier generation found that.
    pub failure: Option<InitFailure>,
}

/// Chooses the image for new generations of the list.
pub fn for_next_generation<'a>(context: &Context<'a>) -> OwnImage<'a> {
    let images = &context.settings.own_images;
    let holder = images.holder.as_str();
    let first = OwnImage { reference: holder, absent: None, known_at: None };
    let Some(controller) = images.controller.as_deref() else { return first };
    let instead = |failure| {
        let absent = Some(Absent { reference: holder, failure });
        OwnImage { reference: controller, absent, known_at: None }
    };
    if context.generations.iter().any(|it| it.absent_holder_image.as_deref() == Some(holder)) {
        return instead(None);
    }
    // Once a rollout is complete, nodes have the image.
    let tried = context.generations.iter().filter(|it| !it.deleting && !it.reported.complete);
    let found = tried.filter_map(|it| absent_since(context, it, holder)).min_by_key(|(since, _)| *since);
    match found {
        Some((since, failure)) => match since.checked_add(PATIENCE).ok().filter(|at| *at > context.now) {
            Some(at) => OwnImage { known_at: Some(at), ..first },
            None => instead(Some(failure)),
        },
        None => first,
    }
}

/// Since when a generation tries this image, and why that fails, if it was the image's absence that kept every pod from starting.
fn absent_since(context: &Context, generation: &Generation, holder: &str) -> Option<(Timestamp, InitFailure)> {
    let record = generation.record.as_ref().filter(|record| record.holder_image == holder)?;
    let stored = generation.reported.init_cause_of(INIT_CONTAINER);
    let (mut absent, mut others) = (Vec::new(), 0);
    for pod in context.pods_of(generation).filter(|it| !it.deleting && it.state == PodState::Live) {
        match &pod.initialization {
            Initialization::Done | Initialization::Started => return None,
            Initialization::Failed(failure) if failure.is_own() && failure.pulled => return None,
            Initialization::Failed(failure) if failure.is_own() => match failure.cause_or(stored) {
                cause if is_absent(cause, holder) => absent.push((failure, cause)),
                _ => others += 1,
            },
            Initialization::Failed(_) | Initialization::Interrupted { .. } | Initialization::Underway => {}
        }
    }
    // The epoch is when this controller's clock said that it was created. If that is in the future, the clock was set back since, which
    // delays nothing.
    let since = if record.epoch <= context.now { record.epoch } else { Timestamp::MIN };
    // One node whose mirror lacks it does not decide for many that meet an outage.
    let (failure, cause) = absent.first().filter(|_| absent.len() >= others)?;
    Some((since, failure.with_cause(*cause)))
}

/// Whether another reference would help: the registry has no such image, or none for these nodes. An outage passes, and both images are
/// in one repository, so without credentials neither can be pulled. An image without a registry was loaded onto nodes: nobody has it as a
/// private repository.
fn is_absent(cause: FailureCause, reference: &str) -> bool {
    let diagnosis = explain(NodeState::Failed, cause.reason, cause.message, reference);
    match diagnosis.part {
        Some(ListPart::Reference | ListPart::Architectures) => true,
        Some(ListPart::ReferenceOrCredentials) => is_without_registry(reference),
        _ => false,
    }
}

fn is_without_registry(reference: &str) -> bool {
    ImageReference::normal_form_of(reference).starts_with("docker.io/library/")
}

/// The annotation of a generation for which the controller's image serves.
pub fn annotation(own_image: &OwnImage) -> Option<(String, String)> {
    let absent = own_image.absent.as_ref()?;
    Some((labels::ABSENT_HOLDER_IMAGE.to_owned(), absent.reference.to_owned()))
}
