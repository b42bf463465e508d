//! No files of `src` import each other in a circle.

use std::collections::BTreeMap;

use crate::crates::Crates;
use crate::imports::{Imports, circles};
use crate::read;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut crates = Crates::default();
    crates.read("kube_prepull", "src/lib.rs", &read);
    crates.read("kube-prepull, the program", "src/main.rs", &read);
    crates.read("holder", "src/holder/src/lib.rs", &read);
    crates.read("holder, the program", "src/holder/src/main.rs", &read);
    let imports = crates.imports();
    let circles = circles(&imports);
    let described: Vec<_> = circles.iter().map(|circle| describe(circle, &imports)).collect();
    assert!(circles.is_empty(), "files that import each other in a circle:\n{}", described.join("\n"));
}

fn describe(circle: &[String], imports: &Imports) -> String {
    let ties = circle.iter().flat_map(|file| {
        let within = imports[file].iter().filter(|(other, _)| circle.contains(other));
        within.map(move |(other, names)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("  {file} -> {other}: {}\n", names.join(", "))
        })
    });
    format!("a circle of {} files:\n{}", circle.len(), ties.collect::<String>())
}

/// The circles of a crate of these files.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let mut crates = Crates::default();
    crates.read("it", "src/lib.rs", &|path| files.get(path).map(|&text| text.to_owned()));
    circles(&crates.imports())
}

#[test]
fn imports_within_a_crate_are_followed_to_the_files_that_define_what_they_name() {
    let direct = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A(B);"),
        ("src/b.rs", "pub struct B; fn make() { let it = super::a::A; }"),
    ];
    assert_eq!(circles_of(&direct), [["src/a.rs", "src/b.rs"]]);
    let offered = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::C as Other; pub struct A(Other);"),
        ("src/b/mod.rs", "mod c; pub use c::*;"),
        ("src/b/c.rs", "use crate::a; pub struct C; fn say() { println!(\"{:?}\", a::A::default()); }"),
    ];
    assert_eq!(circles_of(&offered), [["src/a.rs", "src/b/c.rs"]]);
    let with_the_parent = [
        ("src/lib.rs", "mod a;"),
        ("src/a/mod.rs", "mod b; pub struct A; fn it() { b::make() }"),
        ("src/a/b.rs", "pub fn make() { drop(super::A) }"),
    ];
    assert_eq!(circles_of(&with_the_parent), [["src/a/b.rs", "src/a/mod.rs"]]);
    let with_a_child_of_another = [
        ("src/lib.rs", "mod a; mod c;"),
        ("src/a/mod.rs", "mod b; use b::{self, make}; pub struct A; fn it() { make() }"),
        ("src/a/b.rs", "pub fn make() { drop(crate::c::C) }"),
        ("src/c.rs", "pub struct C; fn it() { drop(super::a::A) }"),
    ];
    assert_eq!(circles_of(&with_a_child_of_another), [["src/a/b.rs", "src/a/mod.rs", "src/c.rs"]]);
}

#[test]
fn what_ties_nothing_is_no_circle() {
    let offered_by_the_parent = [
        ("src/lib.rs", "pub mod a; pub use a::A;"),
        ("src/a.rs", "mod b; mod c; use b::B; pub use c::C; pub struct A(B);"),
        ("src/a/b.rs", "use super::C; pub struct B(C);"),
        ("src/a/c.rs", "//! For [`super::B`].\npub struct C;"),
    ];
    assert!(circles_of(&offered_by_the_parent).is_empty());
    let with_a_parent_that_uses_nothing = [
        ("src/lib.rs", "mod a;"),
        ("src/a/mod.rs", "mod b; pub use b::make; pub struct A;"),
        ("src/a/b.rs", "pub fn make() { drop(super::A) }"),
    ];
    assert!(circles_of(&with_a_parent_that_uses_nothing).is_empty());
    let in_tests = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
        ("src/b.rs", "pub struct B(crate::a::A);"),
    ];
    assert!(circles_of(&in_tests).is_empty());
}
