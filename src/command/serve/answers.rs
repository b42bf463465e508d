//! How answers are built.

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use super::listener::HttpAnswer;
use crate::text::CleanText;

/// A text for people.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> HttpAnswer {
    response(status, "text/plain; charset=utf-8", text.into())
}

/// A text of this type.
pub fn response(status: StatusCode, content_type: &'static str, text: Bytes) -> HttpAnswer {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What browsers must not do with any answer: guess its type, keep it, name its address to others, or give it to pages of others.
const FOR_BROWSERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The answer of a listener that browsers ask.
pub fn for_browsers(mut answer: HttpAnswer) -> HttpAnswer {
    answer.headers_mut().extend(FOR_BROWSERS);
    answer
}

/// There is no answer yet, for these reasons.
pub fn unavailable(reasons: &[CleanText]) -> HttpAnswer {
    let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    text(StatusCode::SERVICE_UNAVAILABLE, lines)
}
