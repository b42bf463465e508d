//! What is reported when the cluster cannot be read or written.

use std::fmt::{Display, Formatter, Result};

use kube::ResourceExt;

use super::{Message, Reason};
use crate::denial::DenyingPolicy;
use crate::error::{Error, NotLeading, chain};
use crate::naming::labels;
use crate::plan::Action;
use crate::text::CleanText;

/// What happened. The remedy for a missing right depends on who lacks it, so it is not part of this.
impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Forbidden { action, message } => write!(f, "not allowed to {action}: {message}"),
            Self::Denied { action, policy, text } => write!(f, "cannot {action}: refused by {policy}: {text}"),
            Self::Refused { action, message } => write!(f, "cannot {action}: the API server says: {message}"),
            Self::Unreachable { action, source } => match self.connection_problem() {
                Some(problem) => write!(f, "cannot {action}: {problem}"),
                None => {
                    write!(f, "cannot {action}: {}", CleanText::of(format!("{source}{}", root_cause(source))))
                }
            },
            Self::ForeignDaemonSet { name } => write!(
                f,
                "a DaemonSet {name} that kube-prepull did not create already exists; delete it, or give the list another name \
                 (DAEMONSET_NAME in a list with flat keys)"
            ),
            Self::ForeignImageCache { name } => write!(
                f,
                "an ImageCache {name} that was not created for this list already exists; delete it if nobody needs it"
            ),
            Self::NotLeading => NotLeading.fmt(f),
            Self::TimedOut { seconds } => write!(f, "the cluster did not answer within {seconds} s"),
        }
    }
}

/// What is at the bottom of an error, unless the error says it already. Clients say "client error (Connect)" of a refused connection.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let root = chain(error).last().map(ToString::to_string).unwrap_or_default();
    if error.to_string().contains(&root) { String::new() } else { format!(": {root}") }
}

/// With its kind, so that users know which object to look at.
impl Display for DenyingPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Webhook(name) => write!(f, "the admission webhook {name}"),
            Self::Validating(name) => write!(f, "the ValidatingAdmissionPolicy {name}"),
            Self::Mutating(name) => write!(f, "the MutatingAdmissionPolicy {name}"),
            Self::PodSecurity(level) => write!(f, "Pod Security {level}"),
            Self::Quota(name) => write!(f, "the ResourceQuota {name}"),
            Self::SecurityContextConstraints => f.write_str("the SecurityContextConstraints"),
            Self::Plugin => f.write_str("admission"),
        }
    }
}

impl Display for NotLeading {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("another controller has taken the lead")
    }
}

/// What the controller reports of an error, with the remedy for a right that it lacks.
pub fn of_controller(error: &Error) -> String {
    match error {
        Error::Forbidden { .. } => format!("{error}; grant the controller's account this right"),
        Error::Denied { policy, text, .. } => with_remedy(error, policy, text),
        _ => error.to_string(),
    }
}

/// What a command reports of an error, with the remedy for a right that its user lacks.
pub fn of_command(error: &Error) -> String {
    match error {
        Error::Forbidden { .. } => format!("{error}; grant this user the right, or run the command as another user"),
        Error::Denied { policy, text, .. } => with_remedy(error, policy, text),
        _ => error.to_string(),
    }
}

/// The keys of a list with which the policies of `deploy/policy` begin to say what they refuse, as others may.
const LIST_KEYS: [&str; 9] = [
    "images",
    "imagePullSecrets",
    "podAnnotations",
    "podLabels",
    "priorityClassName",
    "resources",
    "runtimeClassName",
    "serviceAccountName",
    "tolerations",
];

/// The remedy against a policy that is not part of Kubernetes, with the key of the list if the policy names it.
pub fn change_or_exempt(policy: &DenyingPolicy, text: &str) -> String {
    let key = text.split_once(": ").map(|(key, _)| key).filter(|key| LIST_KEYS.contains(key));
    match (policy, key) {
        (DenyingPolicy::Validating(_), Some(key)) => format!("change {key} in the list, or have the policy allow it"),
        _ => "change what it refuses, or exempt this namespace from it".to_owned(),
    }
}

/// What to do about the refusal of a policy. No right helps.
fn with_remedy(error: &Error, policy: &DenyingPolicy, text: &str) -> String {
    let error = error.to_string();
    let said = error.trim_end_matches(['.', ';', ':', ' ']);
    match policy {
        DenyingPolicy::Quota(_) if text.starts_with("exceeded") => {
            format!("{said}; raise this quota, or delete what it counts")
        }
        DenyingPolicy::Quota(_) | DenyingPolicy::Plugin => said.to_owned(),
        _ => format!("{said}; {}", change_or_exempt(policy, text)),
    }
}

/// The message about an error; `None` if another controller leads, since that one reports what it does.
///
/// The API server may word the same failure differently each time, so its subject is the attempted action.
pub fn failure(error: &Error) -> Option<Message> {
    let subject = match error {
        Error::Forbidden { action, .. }
        | Error::Denied { action, .. }
        | Error::Refused { action, .. }
        | Error::Unreachable { action, .. } => action,
        Error::ForeignDaemonSet { name } | Error::ForeignImageCache { name } => name,
        Error::NotLeading | Error::TimedOut { .. } => "",
    };
    let message = Message::new(reason(error)?, subject, of_controller(error));
    Some(match error {
        Error::ForeignDaemonSet { name } => message.about(name),
        _ => message,
    })
}

/// The message about the failure of an action of the plan. What is created has another name at each attempt, so the subject is its group.
pub fn failure_of(action: &Action, error: &Error) -> Option<Message> {
    let message = failure(error)?;
    let (what, created) = match action {
        Action::Create { daemon_set, .. } => ("DaemonSet", daemon_set),
        Action::CheckTags { daemon_set } => ("tag check", daemon_set),
        _ => return Some(message),
    };
    let group = created.labels().get(labels::GROUP).map_or("", String::as_str);
    Some(Message { subject: format!("create the {what} of group {group}"), ..message })
}

