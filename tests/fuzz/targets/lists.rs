//! Lists in all forms: as files of manifests, as `images.yaml`, and as flat keys.

use kube_prepull::list::manifest::{Defaults, File};
use kube_prepull::list::{ListData, Policy, Severity, flat, parse};

/// Reads the input in each form. What is rejected has a reason.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let file = File::read(&text, Defaults { namespace: Some("prepull"), name: "tools" });
    for list in &file.lists {
        let result = list.validation_result(&Policy::default());
        let has_error = result.problems.iter().any(|it| it.problem.severity == Severity::Error);
        assert_eq!(result.is_accepted(), !has_error && !result.empty, "{result:?}");
        for problem in &result.problems {
            assert!(problem.line > 0 && !problem.problem.message.to_string().is_empty(), "{problem:?}");
        }
        check(&list.list);
    }
    check(&list([("images.yaml", &*text)]));
    check(&list([("IMAGES", &*text)]));
    // The first byte chooses the key that the rest is the value of.
    if let Some((key, value)) = input.split_first() {
        let key = flat::KEYS[usize::from(*key) % flat::KEYS.len()];
        check(&list([("IMAGES", "a=nginx:1"), (key, &*String::from_utf8_lossy(value))]));
    }
}

fn list<'a>(data: impl IntoIterator<Item = (&'a str, &'a str)>) -> ListData {
    let data = data.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None }
}

fn check(list: &ListData) {
    let parsed = parse(list);
    let has_error = parsed.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(parsed.config.is_none(), has_error, "{parsed:?}");
    assert_eq!(parsed, parse(list), "it is not the same each time");
    if let Some(config) = &parsed.config {
        assert!(config.groups.iter().all(|group| !group.images.is_empty()), "{config:?}");
        assert!(!config.groups.is_empty() || !config.discoveries.is_empty(), "{config:?}");
    }
}
