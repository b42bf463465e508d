//! The parts of a group that both notations have: images, resources, secrets.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::config::{Image, Resources};
use super::names::{ResourceName, shortened};
use super::problem::Code;
use super::quantity::Nanos;
use super::reader::{Place, Problems};
use super::reference::ImageReference;

/// An image as it was written, before names are given and duplicates found.
#[derive(Debug)]
pub struct ImageEntry {
    /// Where it stands.
    pub place: Place,
    /// The name that the user gave it.
    pub name: Option<ResourceName>,
    /// The image.
    pub reference: ImageReference,
}

/// Parses an image reference.
pub fn reference(place: &Place, text: &str, problems: &mut Problems) -> Option<ImageReference> {
    ImageReference::parse(text)
        .map_err(|error| problems.error(place.clone(), Code::InvalidReference, error.message, error.remedy))
        .ok()
}

/// Parses a name that must be a DNS label; `what` it names stands in the message.
pub fn label_name(place: &Place, what: &str, text: &str, problems: &mut Problems) -> Option<ResourceName> {
    ResourceName::parse(text)
        .map_err(|why| {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{text:?} cannot name {what}: it {why}"),
                "use lower case letters, digits and '-', at most 63 characters",
            )
        })
        .ok()
}

/// Parses the name of another object; `what` it is stands in the message.
pub fn object_name(place: &Place, what: &str, text: &str, problems: &mut Problems) -> Option<ResourceName> {
    ResourceName::parse_subdomain(text)
        .map_err(|why| {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{text:?} cannot be the name of {what}: it {why}"),
                "write the name as `kubectl get` shows it",
            )
        })
        .ok()
}

/// Finds duplicates and gives a name to every image that has none.
///
/// The name comes from the end of the repository, so that it stays the same when the tag changes; where it is taken, a
/// number is added.
pub fn name_images(entries: Vec<ImageEntry>, problems: &mut Problems) -> Vec<Image> {
    check_duplicates(&entries, problems);
    let mut taken: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| entry.name.as_ref().map(ToString::to_string))
        .chain([crate::plan::INIT_CONTAINER.to_owned()])
        .collect();
    entries
        .into_iter()
        .map(|entry| Image {
            name: entry.name.unwrap_or_else(|| free_name(&entry.reference, &mut taken)),
            reference: entry.reference,
        })
        .collect()
}

fn check_duplicates(entries: &[ImageEntry], problems: &mut Problems) {
    let mut names: BTreeMap<&ResourceName, &Place> = BTreeMap::new();
    let mut images: BTreeMap<String, &ImageEntry> = BTreeMap::new();
    for entry in entries {
        if let Some(name) = &entry.name {
            if name.as_str() == crate::plan::INIT_CONTAINER {
                problems.error(
                    entry.place.clone(),
                    Code::InvalidName,
                    format!("the name {name:?} is taken by the container that installs the holder"),
                    "choose another name",
                );
            }
            if let Some(first) = names.insert(name, &entry.place) {
                problems.error(
                    entry.place.clone(),
                    Code::DuplicateName,
                    format!("the name \"{name}\" stands twice (first at {})", at(first)),
                    "give every image a name of its own",
                );
            }
        }
        if let Some(first) = images.insert(entry.reference.normal_form(), entry) {
            problems.error(
                entry.place.clone(),
                Code::DuplicateImage,
                format!("{} is the same image as {} (at {})", entry.reference, first.reference, at(&first.place)),
                "keep one of them",
            );
        }
    }
}

fn at(place: &Place) -> String {
    match place.line {
        Some(line) => format!("line {line}"),
        None => place.path.clone(),
    }
}

fn free_name(reference: &ImageReference, taken: &mut BTreeSet<String>) -> ResourceName {
    let base = container_name(reference.short_name());
    let numbered = (2..).map(|n| format!("{base}-{n}"));
    let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(base.clone());
    taken.insert(name.clone());
    // `container_name` leaves only what a label may hold, and room for the number.
    ResourceName::parse(&name).unwrap_or_else(|_| unreachable!("{name} is a DNS label"))
}

/// Repositories may hold `.` and `_`, containers' names may not.
fn container_name(repository: &str) -> String {
    const ROOM_FOR_NUMBER: usize = 7;
    let dashed = repository.replace(['.', '_'], "-");
    shortened(&dashed, super::names::MAX_LABEL - ROOM_FOR_NUMBER)
}

/// A quantity with the place it stands at.
pub type PlacedQuantity = Option<(Place, String)>;

/// Checks requests and limits; what is not given has the default, and a default request never exceeds a given limit.
pub fn resources(
    cpu: (PlacedQuantity, PlacedQuantity),
    memory: (PlacedQuantity, PlacedQuantity),
    problems: &mut Problems,
) -> Resources {
    let defaults = Resources::default();
    let (cpu_request, cpu_limit) = pair("CPU", cpu, defaults.cpu_request, problems);
    let (memory_request, memory_limit) = pair("memory", memory, defaults.memory_request, problems);
    Resources { cpu_request, memory_request, cpu_limit, memory_limit }
}

fn pair(
    what: &str,
    (request, limit): (PlacedQuantity, PlacedQuantity),
    default: Quantity,
    problems: &mut Problems,
) -> (Quantity, Option<Quantity>) {
    let request = request.and_then(|(place, text)| quantity(place, text, problems));
    let limit = limit.and_then(|(place, text)| quantity(place, text, problems));
    let Some((place, limit_text, limit_value)) = limit else {
        return (request.map_or(default, |(_, text, _)| Quantity(text)), None);
    };
    let limit = Quantity(limit_text);
    match request {
        None => {
            let default_fits = Nanos::parse(&default.0).is_some_and(|default| default <= limit_value);
            (if default_fits { default } else { limit.clone() }, Some(limit))
        }
        Some((_, text, value)) => {
            if value > limit_value {
                problems.error(
                    place,
                    Code::LimitBelowRequest,
                    format!("the {what} limit {} is lower than the request {text}", limit.0),
                    "raise the limit or lower the request",
                );
            }
            (Quantity(text), Some(limit))
        }
    }
}

fn quantity(place: Place, text: String, problems: &mut Problems) -> Option<(Place, String, Nanos)> {
    match Nanos::parse(&text) {
        Some(value) => Some((place, text, value)),
        None => {
            problems.error(
                place,
                Code::InvalidQuantity,
                format!("{text:?} is not a quantity"),
                "write a number with a unit, such as 50m, 0.05, 10Mi or 1Gi",
            );
            None
        }
    }
}
