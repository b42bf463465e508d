//! Patterns of repositories, matched so that no spelling of an image evades them.

use std::net::Ipv6Addr;

use super::pattern::Glob;
use crate::list::reference::ImageReference;

/// Docker Hub, the registry of references without one.
const DOCKER_HUB: &str = "docker.io";
/// Its other names: of old references, and of the host that container runtimes ask.
const DOCKER_HUB_ALIASES: [&str; 3] = ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
/// The port that a registry has without one.
const DEFAULT_PORT: u16 = 443;

/// Where an image comes from, the same for all spellings of it: with registry and `library/`, without tag and digest, the
/// registry in lower case and without the default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// The repository of a reference.
    pub fn of(reference: &ImageReference) -> Self {
        let registry = normal_registry(reference.registry());
        let path = &*reference.repository();
        // The parser adds `library/` only to what it recognises as Docker Hub.
        let path = match registry == DOCKER_HUB && !path.contains('/') {
            true => format!("library/{path}"),
            false => path.to_owned(),
        };
        Self { registry, path }
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// Host names and hexadecimal digits have no case, one IPv6 address has many spellings, and a port may begin with zeros.
fn normal_registry(registry: &str) -> String {
    let lower = registry.to_ascii_lowercase();
    let (host, port) = match lower.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok().ok_or(port)),
        _ => (lower.as_str(), Ok(DEFAULT_PORT)),
    };
    let port = match port {
        Ok(DEFAULT_PORT) => String::new(),
        Ok(port) => format!(":{port}"),
        // No port that a host could have.
        Err(text) => format!(":{text}"),
    };
    if DOCKER_HUB_ALIASES.contains(&host) && port.is_empty() {
        return DOCKER_HUB.to_owned();
    }
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        Some(address) => format!("[{address}]{port}"),
        None => format!("{host}{port}"),
    }
}

/// A pattern of repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryPattern {
    /// `**`: all.
    All,
    /// `registry/path`.
    Of {
        /// The registry.
        registry: Glob,
        /// The path in it.
        path: Glob,
    },
}

impl RepositoryPattern {
    /// Parses `**`, or a registry, a `/` and a path. In the path, `*` is any text without a `/`, and `**` is any text. A registry may be
    /// `*` or begin with `*.`, and its port may be `*`.
    ///
    /// # Errors
    /// What is wrong, which completes "it …", and how to correct it.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        if text == "**" {
            return Ok(Self::All);
        }
        let Some((registry, path)) = text.split_once('/').filter(|(registry, _)| is_registry(registry)) else {
            return Err(without_registry(text));
        };
        if let Some(why) = wrong_registry(registry) {
            let remedy = match registry {
                "**" => format!("write */{path} for any registry, and ** behind it for any path"),
                _ => "write the registry as registry.example.com, *.example.com or *".to_owned(),
            };
            return Err((why, remedy));
        }
        if path.contains([':', '@']) {
            let remedy = "remove the tag and the digest: a pattern is matched against registry and repository";
            return Err(("has a tag or a digest".to_owned(), remedy.to_owned()));
        }
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'*')
        };
        if !path.bytes().all(allowed) || path.split('/').any(str::is_empty) {
            let remedy =
                "write lower case letters, digits, '.', '_', '-', '/' and '*', such as registry.example.com/team/**";
            return Err(("matches no repository".to_owned(), remedy.to_owned()));
        }
        let registry = normal_registry(registry);
        if registry == DOCKER_HUB && !path.contains('/') && path.contains('*') && !path.contains("**") {
            let remedy = "write docker.io/library/* for the official images, or docker.io/** for all";
            return Err((
                "matches no repository, because those of Docker Hub have two parts".to_owned(),
                remedy.to_owned(),
            ));
        }
        let path = match registry == DOCKER_HUB && !path.contains(['/', '*']) {
            true => format!("library/{path}"),
            false => path.to_owned(),
        };
        let remedy = |why| (why, "write fewer stars".to_owned());
        Ok(Self::Of {
            registry: Glob::of_path(&registry).map_err(remedy)?,
            path: Glob::of_path(&path).map_err(remedy)?,
        })
    }

    /// Whether a repository matches.
    pub fn matches(&self, repository: &Repository) -> bool {
        match self {
            Self::All => true,
            Self::Of { registry, path } => registry.matches(&repository.registry) && path.matches(&repository.path),
        }
    }
}

