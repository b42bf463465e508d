//! The page that shows people what is warm where. It is one file without a framework, and asks this listener only.
//!
//! The texts that it shows come from registries, nodes and authors of lists. The page writes them as text, and the policy here lets a browser
//! run no script but the page's own, so nothing in them could run.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use sha2::{Digest, Sha256};

use super::answers::response;
use super::listener::HttpAnswer;

/// The page.
const PAGE: &str = include_str!("map_page.html");

/// The page and the policy for it.
#[derive(Clone, Debug)]
pub struct MapPage {
    policy: Option<HeaderValue>,
}

impl MapPage {
    /// Computes which script and which style a browser may use.
    pub fn new() -> Self {
        Self { policy: HeaderValue::try_from(policy_of(PAGE)).ok() }
    }

    /// The answer to a request for the page.
    pub fn answer(&self) -> HttpAnswer {
        let Some(policy) = self.policy.clone() else {
            return super::answers::text(StatusCode::INTERNAL_SERVER_ERROR, "no policy for the page\n");
        };
        let mut answer = response(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()));
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        answer
    }
}

/// What a browser may do with a page: run its script, apply its style, and ask the server that it came from.
fn policy_of(page: &str) -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(content(page, "script")),
        hash(content(page, "style")),
    )
}

/// What the only element of that name contains.
fn content<'a>(page: &'a str, element: &str) -> &'a str {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let inner = page.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    inner.map_or("", |(content, _)| content)
}

fn hash(content: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the controller may spend on it: it is a part of the program, and of its memory as long as it is read.
    const MOST_BYTES: usize = 40_000;

    #[test]
    fn only_the_pages_own_script_and_style_may_be_used() {
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
            assert!(content(PAGE, element).len() > 100, "{element}");
        }
        let answer = MapPage::new().answer();
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        // Of the empty text, which is what nothing found would give.
        assert!(!policy.contains(&hash("")), "{policy}");
    }

    #[test]
    fn a_hash_is_written_as_browsers_expect_it() {
        // From the specification of Content Security Policy.
        assert_eq!(hash("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_writes_texts_as_text() {
        assert!(PAGE.len() < MOST_BYTES, "{}", PAGE.len());
        for forbidden in [
            "http:",
            "https:",
            "//cdn",
            "@import",
            "url(",
            "src=",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "Function(",
            " style=",
            " onclick",
            "setAttribute('on",
        ] {
            assert!(!PAGE.contains(forbidden), "the page has {forbidden}");
        }
    }
}
