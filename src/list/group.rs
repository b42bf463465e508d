//! The parts of a group that both formats share: images, resources, secrets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::config::{Group, Image, PullPolicy, Resources};
use super::names::{ResourceName, shortened};
use super::problem::{Code, quoted};
use super::quantity::{Nanos, NotAQuantity};
use super::reader::{Place, Problems};
use super::reference::ImageReference;
use crate::naming::{INIT_CONTAINER, MAX_LABEL};

/// An image as written, before names are assigned and duplicates are found.
#[derive(Debug)]
pub struct ImageEntry {
    /// Its place.
    pub place: Place,
    /// The user's name for it and the place of that.
    pub name: Option<(Place, ResourceName)>,
    /// The image; `None` if it was malformed, which was reported.
    pub reference: Option<ImageReference>,
    /// The user's choice, if any, whether nodes ask the registry for it.
    pub pull_policy: Option<PullPolicy>,
}

/// Parses an image reference.
pub fn reference(place: &Place, text: &str, problems: &mut Problems) -> Option<ImageReference> {
    ImageReference::parse(text)
        .map_err(|error| problems.error(place.clone(), Code::InvalidReference, error.message, error.remedy))
        .ok()
}

/// Parses a pull policy.
pub fn pull_policy(place: &Place, text: &str, problems: &mut Problems) -> Option<PullPolicy> {
    let found = PullPolicy::ALL.into_iter().find(|(name, _)| *name == text);
    if found.is_none() {
        problems.error(
            place.clone(),
            Code::InvalidValue,
            format!("{} is not a pull policy", quoted(text)),
            "write Always or IfNotPresent, or leave the key out: then nodes ask the registry for what is new or has moved",
        );
    }
    found.map(|(_, policy)| policy)
}

/// Parses a name that must be a DNS label. `what` it names is part of the message.
pub fn label_name(place: &Place, what: &str, text: &str, problems: &mut Problems) -> Option<ResourceName> {
    ResourceName::parse(text)
        .map_err(|why| {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{} cannot name {what}: it {why}", quoted(text)),
                "use lower case letters, digits and '-', at most 63 characters",
            )
        })
        .ok()
}

/// Parses the name of another object. `what` it is is part of the message.
pub fn object_name(place: &Place, what: &str, text: &str, problems: &mut Problems) -> Option<ResourceName> {
    ResourceName::parse_subdomain(text)
        .map_err(|why| {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{} cannot be the name of {what}: it {why}", quoted(text)),
                "write the name as `kubectl get` shows it",
            )
        })
        .ok()
}

/// Parses the name of a namespace.
pub fn namespace_name(place: &Place, text: &str, problems: &mut Problems) -> Option<ResourceName> {
    ResourceName::parse(text)
        .map_err(|why| {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{} cannot be the name of a namespace: it {why}", quoted(text)),
                "write the name as `kubectl get namespaces` shows it",
            )
        })
        .ok()
}

/// Finds duplicates, and assigns a name to every image without one. An image that is listed twice is kept once.
///
/// The name is the end of the repository, so that it does not change with the tag. If it is taken, a number is appended.
pub fn name_images(entries: Vec<ImageEntry>, problems: &mut Problems) -> Vec<Image> {
    check_names(&entries, problems);
    let entries = distinct_images(entries, problems);
    entries.iter().for_each(|entry| check_tag(entry, problems));
    let given = entries.iter().filter_map(|entry| entry.name.as_ref().map(|(_, name)| name.to_string()));
    let mut names = FreeNames::new(given);
    let image = |entry: ImageEntry| {
        let reference = entry.reference?;
        let name = entry.name.map_or_else(|| names.take(&reference), |(_, name)| name);
        Some(Image { name, reference, pull_policy: entry.pull_policy })
    };
    let mut images: Vec<Image> = entries.into_iter().filter_map(image).collect();
    // They are collected where the entries were, which are four times as large.
    images.shrink_to_fit();
    images
}

