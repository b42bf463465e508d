//! Shapes and texts of an SVG.

use std::fmt::Write;

/// Colours of Grafana's dark theme.
pub const BACKGROUND: &str = "#111217";
pub const PANEL: &str = "#181b1f";
pub const GRID: &str = "#2a2d33";
pub const TEXT: &str = "#ccccdc";
pub const MUTED: &str = "#8e8e99";

/// Pixels that a character of a text takes, at size 1.
const ADVANCE: f64 = 0.55;

#[derive(Clone, Copy, Debug)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

pub fn head(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Inter, Helvetica, Arial, sans-serif\">\n"
    )
}

pub fn rectangle(svg: &mut String, area: Area, colour: &str) {
    let Area { x, y, width, height } = area;
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

/// A text whose base line begins there.
pub fn text(svg: &mut String, x: f64, y: f64, colour: &str, size: u16, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\" font-size=\"{size}\">{text}</text>");
}

/// A text whose base line ends there.
pub fn text_before(svg: &mut String, x: f64, y: f64, colour: &str, size: u16, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\" font-size=\"{size}\" text-anchor=\"end\">{text}</text>"
    );
}

/// A text around a point.
pub fn text_around(svg: &mut String, x: f64, y: f64, colour: &str, size: u16, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\" font-size=\"{size}\" text-anchor=\"middle\">{text}</text>"
    );
}

pub fn line(svg: &mut String, points: &[(f64, f64)], colour: &str) {
    let points = joined(points);
    let _ = writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>");
}

pub fn surface(svg: &mut String, points: &[(f64, f64)], colour: &str, opacity: f64) {
    let points = joined(points);
    let _ = writeln!(svg, "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>");
}

/// How many pixels a text takes, roughly.
pub fn width(text: &str, size: u16) -> f64 {
    text.chars().count() as f64 * f64::from(size) * ADVANCE
}

/// As much of a text as fits.
pub fn fitting(text: &str, size: u16, width: f64) -> String {
    let fit = (width / f64::from(size) / ADVANCE) as usize;
    match text.chars().count() > fit {
        true => text.chars().take(fit.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The colour of one of Grafana's names.
pub fn colour(name: &str) -> &str {
    match name {
        "green" => "#73bf69",
        "red" => "#f2495c",
        "dark-red" => "#c4162a",
        "orange" => "#ff9830",
        "yellow" => "#fade2a",
        "blue" => "#5794f2",
        "light-blue" => "#8ab8ff",
        "purple" => "#b877d9",
        "gray" => "#7b8087",
        "text" => TEXT,
        other => other,
    }
}

/// The colour of the series of that number where nothing gives it one.
pub fn classic(number: usize) -> &'static str {
    const CLASSIC: [&str; 8] = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0"];
    CLASSIC[number % CLASSIC.len()]
}
