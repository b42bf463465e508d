//! One line for each of several lists, the worst first.

use jiff::Timestamp;

use super::behind;
use super::columns::Cell;
use super::styles::{BAD, BEHIND, GOOD, HEADING, QUIET};
use crate::image_cache::Phase;
use crate::messages::format::{number, span};
use crate::status::ListState;
use crate::status::report::{ImageReport, ListReport};
use crate::summary::node_state::NodeState;

/// How a list is doing, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListHealth {
    /// It has errors, or is gone.
    Broken,
    /// An image is not warm everywhere, or the list was just edited.
    Behind,
    /// All is warm, but there is something to say.
    Warned,
    /// All is warm, or it has no image.
    Good,
}

impl ListHealth {
    /// The health of a list.
    pub fn of(list: &ListReport) -> Self {
        let lacks_image_cache = list.image_caches.iter().any(|cache| cache.phase == Phase::Failed);
        match list.state {
            ListState::Rejected | ListState::Missing => Self::Broken,
            ListState::NotValidated => Self::Behind,
            ListState::Accepted | ListState::Empty if !list.warm => Self::Behind,
            ListState::Accepted | ListState::Empty if !list.problems.is_empty() || lacks_image_cache => Self::Warned,
            ListState::Accepted | ListState::Empty => Self::Good,
        }
    }
}

/// The lists, the worst first; otherwise in their order.
pub fn worst_first(lists: &[ListReport]) -> Vec<&ListReport> {
    let mut lists: Vec<&ListReport> = lists.iter().collect();
    lists.sort_by_key(|list| ListHealth::of(list));
    lists
}

/// The rows of the table: its headings, and a row for each list.
pub fn rows(lists: &[&ListReport], now: Timestamp) -> Vec<Vec<Cell>> {
    let headings = [Cell::left("LIST"), Cell::left("STATE"), Cell::right("IMAGES"), Cell::right("NODES")];
    let last = [Cell::right("REFRESH"), Cell::left("REASON")];
    let headings = headings.into_iter().chain(last).map(|cell| cell.styled(HEADING)).collect();
    std::iter::once(headings).chain(lists.iter().map(|list| row(list, now))).collect()
}

fn row(list: &ListReport, now: Timestamp) -> Vec<Cell> {
    let style = match ListHealth::of(list) {
        ListHealth::Broken => BAD,
        ListHealth::Behind | ListHealth::Warned => BEHIND,
        ListHealth::Good if list.groups.is_empty() => QUIET,
        ListHealth::Good => GOOD,
    };
    let images = || list.groups.iter().flat_map(|group| &group.images);
    let warm = images().filter(|image| image.is_warm()).count();
    let nodes = list.nodes_with_all().map_or_else(|| "-".to_owned(), |[warm, nodes]| format!("{warm}/{nodes}"));
    vec![
        Cell::left(format!("{}/{}", list.namespace, list.name)),
        Cell::left(state(list.state)).styled(style),
        Cell::right(format!("{warm}/{}", images().count())).styled(style),
        Cell::right(nodes).styled(style),
        Cell::right(next_refresh(list, now)),
        Cell::left(reason(list)),
    ]
}

fn state(state: ListState) -> &'static str {
    match state {
        ListState::Accepted => "accepted",
        ListState::Rejected => "rejected",
        ListState::Empty => "no images",
        ListState::NotValidated => "not validated",
        ListState::Missing => "missing",
    }
}

/// When the next refresh of any group is.
fn next_refresh(list: &ListReport, now: Timestamp) -> String {
    if list.groups.iter().any(|group| group.refresh.due) {
        return "due now".to_owned();
    }
    let next = list.groups.iter().filter_map(|group| group.refresh.next_at).min();
    next.map_or_else(|| "-".to_owned(), |at| format!("in {}", span(at.duration_since(now))))
}

/// How many problems the list has, or the most serious reason why an image is not warm on a node. Both are explained further down.
fn reason(list: &ListReport) -> String {
    match (ListHealth::of(list), list.problems.len()) {
        (ListHealth::Broken, problems @ 1..) => number(problems, "problem"),
        (ListHealth::Warned, warnings @ 1..) => number(warnings, "warning"),
        _ => {
            let images = list.groups.iter().flat_map(|group| &group.images);
            images.filter(|image| !image.is_warm()).map(of_image).min().map(|(_, reason)| reason).unwrap_or_default()
        }
    }
}

/// The state of an image on the nodes that lack it, and what it is called.
fn of_image(image: &ImageReport) -> (Option<NodeState>, String) {
    (image.behind.iter().map(|behind| behind.state).min(), behind::worst(&image.behind))
}
