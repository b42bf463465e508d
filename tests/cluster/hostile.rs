//! Texts that nobody may see as they are, and the places where people read.

use std::process::Command;

use kube::ResourceExt;

use crate::controller::Controller;
use crate::trial::Trial;

/// The signature of a URL.
pub const SIGNATURE: &str = "hunter2hunter2";
/// Escapes of a terminal, commands of CI systems at the beginning of lines, characters that reverse text or that nobody sees.
pub const MESSAGE: &str = "\u{1b}[31mowned\u{1b}[0m\n::error file=a::owned\r\n##vso[task.complete]\u{2028}::set-env name=A::b \
                           \u{202e}denwo\u{202c}\u{200b}\u{9b}2J";

/// # Panics
/// If something of these is left. `lines`: line breaks are the printing program's own.
pub fn assert_clean(place: &str, shown: &str, lines: bool) {
    let is_hidden = |c: char| {
        (c.is_control() && !(lines && c == '\n'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!shown.chars().any(is_hidden), "{place}: {shown:?}");
    for hostile in [SIGNATURE, "::error", "::set-env", "##vso["] {
        assert!(!shown.contains(hostile), "{place}: {hostile}: {shown:?}");
    }
}

/// What a command prints about the list `tools`, whether or not it succeeds.
pub fn printed(trial: &Trial, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(arguments).args(["--namespace", &trial.namespace, "--kubeconfig"]).arg(&trial.kubeconfig);
    let output = command.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Checks every place where people read about the lists, and returns all of it.
pub async fn assert_clean_everywhere(trial: &Trial, controller: &Controller) -> String {
    let mut places = Vec::new();
    for format in ["table", "wide", "json", "yaml"] {
        places.push((format!("status -o {format}"), printed(trial, &["status", "-o", format])));
    }
    places.push(("wait".to_owned(), printed(trial, &["wait", "tools", "--timeout", "2s"])));
    for path in ["/status", "/metrics", "/readyz"] {
        places.push((path.to_owned(), controller.get(path).unwrap().1));
    }
    places.push(("the log".to_owned(), controller.log()));
    for (place, shown) in &places {
        assert_clean(place, shown, true);
    }
    let events: Vec<k8s_openapi::api::events::v1::Event> = trial.api().list(&Default::default()).await.unwrap().items;
    let daemon_sets = trial.daemon_sets().await;
    let of_us = events.into_iter().filter(|event| event.reporting_controller.as_deref() == Some("kube-prepull"));
    let notes = of_us.filter_map(|event| event.note).map(|note| ("an Event".to_owned(), note));
    let annotations = daemon_sets.iter().flat_map(ResourceExt::annotations);
    let annotations = annotations.map(|(key, text)| (key.clone(), text.clone()));
    let more: Vec<_> = notes.chain(annotations).collect();
    for (place, shown) in &more {
        assert_clean(place, shown, false);
    }
    places.into_iter().chain(more).map(|(place, shown)| format!("{place}: {shown}\n")).collect()
}
