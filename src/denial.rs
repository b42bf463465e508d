//! Who refused a request to the API server, from its answer. Pure.
//!
//! A policy's text may contain anything, also the words of a missing right, so an answer is parsed from its beginning, in the form that
//! the API server gives it, and not searched.

use crate::text::CleanText;

/// Who refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The authorizers: the client lacks a right.
    MissingRight,
    /// Admission: the client has the right, and a policy forbids this object.
    Policy {
        /// The policy.
        policy: DenyingPolicy,
        /// The policy's explanation; may be empty.
        text: CleanText,
    },
    /// Anybody else.
    Other,
}

/// What refuses objects that a client has the right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenyingPolicy {
    /// An admission webhook of this name: policy engines are webhooks too.
    Webhook(String),
    /// A ValidatingAdmissionPolicy of this name.
    Validating(String),
    /// A MutatingAdmissionPolicy of this name.
    Mutating(String),
    /// Pod Security, at this level and version.
    PodSecurity(String),
    /// A ResourceQuota of this name.
    Quota(String),
    /// The SecurityContextConstraints of OpenShift.
    SecurityContextConstraints,
    /// Another admission plugin, which does not say its name.
    Plugin,
}

impl Denial {
    /// Parses the message of the API server's answer.
    pub fn of(message: &str) -> Self {
        if let Some((policy, text)) = webhook(message) {
            return Self::Policy { policy, text: bounded(text) };
        }
        match after_object(message) {
            Some(reason) if is_missing_right(reason) => Self::MissingRight,
            Some(reason) => {
                let (policy, text) = plugin(reason);
                Self::Policy { policy, text: bounded(text) }
            }
            None => Self::Other,
        }
    }
}

/// `ToStatusErr` in `k8s.io/apiserver/pkg/admission/plugin/webhook/errors`.
fn webhook(message: &str) -> Option<(DenyingPolicy, &str)> {
    let (name, rest) = quoted(message.strip_prefix("admission webhook ")?)?;
    let rest = rest.strip_prefix(" denied the request")?;
    Some((DenyingPolicy::Webhook(name.to_owned()), rest.strip_prefix(':').unwrap_or(rest)))
}

/// What follows `daemonsets.apps "name" is forbidden: `, with which `NewForbidden` in `k8s.io/apimachinery/pkg/api/errors` begins for
/// authorizers and admission plugins alike. The name is missing if the request had none, and the resource if it was for none.
fn after_object(message: &str) -> Option<&str> {
    if let Some(reason) = message.strip_prefix("forbidden: ") {
        return Some(reason);
    }
    let (resource, rest) = message.split_once(' ')?;
    let rest = rest.strip_prefix("is forbidden: ").or_else(|| quoted(rest)?.1.strip_prefix(" is forbidden: "))?;
    resource.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)).then_some(rest)
}

/// The beginnings of what `k8s.io/kubernetes/plugin/pkg/admission/gc` says to a client that lacks a right on the owner of an object.
const OWNER_RIGHTS: [&str; 2] = [
    "cannot set an ownerRef on a resource you can't delete: ",
    "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ",
];

/// `forbiddenMessage` in `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`, which an authorizer's reason may follow.
fn is_missing_right(reason: &str) -> bool {
    OWNER_RIGHTS.iter().any(|beginning| reason.starts_with(beginning)) || authorizers_reason(reason).is_some()
}

/// What an authorizer adds; empty if it adds nothing.
fn authorizers_reason(message: &str) -> Option<&str> {
    let (_, rest) = quoted(message.strip_prefix("User ")?)?;
    let (verb, rest) = rest.strip_prefix(" cannot ")?.split_once(' ')?;
    if verb.is_empty() {
        return None;
    }
    let rest = match rest.strip_prefix("path ") {
        Some(path) => quoted(path)?.1,
        None => {
            let (_, rest) = quoted(rest.strip_prefix("resource ")?)?;
            let (_, rest) = quoted(rest.strip_prefix(" in API group ")?)?;
            let in_namespace =
                |rest: &'_ str| rest.strip_prefix(" in the namespace ").and_then(quoted).map(|it| it.1.len());
            match rest.strip_prefix(" at the cluster scope") {
                Some(rest) => rest,
                None => &rest[rest.len() - in_namespace(rest)?..],
            }
        }
    };
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(": ") }
}