/// Two images cannot have one name. One image that is listed twice with one name is only a duplicate.
fn check_names(entries: &[ImageEntry], problems: &mut Problems) {
    let mut names: BTreeMap<&ResourceName, (&Place, Option<String>)> = BTreeMap::new();
    for entry in entries {
        let Some((place, name)) = &entry.name else { continue };
        if name.as_str() == INIT_CONTAINER {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("the name \"{name}\" is reserved for the init container"),
                "choose another name",
            );
        }
        let image = entry.reference.as_ref().map(ImageReference::normal_form);
        match names.get(name) {
            Some((_, first)) if image.is_some() && *first == image => {}
            Some((first, _)) => problems.error(
                place.clone(),
                Code::DuplicateName,
                format!("the name \"{name}\" is used twice (first at {})", at(first)),
                "give every image its own name",
            ),
            None => drop(names.insert(name, (place, image))),
        }
    }
}

/// Leaves out images that are listed twice, as lists of kubernetes-image-puller may do.
fn distinct_images(entries: Vec<ImageEntry>, problems: &mut Problems) -> Vec<ImageEntry> {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut distinct: Vec<ImageEntry> = Vec::new();
    for entry in entries {
        let Some(reference) = &entry.reference else {
            distinct.push(entry);
            continue;
        };
        let Some(&index) = first.get(&reference.normal_form()) else {
            first.insert(reference.normal_form(), distinct.len());
            distinct.push(entry);
            continue;
        };
        duplicate(&entry, reference, &distinct[index], problems);
    }
    distinct
}

fn duplicate(entry: &ImageEntry, reference: &ImageReference, first: &ImageEntry, problems: &mut Problems) {
    let (place, spelling) = (at(&first.place), first.reference.as_ref().map(ToString::to_string).unwrap_or_default());
    let message = format!("{reference} is the same image as {spelling} (at {place})");
    let remedy = "keep one of them";
    if entry.pull_policy == first.pull_policy {
        let message = format!("{message}, so this entry is left out");
        let subject = entry.place.path.clone();
        problems.warn_once(Code::DuplicateImage, subject, entry.place.clone(), message, remedy.to_owned());
    } else {
        let message = format!("{message}, with another imagePullPolicy");
        problems.error(entry.place.clone(), Code::DuplicateImage, message, remedy);
    }
}

/// An image that is never resolved needs no tag that says what it is.
fn check_tag(entry: &ImageEntry, problems: &mut Problems) {
    let Some(reference) = entry.reference.as_ref().filter(|reference| reference.has_no_tag()) else { return };
    if entry.pull_policy == Some(PullPolicy::IfNotPresent) {
        return;
    }
    problems.warn_once(
        Code::NoTag,
        reference.normal_form(),
        entry.place.clone(),
        format!("{reference} has no tag, which means {reference}:latest, an image that changes"),
        format!("add the tag or digest that you mean, even if it is {reference}:latest"),
    );
}

fn at(place: &Place) -> String {
    match place.line {
        Some(line) => format!("line {line}"),
        None => place.path.clone(),
    }
}

/// Assigns names to images without one.
pub struct FreeNames {
    taken: HashSet<String>,
    /// The next number to try, by the name without a number.
    next: HashMap<String, u32>,
}

impl FreeNames {
    /// All names but these and that of the init container.
    pub fn new(taken: impl Iterator<Item = String>) -> Self {
        Self { taken: taken.chain([INIT_CONTAINER.to_owned()]).collect(), next: HashMap::new() }
    }

    /// Takes a name, and returns whether it was free.
    pub fn claim(&mut self, name: &ResourceName) -> bool {
        self.taken.insert(name.to_string())
    }

    /// Takes the first free name for an image.
    pub fn take(&mut self, reference: &ImageReference) -> ResourceName {
        let base = container_name(reference.short_name());
        let next = self.next.entry(base.clone()).or_insert(1);
        let name = first_free(&base, next, |name| self.taken.contains(name));
        self.taken.insert(name.to_string());
        name
    }
}

/// The first free name for an image, beside that of the init container.
pub fn free_name(reference: &ImageReference, is_taken: impl Fn(&str) -> bool) -> ResourceName {
    first_free(&container_name(reference.short_name()), &mut 1, |name| name == INIT_CONTAINER || is_taken(name))
}

