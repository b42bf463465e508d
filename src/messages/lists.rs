//! Whether a list was accepted, and that it is empty, missing or back.

use jiff::Timestamp;

use super::format::number;
use super::list_changes::list_changes;
use super::{Message, Reason, first_few};
use crate::list::{Config, ListData, Problem, flat, yaml};
use crate::naming::labels;
use crate::plan::selecting_services::SelectingService;
use crate::plan::versions;

/// A list was accepted, with what has changed since `before`, and the first warnings.
pub fn accepted(config: &Config, warnings: &[Problem], before: Option<&Config>, data_hash: &str) -> Message {
    let warnings = Some(first_problems(warnings)).filter(|warnings| !warnings.is_empty());
    let sentences: Vec<String> = [summary(config)].into_iter().chain(changed(before, config)).chain(warnings).collect();
    Message::new(Reason::ListAccepted, data_hash, sentences.join("; "))
}

/// The version that stays in effect while an edit is rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stays {
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// Whether the policy does not allow it either.
    pub forbidden: bool,
    /// Whether it is the same as the rejected one, which the policy allowed before.
    pub is_this: bool,
}

/// An edit was rejected. `stays`: a version is in effect.
pub fn rejected(problems: &[Problem], stays: Option<Stays>, data_hash: &str) -> Message {
    let is_this = stays.is_some_and(|stays| stays.is_this);
    let what = if is_this { "this list is no longer allowed" } else { "this edit is rejected" };
    let stays = match stays {
        Some(Stays { accepted_at, forbidden, .. }) => {
            let frozen =
                "; its images stay held, but nothing new is created from it, because the policy does not allow it";
            format!("; {} stays in effect{}", version(accepted_at), if forbidden { frozen } else { "" })
        }
        None => ", and nothing was changed".to_owned(),
    };
    let note = format!("{what}{stays}: {}", first_problems(problems));
    // A policy may refuse again what it allowed in between.
    let subject = if is_this { format!("{data_hash} not allowed") } else { data_hash.to_owned() };
    Message::new(Reason::ListRejected, subject, note)
}

/// Services select the pods of a list that was just accepted; nothing if there are none.
pub fn selected(found: &[SelectingService]) -> Option<Message> {
    let first = found.first()?;
    let texts: Vec<String> = found
        .iter()
        .map(|it| {
            let labels: Vec<&str> = it.labels.iter().map(String::as_str).collect();
            format!("{} those of the group {} by {}", it.service, it.group, labels.join(","))
        })
        .collect();
    let remedy = match first.by_list {
        true => "remove the label from podLabels, or select by more labels in the Service",
        false => "select by more labels in the Service",
    };
    let note = format!(
        "Services of this namespace select pods of this list, which answer no requests: {}; {remedy}",
        first_few(&texts, ", ", "")
    );
    Some(Message::new(Reason::ServiceSelectsPods, texts.join(","), note))
}

/// A list has no images, and never had any.
pub fn empty(list: &ListData, problems: &[Problem], data_hash: &str) -> Message {
    let place = match (list.data.contains_key(yaml::KEY), list.data.contains_key(flat::KEY)) {
        (true, false) => format!("under `images` in the key {}", yaml::KEY),
        (false, true) => format!("to the key {}, as name=image;name=image", flat::KEY),
        _ => format!("as the key {} or {}", yaml::KEY, flat::KEY),
    };
    let others: Vec<Problem> =
        problems.iter().filter(|problem| !problem.code.says_that_it_is_empty()).cloned().collect();
    let others = Some(first_problems(&others)).filter(|others| !others.is_empty());
    let note = format!("the list has no images yet, so there is nothing to do; add some {place}");
    Message::new(Reason::ListEmpty, data_hash, [note].into_iter().chain(others).collect::<Vec<_>>().join("; "))
}

/// Which version is in effect while the list itself is not: the one accepted at that time, or none.
pub fn in_effect(accepted_at: Option<Timestamp>) -> String {
    match accepted_at {
        Some(_) => format!("{} stays in effect", version(accepted_at)),
        None => "no version of it was accepted before".to_owned(),
    }
}

fn version(accepted_at: Option<Timestamp>) -> String {
    accepted_at
        .map_or_else(|| "the version accepted before".to_owned(), |at| format!("the version accepted at {at:.0}"))
}

/// The first three problems, errors first; an annotation of the list has all. On one line, because `kubectl get events` shows only
/// the first line of a note.
fn first_problems(problems: &[Problem]) -> String {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| problem.severity);
    let first: Vec<String> = sorted.iter().take(3).map(ToString::to_string).collect();
    let rest = match problems.len() {
        0..=3 => String::new(),
        count => format!(" | … and {} more in the annotation {}", count - 3, labels::PROBLEMS),
    };
    format!("{}{rest}", first.join(" | "))
}

