//! Draws a Grafana dashboard as SVG from what a Prometheus says, where no Grafana is at hand.
//!
//! The queries, places, units and colours are those of the dashboard. Only what ours uses is understood: statistics, graphs and
//! tables. Series that are zero all the time are left out.
//!
//! ```text
//! panel   what the dashboard says of a panel        data    what Prometheus says to its queries
//! stat, graph, table   one kind of panel each       svg     shapes and texts        unit    values as people read them
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod data;
mod graph;
mod panel;
mod stat;
mod svg;
mod table;
mod unit;

use anyhow::{Context, Result};
pub use data::View;
use panel::Panel;
use serde_json::Value;
use svg::{Area, BACKGROUND, MUTED, PANEL, TEXT};

/// Pixels of a column and a line of the dashboard's grid, which has 24 columns.
const COLUMN: f64 = 50.0;
const LINE: f64 = 30.0;
const GAP: f64 = 6.0;

/// A dashboard, drawn.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The SVG.
    pub svg: String,
    /// The titles of panels to whose queries Prometheus has no answer.
    pub empty: Vec<String>,
}

/// Draws a dashboard, given as Grafana's JSON.
///
/// # Errors
/// For JSON that is no dashboard, for a panel of an unknown kind, and where Prometheus does not answer.
pub fn draw(dashboard: &Value, view: &View) -> Result<Snapshot> {
    let panels: Vec<Panel> = serde_json::from_value(dashboard["panels"].clone()).context("no panels")?;
    let bottom = panels.iter().map(|panel| panel.grid_pos.y + panel.grid_pos.h).max().unwrap_or_default();
    let (width, height) = (24.0 * COLUMN + GAP, f64::from(bottom) * LINE + GAP);
    let mut snapshot = Snapshot { svg: svg::head(width, height), empty: Vec::new() };
    svg::rectangle(&mut snapshot.svg, Area { x: 0.0, y: 0.0, width, height }, BACKGROUND);
    for panel in &panels {
        draw_panel(panel, view, &mut snapshot).with_context(|| format!("the panel {}", panel.title))?;
    }
    snapshot.svg.push_str("</svg>\n");
    Ok(snapshot)
}

fn draw_panel(panel: &Panel, view: &View, snapshot: &mut Snapshot) -> Result<()> {
    let place = &panel.grid_pos;
    let area = Area {
        x: f64::from(place.x) * COLUMN + GAP,
        y: f64::from(place.y) * LINE + GAP,
        width: f64::from(place.w) * COLUMN - GAP,
        height: f64::from(place.h) * LINE - GAP,
    };
    if panel.kind == "row" {
        svg::text(&mut snapshot.svg, area.x, area.y + 16.0, TEXT, 13, &panel.title);
        return Ok(());
    }
    svg::rectangle(&mut snapshot.svg, area, PANEL);
    svg::text(&mut snapshot.svg, area.x + 10.0, area.y + 19.0, TEXT, 12, &panel.title);
    let inside = Area { x: area.x + 10.0, y: area.y + 30.0, width: area.width - 20.0, height: area.height - 38.0 };
    let is_drawn = match panel.kind.as_str() {
        "stat" => stat::draw(panel, view, inside, &mut snapshot.svg)?,
        "timeseries" => graph::draw(panel, view, inside, &mut snapshot.svg)?,
        "table" => table::draw(panel, view, inside, &mut snapshot.svg)?,
        other => anyhow::bail!("{other} is not a kind of panel that can be drawn"),
    };
    if !is_drawn {
        svg::text(&mut snapshot.svg, inside.x, inside.y + inside.height / 2.0, MUTED, 12, "No data");
        snapshot.empty.push(panel.title.clone());
    }
    Ok(())
}
