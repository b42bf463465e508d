//! A panel with one value.

use anyhow::Result;

use crate::data::View;
use crate::panel::{Defaults, Panel};
use crate::svg::{self, Area};
use crate::unit::readable;

const SIZE: u16 = 34;

pub fn draw(panel: &Panel, view: &View, area: Area, svg: &mut String) -> Result<bool> {
    let Some(target) = panel.targets.first() else { return Ok(false) };
    let Some(value) = view.now(target)?.first().map(|series| series.samples[0].1) else { return Ok(false) };
    let defaults = &panel.field_config.defaults;
    let text = mapped(defaults, value).unwrap_or_else(|| readable(value, &defaults.unit, defaults.decimals, view.to));
    let (x, y) = (area.x + area.width / 2.0, area.y + area.height / 2.0 + f64::from(SIZE) * 0.35);
    svg::text_around(svg, x, y, svg::colour(colour(defaults, value)), SIZE, &text);
    Ok(true)
}

/// The word for that very value.
fn mapped(defaults: &Defaults, value: f64) -> Option<String> {
    let mut words =
        defaults.mappings.iter().filter_map(|mapping| mapping["options"][value.to_string()]["text"].as_str());
    words.next().map(str::to_owned)
}

/// That of the last threshold which is not above the value.
fn colour(defaults: &Defaults, value: f64) -> &str {
    let mut steps = defaults.thresholds.steps.iter().rev();
    steps.find(|step| step.value.is_none_or(|from| from <= value)).map_or("text", |step| &step.color)
}
