//! The images of pods in normal form, since references to the same image can differ. What pods have in common is computed once.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::generation_numbers::{GenerationNumber, GenerationNumbers};
use crate::coverage::{CoveredImage, CoveringPod, Hold, ImageState};
use crate::list::reference::ImageReference;
use crate::plan::generation::Generation;
use crate::plan::generation::pods::as_listed;

/// The number of an image among all images of a list and its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageNumber(u32);

impl ImageNumber {
    /// Its place in a vector with an entry for each image.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All images that anybody refers to, in normal form.
#[derive(Default)]
pub struct NormalForms<'a> {
    forms: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, ImageNumber>,
    /// By any other spelling.
    spelled: HashMap<&'a str, ImageNumber>,
}

impl<'a> NormalForms<'a> {
    /// The number of an image in any spelling.
    pub fn number(&mut self, spelled: &'a str) -> ImageNumber {
        if let Some(known) = self.spelled.get(spelled) {
            return *known;
        }
        let number = self.number_of_form(ImageReference::normal_form_of(spelled).into());
        self.spelled.insert(spelled, number);
        number
    }

    /// The number of an image in normal form.
    pub fn number_of_form(&mut self, form: Rc<str>) -> ImageNumber {
        let next = ImageNumber(u32::try_from(self.forms.len()).unwrap_or(u32::MAX));
        let number = *self.numbers.entry(Rc::clone(&form)).or_insert(next);
        if number == next {
            self.forms.push(form);
        }
        number
    }

    /// The number of an image in normal form, if anybody refers to it.
    pub fn find(&self, form: &str) -> Option<ImageNumber> {
        self.numbers.get(form).copied()
    }

    /// An image in normal form.
    pub fn form(&self, number: ImageNumber) -> &Rc<str> {
        &self.forms[number.index()]
    }
}

/// The images of all pods that look alike.
pub struct PodImages<'a> {
    /// In the order of the pulls.
    pub all: Vec<PodImage<'a>>,
    /// What the pod has of each image, in the order of numbers.
    by_number: Vec<(ImageNumber, Has)>,
}

/// An image of a pod.
pub struct PodImage<'a> {
    /// In normal form.
    pub form: Rc<str>,
    /// The same as a number.
    pub number: ImageNumber,
    /// Its state.
    pub image: &'a CoveredImage,
}

/// What a pod has of an image, possibly in several containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Has {
    /// How firmly it holds it.
    pub hold: Hold,
    /// Whether it could not be pulled or started.
    pub failed: bool,
}

impl<'a> PodImages<'a> {
    fn new(pod: &'a CoveringPod, generation: Option<&'a Generation>, forms: &mut NormalForms<'a>) -> Self {
        let image = |image: &'a CoveredImage| {
            let number = forms.number(as_listed(image, generation));
            PodImage { form: Rc::clone(forms.form(number)), number, image }
        };
        let all: Vec<PodImage> = pod.images.iter().map(|it| &**it).map(image).collect();
        let mut by_number: Vec<(ImageNumber, Has)> = all.iter().map(|it| (it.number, Has::of(it.image))).collect();
        by_number.sort_by_key(|(number, _)| *number);
        by_number.dedup_by(|(number, has), (kept, all)| {
            let is_same = number == kept;
            if is_same {
                *all = Has { hold: all.hold.max(has.hold), failed: all.failed || has.failed };
            }
            is_same
        });
        Self { all, by_number }
    }

    /// What the pod has of an image; `None` if it has no container of it.
    pub fn of(&self, number: ImageNumber) -> Option<Has> {
        let place = self.by_number.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(self.by_number[place].1)
    }
}

impl Has {
    fn of(image: &CoveredImage) -> Self {
        let failed = matches!(image.state, ImageState::Failed { .. } | ImageState::CannotStart { .. });
        Self { hold: image.state.hold(), failed }
    }
}

/// The images of pods, computed once for all that look alike: with thousands of pods, there are few that do not.
#[derive(Default)]
pub struct PodImageCache<'a> {
    /// By generation, and by where the pod's images are stored, which pods that look alike share.
    known: HashMap<(&'a str, *const ()), Rc<PodImages<'a>>>,
}

impl<'a> PodImageCache<'a> {
    /// The images of a pod.
    pub fn of(
        &mut self,
        pod: &'a CoveringPod,
        generation: Option<&'a Generation>,
        forms: &mut NormalForms<'a>,
    ) -> Rc<PodImages<'a>> {
        let key = (&*pod.generation, pod.images.as_ptr().cast());
        Rc::clone(self.known.entry(key).or_insert_with(|| Rc::new(PodImages::new(pod, generation, forms))))
    }

    /// By image: the generations that have a pod with it.
    pub fn generations_with(&self, numbers: &GenerationNumbers) -> Vec<BTreeSet<GenerationNumber>> {
        let mut with: Vec<BTreeSet<GenerationNumber>> = Vec::new();
        for ((generation, _), images) in &self.known {
            let Some(generation) = numbers.find(generation) else { continue };
            for (image, _) in &images.by_number {
                with.resize(with.len().max(image.index() + 1), BTreeSet::new());
                with[image.index()].insert(generation);
            }
        }
        with
    }

    /// How many different sets of images there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }
}
