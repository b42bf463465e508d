//! In the folders that decide, imports point from the planner to the deciders, from these to what they find out, and to what is given.

use crate::crates::Crates;
use crate::imports::Imports;
use crate::read;

/// The files of a folder, or whole folders in it, the lowest layer first. Each imports only from its own layer and from lower ones.
type Layers = [&'static [&'static str]; 4];

/// `mod.rs` is in no layer: it only offers what the others define.
const PLAN: Layers = [
    // What is given, and what is decided.
    &["context.rs", "decision/", "generation/"],
    // What the input means, and how objects are built.
    &[
        "affinity.rs",
        "daemon_set.rs",
        "deselection.rs",
        "generations.rs",
        "live.rs",
        "name_claims.rs",
        "name_index.rs",
        "own_image.rs",
        "patch.rs",
        "pull_policies.rs",
        "pull_policies/",
        "refresh.rs",
        "refusals.rs",
        "retiring.rs",
        "retiring/",
        "sharding.rs",
        "validation_result.rs",
        "versions.rs",
    ],
    DECIDERS,
    &["planner.rs"],
];
/// None of these imports another one.
const DECIDERS: &[&str] = &[
    "adoption.rs",
    "capacity.rs",
    "capacity/",
    "conditions/",
    "gate_tolerations.rs",
    "recounting.rs",
    "restoring.rs",
    "rollouts.rs",
    "scoping_down.rs",
    "sealing.rs",
    "selecting_services.rs",
    "split_notes.rs",
    "tag_check/",
];
const IMAGE_CACHE: Layers = [
    &["cache.rs", "content.rs", "digests.rs", "ledger.rs", "object.rs", "status.rs", "timing.rs"],
    &["context.rs", "decision.rs"],
    &["creation.rs", "events.rs", "replacement.rs"],
    &["offline.rs", "planner.rs", "series.rs"],
];

#[test]
fn what_is_decided_is_imported_from_lower_layers_only() {
    let mut crates = Crates::default();
    crates.read("kube_prepull", "src/lib.rs", &read);
    let imports = crates.imports();
    let files: Vec<&str> = crates.modules.values().map(|module| module.file.as_str()).collect();
    let mut wrong = Vec::new();
    for (folder, layers) in [("src/plan/", &PLAN), ("src/image_cache/", &IMAGE_CACHE)] {
        wrong.extend(without_layer(folder, layers, &files));
        wrong.extend(out_of_order(folder, layers, &imports));
    }
    assert!(wrong.is_empty(), "imports against the order of layers:\n{}", wrong.join("\n"));
}

fn without_layer(folder: &str, layers: &Layers, files: &[&str]) -> Vec<String> {
    let mut unknown: Vec<String> =
        files.iter().filter(|file| file.starts_with(folder)).map(|&it| it.to_owned()).collect();
    unknown.retain(|file| *file != format!("{folder}mod.rs") && place(folder, layers, file).is_none());
    unknown.iter().map(|file| format!("  {file} is in no layer")).collect()
}

fn out_of_order(folder: &str, layers: &Layers, imports: &Imports) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, imported) in imports {
        let Some((layer, unit)) = place(folder, layers, file) else { continue };
        for (other, names) in imported {
            let Some((below, other_unit)) = place(folder, layers, other) else { continue };
            let of_another_decider = layers[layer] == DECIDERS && layer == below && stem(unit) != stem(other_unit);
            if layer < below || of_another_decider {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                wrong.push(format!("  {file} -> {other}: {}", names.join(", ")));
            }
        }
    }
    wrong
}

/// What a file and the folder of its name have in common: they are one.
fn stem(unit: &str) -> &str {
    unit.trim_end_matches(".rs").trim_end_matches('/')
}

/// The layer of a file, and its entry there.
fn place(folder: &str, layers: &Layers, file: &str) -> Option<(usize, &'static str)> {
    let within = file.strip_prefix(folder)?;
    let is_in = |unit: &str| if unit.ends_with('/') { within.starts_with(unit) } else { within == unit };
    layers.iter().enumerate().find_map(|(layer, units)| Some((layer, *units.iter().find(|unit| is_in(unit))?)))
}

#[test]
fn an_import_from_a_higher_layer_or_another_decider_is_found() {
    let found = |file: &str, imported: &str| {
        let imported = [(format!("src/plan/{imported}"), ["it".to_owned()].into())];
        !out_of_order("src/plan/", &PLAN, &[(format!("src/plan/{file}"), imported.into())].into()).is_empty()
    };
    assert!(found("sealing.rs", "planner.rs"));
    assert!(found("decision/action.rs", "rollouts.rs"));
    assert!(found("conditions/check.rs", "capacity.rs"));
    assert!(!found("planner.rs", "capacity.rs"));
    assert!(!found("tag_check/check.rs", "tag_check/targets.rs"));
    assert!(!found("capacity/together.rs", "capacity.rs"));
    assert!(!found("refusals.rs", "generations.rs"));
    assert_eq!(without_layer("src/plan/", &PLAN, &["src/plan/mod.rs", "src/plan/more.rs"]).len(), 1);
}
