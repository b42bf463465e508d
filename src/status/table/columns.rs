//! Columns as wide as their widest cell, within the width of the terminal.

use std::io::{self, Write};

use anstyle::Style;
use textwrap::core::display_width;

use crate::text::CleanText;

/// The number of spaces between two columns.
const GAP: usize = 2;
/// The least width of the first column.
const NARROWEST: usize = 12;

/// One cell of a table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: CleanText,
    style: Style,
    right: bool,
}

impl Cell {
    /// A left-aligned cell.
    pub fn left(text: impl Into<CleanText>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A right-aligned cell.
    pub fn right(text: impl Into<CleanText>) -> Self {
        Self { right: true, ..Self::left(text) }
    }

    /// The same cell in that style.
    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Prints the rows, indented by `indent`. If they are wider than `width`, the texts of the first column are cut in the middle; if
/// that is not enough, lines are cut at the end.
///
/// # Errors
/// The output cannot be written.
pub fn print(rows: &[Vec<Cell>], indent: usize, width: Option<usize>, output: &mut impl Write) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| display_width(&cell.text)).max();
    let mut widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or_default()).collect();
    if let (Some(width), Some((first, others))) = (width, widths.split_first_mut()) {
        let others: usize = others.iter().map(|other| other + GAP).sum();
        *first = (*first).min(width.saturating_sub(indent + others).max(NARROWEST));
    }
    for row in rows {
        write!(output, "{:indent$}", "")?;
        let mut left = width.map_or(usize::MAX, |width| width.saturating_sub(indent));
        // No white space after the last text.
        let end = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
        for (column, cell) in row[..end].iter().enumerate() {
            let last = column + 1 == end;
            left -= print_cell(cell, widths[column], last, left, output)?;
        }
        writeln!(output)?;
    }
    Ok(())
}

/// Prints a cell into the `left` columns that remain in the line, and returns how many it took.
fn print_cell(cell: &Cell, width: usize, last: bool, left: usize, output: &mut impl Write) -> io::Result<usize> {
    let width = width.min(left);
    let text = without_middle(&cell.text, width);
    let padding = width - display_width(&text);
    let (before, after) = match (cell.right, last) {
        (true, _) => (padding, 0),
        (false, true) => (0, 0),
        (false, false) => (0, padding),
    };
    let style = cell.style;
    let gap = if last { 0 } else { GAP.min(left - width) };
    write!(output, "{:before$}{style}{text}{style:#}{:after$}{:gap$}", "", "", "")?;
    Ok(width + gap)
}

/// Cuts a text that is too wide in the middle, because both ends of a reference say more.
fn without_middle(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let Some(kept) = width.checked_sub(1) else { return String::new() };
    let end: Vec<char> = fitting(text.chars().rev(), kept - kept / 2);
    let begin = fitting(text.chars(), kept / 2);
    begin.into_iter().chain(['…']).chain(end.into_iter().rev()).collect()
}

fn fitting(characters: impl Iterator<Item = char>, width: usize) -> Vec<char> {
    let mut taken = 0;
    let wide = |c: char| display_width(c.encode_utf8(&mut [0; 4]));
    characters
        .take_while(|c| {
            taken += wide(*c);
            taken <= width
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(rows: &[Vec<Cell>], width: Option<usize>) -> Vec<String> {
        let mut output = Vec::new();
        print(rows, 2, width, &mut output).expect("a vector takes everything");
        String::from_utf8(output).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    fn rows() -> Vec<Vec<Cell>> {
        let row = |image: &str, warm: &str, why: &str| vec![Cell::left(image), Cell::right(warm), Cell::left(why)];
        vec![
            row("IMAGE", "WARM", "REASON"),
            row("ghcr.io/acme/a-long-name/app:7", "10/10", ""),
            row("nginx", "0/5", "Evicted"),
        ]
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let expected = [
            "  IMAGE                            WARM  REASON",
            "  ghcr.io/acme/a-long-name/app:7  10/10",
            "  nginx                             0/5  Evicted",
        ];
        assert_eq!(printed(&rows(), None), expected);
        assert_eq!(printed(&rows(), Some(200)), expected);
    }

    #[test]
    fn the_first_column_gives_way_from_its_middle() {
        let expected =
            ["  IMAGE             WARM  REASON", "  ghcr.io…e/app:7  10/10", "  nginx              0/5  Evicted"];
        assert_eq!(printed(&rows(), Some(33)), expected);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(width in 0usize..60, text in "[a-zä漢]{0,40}") {
            let mut rows = rows();
            rows.push(vec![Cell::left(text.clone()), Cell::left(text.clone()), Cell::right(text)]);
            for line in printed(&rows, Some(width)) {
                prop_assert!(display_width(&line) <= width.max(2), "{} columns: {line:?}", display_width(&line));
            }
        }
    }
}
