//! A type's name says which type is meant: no other one of `src` has it.

use std::collections::BTreeMap;

use crate::crates::Crates;
use crate::read;

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
    assert!(files.is_empty(), "types that have one name: {files:#?}");
}
