//! Image references: they keep their spelling, and are compared in normal form.

mod grammar;

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use super::problem::quoted;
use grammar::{Parts, Violation, begins_with_ipv6_registry};

/// The tag that is meant if there is neither a tag nor a digest.
const DEFAULT_TAG: &str = "latest";

/// A well-formed reference as the user spells it.
#[derive(Clone, Debug)]
pub struct ImageReference {
    spelling: Box<str>,
    parts: Parts,
}

impl ImageReference {
    /// Parses a reference.
    ///
    /// # Errors
    /// What is wrong, and how to correct it.
    pub fn parse(text: &str) -> Result<Self, NotAReference> {
        // No reference is longer.
        if text.len() > MAX_REFERENCE {
            return Err(NotAReference::new(text, Violation::NameTooLong));
        }
        let parts = Parts::of(text).map_err(|violation| NotAReference::new(text, violation))?;
        if is_image_id(text) {
            return Err(NotAReference::image_id(text));
        }
        Ok(Self { spelling: text.into(), parts })
    }

    /// The reference as the user spells it, and as pods have it.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// The normal form of a text. If it is not a reference, the text itself.
    pub fn normal_form_of(text: &str) -> String {
        Self::parse(text).map_or_else(|_| text.to_owned(), |reference| reference.normal_form())
    }

    /// The normal form, which is the same for all spellings of an image: with registry, `library/` and tag, and without the tag if
    /// there is a digest, because the digest alone decides what is pulled.
    pub fn normal_form(&self) -> String {
        let (registry, repository) = (self.registry(), self.repository());
        match (self.parts.digest(&self.spelling), self.parts.tag(&self.spelling)) {
            (Some(digest), _) => format!("{registry}/{repository}@{digest}"),
            (None, tag) => format!("{registry}/{repository}:{}", tag.unwrap_or(DEFAULT_TAG)),
        }
    }

    /// Whether the reference names a digest, which can never move.
    pub fn is_pinned(&self) -> bool {
        self.parts.digest(&self.spelling).is_some()
    }

    /// Whether the reference names neither a tag nor a digest, so that `latest` is meant.
    pub fn has_no_tag(&self) -> bool {
        !self.is_pinned() && self.parts.tag(&self.spelling).is_none()
    }

    /// The registry, as it is spelled; `docker.io` if there is none.
    pub fn registry(&self) -> &str {
        self.parts.registry(&self.spelling)
    }

    /// The repository in the registry, without tag and digest: `library/nginx` for `nginx`.
    pub fn repository(&self) -> Cow<'_, str> {
        let written = self.parts.written_repository(&self.spelling);
        match self.parts.folder(&self.spelling) {
            "" => Cow::Borrowed(written),
            folder => Cow::Owned(format!("{folder}{written}")),
        }
    }

    /// The last component of the repository: `app` for `ghcr.io/acme/app:1`.
    pub fn short_name(&self) -> &str {
        let repository = self.parts.written_repository(&self.spelling);
        repository.rsplit('/').next().unwrap_or(repository)
    }
}

impl PartialEq for ImageReference {
    fn eq(&self, other: &Self) -> bool {
        self.spelling == other.spelling
    }
}

impl Eq for ImageReference {}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelling)
    }
}

/// Enough for a registry of 253 characters, a repository of 255, a tag of 128 and the longest digest, sha512.
const MAX_REFERENCE: usize = 1024;

/// Whether kubelets take a text that the grammar allows for the ID of an image, and refuse it (`ParseNormalizedNamed` of the distribution
/// project's `reference` package).
fn is_image_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Why a text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAReference {
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub remedy: String,
}

