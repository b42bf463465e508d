//! The report as a table.
//!
//! - [`overview`]: one line for each of several lists
//! - [`styles`]: its colours
//! - [`columns`]: a table that fits into the terminal
//! - [`behind`]: the nodes that are behind, by cause
//! - [`discovered`]: what was discovered in workloads

mod behind;
pub mod columns;
mod discovered;
mod overview;
mod styles;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::Style;
use columns::Cell;
use jiff::Timestamp;
use overview::ListHealth;
use styles::{BAD, BEHIND, GOOD, HEADING, QUIET};
use textwrap::Options;

use super::ListState;
use super::report::{GroupReport, ImageReport, ListReport, Report};
use super::rollout::{RefreshReport, RolloutReport, RolloutState};
use crate::image_cache::Phase;
use crate::messages::format::{age, bytes, first_few, number, requests, short_digest, span};
use crate::messages::{image_caches, lists, pull_credentials};
use crate::plan::refresh::RefreshOutcome;
use crate::text::CleanText;

/// The width of a bar, in characters.
const BAR: usize = 10;
/// The indents of the lines of a group, and of their continuations.
const INDENT: &str = "  ";
const FURTHER: &str = "      ";

/// How the table is laid out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// The width of the terminal, in columns; `None`: lines are never wrapped or cut.
    pub width: Option<usize>,
    /// Whether bars are drawn.
    pub bars: bool,
    /// Whether to print everything: whole references, digests and messages, and all nodes.
    pub wide: bool,
    /// Whether the lists were chosen by name. Of several others, those that are warm are not shown in detail.
    pub named: bool,
}

/// Prints the report with colours, which `output` may strip.
///
/// # Errors
/// The output cannot be written.
pub fn print(report: &Report, layout: Layout, output: &mut impl Write) -> io::Result<()> {
    let mut table = Table { layout: layout.for_everything(), now: report.time, output };
    let lists = overview::worst_first(&report.lists);
    let is_shown = |list: &ListReport| layout.wide || layout.named || ListHealth::of(list) != ListHealth::Good;
    let (mut is_first, several) = (true, lists.len() > 1);
    if several {
        table.print_overview(&lists)?;
        is_first = false;
    }
    for list in lists.into_iter().filter(|list| !several || is_shown(list)) {
        if !std::mem::take(&mut is_first) {
            writeln!(table.output)?;
        }
        table.print_list(list)?;
    }
    table.print_end(report)
}

impl Layout {
    /// The wide form never cuts lines.
    fn for_everything(self) -> Self {
        Self { width: self.width.filter(|_| !self.wide), ..self }
    }
}

struct Table<'o, O> {
    layout: Layout,
    now: Timestamp,
    output: &'o mut O,
}

