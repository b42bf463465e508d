//! The grammar of image references, as kubelets and container runtimes have it: that of the distribution project's `reference` package
//! (`github.com/distribution/reference`, `regexp.go` and `normalize.go`).
//!
//! ```text
//! reference  = name [":" tag] ["@" digest]
//! name       = [registry "/"] component *("/" component)
//! registry   = (host | "[" IPv6 address "]") [":" port]
//! tag        = (letter | digit | "_") *127(letter | digit | "_" | "." | "-")
//! digest     = ("sha256" | "sha384" | "sha512") ":" its length in hexadecimal digits in lower case
//! ```
//! Only ASCII is meant. It is written out here because the libraries that parse references do it by a regular expression whose compiled
//! form takes 20 MiB of memory.

use std::net::Ipv6Addr;
use std::ops::Range;

/// The registry that is meant if none is named, which has an older name, and puts repositories of one component into a folder.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_BEFORE: &str = "index.docker.io";
const DOCKER_HUB_FOLDER: &str = "library/";
/// The longest repository (`RepositoryNameTotalLengthMax`).
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The repository has more than 255 characters.
    NameTooLong,
    /// The repository has upper case letters.
    UpperCase,
    /// Anything else.
    Malformed,
}

/// Where the parts of a reference are in its spelling, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The end of the registry; 0 if none is named.
    registry: u16,
    /// The end of registry and repository.
    name: u16,
    /// The end of the tag; that of the name if there is none.
    tag: u16,
}

impl Parts {
    /// Finds the parts.
    ///
    /// # Errors
    /// What is wrong. A text that is longer than 65,535 bytes is malformed.
    pub fn of(text: &str) -> Result<Self, Violation> {
        let (tagged, digest) = split(text, text.find('@'));
        if !digest.is_none_or(is_digest) {
            return Err(Violation::Malformed);
        }
        let colon = tagged.rfind(':').filter(|colon| !tagged[*colon..].contains(['/', ']']));
        let (name, tag) = split(tagged, colon);
        if !tag.is_none_or(is_tag) {
            return Err(Violation::Malformed);
        }
        let end = |part: &str| u16::try_from(part.len()).map_err(|_| Violation::Malformed);
        let parts = Self { registry: end(registry_of(name)?)?, name: end(name)?, tag: end(tagged)? };
        parts.check_repository(text)?;
        Ok(parts)
    }

    /// The registry as it is spelled; `docker.io` if none is named.
    pub fn registry<'t>(&self, text: &'t str) -> &'t str {
        match &text[..self.registry.into()] {
            "" | DOCKER_HUB_BEFORE => DOCKER_HUB,
            registry => registry,
        }
    }

    /// What stands before the repository although it is not written: `library/` for `nginx`.
    pub fn folder(&self, text: &str) -> &'static str {
        let is_official = self.registry(text) == DOCKER_HUB && !self.written_repository(text).contains('/');
        if is_official { DOCKER_HUB_FOLDER } else { "" }
    }

    /// The repository as it is written.
    pub fn written_repository<'t>(&self, text: &'t str) -> &'t str {
        let begin = if self.registry == 0 { 0 } else { usize::from(self.registry) + 1 };
        &text[begin..self.name.into()]
    }

    /// The tag, if there is one.
    pub fn tag<'t>(&self, text: &'t str) -> Option<&'t str> {
        behind(text, self.name.into()..self.tag.into())
    }

    /// The digest, if there is one.
    pub fn digest<'t>(&self, text: &'t str) -> Option<&'t str> {
        behind(text, self.tag.into()..text.len())
    }

    fn check_repository(&self, text: &str) -> Result<(), Violation> {
        let repository = self.written_repository(text);
        if has_upper_case(repository) {
            return Err(Violation::UpperCase);
        }
        if self.folder(text).len() + repository.len() > MAX_REPOSITORY {
            return Err(Violation::NameTooLong);
        }
        Ok(())
    }
}

/// Whether what stands in brackets at the beginning is the address of a registry: hexadecimal, without a zone or an embedded IPv4
/// address (`ipv6address` in `regexp.go`).
pub fn begins_with_ipv6_registry(text: &str) -> bool {
    text.split_once('/').is_some_and(|(registry, _)| is_ipv6_registry(registry))
}