impl NotAReference {
    fn new(text: &str, violation: Violation) -> Self {
        let (why, remedy) = match violation {
            _ if text.is_empty() => ("it is empty", "name an image, such as nginx:1.27"),
            _ if text.contains(char::is_whitespace) => ("it contains white space", "remove the white space"),
            _ if text.contains("://") => ("it begins with a scheme", "remove everything up to and including ://"),
            Violation::NameTooLong => {
                ("the name is longer than 255 characters", "check that this is one reference only")
            }
            _ if !text.is_ascii() => (
                "it contains a character that references cannot contain",
                "use letters without accents, digits, '.', '_', '-' and '/'",
            ),
            Violation::UpperCase => UPPER_CASE,
            _ if text.starts_with('[') && !begins_with_ipv6_registry(text) => (
                "what stands in brackets must be the IPv6 address of a registry, with a repository after it",
                "write it as [address]:port/repository:tag, with a hexadecimal address without a zone, such as [fd00::3]:5000/app:1",
            ),
            _ if repository_has_upper_case(text) => UPPER_CASE,
            _ if is_name(text.split_once('@').map(|(name, _)| name)) => {
                ("the digest is malformed", "write the digest as @sha256: and 64 hexadecimal digits in lower case")
            }
            _ if is_name(text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map(|(name, _)| name)) => (
                "the tag is malformed",
                "a tag has at most 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'",
            ),
            _ => {
                ("it is malformed", "write it as [registry/]repository[:tag][@sha256:…], such as ghcr.io/acme/app:1.0")
            }
        };
        Self { message: format!("{} is not an image reference: {why}", quoted(text)), remedy: remedy.to_owned() }
    }

    fn image_id(text: &str) -> Self {
        Self {
            message: format!("{} is not an image reference: it is an image ID", quoted(text)),
            remedy: "name the image as it is pulled, such as ghcr.io/acme/app@sha256:…".to_owned(),
        }
    }
}

/// Whether the part before a malformed tag or digest is valid, so that only these are wrong.
fn is_name(text: Option<&str>) -> bool {
    text.is_some_and(|text| Parts::of(text).is_ok())
}

const UPPER_CASE: (&str, &str) = (
    "the repository has upper case letters",
    "write the repository in lower case; only tags may have upper case letters",
);

