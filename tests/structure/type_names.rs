//! A type's name says which type is meant: no other one of `src` has it.

use std::collections::BTreeMap;

use crate::crates::Crates;
use crate::read;

/// Names that several types have still. Whoever renames them removes them here.
const KNOWN: [&str; 19] = [
    "ClusterArguments",
    "Command",
    "Counts",
    "Known",
    "Node",
    "Nodes",
    "Other",
    "Place",
    "Problem",
    "Progress",
    "Refresh",
    "Reserved",
    "Serverless",
    "Sources",
    "Step",
    "Until",
    "View",
    "Waiting",
    "Written",
];

#[test]
fn no_two_types_have_one_name() {
    let mut crates = Crates::default();
    crates.read("kube_prepull", "src/lib.rs", &read);
    crates.read("holder", "src/holder/src/lib.rs", &read);
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for module in crates.modules.values() {
        module.types.iter().for_each(|name| files.entry(name).or_default().push(&module.file));
    }
    files.retain(|_, files| files.len() > 1);
    let unknown: Vec<_> = files.iter().filter(|(name, _)| !KNOWN.contains(*name)).collect();
    assert!(unknown.is_empty(), "types that have one name: {unknown:#?}");
    let gone: Vec<_> = KNOWN.iter().filter(|name| !files.contains_key(**name)).collect();
    assert!(gone.is_empty(), "{gone:?} are names of no two types any more: remove them from KNOWN");
}