/// The first free name from that number on, which becomes the number after it.
fn first_free(base: &str, number: &mut u32, is_taken: impl Fn(&str) -> bool) -> ResourceName {
    let name = loop {
        let name = if *number == 1 { base.to_owned() } else { format!("{base}-{number}") };
        *number += 1;
        if !is_taken(&name) {
            break name;
        }
    };
    // `container_name` returns only valid characters, and leaves space for the number.
    ResourceName::parse(&name).unwrap_or_else(|_| unreachable!("{name} is a DNS label"))
}

/// Repositories may contain `.` and `_`, but names of containers may not.
fn container_name(repository: &str) -> String {
    const NUMBER_LENGTH: usize = 7;
    let dashed = repository.replace(['.', '_'], "-");
    shortened(&dashed, MAX_LABEL - NUMBER_LENGTH)
}

/// Checks how many images a pod may have.
pub fn images_per_pod(written: Option<(Place, i128)>, problems: &mut Problems) -> Option<u32> {
    in_range(written, Group::IMAGES_PER_POD, "number of images in a pod", problems)
}

/// Checks how many images a node should pull at a time.
pub fn parallel_pulls(written: Option<(Place, i128)>, problems: &mut Problems) -> u32 {
    let number = in_range(written, Group::PARALLEL_PULLS, "number of parallel pulls", problems);
    number.unwrap_or(Group::DEFAULT_PARALLEL_PULLS)
}

/// Checks the range of a number; `what` completes "is not a valid".
pub fn in_range(
    written: Option<(Place, i128)>,
    range: RangeInclusive<u32>,
    what: &str,
    problems: &mut Problems,
) -> Option<u32> {
    let (place, number) = written?;
    let found = u32::try_from(number).ok().filter(|number| range.contains(number));
    if found.is_none() {
        problems.error(
            place,
            Code::OutOfRange,
            format!("{number} is not a valid {what}"),
            format!("write a whole number from {} to {}", range.start(), range.end()),
        );
    }
    found
}

/// Removes duplicates: a pod cannot name a Secret twice, because the name is the key of a list map in the API.
pub fn distinct_secrets(secrets: Vec<(Place, ResourceName)>, problems: &mut Problems) -> Vec<ResourceName> {
    let mut distinct: Vec<ResourceName> = Vec::new();
    let mut seen = BTreeSet::new();
    for (place, name) in secrets {
        if seen.insert(name.clone()) {
            distinct.push(name);
            continue;
        }
        problems.warning(
            place,
            Code::DuplicateName,
            format!("the Secret \"{name}\" is listed twice"),
            "remove one of them",
        );
    }
    distinct
}

/// Parses the name of a PriorityClass, and warns of classes whose pods are known to preempt others.
pub fn priority_class(place: &Place, text: &str, problems: &mut Problems) -> Option<ResourceName> {
    if text.starts_with("system-") {
        problems.warning(
            place.clone(),
            Code::Preempts,
            format!("pods of the PriorityClass {} can preempt other pods on full nodes", quoted(text)),
            "use a class with preemptionPolicy: Never and a value of at most 0",
        );
    }
    object_name(place, "a PriorityClass", text, problems)
}

/// A quantity and its place.
pub type PlacedQuantity = Option<(Place, String)>;

/// The request and the limit of one resource, as the user wrote them.
#[derive(Debug, Default)]
pub struct RequestAndLimit {
    /// What each container reserves.
    pub request: PlacedQuantity,
    /// What each container may use at most.
    pub limit: PlacedQuantity,
}

/// What the user wrote about the resources of containers.
#[derive(Debug, Default)]
pub struct ResourceFields {
    /// CPU.
    pub cpu: RequestAndLimit,
    /// Memory.
    pub memory: RequestAndLimit,
    /// Disk that is not a volume.
    pub ephemeral_storage: RequestAndLimit,
}

/// Checks requests and limits. Missing requests get their default, but never more than a given limit.
pub fn resources(written: ResourceFields, problems: &mut Problems) -> Resources {
    let defaults = Resources::default();
    let (cpu_request, cpu_limit) = pair("CPU", written.cpu, defaults.cpu_request, problems);
    let memory_limit_place = written.memory.limit.as_ref().map(|(place, _)| place.clone());
    let (memory_request, memory_limit) = pair("memory", written.memory, defaults.memory_request, problems);
    if let (Some(place), Some(limit)) = (memory_limit_place, &memory_limit) {
        check_tightness(place, limit, problems);
    }
    let (ephemeral_storage_request, ephemeral_storage_limit) = ephemeral_storage(written.ephemeral_storage, problems);
    Resources {
        cpu_request,
        memory_request,
        cpu_limit,
        memory_limit,
        ephemeral_storage_request,
        ephemeral_storage_limit,
    }
}

