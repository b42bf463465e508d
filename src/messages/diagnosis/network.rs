//! What goes wrong between a node and the host that it asks, before that answers: names, connections, TLS, proxies.

use super::cause::Diagnosis;
use super::http_status::status;
use super::operation::Operation;
use super::registry::Asked;
use super::said::{Said, between, says, says_any};

/// Explains a failure of the network during an operation.
pub fn fault(operation: Operation, said: &Said, asked: &Asked) -> Option<Diagnosis> {
    name(said).or_else(|| tls(said, asked)).or_else(|| connection(operation, said, asked))
}

/// What Go says of a proxy (`net/http`): that it cannot be reached, or the status with which it refused to connect, without a
/// number. Two statuses come from proxies and networks alone (RFC 9110, RFC 6585).
pub fn proxy(said: &Said, asked: &Asked) -> Option<Diagnosis> {
    if says(&said.words, "proxyconnect") {
        let proxy = between(&said.lower, "dial tcp ", &[' ']).unwrap_or_default().trim_end_matches(':');
        let at = if proxy.is_empty() || proxy.starts_with("lookup") { String::new() } else { format!(" ({proxy})") };
        return Diagnosis::new(
            format!("the proxy of the node's runtime{at} cannot be used to reach {asked}"),
            "check the proxy, and the proxy settings of the node's runtime",
        );
    }
    const REFUSALS: [&str; 4] = ["forbidden", "service unavailable", "bad gateway", "gateway timeout"];
    const OF_PROXIES: [(u16, &str); 2] =
        [(407, "proxy authentication required"), (511, "network authentication required")];
    let status = status(&said.words);
    let of_proxy = OF_PROXIES.iter().find(|(code, name)| status == Some(*code) || says(&said.words, name));
    let instead = || Some(said.lower.rsplit_once("\": ")?.1).filter(|it| REFUSALS.contains(it));
    of_proxy.map(|(_, name)| *name).or_else(instead).map(|answer| {
        let what = format!("a proxy between the node and {asked} refused the connection ({answer})");
        Diagnosis { what, remedy: Some("check the proxy, and the proxy settings of the node's runtime"), part: None }
    })
}

/// `lookup NAME on SERVER: …` (Go's package `net`).
fn name(said: &Said) -> Option<Diagnosis> {
    let Some((_, looked_up)) = said.lower.split_once("lookup ") else {
        let resolves = !says_any(&said.words, &["could not resolve host", "temporary failure in name resolution"]);
        return if resolves { None } else { Diagnosis::new("the node cannot resolve the registry's name", CHECK_DNS) };
    };
    let name = looked_up.split([' ', ':']).next().unwrap_or_default();
    let server = between(looked_up, " on ", &[' ']).map(|server| server.trim_end_matches(':'));
    if says(looked_up, "no such host") {
        return Diagnosis::new(
            format!("{name} cannot be resolved: the name does not exist in the node's DNS"),
            "check the registry's name and the nodes' DNS",
        );
    }
    let server =
        server.map_or_else(|| "the node's DNS server".to_owned(), |server| format!("the node's DNS server {server}"));
    let what = match () {
        () if says_any(looked_up, &["i/o timeout", "timeout", "deadline exceeded"]) => "does not answer",
        () if says_any(looked_up, &["connection refused", "network is unreachable", "no route to host"]) => {
            "cannot be reached"
        }
        () => "gives no answer",
    };
    Diagnosis::new(format!("{name} cannot be resolved: {server} {what}"), CHECK_DNS)
}

const CHECK_DNS: &str = "check the nodes' DNS";

