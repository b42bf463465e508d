//! Figures of a run in the pages of the project: `UPDATE_README=1 make bench` writes them there.

use crate::table::Row;

/// The page with the tables, each between marks such as `<!-- bench lists -->` and `<!-- /bench lists -->`.
pub const PAGE: &str = "docs/performance.md";
pub const README: &str = "README.md";
/// Rows of the README's comparison: what they begin with (`N` stands for the number of nodes), whose figure they have, and what
/// follows it.
pub const IN_README: [(&str, &str, &str); 2] = [
    ("memory of the controller, N nodes × 20 images", "memory, most from start through a rollout", " at most"),
    ("pods created by such a refresh, N nodes", "pods that a refresh makes that finds nothing", ""),
];

/// Writes a table to the page, if that has a place for it.
pub fn update(marks: &str, table: &str) {
    rewrite(PAGE, |page| between_marks(page, marks, table));
}

/// Writes the figures for this number of nodes to the README.
pub fn update_readme(nodes: usize, rows: &[Row]) {
    rewrite(README, |readme| Some(in_readme(readme.to_owned(), nodes, rows)));
}

fn rewrite(page: &str, change: impl Fn(&str) -> Option<String>) {
    let path = test_bed::state::checkout().join(page);
    if let Some(changed) = change(&std::fs::read_to_string(&path).unwrap()) {
        std::fs::write(path, changed).unwrap();
    }
}

/// The text with something else between these marks; `None` if it has no such marks.
pub fn between_marks(text: &str, name: &str, content: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{content}{end}{after}"))
}

pub fn in_readme(readme: String, nodes: usize, rows: &[Row]) -> String {
    IN_README.iter().fold(readme, |text, (begin, what, more)| {
        let Some(row) = rows.iter().find(|row| row.what == *what) else { return text };
        let begin = begin.replace('N', &grouped(nodes));
        with_last_cell(&text, &begin, &format!("{}{more}", row.figure))
    })
}

/// The text with another last cell in the row of a table whose first cell is that.
pub fn with_last_cell(text: &str, first: &str, last: &str) -> String {
    let line = |line: &str| {
        let mut cells: Vec<&str> = line.split('|').collect();
        let is_meant = cells.len() > 3 && cells[1].trim() == first;
        let (place, content) = (cells.len().saturating_sub(2), format!(" {last} "));
        if is_meant {
            cells[place] = &content;
        }
        cells.join("|") + "\n"
    };
    text.lines().map(line).collect()
}

/// `5,000`
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let places = digits.chars().enumerate();
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    places.map(|(place, digit)| if comma(place) { format!(",{digit}") } else { digit.to_string() }).collect()
}