/// Whether the part between the registry and the tag or digest has upper case letters, although something else is wrong too.
fn repository_has_upper_case(text: &str) -> bool {
    let name = text.split('@').next().unwrap_or_default();
    let repository = match name.split_once('/') {
        Some((registry, rest)) if registry.contains(['.', ':']) => rest,
        _ => name,
    };
    let tag = repository.rfind(':').filter(|colon| !repository[*colon..].contains('/'));
    repository[..tag.unwrap_or(repository.len())].contains(|c: char| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ImageReference {
        ImageReference::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message))
    }

    #[test]
    fn the_spelling_is_kept_and_the_normal_form_compares() {
        let short = parse("nginx");
        assert_eq!(short.as_str(), "nginx");
        assert_eq!(short.normal_form(), parse("docker.io/library/nginx:latest").normal_form());
        assert_ne!(short.normal_form(), parse("nginx:1.27").normal_form());
        for same in ["docker.io/nginx", "index.docker.io/library/nginx", "library/nginx:latest", "nginx:latest"] {
            assert_eq!(short.normal_form(), parse(same).normal_form(), "{same}");
        }
        for other in ["ghcr.io/nginx", "acme/nginx", "localhost/nginx", "docker.io:443/library/nginx"] {
            assert_ne!(short.normal_form(), parse(other).normal_form(), "{other}");
        }
    }

    #[test]
    fn a_digest_decides_whatever_the_tag_beside_it_says() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let form = |text: &str| parse(&format!("{text}@{digest}")).normal_form();
        assert_eq!(form("nginx:1.27"), form("docker.io/library/nginx"));
        assert_ne!(form("nginx"), form("acme/nginx"));
        assert_ne!(form("nginx"), parse("nginx").normal_form());
    }

    #[test]
    fn only_digests_are_pinned() {
        let digest = "a".repeat(64);
        assert!(parse(&format!("ghcr.io/acme/app@sha256:{digest}")).is_pinned());
        assert!(parse(&format!("ghcr.io/acme/app:1@sha256:{digest}")).is_pinned());
        assert!(!parse("127.0.0.1:5000/app:1").is_pinned());
    }

    #[test]
    fn a_port_is_no_tag() {
        for none in ["nginx", "localhost:5000/nginx", "ghcr.io/acme/app"] {
            assert!(parse(none).has_no_tag(), "{none}");
        }
        let digest = format!("nginx@sha256:{}", "a".repeat(64));
        for some in ["nginx:latest", "localhost:5000/nginx:1", &digest] {
            assert!(!parse(some).has_no_tag(), "{some}");
        }
    }

    #[test]
    fn the_short_name_is_the_end_of_the_repository() {
        assert_eq!(parse("ghcr.io/acme/app:1").short_name(), "app");
        assert_eq!(parse("nginx").short_name(), "nginx");
        assert_eq!(parse("localhost:5000/a/b_c").short_name(), "b_c");
    }

    #[test]
    fn malformed_references_are_distinguished() {
        for (text, why) in [
            ("", "empty"),
            ("nginx 1", "white space"),
            ("https://ghcr.io/a", "scheme"),
            ("ghcr.io/Acme/app", "upper case"),
            ("nginx@sha256:abc", "digest"),
            ("nginx:", "tag is malformed"),
            (":1", "malformed"),
            ("ghcr.io/acme//app", "malformed"),
            ("ghcr.io/acme/app/", "malformed"),
            ("ghcr.io:port/acme/app", "it is malformed"),
            ("nginx:.tag", "tag is malformed"),
            (&format!("nginx:{}", "t".repeat(129)), "malformed"),
            ("Acme/app", "upper case"),
            ("nginx:ä", "character"),
            ("[fd00::3]", "brackets"),
            ("[fd00::3]:5000", "brackets"),
            ("[fd00::3]:5000/", "malformed"),
            ("[fd00::3]:/app", "brackets"),
            ("[fd00::3]:port/app", "brackets"),
            ("[fd00::3]5000/app", "brackets"),
            ("[fd00::3%eth0]:5000/app", "brackets"),
            ("[::ffff:10.0.0.1]:5000/app", "brackets"),
            ("[fd00:::3]:5000/app", "brackets"),
            ("[cafe]/app", "brackets"),
            ("[10.0.0.1]:5000/app", "brackets"),
            ("[]/app", "brackets"),
            ("fd00::3/app", "it is malformed"),
            ("[fd00::3]:5000/App:1", "upper case"),
            ("[fd00::3]:5000/app:", "tag is malformed"),
            ("[fd00::3]:5000/app@sha256:abc", "digest"),
            (&format!("nginx@sha256:{}", "A".repeat(64)), "digest"),
            (&format!("nginx@sha512:{}", "a".repeat(64)), "digest"),
            (&format!("nginx@md5:{}", "a".repeat(32)), "digest"),
            (&"a".repeat(64), "image ID"),
            (&"a/".repeat(1000), "longer"),
            (&"a".repeat(300), "longer"),
        ] {
            let error = ImageReference::parse(text).expect_err(text);
            assert!(error.message.contains(why), "{text}: {}", error.message);
            assert!(error.message.len() < 400, "{}", error.message);
        }
    }

    /// The grammar is that of kubelets; a test on real nodes shows that they and containerd take it.
    #[test]
    fn a_registry_may_be_an_ipv6_address() {
        for good in [
            "[fd00::3]:5000/app:1",
            "[fd00::3]/team/app:1",
            "[::1]:5000/a/b_c@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "[2001:DB8:0:0:0:0:0:1]:443/app:Tag_1.0-X",
        ] {
            assert_eq!(parse(good).as_str(), good);
            assert_eq!(parse(good).normal_form(), good);
        }
        assert_eq!(parse("[fd00::3]:5000/app").normal_form(), "[fd00::3]:5000/app:latest");
        assert_ne!(parse("[fd00::3]:5000/app").normal_form(), parse("[fd00::3]:5001/app").normal_form());
        assert_eq!(parse("[fd00::3]:5000/team/app:1").short_name(), "app");
        let digest = format!("sha256:{}", "a".repeat(64));
        let both = parse(&format!("[fd00::3]:5000/app:1@{digest}"));
        assert!(both.is_pinned());
        assert_eq!(both.normal_form(), format!("[fd00::3]:5000/app@{digest}"));
    }

    #[test]
    fn ports_hosts_and_separators_are_accepted() {
        for good in [
            "127.0.0.1:5000/a/b/c:v1",
            "localhost/app",
            "registry:5000/app",
            "GHCR.io/acme/app:Tag_1.0-X",
            "a__b/c.d/e---f",
            "quay.io/che-incubator/che-code:latest",
            &format!("app@sha512:{}", "0".repeat(128)),
        ] {
            assert_eq!(parse(good).as_str(), good);
        }
    }
}
