//! HTTP statuses in the messages of runtimes.

/// The status in `401 Unauthorized`, `status code 404`, `HTTP status: 503`, `HTTP 502 response body`, `registry 403 (Forbidden)`.
pub fn status(words: &str) -> Option<u16> {
    const REASONS: [&str; 26] = [
        "bad",
        "unauthorized",
        "payment",
        "forbidden",
        "not",
        "method",
        "proxy",
        "request",
        "conflict",
        "gone",
        "precondition",
        "requested",
        "i'm",
        "unprocessable",
        "too",
        "unavailable",
        "internal",
        "service",
        "gateway",
        "unknown",
        "web",
        "origin",
        "response",
        "site",
        "insufficient",
        "network",
    ];
    let all: Vec<&str> = words.split(' ').collect();
    let is_status = |at: usize, code: &str| {
        let before = at.checked_sub(1).map_or("", |at| all[at].trim_end_matches(':'));
        let after = all.get(at + 1).map_or("", |word| word.trim_start_matches('('));
        let reason = after.split(|c: char| !c.is_alphabetic() && c != '\'').next().unwrap_or_default();
        matches!(before, "status" | "code" | "http" | "registry")
            || !code.ends_with([':', ',']) && REASONS.contains(&reason)
    };
    let mut codes = all.iter().enumerate().filter_map(|(at, word)| {
        let code: u16 = word.trim_matches([':', ',', ';', '(', ')', '.', '[', ']']).parse().ok()?;
        ((400..600).contains(&code) && is_status(at, word)).then_some(code)
    });
    codes.next_back()
}

/// A status with its name (RFC 9110, RFC 6585), if it is one that registries and proxies use.
pub fn named(status: u16) -> String {
    let name = match status {
        400 => " Bad Request",
        402 => " Payment Required",
        405 => " Method Not Allowed",
        407 => " Proxy Authentication Required",
        408 => " Request Timeout",
        416 => " Range Not Satisfiable",
        451 => " Unavailable For Legal Reasons",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    };
    format!("{status}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_found_in_the_words_of_each_runtime_and_no_other_number_is_one() {
        for (words, expected) in [
            ("unexpected status from head request to 401 unauthorized", Some(401)),
            ("unexpected status code 404", Some(404)),
            ("received unexpected http status: 503 service unavailable", Some(503)),
            ("error parsing http 502 response body: no", Some(502)),
            ("invalid status code from registry 403 (forbidden)", Some(403)),
            ("failed with status code [manifests latest]: 401 unauthorized", Some(401)),
            ("reading manifest 404 in manifest unknown", None),
            ("failed size validation: 450 != 500: failed precondition", None),
            ("not found", None),
        ] {
            assert_eq!(status(words), expected, "{words}");
        }
    }
}
