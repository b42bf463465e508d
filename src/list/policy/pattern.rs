//! Patterns: texts with `*`.

use std::fmt;

/// The most characters of a pattern: no name or repository is longer.
const MAX_PATTERN: usize = 512;
/// The most patterns that a message names.
const MAX_SHOWN: usize = 5;

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// Any text without this byte; `None`: any text.
    AnyBut(Option<u8>),
}

/// A text in which `*` stands for any other text. Everything else stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    /// A pattern in which `*` matches any text, also none.
    ///
    /// # Errors
    /// What is wrong with it, which completes "it …".
    pub fn of_name(text: &str) -> Result<Self, String> {
        match text.contains("**") {
            true => Err("contains \"**\", and one \"*\" already stands for any text".to_owned()),
            false => Self::new(text, None),
        }
    }

    /// A pattern in which `*` matches any text within one component of a path, and `**` also several components.
    ///
    /// # Errors
    /// What is wrong with it, which completes "it …".
    pub fn of_path(text: &str) -> Result<Self, String> {
        match text.contains("***") {
            true => Err("contains \"***\", and \"**\" already stands for any text".to_owned()),
            false => Self::new(text, Some(b'/')),
        }
    }

    fn new(text: &str, separator: Option<u8>) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if text.len() > MAX_PATTERN {
            return Err(format!("has more than {MAX_PATTERN} characters"));
        }
        let mut tokens: Vec<Token> = Vec::new();
        for byte in text.bytes() {
            match (byte, tokens.last_mut()) {
                (b'*', Some(last @ Token::AnyBut(_))) => *last = Token::AnyBut(None),
                (b'*', _) => tokens.push(Token::AnyBut(separator)),
                _ => tokens.push(Token::Byte(byte)),
            }
        }
        Ok(Self { tokens })
    }

    /// Whether the whole text matches. Takes time proportional to the product of both lengths, whatever the pattern.
    pub fn matches(&self, text: &str) -> bool {
        let literal = self.tokens.iter().map_while(|token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::AnyBut(_) => None,
        });
        let mut bytes = text.bytes();
        if !literal.clone().all(|byte| bytes.next() == Some(byte)) {
            return false;
        }
        let rest = &self.tokens[literal.count()..];
        // `reached[n]`: the first n tokens match what was read so far.
        let mut reached = vec![false; rest.len() + 1];
        reached[0] = true;
        skip_empty(rest, &mut reached);
        for byte in bytes {
            let mut next = vec![false; rest.len() + 1];
            for (index, token) in rest.iter().enumerate().filter(|(index, _)| reached[*index]) {
                match token {
                    Token::Byte(wanted) if *wanted == byte => next[index + 1] = true,
                    Token::AnyBut(separator) if *separator != Some(byte) => next[index] = true,
                    _ => {}
                }
            }
            skip_empty(rest, &mut next);
            reached = next;
        }
        reached[rest.len()]
    }
}

/// A star also matches nothing.
fn skip_empty(tokens: &[Token], reached: &mut [bool]) {
    for (index, token) in tokens.iter().enumerate() {
        if reached[index] && matches!(token, Token::AnyBut(_)) {
            reached[index + 1] = true;
        }
    }
}

/// What a set of patterns says of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternAnswer<'p> {
    /// It is allowed.
    Allowed,
    /// No pattern matches it.
    NotNamed,
    /// This pattern, which begins with `!`, matches it.
    Excluded(&'p str),
}

/// Patterns that allow, and patterns after a `!` that exclude. A text is allowed if one of the former matches it and none of the
/// latter does, in whatever order they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns<P> {
    allowing: Vec<(String, P)>,
    excluding: Vec<(String, P)>,
}

impl<P> Default for Patterns<P> {
    fn default() -> Self {
        Self { allowing: Vec::new(), excluding: Vec::new() }
    }
}

impl<P> Patterns<P> {
    /// Adds a pattern.
    ///
    /// # Errors
    /// What `parse` says of it.
    pub fn add<E>(&mut self, text: &str, parse: impl Fn(&str) -> Result<P, E>) -> Result<(), E> {
        let (patterns, pattern) = match text.strip_prefix('!') {
            Some(excluded) => (&mut self.excluding, parse(excluded)?),
            None => (&mut self.allowing, parse(text)?),
        };
        patterns.push((text.to_owned(), pattern));
        Ok(())
    }

    /// Whether there are only exclusions, which allow nothing.
    pub fn only_excludes(&self) -> bool {
        self.allowing.is_empty() && !self.excluding.is_empty()
    }

