//! What the table says of goals.

use crate::table::{Goal, Row, Unit, missed, table};

fn at_most(value: f64, unit: Unit, most: f64) -> Row {
    Row::new("it", value, unit, Goal::AtMost(most))
}

#[test]
fn bytes_and_counts_have_no_slack_and_times_have_some() {
    assert!(!at_most(14.0, Unit::Mebibytes, 14.0).is_missed());
    assert!(at_most(14.1, Unit::Mebibytes, 14.0).is_missed());
    assert!(at_most(2.0, Unit::Count, 1.0).is_missed());
    assert!(!at_most(7.0, Unit::Seconds, 5.0).is_missed());
    assert!(at_most(8.0, Unit::Seconds, 5.0).is_missed());
    assert!(at_most(301.0, Unit::Milliseconds, 200.0).is_missed());
}

#[test]
fn what_has_to_be_enough_is_missed_below_and_what_has_no_goal_never() {
    assert!(Row::new("it", 999.0, Unit::Count, Goal::AtLeast(1000.0)).is_missed());
    assert!(!Row::new("it", 1001.0, Unit::Count, Goal::AtLeast(1000.0)).is_missed());
    assert!(!Row::new("it", 1e9, Unit::Seconds, Goal::None).is_missed());
}

#[test]
fn the_table_lines_up_marks_what_is_missed_and_names_it_again() {
    let rows = [
        at_most(47.25, Unit::Mebibytes, 14.0).former("25.3 MiB"),
        Row::new("images", 1000.0, Unit::Count, Goal::AtLeast(1000.0)),
        Row::new("it took", 3.06, Unit::Milliseconds, Goal::None),
    ];
    let expected = "\
| 1,000 nodes | this run   | goal     | former   |
| ----------- | ---------- | -------- | -------- |
| it          | 47.2 MiB ✗ | ≤ 14 MiB | 25.3 MiB |
| images      | 1000       | ≥ 1000   |          |
| it took     | 3.1 ms     |          |          |
";
    assert_eq!(table("1,000 nodes", "former", &rows), expected);
    assert_eq!(missed(&rows), ["missed: it: 47.2 MiB, goal ≤ 14 MiB"]);
}
