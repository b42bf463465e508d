//! Image references: spelling kept, compared in normal form.

use std::fmt;

use oci_spec::distribution::{ParseError, Reference};
use serde::{Serialize, Serializer};

/// A reference as the user spells it, known to be well formed (the grammar of the distribution project's `reference`
/// package).
#[derive(Clone, Debug)]
pub struct ImageReference {
    spelling: String,
    parsed: Reference,
}

impl ImageReference {
    /// Parses a reference.
    ///
    /// # Errors
    /// What is wrong with it, and how to put it right.
    pub fn parse(text: &str) -> Result<Self, NotAReference> {
        match text.parse::<Reference>() {
            Ok(parsed) => Ok(Self { spelling: text.to_owned(), parsed }),
            Err(error) => Err(NotAReference::new(text, &error)),
        }
    }

    /// The reference as the user spells it, and as it stands in the pod.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// The same image always has the same normal form: with registry, `library/` and tag where they were left out.
    pub fn normal_form(&self) -> String {
        self.parsed.whole()
    }

    /// Whether the reference names a digest, which can never move.
    pub fn is_pinned(&self) -> bool {
        self.parsed.digest().is_some()
    }

    /// The last component of the repository: `app` for `ghcr.io/acme/app:1`.
    pub fn short_name(&self) -> &str {
        let repository = self.parsed.repository();
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

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAReference {
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    pub remedy: String,
}

impl NotAReference {
    fn new(text: &str, error: &ParseError) -> Self {
        let (why, remedy) = match error {
            _ if text.is_empty() => ("it is empty", "name an image, such as nginx:1.27"),
            _ if text.contains(char::is_whitespace) => ("it contains white space", "remove the white space"),
            _ if text.contains("://") => ("it begins with a scheme", "leave out everything up to and with ://"),
            _ if repository_has_upper_case(text) => (
                "the repository has upper case letters",
                "write the repository in lower case; only tags may have upper case letters",
            ),
            ParseError::NameTooLong => {
                ("the name is longer than 255 characters", "check that this is one reference only")
            }
            ParseError::TagInvalidFormat => (
                "the tag is malformed",
                "a tag has at most 128 letters, digits, '_', '.' and '-', and begins with none of '.' and '-'",
            ),
            _ if text.contains('@') => (
                "the digest or the name before it is malformed",
                "write the digest as @sha256: and 64 hexadecimal digits",
            ),
            _ => {
                ("it is malformed", "write it as [registry/]repository[:tag][@sha256:…], such as ghcr.io/acme/app:1.0")
            }
        };
        Self { message: format!("{text:?} is not an image reference: {why}"), remedy: remedy.to_owned() }
    }
}

/// Looks at everything after the registry and before tag and digest; the parser only says "malformed" to upper case.
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
    }

    #[test]
    fn only_digests_are_pinned() {
        let digest = "a".repeat(64);
        assert!(parse(&format!("ghcr.io/acme/app@sha256:{digest}")).is_pinned());
        assert!(parse(&format!("ghcr.io/acme/app:1@sha256:{digest}")).is_pinned());
        assert!(!parse("127.0.0.1:5000/app:1").is_pinned());
    }

    #[test]
    fn the_short_name_is_the_end_of_the_repository() {
        assert_eq!(parse("ghcr.io/acme/app:1").short_name(), "app");
        assert_eq!(parse("nginx").short_name(), "nginx");
        assert_eq!(parse("localhost:5000/a/b_c").short_name(), "b_c");
    }

    #[test]
    fn malformed_references_are_told_apart() {
        for (text, why) in [
            ("", "empty"),
            ("nginx 1", "white space"),
            ("https://ghcr.io/a", "scheme"),
            ("ghcr.io/Acme/app", "upper case"),
            ("nginx@sha256:abc", "digest"),
            ("nginx:", "malformed"),
            (":1", "malformed"),
        ] {
            let error = ImageReference::parse(text).expect_err(text);
            assert!(error.message.contains(why), "{text}: {}", error.message);
        }
    }
}