/// What Go's packages `crypto/tls` and `crypto/x509` say.
fn tls(said: &Said, asked: &Asked) -> Option<Diagnosis> {
    let text = said.lower.as_str();
    let (what, remedy) = match () {
        () if says(text, "certificate has expired or is not yet valid") => {
            return Diagnosis::new(validity(text, asked), "renew the certificate, or set the node's clock");
        }
        () if says(text, "legacy common name field") => (
            "has a certificate without Subject Alternative Names, the only names that runtimes read",
            "issue a certificate for it that has them",
        ),
        () if says_any(
            text,
            &["certificate is valid for", "not valid for any names", "doesn't contain any ip sans"],
        ) || says(text, "certificate name does not match") =>
        {
            ("has a certificate for other names", "check the registry's name, or issue a certificate for it")
        }
        () if says_any(
            text,
            &["signed by unknown authority", "self-signed certificate", "certificate is not trusted"],
        ) =>
        {
            (
                "has a certificate that the node does not trust",
                "add the CA of the registry, or of the proxy before it, to the node's runtime",
            )
        }
        () if says(text, "server gave http response to https client") => (
            "speaks plain HTTP, and the node's runtime insists on HTTPS",
            "configure it as an insecure registry in the node's runtime, or enable TLS on the registry",
        ),
        () if says_any(text, &["first record does not look like a tls handshake", "malformed http response"]) => (
            "does not speak the protocol that the node's runtime expects",
            "check the registry's port and whether it uses TLS",
        ),
        () if says_any(text, &["tls: certificate required", "tls: bad certificate"]) => {
            ("wants a client certificate that it accepts", "configure one for this registry in the node's runtime")
        }
        () if says_any(
            text,
            &["tls: handshake failure", "protocol version", "tls: no cipher suite", "no supported versions"],
        ) || says_any(text, &["tls: internal error", "tls: unrecognized name"]) =>
        {
            (
                "and the node's runtime agree on no TLS connection",
                "check the registry's TLS versions, ciphers and names, and what is between it and the nodes",
            )
        }
        () => return None,
    };
    Diagnosis::new(format!("{asked} {what}"), remedy)
}

/// `…: current time A is after B`
fn validity(text: &str, asked: &Asked) -> String {
    let day = |word: &str| between(text, word, &['t', ' ']).map(|day| day.to_owned());
    match (day(" is after "), day(" is before ")) {
        (Some(day), _) => format!("the certificate of {asked} expired on {day}, by the node's clock"),
        (_, Some(day)) => format!("the certificate of {asked} is not valid before {day}, by the node's clock"),
        _ => format!("the certificate of {asked} has expired or is not yet valid"),
    }
}

/// What Go's packages `net` and `net/http` say of connections.
fn connection(operation: Operation, said: &Said, asked: &Asked) -> Option<Diagnosis> {
    let text = said.lower.as_str();
    let server = if operation == Operation::Authorize { "the token server " } else { "" };
    let host = format!("{server}{asked}");
    let remedy = match asked.mirror_of {
        Some(_) => "check the mirror, and the mirrors configured in the node's runtime",
        None => "check the registry, and routes, firewalls, proxies and mirrors between the nodes and it",
    };
    let address = between(text, "dial tcp ", &[' ']).map(|address| address.trim_end_matches(':'));
    let at = address.map_or_else(String::new, |address| {
        let kind = if is_private(address) { "its private address " } else { "" };
        format!(" at {kind}{address}")
    });
    let what = match () {
        () if says(text, "tls handshake timeout") => format!("{host} does not answer in time (TLS handshake)"),
        () if says(text, "connection refused") => format!("{host} refuses connections from the node{at}"),
        () if says_any(text, &["no route to host", "network is unreachable", "host is down"]) => {
            format!("{host} cannot be reached: the node has no route to it{at}")
        }
        () if address.is_some() && says_any(text, &["i/o timeout", "connection timed out", "operation timed out"]) => {
            format!("{host} cannot be reached from the node: no answer{at}")
        }
        () if says(text, "bad record mac") => format!("what {host} sends arrives damaged at the node"),
        () if says(text, "content size of zero") => format!("{host} sent an empty manifest"),
        () if says_any(text, &["connection reset by peer", "broken pipe", "connection was forcibly closed"]) => {
            format!("the connection to {host} is being cut")
        }
        () if operation == Operation::Fetch
            && says_any(text, &["unexpected eof", "failed to read expected number"]) =>
        {
            format!("the download from {host} was cut off midway")
        }
        () if says_any(
            &said.words,
            &[
                "eof",
                "use of closed network connection",
                "server closed idle",
                "goaway",
                "stream error",
                "client connection lost",
            ],
        ) =>
        {
            format!("{host} closed the connection")
        }
        () if says_any(
            text,
            &["i/o timeout", "deadline exceeded", "client.timeout", "timeout awaiting", "timed out"],
        ) =>
        {
            format!("{host} does not answer in time")
        }
        () => return None,
    };
    Diagnosis::new(what, remedy)
}

/// Addresses of private networks (RFC 1918, RFC 4193).
fn is_private(address: &str) -> bool {
    match address.parse() {
        Ok(std::net::SocketAddr::V4(it)) => it.ip().is_private(),
        Ok(std::net::SocketAddr::V6(it)) => it.ip().is_unique_local(),
        Err(_) => false,
    }
}