fn summary(config: &Config) -> String {
    let images: usize = config.groups.iter().map(|group| group.images.len()).sum();
    format!("accepted: {} in {}", number(images, "image"), number(config.groups.len(), "group"))
}

fn changed(before: Option<&Config>, config: &Config) -> Option<String> {
    let changes = list_changes(before?, config);
    Some(if changes.is_empty() { "no effective change".to_owned() } else { changes.join("; ") })
}

/// The list is gone.
pub fn missing(since: Timestamp) -> Message {
    let until = since.checked_add(versions::GRACE).unwrap_or(since);
    let note = format!(
        "the ConfigMap was deleted or lost the label {}=true; its images will be released at {until:.0} unless it is restored",
        crate::list::IMAGE_LIST_LABEL
    );
    Message::new(Reason::ListMissing, since.to_string(), note)
}

/// The list is back.
pub fn back() -> Message {
    Message::new(Reason::ListFound, "", "the list is back; its images stay held")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::policy::parse_policy;
    use crate::list::{parse, parse_with_policy};

    fn list(data: &[(&str, &str)]) -> ListData {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_version_is_said_to_stay_in_effect_only_if_there_is_one() {
        let problems = parse(&list(&[("images.yaml", "images: [Bad]")])).problems;
        let note = |stays| rejected(&problems, stays, "").note;
        let accepted_at = at("2026-03-01T12:00:00.123Z");
        assert!(
            note(Some(Stays { accepted_at: Some(accepted_at), ..Stays::default() }))
                .starts_with("this edit is rejected; the version accepted at 2026-03-01T12:00:00Z stays in effect: ")
        );
        assert!(note(Some(Stays::default())).contains("the version accepted before stays in effect: "));
        let first = note(None);
        assert!(!first.contains("in effect") && first.contains("\"Bad\" is not an image reference"), "{first}");
        assert_eq!(in_effect(None), "no version of it was accepted before");
    }

    #[test]
    fn what_a_policy_no_longer_allows_is_said_to_stay_held_without_anything_new() {
        let policy = parse_policy("images: []").expect("a policy");
        let problems = parse_with_policy(&list(&[("images.yaml", "['nginx:1']")]), &policy).problems;
        let frozen = Stays { forbidden: true, ..Stays::default() };
        let edited = rejected(&problems, Some(frozen), "1");
        assert!(edited.note.starts_with("this edit is rejected; the version accepted before stays in effect; its images stay held, but nothing new is created"), "{}", edited.note);
        let same = rejected(&problems, Some(Stays { is_this: true, ..frozen }), "1");
        assert!(
            same.note.starts_with("this list is no longer allowed; the version accepted before stays in effect"),
            "{}",
            same.note
        );
        assert!(same.note.contains("the image nginx:1 is not allowed"), "{}", same.note);
        assert_ne!(edited.subject, same.subject);
    }

    #[test]
    fn a_service_that_selects_pods_is_named_with_group_and_labels() {
        let service = |name: &str, by_list: bool| SelectingService {
            service: name.to_owned(),
            group: "web".to_owned(),
            labels: ["app=web".to_owned(), "team=a".to_owned()].into(),
            by_list,
        };
        let note = |by_list| selected(&[service("shop", by_list)]).expect("a message").note;
        assert_eq!(
            note(true),
            "Services of this namespace select pods of this list, which answer no requests: shop those of the group web by \
             app=web,team=a; remove the label from podLabels, or select by more labels in the Service"
        );
        assert!(note(false).ends_with("app=web,team=a; select by more labels in the Service"));
        assert_eq!(selected(&[]), None);
        let many: Vec<_> = (0..9).map(|number| service(&format!("s{number}"), true)).collect();
        assert!(selected(&many).expect("a message").note.len() < 1000);
    }

    #[test]
    fn errors_come_before_warnings() {
        let data = [("IMAGES", "a=B"), ("KIP_IMAGE", "a"), ("OTHER", "b"), ("ANOTHER", "c"), ("YET_ANOTHER", "d")];
        let note = rejected(&parse(&list(&data)).problems, None, "").note;
        assert!(note.contains("changed: IMAGES[0]: ") && note.contains("… and 2 more"), "{note}");
    }

    #[test]
    fn an_empty_list_says_where_images_belong() {
        for (data, place) in [
            (&[("images.yaml", "images:")][..], "add some under `images` in the key images.yaml"),
            (&[("IMAGES", "")], "add some to the key IMAGES, as name=image;name=image"),
            (&[], "add some as the key images.yaml or IMAGES"),
            (&[("IMAGES", " "), ("images.yaml", "")], "add some as the key images.yaml or IMAGES"),
        ] {
            let list = list(data);
            let parsed = parse(&list);
            assert!(parsed.empty, "{data:?}");
            let message = empty(&list, &parsed.problems, "");
            assert!(message.note.ends_with(place), "{data:?}: {}", message.note);
            assert_eq!(message.reason.type_(), super::super::reason::Type::Normal);
        }
    }
}
