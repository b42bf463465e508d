//! What a registry or its token server answered: HTTP statuses, and error codes of the distribution specification.

use super::cause::{Diagnosis, ListPart};
use super::http_status::{named, status};
use super::operation::Operation;
use super::registry::Asked;
use super::said::{Said, between, says, says_any};

/// What the answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistryAnswer {
    /// No credentials were sent.
    Anonymous,
    /// They are wrong, expired or revoked.
    Rejected,
    /// They are missing or wrong; the answer does not say which.
    Unauthorized,
    /// They are right, and the account may not pull this.
    Forbidden,
    /// The same, with the right that it lacks.
    LacksRight,
    /// There is no such repository, or no right to it; the answer does not say which.
    AbsentOrPrivate,
    /// The registry's firewall keeps the node's address out.
    Blocked,
    /// It says in its own words why it denies the pull.
    Says,
    /// A policy of the registry keeps this image from being pulled.
    AgainstPolicy,
    TooMany,
    NotFound,
    /// The image is there, and a part of it is not.
    Incomplete,
    Failed,
    /// Any other status.
    Other,
}

/// What registries say beside or instead of a status, the special before the general.
const SAID: [(RegistryAnswer, &[&str]); 13] = [
    (
        RegistryAnswer::Blocked,
        &[
            "is not allowed access",
            "ip address is not allowed",
            "ip is not allowed",
            "blocked by firewall",
            "ip restriction",
        ],
    ),
    (
        RegistryAnswer::AgainstPolicy,
        &[
            "due to configured policy",
            "projectpolicyviolation",
            "policy violation",
            "blocked by policy",
            "is quarantined",
            "prevent images with vulnerability",
        ],
    ),
    (
        RegistryAnswer::TooMany,
        &["toomanyrequests", "too many requests", "rate limit", "pull rate limit", "rate exceeded", "pull limit"],
    ),
    // containerd says this behind `pull access denied`, after a challenge for which it had no credentials.
    (RegistryAnswer::Anonymous, &["no basic auth credentials"]),
    (
        RegistryAnswer::AbsentOrPrivate,
        &[
            "pull access denied",
            "requested access to the resource is denied",
            "repository does not exist or may require",
            "does not exist or no pull access",
            "insufficient_scope",
        ],
    ),
    (RegistryAnswer::Anonymous, &["please login", "must be logged in", "anonymous access is", "anonymous pull"]),
    (
        RegistryAnswer::Rejected,
        &[
            "token has expired",
            "token is expired",
            "token expired",
            "expiredtoken",
            "incorrect username or password",
            "wrong username or password",
            "bad credentials",
            "bad username or password",
            "invalid username or password",
            "access token invalid",
        ],
    ),
    (
        RegistryAnswer::Unauthorized,
        &["unauthorized:", "unauthorized to access", "authentication required", "may have invalid credentials"],
    ),
    (RegistryAnswer::LacksRight, &["denied: permission", "is not authorized to perform", "does not have permission"]),
    (RegistryAnswer::Forbidden, &["permission_denied", "denied:"]),
    (RegistryAnswer::Failed, &["did not include a token in the response", "internal server error"]),
    (RegistryAnswer::Incomplete, &["blob unknown", "blob_unknown", "manifest_blob_unknown"]),
    (
        RegistryAnswer::NotFound,
        &[
            "manifest unknown",
            "manifest_unknown",
            "name unknown",
            "name_unknown",
            "repository name not known",
            "does not exist in the registry",
            "image not found",
            "artifact not found",
            "repository not found",
            "not found: manifest",
        ],
    ),
];