/// The stable name of the kind of error, for metrics.
pub fn category(error: &Error) -> &'static str {
    reason(error).map_or("NotLeading", Reason::name)
}

fn reason(error: &Error) -> Option<Reason> {
    Some(match error {
        Error::Forbidden { .. } => Reason::MissingRight,
        Error::Denied { .. } | Error::Refused { .. } | Error::ForeignImageCache { .. } => Reason::Refused,
        Error::Unreachable { .. } => Reason::Unreachable,
        Error::ForeignDaemonSet { .. } => Reason::ForeignDaemonSet,
        Error::TimedOut { .. } => Reason::TimedOut,
        Error::NotLeading => return None,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::DaemonSet;
    use kube::core::Status;

    use super::*;
    use crate::error::ConnectionProblem;

    const CHANGE: &str = "; change what it refuses, or exempt this namespace from it";

    fn of_answer(code: u16, message: &str) -> Error {
        let status = Status { code, message: message.to_owned(), reason: "Forbidden".to_owned(), ..Status::default() };
        Error::new("create the DaemonSet tools-a", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_policy_is_named_without_a_right_to_grant() {
        let said = "User \"x\" cannot create resource \"daemonsets\" in API group \"apps\" in the namespace \"p\"";
        for (answer, expected) in [
            (
                format!("admission webhook \"no.example\" denied the request: {said}"),
                format!("refused by the admission webhook no.example: {said}{CHANGE}"),
            ),
            (
                "daemonsets.apps \"tools-a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: you \
                 cannot"
                    .to_owned(),
                format!("refused by the ValidatingAdmissionPolicy p: you cannot{CHANGE}"),
            ),
            (
                "daemonsets.apps \"tools-a\" is forbidden: exceeded quota: q, requested: a=1, used: a=1, limited: a=1".to_owned(),
                "refused by the ResourceQuota q: exceeded quota: q, requested: a=1, used: a=1, limited: a=1; raise this quota, or \
                 delete what it counts"
                    .to_owned(),
            ),
        ] {
            for code in [400, 403, 422] {
                let message = failure(&of_answer(code, &answer)).expect("a message");
                assert_eq!(message.reason, Reason::Refused);
                assert_eq!(message.note, format!("cannot create the DaemonSet tools-a: {expected}"));
            }
        }
    }

    #[test]
    fn a_policy_that_names_a_key_of_the_list_says_what_to_change() {
        let said = "daemonsets.apps \"tools-a\" is forbidden: ValidatingAdmissionPolicy 'kube-prepull-requests' with binding 'b' denied \
                    request: serviceAccountName: builder is not allowed; allowed: holder";
        let note = failure(&of_answer(403, said)).expect("a message").note;
        assert!(
            note.contains("the ValidatingAdmissionPolicy kube-prepull-requests: serviceAccountName: builder"),
            "{note}"
        );
        assert!(note.ends_with("; change serviceAccountName in the list, or have the policy allow it"), "{note}");
        for other in ["spec.template: no", "no key: at all", "images"] {
            let note =
                failure(&of_answer(403, &said.replace("serviceAccountName: builder", other))).expect("a message").note;
            assert!(note.ends_with(CHANGE), "{note}");
        }
    }

    #[test]
    fn each_refusal_of_the_policy_for_what_lists_ask_for_begins_with_a_key_of_the_list() {
        let text = include_str!("../../deploy/policy/requests.yaml");
        let messages: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("message: \"")).collect();
        assert!(messages.len() > 8, "{messages:?}");
        for message in messages {
            let key = message.split_once(": ").expect("a key").0;
            assert!(LIST_KEYS.contains(&key), "{message}");
            // The message that is computed begins the same way.
            assert!(text.contains(&format!("'{key}: ")), "{key}");
        }
    }

    #[test]
    fn each_attempt_to_create_something_under_a_new_name_is_about_the_same_group() {
        let subject = |name: &str, group: &str| {
            let mut daemon_set = DaemonSet::default();
            daemon_set.metadata.name = Some(name.to_owned());
            daemon_set.labels_mut().insert(labels::GROUP.to_owned(), group.to_owned());
            let action = Action::CheckTags { daemon_set: Box::new(daemon_set) };
            let error = Error::Refused { action: format!("create the tag check {name}"), message: "no".into() };
            failure_of(&action, &error).expect("a message").subject
        };
        assert_eq!(subject("tools-1", "gpu"), subject("tools-2", "gpu"));
        assert_ne!(subject("tools-1", "gpu"), subject("tools-1", "default"));
    }

    #[test]
    fn a_problem_of_the_connection_is_said_once_and_without_the_words_of_the_client() {
        let problem = ConnectionProblem("cannot reach the proxy".to_owned());
        let error = Error::new("get the list", kube::Error::Service(Box::new(problem)));
        assert!(error.connection_problem().is_some());
        // What `main` prints is the whole chain.
        assert_eq!(format!("{:#}", anyhow::Error::from(error)), "cannot get the list: cannot reach the proxy");
    }

    #[test]
    fn a_missing_right_is_to_be_granted() {
        let answer = "daemonsets.apps is forbidden: User \"x\" cannot create resource \"daemonsets\" in API group \"apps\" in the \
                      namespace \"p\"";
        let message = failure(&of_answer(403, answer)).expect("a message");
        assert_eq!(message.reason, Reason::MissingRight);
        assert!(message.note.ends_with("; grant the controller's account this right"), "{}", message.note);
    }
}