impl<O: Write> Table<'_, O> {
    fn print_overview(&mut self, lists: &[&ListReport]) -> io::Result<()> {
        columns::print(&overview::rows(lists, self.now), 0, self.layout.width, self.output)
    }

    fn print_list(&mut self, list: &ListReport) -> io::Result<()> {
        let (style, state) = match list.state {
            ListState::Accepted => (GOOD, "accepted".to_owned()),
            ListState::Rejected => (BAD, format!("rejected; {}", lists::in_effect(list.accepted_at))),
            ListState::Empty => (QUIET, "no images yet: nothing to do until you add some".to_owned()),
            ListState::NotValidated if list.accepted_at.is_none() => {
                (BEHIND, "not validated by the controller yet".to_owned())
            }
            ListState::NotValidated => (BEHIND, "edited, and not validated by the controller yet".to_owned()),
            ListState::Missing => (BAD, "missing; its images are released soon unless it is restored".to_owned()),
        };
        let name = format!("{}/{}", list.namespace, list.name);
        let heading = format!("{name}: {state}");
        for line in textwrap::wrap(&heading, self.options("", FURTHER)) {
            match line.strip_prefix(&name) {
                Some(rest) => writeln!(self.output, "{HEADING}{name}{HEADING:#}{style}{rest}{style:#}")?,
                None => writeln!(self.output, "{style}{line}{style:#}")?,
            }
        }
        // A list without errors has only warnings.
        let (style, word) = match list.state {
            ListState::Accepted | ListState::Empty => (BEHIND, "warning"),
            _ => (BAD, "problem"),
        };
        for problem in &list.problems {
            self.wrapped(style, word, &format!(": {problem}"))?;
        }
        self.print_credentials(list)?;
        self.print_gate(list)?;
        list.groups.iter().try_for_each(|group| self.print_group(group))?;
        self.print_image_caches(list)
    }

    /// What workloads need on nodes that verify credentials.
    fn print_credentials(&mut self, list: &ListReport) -> io::Result<()> {
        let describe = |group: &GroupReport| {
            let verification = group.credential_verification.as_ref()?;
            Some(pull_credentials::group(&group.name, &verification.pull_secrets, Some(verification.nodes)))
        };
        let groups: Vec<String> = list.groups.iter().filter_map(describe).collect();
        match pull_credentials::note(&groups, self.layout.wide) {
            Some(note) => self.wrapped(QUIET, "note", &format!(": {note}")),
            None => Ok(()),
        }
    }

    /// The nodes that wait for their images, the longest first.
    fn print_gate(&mut self, list: &ListReport) -> io::Result<()> {
        let Some(gate) = list.node_gate.as_ref().filter(|gate| !gate.nodes.is_empty()) else { return Ok(()) };
        let most = if self.layout.wide { usize::MAX } else { 3 };
        let mut nodes: Vec<_> = gate.nodes.iter().collect();
        nodes.sort_by_key(|node| node.since);
        for node in nodes.iter().take(most) {
            let since = node.since.map_or_else(|| "?".to_owned(), |since| age(since, self.now));
            let left = node.until.duration_since(self.now);
            let until = match left.is_positive() {
                true => format!("freed in {} at the latest", span(left)),
                false => format!("should have been freed {} ago", age(node.until, self.now)),
            };
            let text = format!(": gated for {since}, {until}: {}", node.waiting_for);
            self.wrapped(BEHIND, &format!("node {}", node.node), &text)?;
        }
        match nodes.len().saturating_sub(most) {
            0 => Ok(()),
            more => self.further("", &format!("and {} that wait for their images", number(more, "more node"))),
        }
    }

    fn print_image_caches(&mut self, list: &ListReport) -> io::Result<()> {
        if !list.image_caches.is_empty() {
            writeln!(self.output, "\nImageCaches:")?;
        }
        for cache in &list.image_caches {
            let style = match cache.phase {
                Phase::Ready => GOOD,
                Phase::Pending | Phase::Creating => BEHIND,
                Phase::Failed => BAD,
            };
            self.wrapped(style, &cache.name, &image_caches::in_table(cache, self.now))?;
        }
        Ok(())
    }

    fn print_group(&mut self, group: &GroupReport) -> io::Result<()> {
        writeln!(self.output)?;
        let rollout = rollout(group, self.now);
        let style = match group.images.iter().all(ImageReport::is_warm) {
            true if group.images.iter().all(|image| image.nodes.total == 0) => QUIET,
            true => GOOD,
            false => BEHIND,
        };
        let heading = format!("group {}", group.name);
        let lines = textwrap::wrap(&rollout, self.options("", INDENT).initial_indent(&" ".repeat(heading.len() + 2)));
        for (index, line) in lines.iter().enumerate() {
            match index {
                0 => writeln!(self.output, "{style}{heading}{style:#}: {}", line.trim_start())?,
                _ => writeln!(self.output, "{line}")?,
            }
        }
        let rows: Vec<Vec<Cell>> =
            std::iter::once(self.headings()).chain(group.images.iter().map(|image| self.row(image))).collect();
        columns::print(&rows, INDENT.len(), self.layout.width, self.output)?;
        self.print_behind(group)?;
        self.print_not_counted(group)?;
        for (image, text) in discovered::lines(group, self.layout.wide, self.now) {
            self.wrapped(QUIET, &image, &text)?;
        }
        for eviction_loop in &group.eviction_loops {
            let why = ": eviction loop: the pod is evicted repeatedly because the node runs low on disk; enlarge the disk or \
                       shorten the list";
            self.wrapped(BAD, &eviction_loop.node, why)?;
        }
        if group.always_pull_enforced {
            let why = ": it sets imagePullPolicy: Always on every pod (AlwaysPullImages), so a pod that restarts during a registry \
                       outage holds nothing; exempt this namespace if a policy does it";
            self.wrapped(BAD, "admission", why)?;
        }
        self.print_refresh(&group.refresh)?;
        let of_group = group.requests;
        let text =
            format!(": at most {} on a node, {} in total", requests(of_group.per_node), requests(of_group.total));
        self.wrapped(QUIET, "requests", &text)
    }

    fn headings(&self) -> Vec<Cell> {
        let mut headings = vec![Cell::left("IMAGE"), Cell::left("DIGEST"), Cell::right("WARM")];
        if self.layout.wide {
            headings.extend(["PULLING", "WAITING", "FAILED"].map(Cell::right));
        }
        headings.extend(["AGE", "SIZE"].map(Cell::right));
        headings.push(Cell::left("REASON"));
        headings.into_iter().map(|cell| cell.styled(HEADING)).collect()
    }

    fn row(&self, image: &ImageReport) -> Vec<Cell> {
        let of = |state: &str| image.nodes.by_state.get(state).copied().unwrap_or_default();
        let (warm, total) = (of("warm"), image.nodes.total);
        let style = match image.is_warm() {
            _ if image.nodes.total == 0 => QUIET,
            true => GOOD,
            false if warm == 0 => BAD,
            false => BEHIND,
        };
        let counted =
            if self.layout.bars { format!("{} {warm}/{total}", bar(warm, total)) } else { format!("{warm}/{total}") };
        let mut row = vec![
            Cell::left(&image.reference),
            Cell::left(digests(image, self.layout.wide)),
            Cell::right(counted).styled(style),
        ];
        if self.layout.wide {
            let failed = ["initFailed", "failed", "cannotStart"].into_iter().map(of).sum();
            row.extend([of("pulling"), of("waiting"), failed].map(|nodes| Cell::right(nodes.to_string())));
        }
        let or_none = |text: Option<String>| Cell::right(text.unwrap_or_else(|| "-".to_owned()));
        row.push(or_none(image.rollout_at.map(|at| age(at, self.now))));
        row.push(or_none(image.size_bytes.map(bytes)));
        row.push(Cell::left(match image.nodes.total {
            0 => "no matching nodes".to_owned(),
            _ => behind::worst(&image.behind),
        }));
        row
    }

    fn print_behind(&mut self, group: &GroupReport) -> io::Result<()> {
        for line in behind::lines(group, |image| &image.behind) {
            self.print_line(&line, "")?;
        }
        // These nodes are warm, but with older content.
        for line in behind::lines(group, |image| &image.held_by_older) {
            self.print_line(&line, "still held by an older DaemonSet, because the newest one cannot hold them: ")?;
        }
        Ok(())
    }

    fn print_line(&mut self, line: &behind::Line, because: &str) -> io::Result<()> {
        let all = self.layout.wide;
        let remedy = line.remedy.map(|remedy| format!(": {remedy}")).unwrap_or_default();
        self.wrapped(BEHIND, &number(line.nodes.len(), "node"), &format!(": {because}{}{remedy}", line.why))?;
        let message = line.message.filter(|_| all);
        let width = if message.is_some() { "message: ".len() } else { "images: ".len() };
        self.further(&format!("{:width$}", "nodes:"), &names(&line.nodes, all))?;
        self.further(&format!("{:width$}", "images:"), &names(&line.images, all))?;
        message.map_or(Ok(()), |message| self.further("message: ", message))
    }

    /// Nodes that are not counted, so that nobody misses them.
    fn print_not_counted(&mut self, group: &GroupReport) -> io::Result<()> {
        let mut by_state: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for nodes in group.images.iter().flat_map(|image| &image.not_counted) {
            by_state.entry(nodes.state).or_default().extend(nodes.nodes.iter().map(CleanText::as_str));
        }
        for (state, nodes) in by_state {
            let nodes: Vec<&str> = nodes.into_iter().collect();
            let text = format!(": {state} (not counted): {}", names(&nodes, self.layout.wide));
            self.wrapped(QUIET, &number(nodes.len(), "node"), &text)?;
        }
        Ok(())
    }

    fn print_refresh(&mut self, refresh: &RefreshReport) -> io::Result<()> {
        self.wrapped(QUIET, "refresh", &format!(": {}", refresh_in_words(refresh, self.now)))?;
        let all = if self.layout.wide { usize::MAX } else { 3 };
        for deferred in refresh.deferred.iter().take(all) {
            let what = if deferred.reference.is_empty() { &deferred.name } else { &deferred.reference };
            let why = if deferred.reason.is_empty() { "see the Events of the list" } else { &deferred.reason };
            self.further("", &format!("{what}: {why}"))?;
        }
        match refresh.deferred.len().saturating_sub(all) {
            0 => Ok(()),
            more => self.further("", &format!("and {more} more")),
        }
    }

    fn print_end(&mut self, report: &Report) -> io::Result<()> {
        let groups = report.lists.iter().map(|list| list.groups.len()).sum::<usize>();
        if groups > 1 {
            let text = format!(
                "requests of all groups: at most {} on a node, {} in total",
                requests(report.requests.per_node),
                requests(report.requests.total)
            );
            writeln!(self.output, "\n{}", textwrap::fill(&text, self.options("", INDENT)))?;
        }
        if !report.nodes_known {
            let text = "Not allowed to list nodes: only nodes with pods of the newest generation are counted, and sizes, cordons and \
                        readiness are not known. Grant the right to list nodes to see all.";
            writeln!(self.output, "\n{}", textwrap::fill(text, self.options("", "")))?;
        }
        Ok(())
    }

    /// A line that starts with a styled word; its continuations are indented further.
    fn wrapped(&mut self, style: Style, word: &str, text: &str) -> io::Result<()> {
        let begin = format!("{INDENT}{word}");
        let all = format!("{begin}{text}");
        let lines = textwrap::wrap(&all, self.options("", FURTHER));
        for (index, line) in lines.iter().enumerate() {
            match line.strip_prefix(begin.as_str()) {
                Some(rest) if index == 0 => writeln!(self.output, "{INDENT}{style}{word}{style:#}{rest}")?,
                _ => writeln!(self.output, "{line}")?,
            }
        }
        Ok(())
    }

    fn further(&mut self, word: &str, text: &str) -> io::Result<()> {
        let next = format!("{FURTHER}{}", " ".repeat(word.len()));
        let first = format!("{FURTHER}{word}");
        writeln!(self.output, "{}", textwrap::fill(text, self.options(&first, &next)))
    }

    fn options<'t>(&self, first: &'t str, next: &'t str) -> Options<'t> {
        let width = self.layout.width.unwrap_or(usize::MAX);
        // A wrapped reference could not be copied.
        Options::new(width)
            .initial_indent(first)
            .subsequent_indent(next)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
    }
}

