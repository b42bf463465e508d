//! A panel with a table of the present.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::data::View;
use crate::panel::Panel;
use crate::svg::{self, Area, GRID, MUTED, TEXT};
use crate::unit::readable;

const SIZE: u16 = 11;
const LINE: f64 = 22.0;
/// Between two columns.
const SPACE: f64 = 14.0;

/// The rows that series of several queries with the same labels make together.
type Rows = Vec<BTreeMap<String, String>>;

pub fn draw(panel: &Panel, view: &View, area: Area, svg: &mut String) -> Result<bool> {
    let rows = rows(panel, view)?;
    if rows.is_empty() {
        return Ok(false);
    }
    let columns = columns(panel, &rows);
    let titles: Vec<String> = columns.iter().map(|column| renamed(panel, column)).collect();
    let cells = |row: &BTreeMap<String, String>| -> Vec<String> {
        columns.iter().map(|column| row.get(column).cloned().unwrap_or_default()).collect()
    };
    let lines: Vec<Vec<String>> = [titles].into_iter().chain(rows.iter().map(cells)).collect();
    let widths = widths(&lines, area.width);
    let mut y = area.y + 10.0;
    for (number, cells) in lines.iter().take((area.height / LINE) as usize).enumerate() {
        if number > 0 {
            svg::line(svg, &[(area.x, y - 15.0), (area.x + area.width, y - 15.0)], GRID);
        }
        let mut x = area.x;
        for (cell, width) in cells.iter().zip(&widths) {
            let colour = if number == 0 { MUTED } else { TEXT };
            svg::text(svg, x, y, colour, SIZE, &svg::fitting(cell, SIZE, width - SPACE));
            x += width;
        }
        y += LINE;
    }
    Ok(true)
}

/// The width of each column: in proportion to its longest cell.
fn widths(lines: &[Vec<String>], all: f64) -> Vec<f64> {
    let columns = lines.first().map_or(0, Vec::len);
    let longest = |column: usize| {
        let wanted = lines.iter().map(|cells| svg::width(&cells[column], SIZE) + SPACE);
        wanted.fold(0.0, f64::max)
    };
    let wanted: Vec<f64> = (0..columns).map(longest).collect();
    let sum: f64 = wanted.iter().sum();
    wanted.into_iter().map(|width| width * all / sum).collect()
}

fn rows(panel: &Panel, view: &View) -> Result<Rows> {
    let mut rows: Vec<(BTreeMap<String, String>, BTreeMap<String, String>)> = Vec::new();
    for target in &panel.targets {
        let column = match panel.targets.len() {
            1 => "Value".to_owned(),
            _ => format!("Value #{}", target.ref_id),
        };
        let unit = panel.field_config.unit(&renamed(panel, &column));
        for series in view.now(target)? {
            let cell = readable(series.samples[0].1, unit, None, view.to);
            let is_same = |labels: &BTreeMap<String, String>| {
                series.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            };
            match rows.iter_mut().find(|(labels, _)| is_same(labels)) {
                Some((_, values)) => drop(values.insert(column.clone(), cell)),
                None => rows.push((series.labels.clone(), BTreeMap::from([(column.clone(), cell)]))),
            }
        }
    }
    Ok(rows.into_iter().map(|(labels, values)| labels.into_iter().chain(values).collect()).collect())
}

/// The options of the transformation that orders and names columns.
fn organized<'a>(panel: &'a Panel, key: &str) -> Option<&'a serde_json::Value> {
    let organize = panel.transformations.iter().find(|it| it["id"] == "organize")?;
    Some(&organize["options"][key])
}

fn columns(panel: &Panel, rows: &Rows) -> Vec<String> {
    let is_hidden = |column: &str| organized(panel, "excludeByName").is_some_and(|it| it[column] == true);
    let place = |column: &str| organized(panel, "indexByName").and_then(|it| it[column].as_u64()).unwrap_or(u64::MAX);
    let mut columns: Vec<String> = rows.iter().flat_map(BTreeMap::keys).filter(|it| !is_hidden(it)).cloned().collect();
    columns.sort_by_key(|column| (place(column), column.clone()));
    columns.dedup();
    columns
}

fn renamed(panel: &Panel, column: &str) -> String {
    let name = organized(panel, "renameByName").and_then(|it| it[column].as_str());
    name.unwrap_or(column).to_owned()
}
