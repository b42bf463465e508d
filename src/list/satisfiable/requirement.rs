//! The requirements of one label: whether a node can meet all of them.

use std::collections::{BTreeSet, HashSet};

use k8s_openapi::api::core::v1::NodeSelectorRequirement;

use crate::list::problem::quoted;

/// The longest value of a label.
pub const MAX_VALUE: usize = 63;
/// How many requirements of one label are compared in pairs.
const COMPARED: usize = 30;

/// A requirement of one label.
#[derive(Debug)]
pub struct LabelRequirement<'a> {
    /// The label, as written.
    pub key: &'a str,
    /// What its value must be.
    pub test: Test<'a>,
    /// Who requires it.
    pub origin: RequiredBy,
}

/// What the value of a label must be.
#[derive(Debug)]
#[allow(missing_docs)] // The operators of the Kubernetes API.
pub enum Test<'a> {
    In(Vec<&'a str>),
    NotIn(Vec<&'a str>),
    Exists,
    DoesNotExist,
    Gt(i64),
    Lt(i64),
}

/// Who requires it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum RequiredBy {
    NodeSelector,
    Affinity,
    Architectures,
    Program { why: &'static str, remedy: &'static str },
}

impl<'a> LabelRequirement<'a> {
    /// `None` for a malformed one, which is reported elsewhere.
    pub fn of_term(requirement: &'a NodeSelectorRequirement) -> Option<Self> {
        let values: Vec<&str> = requirement.values.iter().flatten().map(String::as_str).collect();
        let number = || values.first().and_then(|value| value.parse().ok());
        let test = match requirement.operator.as_str() {
            "In" if !values.is_empty() => Test::In(values),
            "NotIn" => Test::NotIn(values),
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::DoesNotExist,
            "Gt" => Test::Gt(number()?),
            "Lt" => Test::Lt(number()?),
            _ => return None,
        };
        Some(Self { key: &requirement.key, test, origin: RequiredBy::Affinity })
    }

    /// The requirement as the end of a sentence about the label.
    pub fn in_words(&self) -> String {
        let test = match &self.test {
            Test::In(values) if values.len() > 1 => format!("must be one of {}", some(values)),
            Test::In(values) => format!("must be {}", some(values)),
            Test::NotIn(values) => format!("must not be {}", some(values)),
            Test::Exists => "must exist".to_owned(),
            Test::DoesNotExist => "must not exist".to_owned(),
            Test::Gt(bound) => format!("must be greater than {bound}"),
            Test::Lt(bound) => format!("must be less than {bound}"),
        };
        let origin = match self.origin {
            RequiredBy::NodeSelector => "node selector",
            RequiredBy::Affinity => "affinity",
            RequiredBy::Architectures => "architectures",
            RequiredBy::Program { why, .. } => why,
        };
        format!("{test} ({origin})")
    }
}

fn some(values: &[&str]) -> String {
    const MAX: usize = 6;
    let named: Vec<String> = values.iter().take(MAX).map(|value| quoted(value)).collect();
    let more = if values.len() > MAX { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// A smallest part of the requirements of one label that no node meets; `None` if a node can meet all of them.
pub fn excluding<'r, 'a>(all: &[&'r LabelRequirement<'a>]) -> Option<Vec<&'r LabelRequirement<'a>>> {
    if satisfiable(all) {
        return None;
    }
    let few = &all[..all.len().min(COMPARED)];
    let alone = few.iter().map(|it| vec![*it]);
    let pairs = few.iter().enumerate().flat_map(|(index, one)| few[index + 1..].iter().map(|other| vec![*one, *other]));
    Some(alone.chain(pairs).find(|part| !satisfiable(part)).unwrap_or_else(|| all.to_vec()))
}

/// Whether a label can meet all requirements, or can be absent.
fn satisfiable(requirements: &[&LabelRequirement]) -> bool {
    let tests = || requirements.iter().map(|requirement| &requirement.test);
    if !tests().any(|test| matches!(test, Test::In(_) | Test::Exists | Test::Gt(_) | Test::Lt(_))) {
        return true;
    }
    if tests().any(|test| matches!(test, Test::DoesNotExist)) {
        return false;
    }
    let excluded: HashSet<&str> =
        tests().flat_map(|test| if let Test::NotIn(values) = test { &values[..] } else { &[] }).copied().collect();
    let above = tests().filter_map(|test| if let Test::Gt(bound) = test { Some(*bound) } else { None }).max();
    let below = tests().filter_map(|test| if let Test::Lt(bound) = test { Some(*bound) } else { None }).min();
    let in_range = |value: &str| {
        (above.is_none() && below.is_none())
            || value.parse::<i64>().is_ok_and(|number| {
                above.is_none_or(|bound| number > bound) && below.is_none_or(|bound| number < bound)
            })
    };
    let mut listed = tests().filter_map(|test| if let Test::In(values) = test { Some(values) } else { None });
    let Some(first) = listed.next() else {
        return (above.is_none() && below.is_none()) || some_number(above, below, &excluded);
    };
    let others: Vec<BTreeSet<&str>> = listed.map(|values| values.iter().copied().collect()).collect();
    let fits = |value: &str| {
        !excluded.contains(value) && in_range(value) && others.iter().all(|values| values.contains(value))
    };
    first.iter().any(|value| fits(value))
}

/// Whether a label can have a number in the range as its value. It cannot be negative, because a value begins with a letter or a
/// digit, but it may have leading zeros.
fn some_number(above: Option<i64>, below: Option<i64>, excluded: &HashSet<&str>) -> bool {
    let first = match above {
        None => 0,
        Some(bound) => bound.saturating_add(1).max(0),
    };
    let last = below.map_or(i64::MAX, |bound| bound.saturating_sub(1));
    if above == Some(i64::MAX) || below == Some(i64::MIN) {
        return false;
    }
    let spellings = |number: i64| {
        let digits = number.to_string();
        (digits.len()..=MAX_VALUE).map(move |width| format!("{digits:0>width$}"))
    };
    (first..=last).flat_map(spellings).any(|value| !excluded.contains(value.as_str()))
}