/// A holder writes nothing, so it reserves nothing unless the user wants it to. With a limit only, pods would reserve all of that
/// (`SetDefaults_Pod` in `k8s.io/kubernetes/pkg/apis/core/v1`).
fn ephemeral_storage(written: RequestAndLimit, problems: &mut Problems) -> (Option<Quantity>, Option<Quantity>) {
    let has_request = written.request.is_some();
    let (request, limit) = pair("ephemeral-storage", written, Quantity("0".to_owned()), problems);
    (Some(request).filter(|_| has_request || limit.is_some()), limit)
}

/// runc needs 6 to 10 MiB for a moment while it starts a container. Whether a lower limit is enough depends on the node.
const LEAST_MEMORY_LIMIT: &str = "10Mi";

fn check_tightness(place: Place, limit: &Quantity, problems: &mut Problems) {
    if Nanos::parse(&limit.0) < Nanos::parse(LEAST_MEMORY_LIMIT) {
        problems.warning(
            place,
            Code::TightLimit,
            format!("with a memory limit of {} containers may be killed while they start", limit.0),
            format!("raise it to {LEAST_MEMORY_LIMIT} or more, or leave it out"),
        );
    }
}

fn pair(
    what: &str,
    RequestAndLimit { request, limit }: RequestAndLimit,
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
            let default_fits = Nanos::parse(&default.0).is_ok_and(|default| default <= limit_value);
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
    let (message, remedy) = match Nanos::parse(&text) {
        Ok(value) => return Some((place, text, value)),
        Err(NotAQuantity::Malformed) => {
            ("is not a quantity", "write a number with a unit, such as 50m, 0.05, 10Mi or 1Gi")
        }
        Err(NotAQuantity::Negative) => ("is negative", "write 0 or more"),
    };
    problems.error(place, Code::InvalidQuantity, format!("{} {message}", quoted(&text)), remedy);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::problem::Severity;

    fn entry(name: Option<&str>, reference: &str) -> ImageEntry {
        ImageEntry {
            place: Place::key("x"),
            name: name.map(|name| (Place::key("x"), ResourceName::parse(name).expect("a name"))),
            reference: Some(ImageReference::parse(reference).unwrap_or_else(|error| panic!("{}", error.message))),
            pull_policy: None,
        }
    }

    fn names(entries: Vec<ImageEntry>) -> Vec<String> {
        let mut problems = Problems::default();
        let images = name_images(entries, &mut problems);
        assert!(problems.into_vec().iter().all(|problem| problem.code == Code::NoTag));
        images.iter().map(|image| image.name.to_string()).collect()
    }

    #[test]
    fn names_come_from_the_repository_and_stay_when_the_tag_changes() {
        let with = |tag: &str| {
            let app = format!("ghcr.io/acme/My_app.web:{tag}").to_lowercase();
            names(vec![entry(None, "nginx:1"), entry(None, &app), entry(None, &format!("nginx:{tag}"))])
        };
        assert_eq!(with("2"), ["nginx", "my-app-web", "nginx-2"]);
        assert_eq!(with("2"), with("3"));
    }

    #[test]
    fn names_never_meet_those_that_the_user_gave_nor_that_of_the_init_container() {
        let given = vec![
            entry(None, "a/app"),
            entry(None, "b/app"),
            entry(Some("app-2"), "c/app"),
            entry(Some("app"), "d/app"),
            entry(None, "acme/install-holder"),
        ];
        assert_eq!(names(given), ["app-3", "app-4", "app-2", "app", "install-holder-2"]);
    }

    #[test]
    fn long_names_are_cut_apart_and_leave_space_for_a_number() {
        let long = "x".repeat(200);
        let names = names(vec![
            entry(None, &format!("a/{long}")),
            entry(None, &format!("b/{long}")),
            entry(None, &format!("a/{long}y")),
        ]);
        assert_eq!(names[1], format!("{}-2", names[0]));
        assert_ne!(names[0], names[2]);
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
    }

    #[test]
    fn an_image_that_is_listed_twice_is_kept_once_and_two_images_cannot_have_one_name() {
        let found = |entries: &[(Option<&str>, &str)]| {
            let mut problems = Problems::default();
            let entries = entries.iter().map(|(name, reference)| entry(*name, reference)).collect();
            let images = name_images(entries, &mut problems);
            let codes: Vec<_> = problems.into_vec().iter().map(|problem| (problem.severity, problem.code)).collect();
            (images.iter().map(|image| image.reference.to_string()).collect::<Vec<_>>(), codes)
        };
        let warning = (Severity::Warning, Code::DuplicateImage);
        let one_name = [(Some("a"), "nginx:1"), (Some("a"), "docker.io/library/nginx:1")];
        assert_eq!(found(&one_name), (vec!["nginx:1".to_owned()], vec![warning]));
        assert_eq!(
            found(&[(Some("a"), "nginx:1"), (Some("b"), "nginx:1"), (None, "redis:7")]).0,
            ["nginx:1", "redis:7"]
        );
        let two_images = found(&[(Some("a"), "nginx:1"), (Some("a"), "nginx:2"), (Some("b"), "nginx:2")]);
        assert_eq!(two_images.1, [(Severity::Error, Code::DuplicateName), warning]);
    }

    #[test]
    fn an_image_without_a_tag_is_warned_of_once_unless_it_is_never_resolved() {
        let mut problems = Problems::default();
        let preloaded = ImageEntry { pull_policy: Some(PullPolicy::IfNotPresent), ..entry(None, "base") };
        for group in [vec![entry(None, "nginx"), entry(None, "redis:7"), preloaded], vec![entry(None, "library/nginx")]]
        {
            name_images(group, &mut problems);
        }
        let found = problems.into_vec();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.starts_with("nginx has no tag, which means nginx:latest"), "{found:?}");
    }

    fn quantities(cpu: (Option<&str>, Option<&str>)) -> (Resources, Vec<Code>) {
        let placed = |text: Option<&str>| text.map(|text| (Place::key("x"), text.to_owned()));
        let mut problems = Problems::default();
        let cpu = RequestAndLimit { request: placed(cpu.0), limit: placed(cpu.1) };
        let resources = resources(ResourceFields { cpu, ..ResourceFields::default() }, &mut problems);
        (resources, problems.into_vec().iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn a_default_request_never_exceeds_a_given_limit() {
        let (resources, problems) = quantities((None, Some("500u")));
        assert_eq!((resources.cpu_request.0.as_str(), problems.len()), ("500u", 0));
        let (resources, _) = quantities((None, Some("1")));
        assert_eq!(resources.cpu_request.0, "1m");
    }

    #[test]
    fn ephemeral_storage_is_reserved_only_if_the_user_wants_it() {
        let of = |request: Option<&str>, limit: Option<&str>| {
            let placed = |text: Option<&str>| text.map(|text| (Place::key("x"), text.to_owned()));
            let ephemeral_storage = RequestAndLimit { request: placed(request), limit: placed(limit) };
            let written = ResourceFields { ephemeral_storage, ..ResourceFields::default() };
            let resources = resources(written, &mut Problems::default());
            (resources.ephemeral_storage_request.map(|it| it.0), resources.ephemeral_storage_limit.map(|it| it.0))
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(None, None), (None, None));
        assert_eq!(of(Some("1Mi"), None), (text("1Mi"), None));
        assert_eq!(of(None, Some("1Gi")), (text("0"), text("1Gi")), "not all of the limit");
    }

    #[test]
    fn a_given_request_above_the_limit_is_refused() {
        assert_eq!(quantities((Some("51m"), Some(".05"))).1, [Code::LimitBelowRequest]);
        assert_eq!(quantities((Some("50m"), Some(".05"))).1, []);
        assert_eq!(quantities((Some("-1"), Some("x"))).1, [Code::InvalidQuantity, Code::InvalidQuantity]);
    }
}
