//! The images that a group could have: those that were found before, and those that workloads name.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::SelectorExt;

use super::known::Workloads;
use super::workload::Workload;
use crate::list::discover::found::{FoundImage, GroupFound};
use crate::list::discover::{Discover, Discovery};
use crate::list::policy::repository::Repository;
use crate::list::reference::ImageReference;

/// Why an image that workloads name is left out.
const NOT_ALLOWED: &str = "the policy does not allow it";

/// An image that a group could have.
pub struct PossibleImage<'a> {
    /// As it was spelled before; else the smallest spelling.
    pub reference: ImageReference,
    /// What was stored of it.
    pub before: Option<&'a FoundImage>,
    /// The smallest spelling that workloads have now. What is left out is called so, whatever was found before.
    pub named_as: Option<&'a str>,
    /// The workloads that name it, in any spelling.
    pub named_by: BTreeSet<&'a Workload>,
}

/// The images that a group could have, and what workloads name that it cannot have.
#[derive(Default)]
pub struct PossibleImages<'a> {
    /// The images, by their normal forms.
    pub by_form: BTreeMap<String, PossibleImage<'a>>,
    /// Why others are left out, by their references.
    pub left_out: BTreeMap<String, String>,
}

impl<'a> PossibleImages<'a> {
    /// Those of a group. `before`: what was found for it.
    pub fn of(
        discovery: &Discovery,
        before: Option<&'a GroupFound>,
        seen: &'a Workloads,
        is_allowed: &dyn Fn(&ImageReference) -> bool,
    ) -> Self {
        let mut possible = Self::default();
        for (spelling, image) in before.into_iter().flat_map(|group| &group.images) {
            possible.add_found(spelling, image);
        }
        for (spelling, workloads) in spellings(&discovery.discover, seen) {
            possible.add_named(spelling, workloads);
        }
        possible.restrict(discovery, is_allowed);
        possible
    }

    fn add_found(&mut self, spelling: &str, image: &'a FoundImage) {
        if let Ok(reference) = ImageReference::parse(spelling) {
            self.entry(reference).before.get_or_insert(image);
        }
    }

    fn add_named(&mut self, spelling: &'a str, workloads: Vec<&'a Workload>) {
        match ImageReference::parse(spelling) {
            Ok(reference) => {
                let image = self.entry(reference);
                image.named_as.get_or_insert(spelling);
                image.named_by.extend(workloads);
            }
            Err(error) => drop(self.left_out.insert(spelling.to_owned(), error.message)),
        }
    }

    /// The image, whose first spelling stays.
    fn entry(&mut self, reference: ImageReference) -> &mut PossibleImage<'a> {
        let form = reference.normal_form();
        let new = || PossibleImage { reference, before: None, named_as: None, named_by: BTreeSet::new() };
        self.by_form.entry(form).or_insert_with(new)
    }

    /// Leaves out what the group has or does not want, and what the policy does not allow.
    fn restrict(&mut self, discovery: &Discovery, is_allowed: &dyn Fn(&ImageReference) -> bool) {
        let left_out = &mut self.left_out;
        self.by_form.retain(|form, image| {
            if discovery.own.contains(form) || is_excluded(&discovery.discover, &image.reference) {
                return false;
            }
            let allowed = is_allowed(&image.reference);
            if let Some(spelling) = image.named_as.filter(|_| !allowed) {
                left_out.insert(spelling.to_owned(), NOT_ALLOWED.to_owned());
            }
            allowed
        });
    }
}

/// What workloads name, by its spelling, so that each is parsed once.
fn spellings<'a>(discover: &Discover, seen: &'a Workloads) -> BTreeMap<&'a str, Vec<&'a Workload>> {
    let counting = seen.counting(discover).into_iter();
    let namespaces = counting.filter_map(|namespace| seen.by_namespace.get(namespace));
    let workloads = namespaces.flat_map(|known| &known.workloads).map(|workload| &**workload);
    let mut spellings: BTreeMap<&str, Vec<&Workload>> = BTreeMap::new();
    for workload in workloads.filter(|workload| selects(discover, workload)) {
        for image in &workload.images {
            spellings.entry(image).or_default().push(workload);
        }
    }
    spellings
}

fn selects(discover: &Discover, workload: &Workload) -> bool {
    discover.kinds.contains(&workload.kind) && discover.selector.matches(&workload.labels)
}

fn is_excluded(discover: &Discover, reference: &ImageReference) -> bool {
    let repository = Repository::of(reference);
    discover.exclude.iter().any(|pattern| pattern.matches(&repository))
}