/// The policy behind an admission plugin's words, and its explanation.
fn plugin(reason: &str) -> (DenyingPolicy, &str) {
    policy_object(reason).or_else(|| pod_security(reason)).or_else(|| quota(reason)).unwrap_or_else(|| {
        match reason.starts_with("unable to validate against any security context constraint") {
            true => (DenyingPolicy::SecurityContextConstraints, reason),
            false => (DenyingPolicy::Plugin, reason),
        }
    })
}

/// `k8s.io/apiserver/pkg/admission/plugin/policy/{validating,generic}`. The binding is missing for a policy that is in error.
fn policy_object(reason: &str) -> Option<(DenyingPolicy, &str)> {
    let (kind, rest): (fn(String) -> DenyingPolicy, &str) = match reason.strip_prefix("ValidatingAdmissionPolicy ") {
        Some(rest) => (DenyingPolicy::Validating, rest),
        None => (DenyingPolicy::Mutating, reason.strip_prefix("policy ")?),
    };
    let (name, rest) = single_quoted(rest).or_else(|| quoted(rest))?;
    let bound = rest.strip_prefix(" with binding ").and_then(single_quoted).map_or(rest, |(_, rest)| rest);
    Some((kind(name.to_owned()), bound.strip_prefix(" denied request:")?))
}

/// `k8s.io/pod-security-admission/admission`.
fn pod_security(reason: &str) -> Option<(DenyingPolicy, &str)> {
    let (level, text) = quoted(reason.strip_prefix("violates PodSecurity ")?)?;
    Some((DenyingPolicy::PodSecurity(level.to_owned()), text.strip_prefix(':')?))
}

/// `k8s.io/apiserver/pkg/admission/plugin/resourcequota`.
fn quota(reason: &str) -> Option<(DenyingPolicy, &str)> {
    let beginnings = ["exceeded quota: ", "failed quota: ", "status unknown for quota: "];
    let rest = beginnings.iter().find_map(|beginning| reason.strip_prefix(beginning))?;
    let (name, _) = rest.split_once([',', ':'])?;
    Some((DenyingPolicy::Quota(name.to_owned()), reason))
}

/// The text between double quotes, in which Go escapes quotes, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = text.char_indices().find_map(|(at, character)| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends.then_some(at)
    })?;
    Some((&text[..end], &text[end + 1..]))
}

fn single_quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('\'')?.split_once('\'')
}

/// The most bytes of a policy's explanation. Policy engines list all rules that an object breaks.
const MAX_BYTES: usize = 400;