/// Whether the first part of a reference, or of a pattern, is a registry (`splitDockerDomain` in
/// `github.com/distribution/reference`).
fn is_registry(text: &str) -> bool {
    text.contains(['.', ':', '*']) || text.eq_ignore_ascii_case("localhost")
}

/// A `*` elsewhere in a registry's name would match names that belong to others: `ghcr.io*` matches `ghcr.io.example.com`.
fn wrong_registry(registry: &str) -> Option<String> {
    let (host, port) = match registry.starts_with('[') {
        true => registry.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        false => registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port))),
    };
    if host.strip_prefix("*.").unwrap_or(if host == "*" { "" } else { host }).contains('*') {
        return Some("has a '*' inside the registry's name, which would match registries of others too".to_owned());
    }
    let is_port = |port: &str| port == "*" || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    (!port.is_none_or(is_port) || host.is_empty()).then(|| "has a malformed registry".to_owned())
}

fn without_registry(text: &str) -> (String, String) {
    let remedy = match text {
        _ if text.starts_with('*') || text.contains("//") => "write registry/repository, or ** for all".to_owned(),
        _ if text.contains('/') => format!("write docker.io/{text}, or the registry that you mean"),
        _ => format!("write docker.io/library/{text}, or {text}/** if it is a registry"),
    };
    ("names no registry".to_owned(), remedy)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repository(text: &str) -> Repository {
        Repository::of(&ImageReference::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message)))
    }

    fn pattern(text: &str) -> RepositoryPattern {
        RepositoryPattern::parse(text).unwrap_or_else(|(why, _)| panic!("{text}: it {why}"))
    }

    const DIGEST: &str = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn all_spellings_of_an_image_have_one_repository() {
        let pinned = format!("nginx{DIGEST}");
        let pinned_and_tagged = format!("docker.io/nginx:1{DIGEST}");
        for spelling in [
            "nginx",
            "nginx:1.27",
            "library/nginx",
            "docker.io/nginx",
            "docker.io/library/nginx:latest",
            "index.docker.io/nginx",
            "index.docker.io/library/nginx",
            "registry-1.docker.io/library/nginx",
            "Docker.io/nginx",
            "DOCKER.IO/library/nginx",
            "Index.Docker.io/nginx",
            "docker.io:443/library/nginx",
            "docker.io:0443/library/nginx",
            "registry.hub.docker.com/library/nginx",
            "docker.io:443/nginx",
            &pinned,
            &pinned_and_tagged,
        ] {
            assert_eq!(repository(spelling).to_string(), "docker.io/library/nginx", "{spelling}");
        }
        for (one, other) in [
            ("GHCR.io/acme/app:1", "ghcr.io/acme/app"),
            ("ghcr.io:443/acme/app", "ghcr.io/acme/app"),
            ("registry.internal:05000/app", "registry.internal:5000/app"),
            ("[::1]:0443/app", "[::1]/app"),
            ("[FD00:0::3]:5000/app:1", "[fd00::3]:5000/app:1"),
            ("LOCALHOST:5000/app", "localhost:5000/app"),
        ] {
            assert_eq!(repository(one), repository(other), "{one} and {other}");
        }
        for (one, other) in [
            ("ghcr.io:5000/app", "ghcr.io/app"),
            ("ghcr.io/nginx", "nginx"),
            ("acme/nginx", "nginx"),
            ("localhost/nginx", "nginx"),
        ] {
            assert_ne!(repository(one), repository(other), "{one} and {other}");
        }
    }

    #[test]
    fn patterns_match_registry_and_repository() {
        for (text, image, matches) in [
            ("**", "nginx", true),
            ("docker.io/library/*", "nginx", true),
            ("docker.io/library/*", "acme/nginx", false),
            ("docker.io/nginx", "nginx:1.27", true),
            ("index.docker.io/library/nginx", "nginx", true),
            ("docker.io/**", "nginx", true),
            ("registry.internal/*", "registry.internal/app:1", true),
            ("registry.internal/*", "registry.internal/team/app:1", false),
            ("registry.internal/**", "registry.internal/team/app:1", true),
            ("registry.internal/**", "registry.internal:5000/app", false),
            ("registry.internal:5000/**", "registry.internal:5000/app", true),
            ("registry.internal:*/**", "registry.internal:5000/app", true),
            ("registry.internal/**", "registry.internal.example.com/app", false),
            ("registry.internal/**", "example.com/registry.internal/app", false),
            ("Registry.Internal:443/**", "registry.internal/app", true),
            ("*.internal/**", "a.b.internal/app", true),
            ("*.internal/**", "internal/app", false),
            ("*.internal/**", "example.com/a.internal/app", false),
            ("*/base/*", "ghcr.io/base/os", true),
            ("*/base/*", "ghcr.io/other/base/os", false),
            ("localhost/app", "localhost/app", true),
            ("[fd00:0::3]:5000/**", "[FD00::3]:5000/app:1", true),
        ] {
            assert_eq!(pattern(text).matches(&repository(image)), matches, "{text} and {image}");
        }
    }

    #[test]
    fn a_pattern_that_would_match_nothing_or_too_much_is_refused() {
        for text in [
            "",
            "*",
            "nginx",
            "library/nginx",
            "acme/**",
            "ghcr.io",
            "ghcr.io/",
            "ghcr.io//a",
            "ghcr.io/A",
            "ghcr.io/a:1",
            "ghcr.io/a:*",
            "ghcr.io/a@sha256:*",
            "ghcr.io*/a",
            "*ghcr.io/a",
            "g*.io/a",
            "**.internal/a",
            "ghcr.io:x/a",
            ":5000/a",
            "https://ghcr.io/a",
            "ghcr.io/***",
            "ghcr.io/a b",
            "docker.io/*",
        ] {
            assert!(RepositoryPattern::parse(text).is_err(), "{text}");
        }
    }

    /// A registry, written in some case and with or without its default port.
    fn spelled(registry: &str, upper: &[bool], port: bool) -> String {
        let cased = registry.chars().zip(upper.iter().cycle());
        let cased: String = cased.map(|(c, upper)| if *upper { c.to_ascii_uppercase() } else { c }).collect();
        format!("{cased}{}", if port { ":443" } else { "" })
    }

    proptest! {
        #[test]
        fn no_spelling_evades_a_pattern(
            registry in "[a-z]{1,5}\\.[a-z]{2,3}|docker\\.io|index\\.docker\\.io|localhost:5000",
            path in "[a-z]{1,4}(/[a-z]{1,4}){0,2}",
            upper in prop::collection::vec(any::<bool>(), 1..8),
            port in any::<bool>(),
            end in prop::sample::select(vec!["", ":1.0", ":LATEST", DIGEST]),
        ) {
            let plain = repository(&format!("{registry}/{path}"));
            let port = port && !registry.contains(':');
            let other = repository(&format!("{}/{path}{end}", spelled(&registry, &upper, port)));
            prop_assert_eq!(&plain, &other);
            for text in [format!("{registry}/{path}"), format!("{registry}/**"), format!("{}/**", spelled(&registry, &upper, port))] {
                prop_assert!(pattern(&text).matches(&other), "{} and {}", text, other);
            }
        }

        #[test]
        fn a_pattern_matches_the_images_of_its_registry_only(host in "[a-z.]{1,8}", path in "[a-z]{1,4}(/[a-z]{1,4}){0,2}") {
            let Ok(reference) = ImageReference::parse(&format!("{host}/{path}")) else { return Ok(()) };
            let repository = Repository::of(&reference);
            let matches = pattern("registry.internal/**").matches(&repository);
            prop_assert_eq!(matches, repository.to_string().starts_with("registry.internal/"));
        }

        #[test]
        fn any_text_is_a_pattern_or_refused(text in "\\PC{0,40}") {
            let _ = RepositoryPattern::parse(&text);
        }
    }
}
