//! A list as it is written, and what it means.

use std::sync::Arc;

use crate::list::{Config, ListData, Parsed, Problem};
use crate::plan::ValidationResult;

/// A list as it is written, and what it means.
#[derive(Debug)]
pub struct ParsedList {
    pub list: ListData,
    /// What it asks for; `None` if it is rejected.
    pub config: Option<Arc<Config>>,
    pub problems: Vec<Problem>,
    /// Whether nothing is wrong except that it has no image.
    pub empty: bool,
    pub validation_result: ValidationResult,
}

impl ParsedList {
    pub fn new(list: ListData, parsed: Parsed) -> Self {
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

    /// Uses what an equal list means in place of its own, so that it is in memory once.
    pub fn share(&mut self, config: Option<Arc<Config>>) {
        if config.is_some() && config == self.config {
            self.config = config;
        }
    }
}