/// The beginning of an explanation.
fn bounded(text: &str) -> CleanText {
    CleanText::within(text.trim(), MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RIGHT: &str = "User \"system:serviceaccount:p:kube-prepull\" cannot create resource \"daemonsets\" in API group \
                         \"apps\" in the namespace \"p\"";

    fn by_policy(message: &str) -> (DenyingPolicy, CleanText) {
        match Denial::of(message) {
            Denial::Policy { policy, text } => (policy, text),
            other => panic!("{message}: {other:?}"),
        }
    }

    #[test]
    fn a_missing_right_is_known_by_the_form_that_the_api_server_gives_it() {
        for message in [
            format!("daemonsets.apps is forbidden: {RIGHT}"),
            format!("daemonsets.apps \"tools-a\" is forbidden: {RIGHT}"),
            format!("daemonsets.apps \"tools-a\" is forbidden: {RIGHT}: RBAC: clusterrole.rbac.authorization.k8s.io \"x\" not found"),
            format!("daemonsets.apps is forbidden: {RIGHT}: requires one of [\"container.daemonSets.create\"] permission(s)."),
            "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \"\" at the cluster scope".to_owned(),
            "pods \"a\" is forbidden: User \"a \\\"b\\\"\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"p\""
                .to_owned(),
            "forbidden: User \"system:anonymous\" cannot get path \"/apis\"".to_owned(),
            "daemonsets.apps \"a\" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't \
             set finalizers on: , <nil>"
                .to_owned(),
        ] {
            assert_eq!(Denial::of(&message), Denial::MissingRight, "{message}");
        }
    }

    #[test]
    fn a_policy_is_named_with_its_explanation() {
        let forbidden = |reason: &str| format!("daemonsets.apps \"tools-a\" is forbidden: {reason}");
        for (message, policy, text) in [
            (
                "admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource DaemonSet/p/tools-a was blocked \
                 \n\nregistries:\n  rule: 'cannot use docker.io'\n"
                    .to_owned(),
                DenyingPolicy::Webhook("validate.kyverno.svc-fail".to_owned()),
                "resource DaemonSet/p/tools-a was blocked registries: rule: 'cannot use docker.io'",
            ),
            (
                "admission webhook \"x.example\" denied the request without explanation".to_owned(),
                DenyingPolicy::Webhook("x.example".to_owned()),
                "without explanation",
            ),
            (
                forbidden("ValidatingAdmissionPolicy 'registries' with binding 'all' denied request: you cannot do it's thing"),
                DenyingPolicy::Validating("registries".to_owned()),
                "you cannot do it's thing",
            ),
            (
                forbidden("ValidatingAdmissionPolicy 'registries' denied request: no such key"),
                DenyingPolicy::Validating("registries".to_owned()),
                "no such key",
            ),
            (
                forbidden("policy 'mutate' with binding 'b' denied request: cannot add"),
                DenyingPolicy::Mutating("mutate".to_owned()),
                "cannot add",
            ),
            (
                forbidden("violates PodSecurity \"restricted:latest\": runAsNonRoot != true"),
                DenyingPolicy::PodSecurity("restricted:latest".to_owned()),
                "runAsNonRoot != true",
            ),
            (
                forbidden("exceeded quota: few, requested: count/daemonsets.apps=1, used: 1, limited: 1"),
                DenyingPolicy::Quota("few".to_owned()),
                "exceeded quota: few, requested: count/daemonsets.apps=1, used: 1, limited: 1",
            ),
            (
                forbidden("failed quota: few: must specify limits.cpu for: app"),
                DenyingPolicy::Quota("few".to_owned()),
                "failed quota: few: must specify limits.cpu for: app",
            ),
            (
                forbidden("unable to validate against any security context constraint: [provider \"anyuid\": Forbidden]"),
                DenyingPolicy::SecurityContextConstraints,
                "unable to validate against any security context constraint: [provider \"anyuid\": Forbidden]",
            ),
            (forbidden("on Sundays you cannot create it"), DenyingPolicy::Plugin, "on Sundays you cannot create it"),
        ] {
            assert_eq!(by_policy(&message), (policy, text.into()), "{message}");
        }
    }

    #[test]
    fn what_has_no_known_form_is_neither() {
        for message in
            ["", "the server is currently unable to handle the request", "Forbidden", "you cannot pass: forbidden"]
        {
            assert_eq!(Denial::of(message), Denial::Other, "{message}");
        }
    }

    #[test]
    fn a_long_explanation_is_cut_off() {
        let (_, text) = by_policy(&format!("admission webhook \"x\" denied the request: {}", "ä ".repeat(3_000)));
        assert!(text.len() <= MAX_BYTES && text.ends_with('…'), "{text}");
    }

    proptest! {
        #[test]
        fn whatever_a_policy_says_it_is_no_missing_right(words in "[ -~\n]{0,80}", more in "[ -~]{0,40}") {
            for said in [format!("{words}{more}"), format!("{RIGHT}: {words}"), format!("{words}: {RIGHT}")] {
                let webhook = by_policy(&format!("admission webhook \"x\" denied the request: {said}")).0;
                prop_assert_eq!(webhook, DenyingPolicy::Webhook("x".to_owned()));
                let answer = "daemonsets.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request:";
                prop_assert_eq!(by_policy(&format!("{answer} {said}")).0, DenyingPolicy::Validating("p".to_owned()));
            }
        }

        #[test]
        fn any_answer_is_parsed(message in "\\PC{0,120}") {
            Denial::of(&message);
        }
    }
}
