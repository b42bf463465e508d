//! A list as it is written, and what it means.

use std::sync::Arc;

use crate::cluster::accepted_lists::AcceptedVersion;
use crate::list::{Config, ListData, Parsed, Problem};
use crate::plan::ValidationResult;

/// A list as it is written, and what it means.
#[derive(Debug)]
pub struct ParsedList {
    pub list: Arc<ListData>,
    /// What it asks for; `None` if it is rejected.
    pub config: Option<Arc<Config>>,
    pub problems: Vec<Problem>,
    /// Whether nothing is wrong except that it has no image.
    pub empty: bool,
    pub validation_result: ValidationResult,
}

impl ParsedList {
    pub fn new(list: Arc<ListData>, parsed: Parsed) -> Self {
        let validation_result = ValidationResult::new(&list, &parsed);
        let Parsed { config, empty, problems } = parsed;
        Self { validation_result, list, config: config.map(Arc::new), empty, problems }
    }

    /// The same list, as one that has no image and never had one.
    pub fn of_empty(of: &Self) -> Self {
        let validation_result = ValidationResult::of_empty(&of.list, &of.problems);
        Self {
            validation_result,
            list: of.list.clone(),
            config: of.config.clone(),
            empty: of.empty,
            problems: of.problems.clone(),
        }
    }

    /// The same list, rejected for more problems.
    pub fn rejected(of: &Self, more: Vec<Problem>) -> Self {
        let problems = [of.problems.clone(), more].concat();
        Self::new(of.list.clone(), Parsed { config: None, empty: false, problems })
    }

    /// Keeps what the version has that was accepted of it, instead of a copy.
    pub fn share(&mut self, version: &AcceptedVersion) {
        self.list = Arc::clone(&version.revision.list);
        let (Some(own), Some(accepted)) = (&self.config, version.config()) else { return };
        if !Arc::ptr_eq(own, accepted) && own == accepted {
            self.config = Some(Arc::clone(accepted));
        }
    }
}
