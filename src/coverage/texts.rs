//! Messages of kubelets and registries, without the parts that differ at each attempt, so that the same failure on thousands
//! of nodes is one text, for people and in memory.

use std::borrow::Cow;
use std::sync::Arc;

use super::pool::Pool;
use crate::text::CleanText;

/// Names, references, reasons and messages, each kept once.
#[derive(Debug, Default)]
pub struct Texts {
    words: Pool<str>,
    messages: Pool<str>,
}

/// The most distinct messages that are kept, so that memory is bounded whatever registries answer. Reasons are always kept.
const MAX_MESSAGES: usize = 2_000;
/// Replaces each further message.
pub const OMITTED: &str = LEFT_OUT;

impl Texts {
    /// A name, a reference or a reason. There are few of these, so all are kept.
    pub fn word(&mut self, word: &str) -> Arc<str> {
        self.words.share(word)
    }

    /// A message, without the parts that differ at each attempt, and without what nobody may see of it.
    pub fn message(&mut self, message: &str) -> Arc<str> {
        let steady = steady(&CleanText::without_middle(message, BEGINNING, MAX_BYTES));
        self.messages.share_within(MAX_MESSAGES, &*steady).unwrap_or_else(|| self.words.share(OMITTED))
    }
}

/// The most bytes of a message. Some registries answer with a whole page, and some runtimes name all layers of an image.
const MAX_BYTES: usize = 2048;
/// How much of the beginning of a longer one is kept. The rest is its end, since the cause comes last.
const BEGINNING: usize = 800;
/// Replaces the parts that differ.
const LEFT_OUT: &str = "…";

/// Removes source addresses of connections and ids of single requests.
fn steady(message: &str) -> String {
    let words: Vec<String> = message.split(' ').map(|word| steady_path(without_source(steady_word(word)))).collect();
    without_time(words.join(" "))
}

/// Go reports the time at which it found that a certificate has expired.
fn without_time(message: String) -> String {
    const TIME: &str = "current time ";
    let Some((before, after)) = message.split_once(TIME) else { return message };
    let rest = after.split_once(' ').map_or("", |(_, rest)| rest);
    format!("{before}{TIME}{LEFT_OUT} {rest}")
}

/// Go writes the addresses of a connection as `10.1.2.3:41234->10.0.0.2:53:`; the first one has a new port each time.
fn without_source(word: &str) -> &str {
    word.split_once("->").filter(|(source, _)| source.contains(':')).map_or(word, |(_, target)| target)
}

/// Ids of requests are UUIDs or long hexadecimal numbers. A digest is one too, but starts with its algorithm.
fn steady_word(word: &str) -> &str {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let id = bare.len() >= 16 && bare.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let number = id && bare.bytes().any(|byte| byte.is_ascii_digit());
    if number { LEFT_OUT } else { word }
}

/// Paths on nodes contain the pod's uid, ids of containers and of their volumes, and the names of temporary folders.
fn steady_path(word: &str) -> String {
    let mut before = "";
    let part = |part| {
        let of_a_digest = matches!(before, "sha256" | "sha512");
        before = part;
        if of_a_digest { Cow::Borrowed(part) } else { steady_part(part) }
    };
    let parts: Vec<Cow<str>> = word.split('/').map(part).collect();
    parts.join("/")
}

fn steady_part(part: &str) -> Cow<'_, str> {
    /// In which containerd looks at an image's files (`github.com/containerd/containerd/v2/internal/cri/opts`, `WithVolumes`).
    const TEMPORARY: &str = "ctd-volume";
    let bare = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_uuid = bare.len() == 36 && bare.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_id = bare.len() == 64 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_uuid || is_id {
        return Cow::Owned(format!("{LEFT_OUT}{}", &part[bare.len()..]));
    }
    match bare.strip_prefix(TEMPORARY) {
        Some(number) if !number.is_empty() => Cow::Owned(format!("{TEMPORARY}{LEFT_OUT}{}", &part[bare.len()..])),
        _ => Cow::Borrowed(part),
    }
}

/// The most characters that are quoted of a message, so that an Event can quote several.
const QUOTED: usize = 160;

/// The end of a message, on one line: messages of registries and runtimes wrap each other, and the cause comes last.
pub fn end_of(message: &str) -> String {
    end_within(message, QUOTED)
}

