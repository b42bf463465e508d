use std::path::Path;

use crate::{
    holder::Holder,
    process::{Outcome, Process, files},
};

on_every_architecture![wrong_arguments_are_explained_and_nothing_is_done, no_arguments_at_all_bring_the_usage,];

const USAGE: &str = "usage: holder install v1 DESTINATION EPOCH SPREAD [NODE_NAME]\n       holder hold v1\n";

fn refusal(holder: &Holder, arguments: &[&str], folder: &Path) -> String {
    let outcome = Process::run(holder.command(arguments).current_dir(folder));
    let Outcome { code: Some(2), output, error } = outcome else { panic!("{arguments:?}: {outcome:?}") };
    assert_eq!(output, "");
    error
}

fn wrong_arguments_are_explained_and_nothing_is_done(holder: &Holder) {
    let folder = tempfile::tempdir().expect("a folder");
    let cases: &[(&[&str], &str)] = &[
        (&["sleep"], "command 'sleep' is unknown to this holder"),
        (&["hold"], "version '' is unknown to this holder"),
        (&["hold", "v2"], "version 'v2' is unknown to this holder"),
        (&["hold", "v1", "on"], "argument 'on' is one too many"),
        (&["install", "v1", "", "1", "60"], "DESTINATION '' is empty"),
        (&["install", "v1", "holder", "1e9", "60", "node-1"], "EPOCH '1e9' is not a whole number of seconds"),
        (&["install", "v1", "holder", "1", "-60", "node-1"], "SPREAD '-60' is not a whole number of seconds"),
        (&["install", "v1", "holder", "1", "60", "node-1", "2"], "argument '2' is one too many"),
    ];
    for (arguments, explanation) in cases {
        let expected = format!("holder: {explanation}\n{USAGE}");
        assert_eq!(refusal(holder, arguments, folder.path()), expected);
    }
    assert!(files(folder.path()).is_empty(), "nothing was installed");
}

fn no_arguments_at_all_bring_the_usage(holder: &Holder) {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(refusal(holder, &[], folder.path()).ends_with(USAGE));
}