/// Explains what was answered during an operation.
pub fn given(operation: Option<Operation>, rest: &str, said: &Said, asked: &Asked) -> Option<Diagnosis> {
    let status = status(&said.words);
    let answer = by_words(&said.words).or_else(|| by_status(status?)).or_else(|| not_found(operation?, rest))?;
    // What reads parts of an image has found the image itself.
    let answer = match (operation, answer) {
        (Some(Operation::Fetch), RegistryAnswer::NotFound) => RegistryAnswer::Incomplete,
        // What does not come from a registry may deny anything.
        (None, RegistryAnswer::Forbidden) if !said.words.starts_with("denied:") => return None,
        (_, RegistryAnswer::Forbidden) if server_message(said).is_some() => RegistryAnswer::Says,
        (_, RegistryAnswer::Unauthorized) if says(&said.words, "anonymous token") => RegistryAnswer::Anonymous,
        (_, RegistryAnswer::Forbidden) if says(&said.words, "anonymous token") => RegistryAnswer::AbsentOrPrivate,
        (Some(Operation::Authorize), RegistryAnswer::Unauthorized | RegistryAnswer::Forbidden)
            if says_any(&said.words, &["oauth token"]) =>
        {
            RegistryAnswer::Rejected
        }
        (_, answer) => answer,
    };
    let by_registry = by_registry(answer, status, operation, said, asked);
    match &asked.mirror_of {
        Some(_) => Some(by_mirror(answer, status, said, asked).unwrap_or(Diagnosis {
            remedy: Some("check the mirror's credentials and limits in the node's runtime, and imagePullSecrets"),
            part: Some(ListPart::CredentialsOrMirror),
            ..by_registry
        })),
        None => Some(by_registry),
    }
}

/// What a registry adds to a status, if it says more than the status (`core/remotes/errors` of containerd).
fn server_message(said: &Said) -> Option<&str> {
    let (_, message) = said.text.rsplit_once("erver message: ")?;
    let bare = message.trim_start_matches("denied:").trim();
    (!["", "denied", "forbidden", "access denied", "unauthorized"].contains(&bare.to_lowercase().as_str()))
        .then_some(bare)
}

fn by_words(words: &str) -> Option<RegistryAnswer> {
    SAID.iter().find(|(_, phrases)| says_any(words, phrases)).map(|(answer, _)| *answer)
}

fn by_status(status: u16) -> Option<RegistryAnswer> {
    Some(match status {
        401 => RegistryAnswer::Unauthorized,
        403 => RegistryAnswer::Forbidden,
        404 => RegistryAnswer::NotFound,
        412 => RegistryAnswer::AgainstPolicy,
        429 => RegistryAnswer::TooMany,
        500..=599 => RegistryAnswer::Failed,
        400..=499 => RegistryAnswer::Other,
        _ => return None,
    })
}

/// containerd says no more than `not found`, which means nothing by itself.
fn not_found(operation: Operation, rest: &str) -> Option<RegistryAnswer> {
    let asks = matches!(operation, Operation::Resolve | Operation::Fetch);
    (asks && says(rest, "not found")).then_some(RegistryAnswer::NotFound)
}

/// What a mirror lacks or cannot do says nothing about the registry. `None` for what any registry may refuse.
fn by_mirror(answer: RegistryAnswer, status: Option<u16>, said: &Said, asked: &Asked) -> Option<Diagnosis> {
    let what = match answer {
        RegistryAnswer::NotFound => format!("{asked} does not serve the image"),
        RegistryAnswer::Incomplete => {
            format!("the image is incomplete at {asked}: it refers to a {} that is not there", part_of(said))
        }
        RegistryAnswer::Failed | RegistryAnswer::Other => {
            format!("{asked} answered {}", status.map_or_else(|| "with an error".to_owned(), named))
        }
        _ => return None,
    };
    Diagnosis::new(what, "check the mirror, and the mirrors configured in the node's runtime")
}

