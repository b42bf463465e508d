//! Why a pod's init container fails, and what to do about it.

use super::diagnosis::{self, Diagnosis, ListPart};
use crate::coverage::{InitFailure, end_of};
use crate::summary::node_state::NodeState;

/// Where the image of kube-prepull's own init container is set.
const SETTING: &str = "the controller's HOLDER_IMAGE (holderImage of the chart)";

/// The cause and the remedy in one sentence, of a length for an Event.
pub fn in_words(failure: &InitFailure) -> String {
    let (cause, remedy) = diagnosed(failure);
    let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
    format!("{}: {}{remedy}", what_fails(failure), end_of(&cause))
}

/// The cause, and what to do about it.
pub fn explain(failure: &InitFailure) -> (String, Option<String>) {
    let (cause, remedy) = diagnosed(failure);
    (format!("{}: {cause}", what_fails(failure)), remedy)
}

/// Why the image with nothing but the holder is not used, and how to have it used.
pub fn served_by_another(failure: &InitFailure, instead: &str) -> String {
    let (cause, _) = diagnosed(failure);
    format!(
        "{}: {}; no node has pulled it, so the holder comes from the controller's image {instead}, which is larger; \
         to have nodes pull less, put the image of the holder where they can pull it, and name it in {SETTING}",
        what_fails(failure),
        end_of(&cause)
    )
}

fn what_fails(failure: &InitFailure) -> String {
    let InitFailure { container, image, pulled, .. } = failure;
    match (failure.is_own(), pulled) {
        (true, false) => format!("kube-prepull's own image {image} cannot be pulled"),
        (true, true) => format!("kube-prepull's own image {image} does not start"),
        (false, false) => {
            format!(
                "the init container {container}, which is not kube-prepull's, has the image {image}, which cannot be pulled"
            )
        }
        (false, true) => format!("the init container {container}, which is not kube-prepull's, does not start"),
    }
}

/// What the message means. What keeps a container of others from running is theirs to know, so it has no remedy.
fn diagnosed(failure: &InitFailure) -> (String, Option<String>) {
    let InitFailure { image, pulled, reason, message, .. } = failure;
    if failure.is_own() && *pulled && has_no_holder(message) {
        let cause = "it has no /holder, so it is not an image of kube-prepull";
        return (cause.to_owned(), Some(set_another()));
    }
    let state = if *pulled { NodeState::CannotStart } else { NodeState::Failed };
    let Diagnosis { what, remedy, part } = diagnosis::explain(state, reason, message, image);
    let cause = if what.is_empty() { reason.clone() } else { what };
    (cause, Some(failure).filter(|it| it.is_own()).and_then(|failure| for_own(failure, remedy, part)))
}

/// A remedy for an image of the list, as it applies to kube-prepull's own image: that is not set in the list, and the pods' account
/// may have its pull secrets.
fn for_own(failure: &InitFailure, remedy: Option<&str>, part: Option<ListPart>) -> Option<String> {
    Some(match part {
        Some(ListPart::Credentials) => credentials(failure),
        Some(ListPart::ReferenceOrCredentials) => format!("check its name in {SETTING}, or {}", credentials(failure)),
        Some(ListPart::CredentialsOrMirror) => {
            format!("{}, or check the mirror's credentials and limits in the node's runtime", credentials(failure))
        }
        Some(ListPart::PullLimit) => format!("{}, or pull through a mirror", credentials(failure)),
        Some(ListPart::Reference) => set_another(),
        Some(ListPart::Architectures) => {
            format!("build it for the architectures of all nodes under a new tag, and set that in {SETTING}")
        }
        // Only a container that has run has a log.
        None if remedy.is_none() && ["Error", "CrashLoopBackOff"].contains(&failure.reason.as_str()) => {
            format!("see the log: kubectl logs POD --container {}", failure.container)
        }
        None => remedy?.to_owned(),
    })
}

fn set_another() -> String {
    format!("set an image of kube-prepull that the nodes can pull in {SETTING}")
}

/// The words of runc (`exec.LookPath` of Go) and of crun.
fn has_no_holder(message: &str) -> bool {
    ["stat /holder: no such file or directory", "executable file `/holder` not found"]
        .iter()
        .any(|words| message.contains(words))
}

