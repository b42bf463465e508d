//! Where figures go in the pages.

use crate::pages::{IN_README, PAGE, README, between_marks, grouped, in_readme, with_last_cell};
use crate::table::{Goal, Row, Unit};

#[test]
fn only_what_is_between_the_marks_is_replaced() {
    let page = "a\n<!-- bench 5 nodes -->\nold\n<!-- /bench 5 nodes -->\nb\n";
    let expected = "a\n<!-- bench 5 nodes -->\nnew\n<!-- /bench 5 nodes -->\nb\n";
    assert_eq!(between_marks(page, "bench 5 nodes", "new\n").as_deref(), Some(expected));
    assert_eq!(between_marks(page, "bench 50 nodes", "new\n"), None);
}

#[test]
fn only_the_row_of_that_many_nodes_gets_the_figure() {
    let readme = "| memory of the controller, 1,000 nodes × 20 images | 1 | 2 |\n| memory of the controller, 5,000 nodes × 20 images | 1 | 2 |\n";
    let rows = [Row::new(IN_README[0].1, 13.94, Unit::Mebibytes, Goal::None)];
    let expected = "| memory of the controller, 1,000 nodes × 20 images | 1 | 2 |\n| memory of the controller, 5,000 nodes × 20 images | 1 | 13.9 MiB at most |\n";
    assert_eq!(in_readme(readme.to_owned(), 5_000, &rows), expected);
}

#[test]
fn numbers_are_grouped_by_thousands() {
    assert_eq!([7, 500, 1_000, 50_000, 1_234_567].map(grouped), ["7", "500", "1,000", "50,000", "1,234,567"]);
}

#[test]
fn the_pages_have_the_rows_and_the_marks_that_are_filled() {
    let read = |page: &str| std::fs::read_to_string(test_bed::state::checkout().join(page)).unwrap();
    for nodes in [1_000, 5_000] {
        assert!(between_marks(&read(PAGE), &format!("bench {nodes} nodes"), "").is_some(), "{nodes}");
        let first = IN_README[0].0.replace('N', &grouped(nodes));
        assert_ne!(with_last_cell(&read(README), &first, "~"), read(README), "{nodes}");
    }
}
