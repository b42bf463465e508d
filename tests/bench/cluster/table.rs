//! The figures of a run beside their goals and what kubernetes-image-puller takes: as a table, and whether a goal is missed.

use std::fmt;

/// What a figure counts, which says how exactly it has to meet its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Mebibytes,
    Seconds,
    Milliseconds,
    /// Percent of one core's time.
    Percent,
    /// Of pods, images, requests.
    Count,
    /// Of one amount to another.
    Ratio,
}

impl Unit {
    /// Times depend on what else the machine does; bytes and counts do not.
    fn slack(self) -> f64 {
        match self {
            Self::Mebibytes | Self::Count | Self::Ratio => 1.0,
            Self::Seconds | Self::Milliseconds | Self::Percent => 1.5,
        }
    }

    /// Goals are given to this many decimals, and figures are compared as they are printed.
    fn decimals(self, value: f64) -> usize {
        match self {
            Self::Count => 0,
            Self::Milliseconds => usize::from(value < 10.0),
            Self::Mebibytes | Self::Seconds | Self::Percent | Self::Ratio => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mebibytes => " MiB",
            Self::Seconds => " s",
            Self::Milliseconds => " ms",
            Self::Percent => " %",
            Self::Count => "",
            Self::Ratio => " ×",
        }
    }
}

/// An amount of something, as it is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub unit: Unit,
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{:.*}{}", self.unit.decimals(self.value), self.value, self.unit.name())
    }
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// It is printed for comparison.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub what: String,
    pub figure: Figure,
    pub goal: Goal,
    /// What kubernetes-image-puller takes, if that was measured.
    pub former: Option<String>,
}

impl Row {
    pub fn new(what: impl Into<String>, value: f64, unit: Unit, goal: Goal) -> Self {
        Self { what: what.into(), figure: Figure { value, unit }, goal, former: None }
    }

    pub fn former(self, former: impl Into<String>) -> Self {
        Self { former: Some(former.into()), ..self }
    }

    /// Whether the goal is missed by more than what this machine may be responsible for.
    pub fn is_missed(&self) -> bool {
        let Figure { value, unit } = self.figure;
        match self.goal {
            Goal::AtMost(most) => value > most * unit.slack(),
            Goal::AtLeast(least) => value < least / unit.slack(),
            Goal::None => false,
        }
    }

    fn cells(&self) -> [String; 4] {
        let unit = self.figure.unit;
        let bound = |value: f64| {
            let decimals = if value.fract() == 0.0 { 0 } else { 1 };
            format!("{value:.decimals$}{}", unit.name())
        };
        let goal = match self.goal {
            Goal::AtMost(most) => format!("≤ {}", bound(most)),
            Goal::AtLeast(least) => format!("≥ {}", bound(least)),
            Goal::None => String::new(),
        };
        let mark = if self.is_missed() { " ✗" } else { "" };
        [self.what.clone(), format!("{}{mark}", self.figure), goal, self.former.clone().unwrap_or_default()]
    }
}

/// A table in Markdown, in columns that line up.
pub fn table(title: &str, former: &str, rows: &[Row]) -> String {
    let head = [title, "this run", "goal", former].map(str::to_owned);
    let lines: Vec<[String; 4]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        text += &format!("|{}\n", cells.collect::<String>());
        if number == 0 {
            let rules = widths.map(|width| format!(" {} |", "-".repeat(width.max(3))));
            text += &format!("|{}\n", rules.concat());
        }
    }
    text
}

/// One sentence for each goal that is missed.
pub fn missed(rows: &[Row]) -> Vec<String> {
    let missed = rows.iter().filter(|row| row.is_missed());
    missed
        .map(|row| {
            let [what, figure, goal, _] = row.cells();
            format!("missed: {what}: {}, goal {goal}", figure.trim_end_matches(" ✗"))
        })
        .collect()
}
