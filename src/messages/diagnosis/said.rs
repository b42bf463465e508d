//! A message of a kubelet without its wrappers, and its words without names that users chose.
//!
//! Go wraps errors as `what was done: its cause`. Around them, kubelets and runtimes put lines of their own; these are removed
//! here. References, URLs and quoted names are removed from [`Said::words`], so that an image called `denied:404` is no cause.

/// Put before the end of a list of attempts, each of which begins with one of these.
const ATTEMPTS: [&str; 5] = [
    ", failed to pull and unpack image",
    ", rpc error: code = ",
    ", Error response from daemon: ",
    ", initializing source ",
    ", unable to pull image",
];

/// What one attempt said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The innermost message, as it was said.
    pub text: String,
    /// The same in lower case, on one line.
    pub lower: String,
    /// The same without references, URLs and quoted names.
    pub words: String,
}

impl Said {
    fn new(text: &str) -> Self {
        let text = innermost(text);
        let lower = text.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        Self { text: text.to_owned(), words: without_names(&lower), lower }
    }
}

/// The attempts of a message: kubelets try each credential that they have for an image, and join what was said.
pub fn attempts(message: &str) -> Vec<Said> {
    let message = without_back_off(message);
    let Some(list) = message.strip_prefix('[').filter(|list| list.contains(": ")) else {
        return vec![Said::new(message)];
    };
    let list = list.trim_end_matches([']', '.', ' ']);
    let mut starts: Vec<usize> =
        ATTEMPTS.iter().flat_map(|mark| list.match_indices(mark)).map(|(at, _)| at).chain([0]).collect();
    starts.sort_unstable();
    let ends = starts.iter().skip(1).copied().chain([list.len()]);
    starts.iter().zip(ends).map(|(start, end)| Said::new(list[*start..end].trim_start_matches([',', ' ']))).collect()
}

/// `Back-off pulling image "x": ErrImagePull: …` (`k8s.io/kubernetes/pkg/kubelet/images/image_manager.go`).
fn without_back_off(message: &str) -> &str {
    let inner = || message.strip_prefix("Back-off pulling image ")?.split_once("\": ")?.1.split_once(": ");
    inner().map_or(message, |(_, inner)| inner).trim()
}

/// The message without what gRPC, Docker and CRI-O put in front of it.
pub fn innermost(message: &str) -> &str {
    let mut message = without_back_off(message);
    if let Some(at) = message.rfind("rpc error: code = ") {
        message = message[at..].split_once(" desc = ").map_or(message, |(_, inner)| inner);
    }
    // CRI-O tries an image, then an artifact, of which it says nothing that matters.
    if let Some((_, image)) = message.split_once("pull image err: ") {
        message = image.split_once("; artifact err: ").map_or(image, |(image, _)| image);
    }
    // CRI-O reports first what its mirrors did, and then the registry.
    if let Some((_, registry)) =
        message.split_once("(Mirrors also failed: ").and_then(|(_, rest)| rest.split_once("]): "))
    {
        message = registry;
    }
    for wrapper in ["Error response from daemon: ", "SignatureValidationFailed: "] {
        message = message.rsplit_once(wrapper).map_or(message, |(_, inner)| inner);
    }
    message.trim_end_matches(['.', ' '])
}

/// Removes quoted names, URLs and references. Paths of files stay.
fn without_names(lower: &str) -> String {
    // The middle of a long message is left out, so its end may begin within quotes.
    let is_odd = |text: &str| text.matches('"').count() % 2 == 1;
    let cut = lower.split_once('…').filter(|(_, end)| is_odd(lower) && is_odd(end));
    let (beginning, end) = cut.unwrap_or((lower, ""));
    let bare: String = beginning.split('"').step_by(2).chain(end.split('"').skip(1).step_by(2)).collect();
    let is_word = |word: &&str| !word.contains('/') || word.starts_with(['/', '(', '`', '\'', '&']);
    bare.split(' ').filter(is_word).collect::<Vec<_>>().join(" ")
}

/// Whether a text contains these words, as whole words.
pub fn says(text: &str, words: &str) -> bool {
    place(text, words).is_some()
}

/// Where the text says these words last.
pub fn place(text: &str, words: &str) -> Option<usize> {
    let is_part = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let at_word = |at: &usize| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + words.len()..].chars().next());
        let starts = !is_part(words.chars().next()) || !is_part(before);
        let ends = !is_part(words.chars().next_back()) || !is_part(after);
        starts && ends
    };
    text.rmatch_indices(words).map(|(at, _)| at).find(at_word)
}

/// Whether a text contains any of these words.
pub fn says_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|words| says(text, words))
}

/// What stands between two marks.
pub fn between<'a>(text: &'a str, from: &str, to: &[char]) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    let found = rest.split(to).next().unwrap_or(rest).trim();
    Some(found).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(message: &str) -> Vec<String> {
        attempts(message).into_iter().map(|said| said.text).collect()
    }

    #[test]
    fn wrappers_of_kubelets_and_runtimes_are_removed() {
        for (message, inner) in [
            ("pull QPS exceeded", "pull QPS exceeded"),
            (r#"Back-off pulling image "a:1": ErrImagePull: no: more"#, "no: more"),
            (r#"Failed to inspect image "": rpc error: code = Unknown desc = no"#, "no"),
            ("rpc error: code = Unknown desc = Error response from daemon: no.", "no"),
            ("unable to pull image or OCI artifact: pull image err: no; artifact err: neither", "no"),
            ("initializing source docker://a/b:1: (Mirrors also failed: [m/b:1: neither]): a/b:1: no", "a/b:1: no"),
            (
                r#"rpc error: code = Unavailable desc = connection error: desc = "dial unix /run/a.sock""#,
                r#"connection error: desc = "dial unix /run/a.sock""#,
            ),
        ] {
            assert_eq!(texts(message), [inner]);
        }
    }

    #[test]
    fn attempts_with_several_credentials_are_read_one_by_one() {
        let message = r#"[failed to pull and unpack image "a": 401, x, rpc error: code = NotFound desc = gone, failed to pull and unpack image "a": 403]"#;
        let found = texts(message);
        let expected =
            [r#"failed to pull and unpack image "a": 401, x"#, "gone", r#"failed to pull and unpack image "a": 403"#];
        assert_eq!(found, expected);
        assert_eq!(texts("[one: two"), ["one: two"], "cut off");
    }

    #[test]
    fn names_that_users_chose_are_no_words() {
        let said = attempts(r#"failed to resolve reference "h/denied:404": h/denied:404: open /var/x: Not Found"#);
        assert_eq!(said[0].words, "failed to resolve reference : open /var/x: not found");
        let cut = attempts(r#"failed to extract layer "sha256:1…/x": permission denied"#);
        assert!(cut[0].words.ends_with(": permission denied"), "{cut:?}");
    }

    #[test]
    fn words_are_whole() {
        assert!(says("x: eof", "eof") && says("(eof)", "eof") && says("a: not found", ": not found"));
        assert!(!says("geofence", "eof") && !says("", "eof"));
        assert_eq!(between("current time a is after b", "is after ", &[' ']), Some("b"));
    }
}
