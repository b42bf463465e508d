//! Credentials in what registries and nodes say: signed URLs, passwords in URLs, tokens in headers and answers.
//!
//! Registries redirect to storage with URLs that anybody may use while they are valid, and runtimes quote them in errors. Which parameter
//! holds the signature differs by provider, so of a query only what is known to be harmless stays.

use std::borrow::Cow;

/// Replaces a credential. No URL and no word goes on at `<`, so it is not replaced again.
const REMOVED: &str = "<removed>";

/// Parameters that say what was asked for: the registry behind a mirror, and the repository of a token.
const HARMLESS: [&str; 3] = ["ns", "scope", "service"];

/// What has to be in a text for a step to change it, and the step.
type RedactionStep = (&'static [&'static str], fn(&str) -> String);

/// The text without credentials.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let steps: [RedactionStep; 4] = [
        (&["://"], without_user),
        (&["://"], without_query),
        (&["=", "\":"], without_values),
        (&["earer ", "EARER ", "asic ", "ASIC ", "eyJ"], without_tokens),
    ];
    for (marks, step) in steps {
        if marks.iter().any(|mark| text.contains(mark)) {
            text = Cow::Owned(step(&text));
        }
    }
    text
}

/// Where a URL ends that begins with `text`. In a quoted text of Go or JSON, `\u0026` and `\/` belong to it, and other escapes do not.
fn url_end(text: &str) -> usize {
    let ends = |(at, c): &(usize, char)| match c {
        '\\' => !text[at + 1..].starts_with(['u', '/']),
        c => c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`'),
    };
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at)
}

/// Replaces `user:password@` after `://`.
fn without_user(text: &str) -> String {
    let mut parts = text.split("://");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        kept.push_str("://");
        match user_end(&rest[..url_end(rest)]) {
            Some(at) => {
                kept.push_str(REMOVED);
                kept.push_str(&rest[at..]);
            }
            None => kept.push_str(rest),
        }
    }
    kept
}

/// Where the `@` after a user is.
fn user_end(url: &str) -> Option<usize> {
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    // A password may contain a slash, although it should not. Then the port is none.
    let is_cut = !authority.contains('@') && !port.bytes().all(|byte| byte.is_ascii_digit() || byte == b']');
    let at = if is_cut { url } else { authority }.rfind('@')?;
    (at > 0 && !is_digest(&url[at + 1..])).then_some(at)
}

/// `docker://alpine@sha256:…` has no user.
fn is_digest(text: &str) -> bool {
    let begins = |algorithm: &str| match text.strip_suffix('…') {
        Some(cut) if cut.len() < algorithm.len() => algorithm.starts_with(cut),
        _ => text.starts_with(algorithm),
    };
    ["sha256:", "sha512:"].into_iter().any(begins)
}

/// Replaces the parameters of URLs, and the fragment if it has any.
fn without_query(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, from) = rest.split_at(at + "://".len());
        let (url, after) = from.split_at(url_end(from));
        kept.push_str(before);
        let bare = url.trim_end_matches([':', ';', ',', '.', '!', '\'', ')', ']', '}', '\\', '…']);
        kept.push_str(&bare_url(bare));
        kept.push_str(&url[bare.len()..]);
        rest = after;
    }
    kept + rest
}

fn bare_url(url: &str) -> Cow<'_, str> {
    let query = url.find('?').or_else(|| url.find('#').filter(|at| url[*at..].contains('=')));
    let Some((path, parameters)) = query.map(|at| url.split_at(at + 1)) else { return Cow::Borrowed(url) };
    // The last one may be cut off.
    let is_harmless = |parameter: &&str| match parameter.split_once('=') {
        Some((name, _)) => HARMLESS.contains(&name),
        None => HARMLESS.iter().any(|name| name.starts_with(parameter)),
    };
    let all = parameters.split('&').count();
    let kept: Vec<&str> = parameters.split('&').filter(is_harmless).collect();
    if kept.len() == all {
        return Cow::Borrowed(url);
    }
    let kept: Vec<&str> = kept.into_iter().filter(|it| !it.is_empty()).chain([REMOVED]).collect();
    Cow::Owned(format!("{path}{}", kept.join("&")))
}