fn rollout(group: &GroupReport, now: Timestamp) -> String {
    let begun = |rollout: &RolloutReport| {
        let how = match rollout {
            RolloutReport { start_delays_end_at, .. } if *start_delays_end_at > now => {
                format!("the last node starts in {}", span(start_delays_end_at.duration_since(now)))
            }
            RolloutReport { state: RolloutState::InProgress, .. } => "in progress".to_owned(),
            RolloutReport { state: RolloutState::NoNodes, .. } => "no node counts".to_owned(),
            RolloutReport { state: RolloutState::Stalled, .. } => format!("stalled: {}", nodes_with_all(rollout)),
            RolloutReport { nodes, nodes_with_all: all, .. } if nodes == all => "complete".to_owned(),
            RolloutReport { .. } => format!("complete: {}", nodes_with_all(rollout)),
        };
        format!("started {} ago, {how}", age(rollout.started_at, now))
    };
    let Some(newest) = group.generations.first() else { return "no generation yet".to_owned() };
    let shards = match group.other_shards.len() {
        0 => String::new(),
        others => format!(" and {}", number(others, "other shard")),
    };
    let begun = group.rollout.as_ref().map_or_else(String::new, |rollout| format!(" {}", begun(rollout)));
    let older: Vec<&str> = group.older().map(CleanText::as_str).collect();
    let older = if older.is_empty() { String::new() } else { format!("; previous: {}", older.join(", ")) };
    format!("rollout {newest}{shards}{begun}{older}")
}