/// Pods whose template has no pull secrets get those of their ServiceAccount, when they are created.
fn credentials(failure: &InitFailure) -> String {
    let account = match failure.service_account.as_str() {
        "" => "of these pods",
        account => account,
    };
    match failure.pull_secrets.as_slice() {
        [] => format!("give the ServiceAccount {account} a pull secret and delete these pods, as only new ones get it"),
        secrets => format!(
            "check the pull secrets that these pods have ({}), or add another one to the group's imagePullSecrets",
            secrets.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::INIT_CONTAINER;

    const IMAGE: &str = "registry.example/kube-prepull:1";

    fn failing(pulled: bool, reason: &str, message: &str) -> InitFailure {
        InitFailure {
            container: INIT_CONTAINER.to_owned(),
            image: IMAGE.to_owned(),
            pulled,
            reason: reason.to_owned(),
            message: message.to_owned(),
            service_account: "holder".to_owned(),
            pull_secrets: Vec::new(),
        }
    }

    fn pulling(cause: &str) -> InitFailure {
        let message = format!(
            "Back-off pulling image \"{IMAGE}\": ErrImagePull: failed to pull and unpack image \"{IMAGE}\": failed to resolve \
             reference \"{IMAGE}\": {cause}"
        );
        failing(false, "ImagePullBackOff", &message)
    }

    const UNAUTHORIZED: &str =
        "unexpected status from HEAD request to https://registry.example/v2/kube-prepull/manifests/1: 401 Unauthorized";

    #[test]
    fn an_own_image_that_needs_credentials_names_the_account_or_the_secrets_that_the_pod_has() {
        let refused = pulling(UNAUTHORIZED);
        let said = in_words(&refused);
        assert!(
            said.starts_with(&format!("kube-prepull's own image {IMAGE} cannot be pulled: 401 from registry.example")),
            "{said}"
        );
        assert!(said.contains("give the ServiceAccount holder a pull secret"), "{said}");
        let with_secrets = InitFailure { pull_secrets: vec!["nvcr".to_owned(), "hub".to_owned()], ..refused.clone() };
        let said = in_words(&with_secrets);
        assert!(said.contains("(nvcr, hub)") && !said.contains("ServiceAccount"), "{said}");
        let unknown = InitFailure { service_account: String::new(), ..refused };
        assert!(in_words(&unknown).contains("give the ServiceAccount of these pods a pull secret"));
    }

    #[test]
    fn an_own_image_that_does_not_exist_or_is_for_other_nodes_is_corrected_in_the_controllers_settings() {
        for (cause, wanted) in [
            (
                format!("{IMAGE}: not found"),
                "set an image of kube-prepull that the nodes can pull in the controller's HOLDER_IMAGE",
            ),
            ("no match for platform in manifest: not found".to_owned(), "build it for the architectures of all nodes"),
            (
                "pull access denied, repository does not exist or may require authorization".to_owned(),
                "check its name in the controller's HOLDER_IMAGE",
            ),
        ] {
            let said = in_words(&pulling(&cause));
            assert!(said.contains(wanted), "{said}");
            for key in ["group (architectures", "check the reference"] {
                assert!(!said.contains(key), "it is not in the list: {said}");
            }
        }
    }

    #[test]
    fn an_own_container_that_does_not_start_is_reported_with_the_cause_and_a_remedy() {
        for (reason, message, cause, remedy) in [
            (
                "CrashLoopBackOff",
                "exec /holder: exec format error",
                "another CPU type",
                "is built for the node's architecture",
            ),
            ("CrashLoopBackOff", "OOMKilled (exit code 137)", "memory limit", "raise the group's memory limit"),
            (
                "CrashLoopBackOff",
                "Error (exit code 2)",
                "Error (exit code 2)",
                "kubectl logs POD --container install-holder",
            ),
            ("CreateContainerConfigError", "", "CreateContainerConfigError", ""),
            (
                "RunContainerError",
                "runc create failed: exec: \"/holder\": stat /holder: no such file or directory",
                "it has no /holder",
                "HOLDER_IMAGE",
            ),
        ] {
            let said = in_words(&failing(true, reason, message));
            assert!(said.starts_with(&format!("kube-prepull's own image {IMAGE} does not start: ")), "{said}");
            assert!(said.contains(cause) && said.contains(remedy), "{said}");
        }
    }

    #[test]
    fn another_init_container_is_named_without_advice_about_kube_prepulls_own() {
        let foreign = |failure: InitFailure| InitFailure {
            container: "mesh-init".to_owned(),
            image: "mesh.example/init:2".to_owned(),
            ..failure
        };
        let (what, remedy) = explain(&foreign(pulling("mesh.example/init:2: not found")));
        let start = "the init container mesh-init, which is not kube-prepull's, has the image mesh.example/init:2, which cannot";
        assert!(what.starts_with(start), "{what}");
        assert_eq!(remedy, None);
        let (what, remedy) = explain(&foreign(failing(true, "CrashLoopBackOff", "iptables: permission denied")));
        assert!(
            what.starts_with("the init container mesh-init, which is not kube-prepull's, does not start: "),
            "{what}"
        );
        assert_eq!(remedy, None);
    }
}
