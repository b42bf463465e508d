//! A panel with series over time: lines, or bars, beside or upon each other.

use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use test_bed::prometheus::Series;

use crate::data::View;
use crate::panel::Panel;
use crate::svg::{self, Area, GRID, MUTED, TEXT};
use crate::unit::readable;

const SMALL: u16 = 10;
/// What is left and below for values, times and the legend.
const LEFT: f64 = 62.0;
const BELOW: f64 = 36.0;
/// The horizontal lines above the lowest.
const LINES: u32 = 4;

/// Where a time and a value are on the picture.
struct Scale {
    area: Area,
    from: f64,
    to: f64,
    top: f64,
}

impl Scale {
    fn x(&self, time: f64) -> f64 {
        self.area.x + self.area.width * (time - self.from) / (self.to - self.from)
    }

    fn y(&self, value: f64) -> f64 {
        self.area.y + self.area.height * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }
}

pub fn draw(panel: &Panel, view: &View, area: Area, svg: &mut String) -> Result<bool> {
    let mut found = Vec::new();
    for target in &panel.targets {
        found.extend(view.over_time(target)?);
    }
    // Grafana draws these too, as lines on the axis, and names them.
    found.retain(|(_, series)| series.samples.iter().any(|(_, value)| *value != 0.0));
    if found.is_empty() {
        return Ok(false);
    }
    let custom = &panel.field_config.defaults.custom;
    let (bars, stacked) = (custom["drawStyle"] == "bars", custom["stacking"]["mode"] == "normal");
    let layers = layers(&found, stacked);
    let highest = layers.iter().flatten().map(|point| point.upper).fold(0.0, f64::max);
    let scale = Scale {
        area: Area { x: area.x + LEFT, y: area.y, width: area.width - LEFT, height: area.height - BELOW },
        from: view.from.as_duration().as_secs_f64(),
        to: view.to.as_duration().as_secs_f64(),
        top: panel.field_config.defaults.max.unwrap_or_else(|| round_up(highest)),
    };
    draw_grid(panel, view, &scale, svg);
    let names: Vec<(&str, &str)> =
        found.iter().enumerate().map(|(i, (name, _))| (name.as_str(), colour(panel, name, i))).collect();
    for (layer, (_, colour)) in layers.iter().zip(&names) {
        match bars {
            true => draw_bars(layer, &scale, view.step.as_secs_f64(), colour, svg),
            false => draw_line(layer, &scale, if stacked { 0.4 } else { 0.1 }, colour, svg),
        }
    }
    draw_legend(&names, area, svg);
    Ok(true)
}

/// What is drawn of a series at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    time: f64,
    lower: f64,
    upper: f64,
}

/// Each series on the axis, or upon those before it.
fn layers(found: &[(String, Series)], stacked: bool) -> Vec<Vec<Point>> {
    let mut layers: Vec<Vec<Point>> = Vec::new();
    for (_, series) in found {
        let below = |time: f64| {
            let at = |layer: &Vec<Point>| layer.iter().find(|point| point.time == time).map(|point| point.upper);
            layers.iter().rev().filter(|_| stacked).find_map(at).unwrap_or_default()
        };
        let point = |&(time, value): &(f64, f64)| Point { time, lower: below(time), upper: below(time) + value };
        layers.push(series.samples.iter().map(point).collect());
    }
    layers
}

/// The next of 1, 2, 5, 10, 20, …
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| value <= *step * 1.0001).unwrap_or(value)
}

fn colour<'a>(panel: &'a Panel, name: &str, number: usize) -> &'a str {
    panel.field_config.colour(name).map_or(svg::classic(number), svg::colour)
}

fn draw_grid(panel: &Panel, view: &View, scale: &Scale, svg: &mut String) {
    let (left, right) = (scale.area.x, scale.area.x + scale.area.width);
    let unit = &panel.field_config.defaults.unit;
    for line in 0..=LINES {
        let value = scale.top * f64::from(line) / f64::from(LINES);
        let y = scale.y(value);
        svg::line(svg, &[(left, y), (right, y)], GRID);
        svg::text_before(svg, left - 6.0, y + 3.5, MUTED, SMALL, &readable(value, unit, None, view.to));
    }
    for time in (1..=3).map(|quarter| scale.from + (scale.to - scale.from) * f64::from(quarter) / 4.0) {
        let y = scale.area.y + scale.area.height + 13.0;
        svg::text_around(svg, scale.x(time), y, MUTED, SMALL, &clock(time));
    }
}

/// The time of day in UTC.
fn clock(time: f64) -> String {
    let time = Timestamp::from_second(time as i64).unwrap_or_default().to_zoned(TimeZone::UTC);
    time.strftime("%H:%M:%S").to_string()
}

fn draw_line(layer: &[Point], scale: &Scale, opacity: f64, colour: &str, svg: &mut String) {
    let upper: Vec<_> = layer.iter().map(|point| (scale.x(point.time), scale.y(point.upper))).collect();
    let lower = layer.iter().rev().map(|point| (scale.x(point.time), scale.y(point.lower)));
    svg::surface(svg, &upper.iter().copied().chain(lower).collect::<Vec<_>>(), colour, opacity);
    svg::line(svg, &upper, colour);
}

fn draw_bars(layer: &[Point], scale: &Scale, step: f64, colour: &str, svg: &mut String) {
    for point in layer.iter().filter(|point| point.upper > point.lower) {
        let (left, right) = (scale.x(point.time - step * 0.4), scale.x(point.time + step * 0.4));
        let (top, bottom) = (scale.y(point.upper), scale.y(point.lower));
        svg::rectangle(svg, Area { x: left, y: top, width: right - left, height: bottom - top }, colour);
    }
}

fn draw_legend(names: &[(&str, &str)], area: Area, svg: &mut String) {
    let (mut x, y) = (area.x + LEFT, area.y + area.height - 2.0);
    for (name, colour) in names {
        let width = svg::width(name, SMALL) + 28.0;
        if x + width > area.x + area.width {
            break;
        }
        svg::rectangle(svg, Area { x, y: y - 5.0, width: 10.0, height: 3.0 }, colour);
        svg::text(svg, x + 14.0, y, TEXT, SMALL, name);
        x += width;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn stacked_series_stand_upon_those_before_them() {
        let series =
            |samples: &[(f64, f64)]| (String::new(), Series { labels: BTreeMap::new(), samples: samples.to_vec() });
        let found = [series(&[(1.0, 2.0), (2.0, 2.0)]), series(&[(2.0, 3.0)]), series(&[(1.0, 1.0), (2.0, 1.0)])];
        let uppers = |stacked| -> Vec<Vec<f64>> {
            layers(&found, stacked).iter().map(|layer| layer.iter().map(|point| point.upper).collect()).collect()
        };
        assert_eq!(uppers(false), [vec![2.0, 2.0], vec![3.0], vec![1.0, 1.0]]);
        assert_eq!(uppers(true), [vec![2.0, 2.0], vec![5.0], vec![3.0, 6.0]]);
    }

    #[test]
    fn axes_end_at_a_round_number() {
        let ends = [0.0, 0.03, 1.0, 1.2, 4.0, 7.0, 120.0].map(round_up);
        assert_eq!(ends, [1.0, 0.05, 1.0, 2.0, 5.0, 10.0, 200.0]);
    }
}