fn by_registry(
    answer: RegistryAnswer,
    status: Option<u16>,
    operation: Option<Operation>,
    said: &Said,
    asked: &Asked,
) -> Diagnosis {
    let code = status.map_or_else(String::new, |status| format!("{status} from {asked}: "));
    // The subject, after the status or instead of it.
    let it = match status {
        Some(_) => format!("{code}it"),
        // Runtimes say this only of a 401.
        None if says(&said.words, "no basic auth credentials") => format!("401 from {asked}: it"),
        None => asked.to_string(),
    };
    let (what, remedy) = match answer {
        RegistryAnswer::Anonymous => (
            format!("{it} wants credentials, and the node asked without any"),
            "give the group a pull secret for this registry (imagePullSecrets), or the nodes credentials of their own",
        ),
        RegistryAnswer::Rejected => (
            format!("{it} refused the credentials that were sent: wrong, expired or without the right to pull"),
            "renew the credentials in imagePullSecrets, and check the rights of their account",
        ),
        RegistryAnswer::Unauthorized => (
            format!("{it} wants valid credentials for this repository; none were sent, or they were not accepted"),
            "check imagePullSecrets, and the rights of their account in the registry",
        ),
        RegistryAnswer::LacksRight => {
            let right =
                between(&said.lower, "ermission \"", &['"']).map_or_else(String::new, |right| format!(" ({right})"));
            (
                format!("{it} denied the pull: the account that the node used lacks the right to it{right}"),
                "give that account the right to pull from the repository: it is the one in imagePullSecrets, or the node's own",
            )
        }
        RegistryAnswer::Forbidden if operation == Some(Operation::Fetch) => (
            format!("{it} refused a part of the image to the node"),
            "check the rights of the account in imagePullSecrets, and what is between the nodes and that host",
        ),
        RegistryAnswer::Forbidden => (
            format!("{it} denied the pull: the account that was used, if any, lacks the right"),
            "check the rights of the account in imagePullSecrets or of the nodes, and whether the registry blocks the nodes",
        ),
        RegistryAnswer::AbsentOrPrivate => (
            format!(
                "pull access denied by {asked}: the repository does not exist, or it is private and the node has no right to it; \
                 the registry does not say which"
            ),
            "check the image's name; if it is private, check imagePullSecrets",
        ),
        RegistryAnswer::Blocked => {
            let address = between(&said.lower, "client with ip '", &['\'']);
            let address = address.map_or_else(String::new, |address| format!(" ({address})"));
            (
                format!("{code}the firewall of {asked} does not admit the node's address{address}"),
                "admit the nodes' addresses in the firewall of the registry, or reach it through a private endpoint",
            )
        }
        RegistryAnswer::Says => {
            let why = server_message(said).unwrap_or_default();
            return Diagnosis { what: format!("{it} denied the pull: {why}"), ..Diagnosis::default() };
        }
        RegistryAnswer::AgainstPolicy => (
            format!("{code}a policy of {asked} forbids to pull this image"),
            "make the image comply with the policy, or ask the administrator of the registry's project",
        ),
        RegistryAnswer::TooMany => (
            format!("429, too many requests, from {asked}: its pull limit is reached"),
            "pull with an account (imagePullSecrets), through a mirror, or with a lower pullRate",
        ),
        RegistryAnswer::NotFound if operation == Some(Operation::Authorize) => (
            format!("{code}there is no such token service"),
            "check the registry's name, and the token service that the registry names",
        ),
        RegistryAnswer::NotFound => (format!("no such image or tag from {asked}"), "check the reference"),
        RegistryAnswer::Incomplete => (
            format!(
                "the image is incomplete at {asked}: it refers to a {} that the registry does not have",
                part_of(said)
            ),
            "push the image again; if that registry is a cache, remove the image from the cache",
        ),
        RegistryAnswer::Failed => {
            let status = status.map_or_else(|| "an error".to_owned(), named);
            let server = if operation == Some(Operation::Authorize) { "the token server " } else { "" };
            (
                format!("{server}{asked} failed: it answered {status}"),
                "wait, since kubelets retry; if it lasts, check the registry and proxies before it",
            )
        }
        RegistryAnswer::Other => {
            let status = status.map_or_else(|| "an error".to_owned(), named);
            return Diagnosis { what: format!("{asked} refused the request: {status}"), ..Diagnosis::default() };
        }
    };
    Diagnosis { what, remedy: Some(remedy), part: part(answer, operation) }
}

/// The part of a list that the remedy against such an answer changes.
fn part(answer: RegistryAnswer, operation: Option<Operation>) -> Option<ListPart> {
    match answer {
        RegistryAnswer::Anonymous
        | RegistryAnswer::Rejected
        | RegistryAnswer::Unauthorized
        | RegistryAnswer::Forbidden
        | RegistryAnswer::LacksRight => Some(ListPart::Credentials),
        RegistryAnswer::AbsentOrPrivate => Some(ListPart::ReferenceOrCredentials),
        RegistryAnswer::TooMany => Some(ListPart::PullLimit),
        RegistryAnswer::NotFound if operation != Some(Operation::Authorize) => Some(ListPart::Reference),
        RegistryAnswer::NotFound
        | RegistryAnswer::Blocked
        | RegistryAnswer::Says
        | RegistryAnswer::AgainstPolicy
        | RegistryAnswer::Incomplete
        | RegistryAnswer::Failed
        | RegistryAnswer::Other => None,
    }
}

/// The part of an image that is missing, as far as a message names it.
fn part_of(said: &Said) -> &'static str {
    match () {
        () if says_any(&said.lower, &["manifest", "manifests", "index"]) => "manifest",
        () if says_any(&said.lower, &["rootfs.diff.tar.gzip", "layer", "diff.tar"]) => "layer",
        () => "part",
    }
}
