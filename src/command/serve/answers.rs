//! How answers are built.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
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

/// There is no answer yet, for these reasons.
pub fn unavailable(reasons: &[CleanText]) -> HttpAnswer {
    let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    text(StatusCode::SERVICE_UNAVAILABLE, lines)
}