/// The end of a message, on one line and with at most so many characters.
pub fn end_within(message: &str, most: usize) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let more = message.chars().count().saturating_sub(most);
    let end: String = message.chars().skip(more).collect();
    match end.split_once(' ') {
        Some((_, whole_words)) if more > 0 => format!("{LEFT_OUT} {whole_words}"),
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_at_each_try_is_left_out() {
        let id = "0f067aa0ba902b7e".repeat(4);
        for (said, kept) in [
            ("read udp 10.1.2.3:41234->10.0.0.2:53: i/o timeout", "read udp 10.0.0.2:53: i/o timeout"),
            ("denied, RequestID: 9fbe4a2c-5d0e-4b8e-9a3c-0f6f1f2f3f4f", "denied, RequestID: …"),
            (
                "mount /var/lib/kubelet/pods/9d075def-8961-4622-9e68-798b75774688/volumes/x:/y: not a directory",
                "mount /var/lib/kubelet/pods/…/volumes/x:/y: not a directory",
            ),
            (
                &format!("open /var/lib/containerd/containers/{id}/volumes/{id}: no such file or directory"),
                "open /var/lib/containerd/containers/…/volumes/…: no such file or directory",
            ),
            (
                "source /tmp/ctd-volume3839789134/vol is not directory: \"/tmp/ctd-volume1\"",
                "source /tmp/ctd-volume…/vol is not directory: \"/tmp/ctd-volume…\"",
            ),
            (&format!("open /content/blobs/sha256/{id}: bad"), &format!("open /content/blobs/sha256/{id}: bad")),
            ("denied (trace 00f067aa0ba902b7e1)", "denied (trace …"),
            (
                "expired: current time 2026-03-01T12:00:00Z is after 2026-02-01T00:00:00Z",
                "expired: current time … is after 2026-02-01T00:00:00Z",
            ),
        ] {
            assert_eq!(steady(said), kept);
        }
    }

    #[test]
    fn what_says_something_is_kept() {
        for said in [
            "failed to resolve reference \"ghcr.io/acme/app:1\": 401 Unauthorized",
            "app@sha256:0f067aa0ba902b7e10f067aa0ba902b7e10f067aa0ba902b7e10f067aa0ba902: not found",
            "0/5 nodes are available: 1 Too many pods.",
            "replace old->new and try again",
            "decade-facade-defaced-effaced",
            "",
        ] {
            assert_eq!(steady(said), said);
        }
    }

    #[test]
    fn a_long_message_loses_its_middle_and_keeps_the_cause_at_its_end() {
        let long = format!("failed to mount: {}: invalid argument", "ä".repeat(5_000));
        let cut = Texts::default().message(&long);
        assert!(cut.len() <= MAX_BYTES, "{}", cut.len());
        assert!(
            cut.starts_with("failed to mount: ") && cut.contains("ä…ä") && cut.ends_with(": invalid argument"),
            "{cut}"
        );
    }

    #[test]
    fn there_are_never_more_messages_than_anybody_reads() {
        let mut texts = Texts::default();
        let all: Vec<_> = (0..3 * MAX_MESSAGES).map(|number| texts.message(&format!("try {number}"))).collect();
        assert!(texts.messages.len() <= MAX_MESSAGES);
        assert_eq!((&*all[0], &*all[3 * MAX_MESSAGES - 1]), ("try 0", OMITTED));
        assert_eq!(&*texts.message("try 0"), "try 0", "what is known is still reported");
        drop(all);
        let again: Vec<_> = (0..2 * MAX_MESSAGES).map(|number| texts.message(&format!("later {number}"))).collect();
        assert!(again.iter().any(|message| message.starts_with("later")), "there is capacity again");
    }

    #[test]
    fn a_signed_url_differs_at_each_attempt_and_is_one_message_without_its_signature() {
        let mut texts = Texts::default();
        let mut message = |signature: &str| {
            texts.message(&format!(
                "failed to open: Get \"https://s3.test/blob?X-Amz-Date=1&X-Amz-Signature={signature}\":\n dial tcp: i/o timeout"
            ))
        };
        let (one, other) = (message("0a1b2c"), message("3d4e5f"));
        assert_eq!(&*one, "failed to open: Get \"https://s3.test/blob?<removed>\": dial tcp: i/o timeout");
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn whatever_a_node_says_is_kept_clean() {
        for said in crate::text::hostile::TEXTS {
            crate::text::hostile::assert_clean(&Texts::default().message(said));
        }
    }

    proptest! {
        #[test]
        fn it_stays_as_it_is_the_second_time(message in "[ -~ä]{0,200}") {
            let once = steady(&message);
            prop_assert_eq!(steady(&once), once.clone());
        }
    }
}
