//! Tests of cleaning.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::hostile::{TEXTS, assert_clean};
use super::{CleanText, json};

fn clean(text: &str) -> String {
    CleanText::from(text).into()
}

#[test]
fn nothing_hostile_is_left() {
    for text in TEXTS {
        assert_clean(&clean(text));
        assert!(!clean(text).contains('\n'));
    }
}

#[test]
fn what_is_left_can_be_read() {
    for (text, expected) in [
        ("denied\n  by \r\n\tpolicy\n", "denied by policy"),
        ("\u{1b}[1;31mdenied\u{1b}[0m", "denied"),
        ("a\u{1b}]0;b\u{7}c", "a ]0;b c"),
        ("na\u{200b}me \u{202e}x", "na\\u{200b}me \\u{202e}x"),
        ("::error file=a::b", ": :error file=a::b"),
        ("so  ::token::a", "so  : :token::a"),
        ("xx::error::a", "xx: :error::a"),
        ("a ##[error]b ###vso[x]", "a # #[error]b ## #vso[x]"),
        ("section_start:1700000000:a", "section_start :1700000000:a"),
        ("Get \"https://s3.test/b?X-Amz-Signature=1\\u0026x=2\": EOF", "Get \"https://s3.test/b?<removed>\": EOF"),
        ("request to https://a.test/b?sig=1: 403", "request to https://a.test/b?<removed>: 403"),
        ("http://m.test/v2/x?ns=a.test: 404", "http://m.test/v2/x?ns=a.test: 404"),
        ("https://a.test/token?scope=x&client=y", "https://a.test/token?scope=x&<removed>"),
        ("https://a.test/#access_token=x.", "https://a.test/#<removed>."),
        ("https://jane:pw@a.test/b@c", "https://<removed>@a.test/b@c"),
        ("/b?sig=abc&sv=2", "/b?sig=<removed>&sv=2"),
        ("{\"token\": \"abc\"}", "{\"token\": \"<removed>\"}"),
        ("Authorization: Bearer abcdefg1 x", "Authorization: Bearer <removed> x"),
    ] {
        assert_eq!(clean(text), expected, "{text:?}");
    }
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in [
        "",
        "ghcr.io/acme/app:1.2@sha256:0f067aa0ba902b7e10f067aa0ba902b7e10f067aa0ba902b7e10f067aa0ba902",
        "docker-pullable://alpine@sha256:0f067aa0ba90",
        "docker://a.test/x:1: reading manifest 1 in a.test/x: manifest unknown",
        "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://auth.a.test/token: 500",
        "no basic auth credentials; Bearer realm=\"https://a.test/token\",service=\"a.test\"; basic authentication",
        "dial tcp [::1]:443: connect; fe80::1 and ::1 and std::io::error; C++ ## heading [x]",
        "Größe, имя, 名前, e\u{301}, 👩\u{200d}🚀, ❤\u{fe0f}, 1\u{fe0f}\u{20e3}, می\u{200c}خواهم, “quoted” …",
        "key=value, secret=true, has-token=true; --set a.b=c",
        "what?  two spaces ",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    for text in ["ä".repeat(5_000), "👩\u{200d}".repeat(2_000), "\u{202e}".repeat(5_000), "a\u{301}".repeat(3_000)] {
        let cleaned = clean(&text);
        assert!(cleaned.len() <= CleanText::MAX_BYTES && cleaned.ends_with('…'), "{cleaned}");
        assert_eq!(clean(&cleaned), cleaned);
        assert!(CleanText::from(text).shortened(100).len() <= 100);
    }
    assert_eq!(CleanText::within("denied", 3).as_str(), "…");
}

/// Far above what a debug build needs on a busy machine, and far below what a step costs that is quadratic.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_megabyte_is_cleaned_in_a_moment() {
    for part in [
        "://",
        "?",
        "a=",
        "::a",
        "Bearer ",
        "eyJ.",
        "\"token\":\"",
        "@",
        "\u{1b}[",
        "##",
        "\\",
        "sig=",
        "a:",
        "\u{301}",
    ] {
        let text = part.repeat((1 << 20) / part.len());
        let begun = Instant::now();
        clean(&text);
        let took = begun.elapsed();
        assert!(took < LONG, "{part:?} took {took:?}");
    }
}

#[test]
fn json_is_cleaned_text_by_text() {
    let cleaned = json::cleaned("{\"a\":\"x\\n\\u001b[1m::error::y\",\"b\":[1,\"https://a/?sig=1\"]}\n");
    assert_eq!(cleaned, "{\"a\":\"x : :error::y\",\"b\":[1,\"https://a/?<removed>\"]}\n");
    assert_eq!(json::cleaned("no \"json\n"), "no \"json");
}

#[test]
fn escaped_json_means_the_same() {
    for text in TEXTS {
        let original = serde_json::to_string(text).expect("a text");
        let escaped = json::escaped(&original);
        assert!(!escaped.chars().any(super::visible::is_hidden), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).expect("JSON"), text);
    }
}

#[test]
fn what_is_stored_is_cleaned_when_it_is_read() {
    let read: CleanText = serde_json::from_str("\"a\\u001b[31m\\n::error::b\"").expect("JSON");
    assert_eq!(read, "a : :error::b");
}

/// Pieces that meet each other in bad ways, and any other characters.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "::",
            ":",
            "error",
            "set-env ",
            "##",
            "[",
            "vso[",
            "section_start",
            "https://",
            "?",
            "&",
            "=",
            "@",
            "sig",
            "token",
            "ns",
            "scope=",
            "sha256:",
            "\"",
            "\\",
            "\\\"",
            " ",
            "\n",
            "\u{1b}",
            "\u{1b}[",
            "m",
            "\u{9b}",
            "\u{200d}",
            "👩",
            "\u{fe0f}",
            "\u{301}",
            "…",
            "<",
            "<removed>",
            "Bearer ",
            "basic ",
            "Abcdefgh1",
            "eyJ",
            ".",
            "/",
            "#",
            "a",
            "1",
            "ي",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cleaning_again_changes_nothing(text in pieces(), most in 0usize..300) {
        let once = CleanText::within(&text, most);
        prop_assert_eq!(&CleanText::within(&once, most), &once, "{:?}", text);
        prop_assert_eq!(&CleanText::from(once.as_str()), &once, "{:?}", text);
    }

    #[test]
    fn whatever_is_said_is_on_one_line_and_of_limited_length(text in pieces()) {
        let cleaned = clean(&text);
        prop_assert!(cleaned.len() <= CleanText::MAX_BYTES);
        prop_assert!(!cleaned.chars().any(char::is_control));
        let reorders = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{feff}');
        prop_assert!(!cleaned.chars().any(reorders), "{cleaned}");
        let beginning = cleaned.trim_start();
        prop_assert!(!(beginning.starts_with("::error::") || beginning.contains("##[")), "{cleaned}");
    }

    #[test]
    fn plain_sentences_are_unchanged(text in "[A-Za-z0-9 ,.;'()/_@+-]{0,200}") {
        prop_assume!(!text.to_lowercase().contains("bearer") && !text.to_lowercase().contains("basic") && !text.contains("eyJ"));
        prop_assert_eq!(clean(&text), text);
    }

    #[test]
    fn any_json_stays_json(text in pieces()) {
        let original = serde_json::json!({text.clone(): [text.clone(), 1]}).to_string();
        let read: serde_json::Value = serde_json::from_str(&json::cleaned(&original)).expect("JSON");
        prop_assert_eq!(read, serde_json::json!({clean(&text): [clean(&text), 1]}));
        json::cleaned(&text);
    }
}