/// Replaces the values of `X-Amz-Signature=…` and `"token": "…"`, also outside of URLs: a URL may be cut, or relative.
fn without_values(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, from) = rest.split_at(at + 1);
        kept.push_str(before);
        rest = from;
        let value = match before.ends_with('=') {
            true => value_of(&before[..at], from),
            false => json_value(&before[..at], from),
        };
        if let Some((begin, end)) = value {
            kept.push_str(&from[..begin]);
            kept.push_str(REMOVED);
            rest = &from[end..];
        }
    }
    kept + rest
}

/// Where a secret value after `=` begins and ends.
fn value_of(before: &str, from: &str) -> Option<(usize, usize)> {
    if !is_secret(last_word(before)) {
        return None;
    }
    let begin = from.len() - from.trim_start_matches(['\\', '"', '\'']).len();
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '&' | '"' | '\'' | '<' | '>' | '`' | ';' | ',' | '\\' | ')' | ']' | '}')
    };
    let end = begin + from[begin..].find(ends).unwrap_or(from.len() - begin);
    // Labels and options of these names have such values.
    let says_nothing = ["", "true", "false", "…"].contains(&&from[begin..end]);
    (!says_nothing).then_some((begin, end))
}

/// The same after `"key":`.
fn json_value(before: &str, from: &str) -> Option<(usize, usize)> {
    let key = before.strip_suffix('"')?;
    if !is_secret(last_word(key.trim_end_matches('\\'))) {
        return None;
    }
    let value = from.trim_start_matches([' ', '\\']).strip_prefix('"')?;
    let begin = from.len() - value.len();
    let end = value.find(['"', '<', '\\']).unwrap_or(value.len());
    (end > 0).then_some((begin, begin + end))
}

/// The name that a text ends with.
fn last_word(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    &text[text.trim_end_matches(is_part).len()..]
}

/// Whether a parameter or key of this name holds a credential.
fn is_secret(name: &str) -> bool {
    /// The ends of names, such as `X-Amz-Security-Token`, `OSSAccessKeyId` and `client_secret`.
    const ENDS: [&str; 10] = [
        "signature",
        "credential",
        "token",
        "password",
        "passwd",
        "secret",
        "accesskeyid",
        "accesskey",
        "apikey",
        "keypairid",
    ];
    const MAX_NAME: usize = 64;
    if name.len() > MAX_NAME {
        return false;
    }
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    matches!(name.as_str(), "sig" | "auth" | "authorization") || ENDS.iter().any(|end| name.ends_with(end))
}

/// Replaces `Bearer …` and `Basic …` of headers, and JSON web tokens.
fn without_tokens(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((begin, end)) = token(rest, kept.chars().next_back()) {
        kept.push_str(&rest[..begin]);
        kept.push_str(REMOVED);
        rest = &rest[end..];
    }
    kept + rest
}

/// Where the first token begins and ends. `before` is what precedes the text.
fn token(text: &str, before: Option<char>) -> Option<(usize, usize)> {
    let mut word = 0;
    let mut scheme = false;
    let mut previous = before;
    // Words of letters, digits and what base64 and JSON web tokens consist of.
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    while word < text.len() {
        let rest = &text[word..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (it, after) = rest.split_at(end);
        let is_whole = !previous.is_some_and(is_part);
        if is_whole && ((scheme && is_opaque(it, after)) || is_web_token(it)) {
            return Some((word, word + end));
        }
        scheme = match it {
            "" => scheme && rest.starts_with(' '),
            it => it.eq_ignore_ascii_case("bearer") || it.eq_ignore_ascii_case("basic"),
        };
        let step = if end == 0 { rest.chars().next().map_or(1, char::len_utf8) } else { end };
        previous = text[..word + step].chars().next_back();
        word += step;
    }
    None
}

/// Whether a word after the scheme is a token, and neither a word ("basic authentication") nor a challenge (`Bearer realm="…"`).
fn is_opaque(word: &str, after: &str) -> bool {
    let is_challenge =
        after.starts_with(['"', '\\']) && ["realm=", "charset=", "error=", "scope=", "service="].contains(&word);
    let is_mixed = word.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() || byte == b'=');
    !is_challenge && word.len() >= 8 && is_mixed
}

fn is_web_token(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() >= 20 && word.contains('.')
}