    /// What the patterns say, by which of them match.
    pub fn answer(&self, matches: impl Fn(&P) -> bool) -> PatternAnswer<'_> {
        match self.excluding.iter().find(|(_, pattern)| matches(pattern)) {
            Some((text, _)) => PatternAnswer::Excluded(text),
            None if self.allowing.iter().any(|(_, pattern)| matches(pattern)) => PatternAnswer::Allowed,
            None => PatternAnswer::NotNamed,
        }
    }
}

/// What is allowed, in words: the first few patterns.
impl<P> fmt::Display for Patterns<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self.allowing.iter().chain(&self.excluding).map(|(text, _)| text.as_str()).collect();
        f.write_str(&shown(&all))
    }
}

/// The first few of some texts.
pub fn shown(texts: &[&str]) -> String {
    match texts {
        [] => "none".to_owned(),
        _ if texts.len() <= MAX_SHOWN => texts.join(", "),
        _ => format!("{} and {} more", texts[..MAX_SHOWN].join(", "), texts.len() - MAX_SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Glob {
        Glob::of_name(text).unwrap_or_else(|why| panic!("{text}: it {why}"))
    }

    fn path(text: &str) -> Glob {
        Glob::of_path(text).unwrap_or_else(|why| panic!("{text}: it {why}"))
    }

    #[test]
    fn a_star_in_a_name_is_any_text() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a1b2b3c", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a.c", "abc", false),
            ("ex.com/*", "ex.com/a", true),
        ] {
            assert_eq!(name(pattern).matches(text), matches, "{pattern} and {text}");
        }
    }

    #[test]
    fn a_star_in_a_path_ends_at_a_slash_and_two_do_not() {
        for (pattern, text, matches) in [
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/*", "a", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**", "a/b/c", true),
            ("a/**/c", "a/b/b/c", true),
            ("a/**/c", "a/c", false),
            ("*/app", "team/app", true),
            ("*/app", "a/team/app", false),
            ("a/b*", "a/b-1", true),
        ] {
            assert_eq!(path(pattern).matches(text), matches, "{pattern} and {text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(Glob::of_name("").is_err() && Glob::of_path("").is_err());
        assert!(Glob::of_name("a**").is_err() && Glob::of_path("a/***").is_err());
        assert!(Glob::of_name(&"a".repeat(513)).is_err());
    }

    #[test]
    fn exclusions_win_in_any_order() {
        for texts in [["*", "!system-*"], ["!system-*", "*"]] {
            let mut patterns = Patterns::default();
            texts.iter().for_each(|text| patterns.add(text, Glob::of_name).expect("a pattern"));
            let answer = |text: &str| patterns.answer(|pattern| pattern.matches(text));
            assert_eq!(answer("batch"), PatternAnswer::Allowed);
            assert_eq!(answer("system-node-critical"), PatternAnswer::Excluded("!system-*"));
        }
        let mut only = Patterns::default();
        only.add("!a", Glob::of_name).expect("a pattern");
        assert_eq!(only.answer(|pattern| pattern.matches("b")), PatternAnswer::NotNamed);
        assert!(only.only_excludes());
    }

    #[test]
    fn messages_name_a_few_patterns() {
        assert_eq!(shown(&[]), "none");
        assert_eq!(shown(&["a", "b"]), "a, b");
        assert_eq!(shown(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }

    /// The same, by trying every split.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|end| slow(rest, &text[end..])),
            [b'*', rest @ ..] => {
                (0..=text.len()).take_while(|end| !text[..*end].contains(&b'/')).any(|end| slow(rest, &text[end..]))
            }
            [byte, rest @ ..] => text.first() == Some(byte) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_path_matches_as_by_trying_every_split(pattern in "[ab/]{0,3}(\\*{0,2}[ab/]{1,2}){0,3}\\*{0,2}", text in "[ab/]{0,8}") {
            prop_assume!(!pattern.is_empty());
            prop_assert_eq!(path(&pattern).matches(&text), slow(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_pattern_without_a_star_matches_itself_only(pattern in "[a-z./-]{1,20}", text in "[a-z./-]{0,20}") {
            prop_assert!(name(&pattern).matches(&pattern) && path(&pattern).matches(&pattern));
            prop_assert_eq!(name(&pattern).matches(&text), pattern == text);
        }

        #[test]
        fn any_text_is_a_pattern_or_refused_and_matching_ends(pattern in ".{0,60}", text in ".{0,200}") {
            for glob in [Glob::of_name(&pattern), Glob::of_path(&pattern)].into_iter().flatten() {
                glob.matches(&text);
            }
        }
    }
}
