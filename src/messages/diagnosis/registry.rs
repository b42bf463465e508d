//! Which host was asked: the registry itself, its token server, or a mirror.

use std::fmt;

use super::said::Said;

/// The host that a runtime asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The host, with its port.
    pub host: String,
    /// The registry that it stands for, if it is a mirror of the node's runtime.
    pub mirror_of: Option<String>,
}

/// What runtimes put before the URL that they asked. Other URLs only lead to documentation.
const REQUESTS: [&str; 9] =
    ["Head \"", "Get \"", "Post \"", "Head ", "Get ", "Post ", "request to ", "status code ", "content at "];

impl Asked {
    /// Finds the host in a message, or else in the reference.
    pub fn of(said: &Said, reference: &str) -> Self {
        let registry = || registry(named_reference(&said.text).unwrap_or(reference));
        let Some(url) = url(&said.text) else {
            let named = said.text.split_once("pulling from host ").and_then(|(_, rest)| rest.split(' ').next());
            return Self { host: named.map_or_else(registry, str::to_owned), mirror_of: None };
        };
        let (host, path) = url.split_once('/').unwrap_or((url, ""));
        // containerd adds the registry to what it asks of a mirror (`core/remotes/docker/resolver.go`).
        // Newer versions hide the values of queries in some messages.
        let named = path.split_once("?ns=").or_else(|| path.split_once("&ns=")).map(|(_, ns)| match ns {
            hidden if hidden.contains("REDACTED") => registry(),
            ns => ns.replace("%3A", ":"),
        });
        let on_node = || Some(registry()).filter(|of| is_on_node(host) && !is_on_node(of));
        let other = named.filter(|of| !is_same(host, of));
        Self { host: host.to_owned(), mirror_of: other.or_else(on_node) }
    }

    /// Whether the host is the node itself.
    pub fn is_on_node(&self) -> bool {
        is_on_node(&self.host)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mirror_of {
            None => f.write_str(&self.host),
            Some(of) if self.is_on_node() => write!(f, "the node-local mirror {} (for {of})", self.host),
            Some(of) => write!(f, "the mirror {} (for {of})", self.host),
        }
    }
}

/// Whether a host is the registry itself, whose port may be that of its scheme.
fn is_same(host: &str, registry: &str) -> bool {
    let without_port = |name: &str| name.trim_end_matches(":443").trim_end_matches(":80").to_owned();
    without_port(host).eq_ignore_ascii_case(&without_port(registry))
        || host == "registry-1.docker.io" && registry == "docker.io"
}

fn is_on_node(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

/// The URL of the last request in a text, without its scheme.
pub fn url(text: &str) -> Option<&str> {
    let is_request = |at: usize| REQUESTS.iter().any(|request| text[..at].ends_with(request));
    let starts = text.rmatch_indices("://").filter_map(|(at, _)| {
        let scheme = text[..at].strip_suffix("https").or_else(|| text[..at].strip_suffix("http"))?;
        is_request(scheme.len()).then_some(at + "://".len())
    });
    let url = starts.map(|start| text[start..].split(['"', ' ']).next().unwrap_or_default());
    url.map(|url| url.trim_end_matches(':')).find(|url| !url.is_empty())
}

/// The reference that a runtime names: admission may have rewritten the list's.
fn named_reference(text: &str) -> Option<&str> {
    let quoted = ["reference \"", "image \""].iter().find_map(|before| text.split_once(before));
    let reference = quoted.and_then(|(_, rest)| rest.split('"').next());
    let docker = || text.split_once("docker://").and_then(|(_, rest)| rest.split([' ', '"']).next());
    let cri_o =
        || text.split_once("eading manifest ").and_then(|(_, rest)| rest.split_once(" in ")?.1.split(": ").next());
    reference.or_else(docker).or_else(cri_o).filter(|reference| reference.contains('/'))
}

/// The registry of a reference: the part before the first slash, if it can be a host name (like `splitDockerDomain` of the
/// distribution project).
pub fn registry(reference: &str) -> String {
    let first = reference.split_once('/').map(|(first, _)| first);
    first.filter(|first| first.contains(['.', ':']) || *first == "localhost").unwrap_or("docker.io").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::said::attempts;
    use super::*;

    fn asked(message: &str) -> String {
        Asked::of(&attempts(message)[0], "ghcr.io/acme/app:7").to_string()
    }

    #[test]
    fn the_host_that_was_asked_is_that_of_the_request_and_not_of_the_documentation() {
        for (message, host) in [
            (r#"Head "https://a.test:5000/v2/x": EOF"#, "a.test:5000"),
            ("Get https://a.test/v2/: EOF", "a.test"),
            ("unexpected status from GET request to https://a.test/v2/x: 429\nsee https://docs.test/limits", "a.test"),
            ("pulling from host a.test failed with status code", "a.test"),
            ("toomanyrequests: see https://docs.test/limits", "ghcr.io"),
            (r#"failed to resolve reference "a.test/x:1": no"#, "a.test"),
            ("reading manifest 7 in a.test:5000/x: manifest unknown", "a.test:5000"),
            ("initializing source docker://a.test:5000/x:7: pinging", "a.test:5000"),
            (r#"Head "http://a.test/v2/x/manifests/7?ns=ghcr.io": EOF"#, "the mirror a.test (for ghcr.io)"),
            (r#"Head "http://a.test/v2/x/manifests/7?ns=%5BREDACTED%5D": EOF"#, "the mirror a.test (for ghcr.io)"),
            (r#"Head "http://a.test/v2/x/manifests/7?ns=b.test%3A5000": EOF"#, "the mirror a.test (for b.test:5000)"),
            (r#"Head "https://a.test:443/v2/x/manifests/7?ns=a.test": EOF"#, "a.test:443"),
            (r#"Head "https://registry-1.docker.io/v2/x/manifests/7?ns=docker.io": EOF"#, "registry-1.docker.io"),
            (r#"Head "http://127.0.0.1:5/v2/x": EOF"#, "the node-local mirror 127.0.0.1:5 (for ghcr.io)"),
        ] {
            assert_eq!(asked(message), host, "{message}");
        }
    }

    #[test]
    fn a_reference_without_a_host_is_on_docker_hub() {
        let registries = ["acme/app:7", "nginx", "localhost:5000/app"].map(registry);
        assert_eq!(registries, ["docker.io", "docker.io", "localhost:5000"]);
    }
}
