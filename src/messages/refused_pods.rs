//! Why the API server refuses the pods of a DaemonSet, from a dry run of such a pod.

use std::collections::BTreeMap;

use super::api_errors::change_or_exempt;
use super::excluded_nodes;
use crate::coverage::{NodeLabels, end_within};
use crate::denial::{Denial, DenyingPolicy};
use crate::text::CleanText;

/// The most characters that are quoted of an answer in no known form.
const QUOTED: usize = 400;

/// What the API server answers to a dry run of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It would create the pod.
    Accepted,
    /// It would create the pod with this node selector in addition.
    Selects(BTreeMap<String, String>),
    /// It refuses the pod, with this message.
    Refused(CleanText),
}

impl DryRun {
    /// What it means for nodes with these labels, if they are known: a node selector that all of them match keeps no pod away.
    pub fn on_nodes(self, labels: Option<&[NodeLabels]>) -> Self {
        let match_all = |selector: &BTreeMap<String, String>, nodes: &[NodeLabels]| {
            nodes.iter().all(|labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        match (self, labels) {
            (Self::Selects(selector), Some(nodes)) if match_all(&selector, nodes) => Self::Accepted,
            (answer, _) => answer,
        }
    }

    /// Whether it shows that something keeps such pods away. A DaemonSet controller that is merely slow has none refused.
    pub fn shows_refusal(&self) -> bool {
        match self {
            Self::Accepted => false,
            Self::Selects(_) => true,
            Self::Refused(why) => Denial::of(why) != Denial::MissingRight && !is_not_for_dry_runs(why),
        }
    }
}

/// A webhook with side effects is not asked in a dry run, which fails instead (`NewDryRunUnsupportedErr` in
/// `k8s.io/apiserver/pkg/admission/plugin/webhook/errors`).
fn is_not_for_dry_runs(why: &str) -> bool {
    why.starts_with("admission webhook ") && why.ends_with(" does not support dry run")
}

/// What the API server answered, and the remedy.
pub fn refused(dry_run: Option<&DryRun>, daemon_set: &str) -> String {
    let why = match dry_run {
        Some(DryRun::Refused(why)) => why,
        Some(DryRun::Selects(selector)) => {
            let selector: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            return excluded_nodes::nodes_excluded_in_dry_run(daemon_set, &selector.join(","));
        }
        Some(DryRun::Accepted) | None => {
            return format!(
                "a dry run of such a pod succeeds, so an admission webhook may refuse the DaemonSet controller's request, or that \
                 controller may lag; see `kubectl describe daemonset {daemon_set}`"
            );
        }
    };
    match Denial::of(why) {
        Denial::MissingRight => format!(
            "kube-prepull has no right to create pods, so it cannot ask the API server why; run `kubectl describe daemonset \
             {daemon_set}` for the reason"
        ),
        Denial::Policy { policy, text } => {
            let remedy = remedy(&policy, &text).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!(
                "a dry run of such a pod was refused by {policy}: {}{remedy}",
                text.trim_end_matches(['.', ';', ' '])
            )
        }
        Denial::Other => format!("a dry run of such a pod was refused: {}", end_within(why, QUOTED)),
    }
}

/// What to do about a policy. The text of one that is not part of Kubernetes may contain anything, so it is not searched.
fn remedy(policy: &DenyingPolicy, text: &str) -> Option<String> {
    let of_kubernetes = match policy {
        DenyingPolicy::Quota(_) if text.starts_with("exceeded") => "raise the ResourceQuota",
        DenyingPolicy::Quota(_) if text.contains(": must specify ") => {
            "set the resources that it names in the list, or let a LimitRange fill them in"
        }
        DenyingPolicy::Quota(_) => return None,
        DenyingPolicy::Plugin => of_plugin(text)?,
        _ => return Some(change_or_exempt(policy, text)),
    };
    Some(of_kubernetes.to_owned())
}

/// The beginnings of what Kubernetes' plugins say that name only their cause: RuntimeClass (`plugin/pkg/admission/runtimeclass`), LimitRanger
/// (`plugin/pkg/admission/limitranger`, which joins several in brackets), and PodNodeSelector and OpenShift's plugin like it.
fn of_plugin(text: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 5] = [
        ("pod rejected: RuntimeClass ", "create the RuntimeClass, or correct runtimeClassName in the list"),
        ("conflict: runtimeClass.scheduling", "give the group the node selector of its RuntimeClass"),
        (
            "pod node label selector conflicts with ",
            "change the group's nodeSelector, or the namespace's default node selector",
        ),
        ("minimum ", "set requests in the list that the LimitRange allows"),
        ("maximum ", "set requests and limits in the list that the LimitRange allows"),
    ];
    let said = text.trim_start_matches('[');
    REMEDIES.iter().find(|(beginning, _)| said.starts_with(beginning)).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(why: &str) -> String {
        refused(Some(&DryRun::Refused(why.into())), "tools-a")
    }

    fn tier_web() -> BTreeMap<String, String> {
        BTreeMap::from([("tier".to_owned(), "web".to_owned())])
    }

    #[test]
    fn why_pods_are_refused_is_reported_in_the_words_of_kubernetes_with_a_remedy_where_one_is_known() {
        let forbidden = |why: &str| reported(&format!("pods \"tools-a-\" is forbidden: {why}"));
        let full = "exceeded quota: full, requested: pods=1, used: pods=5, limited: pods=5";
        assert_eq!(
            forbidden(full),
            format!("a dry run of such a pod was refused by the ResourceQuota full: {full}; raise the ResourceQuota")
        );
        for (why, remedy) in [
            (
                "failed quota: q: must specify limits.cpu for: app",
                "; set the resources that it names in the list, or let a LimitRange fill them in",
            ),
            (
                "[minimum cpu usage per Container is 50m, but request is 1m, maximum memory usage per Pod is 1Mi]",
                "; set requests in the list that the LimitRange allows",
            ),
            (
                "pod rejected: RuntimeClass \"maximum\" not found",
                "; create the RuntimeClass, or correct runtimeClassName in the list",
            ),
            (
                "violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
                "; change what it refuses, or exempt this namespace from it",
            ),
            ("no pods on Sundays, at minimum", "by admission: no pods on Sundays, at minimum"),
        ] {
            assert!(forbidden(why).ends_with(remedy), "{}", forbidden(why));
        }
        let of_policy =
            forbidden("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: images: x is not allowed");
        assert!(of_policy.ends_with("; change images in the list, or have the policy allow it"), "{of_policy}");
        assert!(reported("no pods on Sundays").ends_with(": no pods on Sundays"));
        let accepted = refused(None, "tools-a");
        assert!(accepted.ends_with("see `kubectl describe daemonset tools-a`"), "{accepted}");
        let selects = refused(Some(&DryRun::Selects(tier_web())), "tools-a");
        assert!(selects.contains("admission adds the node selector tier=web to it"), "{selects}");
        let right = "User \"x\" cannot create resource \"pods\" in API group \"\" in the namespace \"p\"";
        assert!(forbidden(right).starts_with("kube-prepull has no right to create pods"), "{}", forbidden(right));
    }

    #[test]
    fn only_what_keeps_pods_away_shows_that_they_are_refused() {
        let refused = |why: &str| DryRun::Refused(why.into());
        assert!(refused("pods \"a-\" is forbidden: exceeded quota: full").shows_refusal());
        assert!(refused("admission webhook \"w.test\" denied the request: no").shows_refusal());
        assert!(DryRun::Selects(tier_web()).shows_refusal());
        let right = "User \"x\" cannot create resource \"pods\" in API group \"\" in the namespace \"p\"";
        assert!(!refused(&format!("pods is forbidden: {right}")).shows_refusal());
        assert!(!refused("admission webhook \"w.test\" does not support dry run").shows_refusal());
        assert!(!DryRun::Accepted.shows_refusal());
    }

    #[test]
    fn a_node_selector_that_all_nodes_without_a_pod_match_keeps_no_pod_away() {
        let labels = |tier: &str| NodeLabels::from([("tier".to_owned(), tier.to_owned())]);
        let selects = || DryRun::Selects(tier_web());
        assert_eq!(selects().on_nodes(Some(&[labels("web"), labels("web")])), DryRun::Accepted);
        assert_eq!(selects().on_nodes(Some(&[labels("web"), labels("db")])), selects());
        assert_eq!(selects().on_nodes(None), selects(), "who may not read nodes cannot rule it out");
    }

    #[test]
    fn the_text_of_a_policy_is_bounded_and_gets_no_remedy_of_a_quota() {
        let text = format!("every container must specify an owner, at minimum; exceeded quota{}", "!".repeat(5000));
        let said = reported(&format!("admission webhook \"v.kyverno.svc\" denied the request: {text}"));
        assert!(
            said.starts_with("a dry run of such a pod was refused by the admission webhook v.kyverno.svc: "),
            "{said}"
        );
        assert!(said.ends_with("; change what it refuses, or exempt this namespace from it"), "{said}");
        assert!(said.len() < 700, "{}", said.len());
    }
}
