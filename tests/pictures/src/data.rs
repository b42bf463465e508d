//! What Prometheus says to a panel's queries.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use test_bed::Prometheus;
use test_bed::prometheus::Series;

use crate::panel::Target;

/// What of a Prometheus' data is drawn.
#[derive(Debug)]
pub struct View<'a> {
    /// Who has the data.
    pub prometheus: &'a Prometheus,
    /// The dashboard's variables with their values, without the `$`.
    pub variables: &'a [(&'a str, &'a str)],
    /// The left end of graphs.
    pub from: Timestamp,
    /// Their right end.
    pub to: Timestamp,
    /// The time between two points.
    pub step: Duration,
}

impl View<'_> {
    fn filled_in(&self, query: &str) -> String {
        let fill = |query: String, (name, value): &(&str, &str)| query.replace(&format!("${name}"), value);
        self.variables.iter().fold(query.to_owned(), fill)
    }

    /// The series of a query now, but for those whose value is no number.
    pub fn now(&self, target: &Target) -> Result<Vec<Series>> {
        let mut series = self.prometheus.query(&self.filled_in(&target.expr))?;
        series.retain(|series| series.samples.iter().all(|(_, value)| !value.is_nan()));
        Ok(series)
    }

    /// The series of a query over time, each with its name in the legend.
    pub fn over_time(&self, target: &Target) -> Result<Vec<(String, Series)>> {
        let mut found = self.prometheus.query_range(&self.filled_in(&target.expr), self.from, self.to, self.step)?;
        for series in &mut found {
            series.samples.retain(|(_, value)| !value.is_nan());
        }
        found.retain(|series| !series.samples.is_empty());
        Ok(found.into_iter().map(|series| (legend(&target.legend_format, &series), series)).collect())
    }
}

fn legend(format: &str, series: &Series) -> String {
    let fill = |text: String, (label, value): (&String, &String)| text.replace(&format!("{{{{{label}}}}}"), value);
    series.labels.iter().fold(format.to_owned(), fill)
}