fn nodes_with_all(rollout: &RolloutReport) -> String {
    let has = if rollout.nodes_with_all == 1 { "has" } else { "have" };
    format!("{} of {} {has} all images", rollout.nodes_with_all, number(rollout.nodes, "node"))
}

fn refresh_in_words(refresh: &RefreshReport, now: Timestamp) -> String {
    let next = match (refresh.due, refresh.next_at) {
        (true, _) => "due now".to_owned(),
        (false, Some(at)) => format!("next in {}", span(at.duration_since(now))),
        (false, None) if refresh.last_check_at.is_some() => "not needed: all images are pinned by digest".to_owned(),
        (false, None) => "no check yet".to_owned(),
    };
    let found = match refresh.outcome {
        None => "",
        Some(RefreshOutcome::Rollout) => " (by a rollout that asks for all tags)",
        Some(RefreshOutcome::Moved) => " (a tag had moved, so this rollout started)",
        Some(RefreshOutcome::Unchanged) => " (no tag had moved)",
        Some(RefreshOutcome::Deferred) => " (some tags could not be checked; their images stay as they are)",
    };
    let last = refresh.last_check_at.map(|at| format!("; last check {} ago{found}", age(at, now))).unwrap_or_default();
    format!("{} ({:?}), {next}{last}", refresh.schedule, refresh.mode)
}

/// The first few names, or all.
fn names(names: &[&str], all: bool) -> String {
    if all { names.join(", ") } else { first_few(names, ", ", "") }
}

fn bar(warm: usize, total: usize) -> String {
    // Full only if nothing is missing, and empty only if nothing is warm.
    let filled = match (warm * BAR).checked_div(total) {
        None => 0,
        Some(0) if warm > 0 => 1,
        Some(filled) => filled.min(BAR),
    };
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

/// The digests that nodes hold: the first and the number of others, or all.
fn digests(image: &ImageReport, all: bool) -> String {
    let digests: BTreeSet<&str> =
        image.digests.values().flat_map(|digests| digests.keys()).map(CleanText::as_str).collect();
    let Some(first) = digests.first() else { return "-".to_owned() };
    match digests.len() {
        _ if all => digests.into_iter().collect::<Vec<_>>().join(","),
        1 => short_digest(first),
        number => format!("{} +{}", short_digest(first), number - 1),
    }
}
