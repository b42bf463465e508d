//! `completion` as users call it.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a shell says of the script for it, with what follows it.
fn run_in_bash(rest: &str) -> String {
    let script = super::good(&["completion", "bash"], "");
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(format!("{script}\n{rest}\n").as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers for the last of these words.
fn completed(words: &[&str]) -> Vec<String> {
    let array: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let rest = format!(
        "COMP_WORDS=({})\nCOMP_CWORD={}\n_kube-prepull kube-prepull '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        array.join(" "),
        words.len() - 1,
        words.last().unwrap(),
        words[words.len() - 2],
    );
    run_in_bash(&rest).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    assert_eq!(completed(&["kube-prepull", "sta"]), ["status"]);
    assert!(completed(&["kube-prepull", "status", "--out"]).contains(&"--output".to_owned()));
    assert_eq!(completed(&["kube-prepull", "status", "--output", "js"]), ["json"]);
    assert!(!completed(&["kube-prepull", ""]).contains(&"clean-up".to_owned()), "it is not for users");
}

#[test]
fn there_is_a_script_for_each_shell_and_another_one_is_refused_with_the_names() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(super::good(&["completion", shell], "").contains("kube-prepull"), "{shell}");
    }
    assert!(super::bad(&["completion", "tcsh"], "", 2).contains("fish"));
}