/// What is before and behind the character at that place.
fn split(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    at.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

/// The part without the character before it; `None` if it is empty.
fn behind(text: &str, range: Range<usize>) -> Option<&str> {
    text[range].get(1..)
}

/// The registry that a well-formed name begins with, or nothing (`splitDockerDomain` in `normalize.go`).
fn registry_of(name: &str) -> Result<&str, Violation> {
    let Some((first, rest)) = name.split_once('/') else { return components(name).map(|()| "") };
    components(rest)?;
    if !(is_registry(first) || is_component(first)) {
        return Err(Violation::Malformed);
    }
    if !first.contains(['.', ':']) && first != "localhost" {
        return Ok("");
    }
    if is_registry(first) || !has_upper_case(first) { Ok(first) } else { Err(Violation::Malformed) }
}

/// Whether these are components, in whatever case.
fn components(path: &str) -> Result<(), Violation> {
    if path.split('/').all(is_component) { Ok(()) } else { Err(Violation::Malformed) }
}

fn is_registry(text: &str) -> bool {
    if text.starts_with('[') {
        return is_ipv6_registry(text);
    }
    let (host, port) = split(text, text.find(':'));
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_ipv6_registry(text: &str) -> bool {
    let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return false };
    let is_address = !address.contains('.') && address.parse::<Ipv6Addr>().is_ok();
    is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A part of a host's name: letters and digits, and dashes between them.
fn is_label(text: &str) -> bool {
    let is_bounded = !text.is_empty() && !text.starts_with('-') && !text.ends_with('-');
    is_bounded && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A component of a repository: letters and digits, separated by a dot, one or two underscores, or dashes.
fn is_component(text: &str) -> bool {
    let is_separator = |c: char| matches!(c, '.' | '_' | '-');
    let is_bounded = !text.is_empty() && !text.starts_with(is_separator) && !text.ends_with(is_separator);
    let mut separators = text.split(|c: char| c.is_ascii_alphanumeric());
    is_bounded && separators.all(|it| matches!(it, "" | "." | "_" | "__") || it.bytes().all(|byte| byte == b'-'))
}

fn has_upper_case(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_uppercase())
}

fn is_tag(text: &str) -> bool {
    let is_bounded = (1..=MAX_TAG).contains(&text.len()) && !text.starts_with(['.', '-']);
    is_bounded && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The registered algorithms of the OCI image specification (`descriptor.md`), and sha384, which the distribution project knows.
fn is_digest(text: &str) -> bool {
    let length = match text.split_once(':') {
        Some(("sha256", _)) => 64,
        Some(("sha384", _)) => 96,
        Some(("sha512", _)) => 128,
        _ => return false,
    };
    let hexadecimal = &text["sha256:".len()..];
    hexadecimal.len() == length && hexadecimal.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use oci_spec::distribution::{ParseError, Reference};
    use proptest::prelude::*;

    use super::*;

    /// Made of what references are made of, and of what breaks them.
    fn nearly_a_reference() -> impl Strategy<Value = String> {
        let digests = [64, 96, 128].map(|length: usize| "0123456789abcdef".repeat(length / 16));
        let ordinary = vec![
            "/",
            "/",
            ":",
            ".",
            "-",
            "__",
            "localhost",
            "docker.io",
            "index.docker.io",
            "ghcr.io",
            ":5000",
            ":latest",
            "library/",
            "@sha256:",
            "@sha384:",
            "@sha512:",
            "@md5:",
        ];
        let pieces = prop_oneof![
            4 => "[a-z0-9]{1,3}",
            1 => "[A-Z_.:/@-]{1,2}",
            2 => proptest::sample::select(ordinary).prop_map(str::to_owned),
            1 => proptest::sample::select(digests.to_vec()),
        ];
        proptest::collection::vec(pieces, 0..9).prop_map(|pieces| pieces.concat())
    }

    /// Registry, repository, tag and digest.
    type Meaning = (String, String, Option<String>, Option<String>);

    fn ours(text: &str) -> Result<Meaning, Violation> {
        let parts = Parts::of(text)?;
        let repository = format!("{}{}", parts.folder(text), parts.written_repository(text));
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Ok((parts.registry(text).to_owned(), repository, owned(parts.tag(text)), owned(parts.digest(text))))
    }

    /// What a library means that is widely used, without what it allows beyond the distribution project's grammar.
    fn theirs(text: &str) -> Result<Meaning, ParseError> {
        let parsed: Reference = text.parse()?;
        if has_upper_case(parsed.repository()) {
            return Err(ParseError::NameContainsUppercase);
        }
        if parsed.digest().is_some_and(has_upper_case) {
            return Err(ParseError::DigestInvalidFormat);
        }
        let is_written = parsed.digest().is_some() || text.ends_with(&format!(":{}", parsed.tag().unwrap_or_default()));
        let tag = parsed.tag().filter(|_| is_written).map(str::to_owned);
        Ok((parsed.registry().to_owned(), parsed.repository().to_owned(), tag, parsed.digest().map(str::to_owned)))
    }

    proptest! {
        #[test]
        fn a_reference_means_what_a_widely_used_library_means(text in nearly_a_reference()) {
            prop_assert_eq!(ours(&text).ok(), theirs(&text).ok(), "{}", text);
        }

        #[test]
        fn whatever_text_it_is_the_answer_is_an_error_or_parts(text in "\\PC{0,40}") {
            let _parts = Parts::of(&text);
        }
    }

    #[test]
    fn the_longest_repository_counts_what_is_not_written() {
        for (length, good) in [(247, true), (248, false)] {
            assert_eq!(ours(&"a".repeat(length)).is_ok(), good, "{length}");
            assert_eq!(theirs(&"a".repeat(length)).is_ok(), good, "{length}");
        }
        assert_eq!(ours(&"a".repeat(300)), Err(Violation::NameTooLong));
    }

    #[test]
    fn only_ascii_is_meant() {
        for text in ["nginx:\u{e4}", "nginx\u{e4}", "\u{e4}.io/app", "nginx:\u{661}"] {
            assert_eq!(ours(text), Err(Violation::Malformed), "{text}");
        }
    }
}
