//! No private vocabulary where a standard term exists.

use crate::{files, read};

/// What is not said, with what is said instead. Upper and lower case are one, and so are spaces, line ends, hyphens and underscores.
const NOT_SAID: [(&str, &str); 66] = [
    ("anew", "again; recreates"),
    ("told", "reported"),
    ("let go of", "released"),
    ("lets go of", "releases"),
    ("letting go of", "releasing"),
    ("let go by", "released by"),
    ("unheld", "not held"),
    ("meets all nodes at once", "avoids a thundering herd"),
    ("no disk that could be kept warm", "virtual nodes have no local image cache"),
    ("wake anybody", "none of them should page"),
    ("what was waited for", "the list was edited while waiting"),
    ("is no interval", "the interval must be between"),
    ("holds stays held", "still cached by the previous DaemonSet"),
    ("where there is", "if there is"),
    ("where there are", "if there are"),
    ("where it is named", "if given"),
    ("verdict", "validation result"),
    ("leftover", "adoption"),
    ("leftovers", "adoption"),
    ("outlook", "blocker"),
    ("surroundings", "environment"),
    ("thrash", "eviction loop"),
    ("thrashing", "eviction loop"),
    ("troubles", "conditions"),
    ("noRoom", "noCapacity"),
    ("no room", "no capacity"),
    ("not judged", "not validated"),
    ("notJudged", "notValidated"),
    ("RoundStarted", "RolloutStarted"),
    ("RoundDone", "RolloutComplete"),
    ("Narrowed", "ScopedDown"),
    ("MakingRoom", "NoCapacity"),
    ("ImageHealed", "ImageRecovered"),
    ("HolderEvicted", "EvictionLoop"),
    ("AlwaysPulled", "AlwaysPullEnforced"),
    ("LeftoverAdopted", "DaemonSetAdopted"),
    ("KubePrepullThrashing", "KubePrepullEvictionLoop"),
    ("round start timestamp", "rollout_start_timestamp"),
    ("last probe timestamp", "last_tag_check_timestamp"),
    ("rounds started total", "rollouts_started_total"),
    ("turnsEndAt", "startDelaysEndAt"),
    ("roundAt", "rolloutAt"),
    ("lastLookAt", "lastCheckAt"),
    ("kube-prepull.io/looks", "kube-prepull.io/tag-checks"),
    ("kube-prepull.io/reach", "kube-prepull.io/node-scope"),
    ("docs/rounds.md", "docs/rollouts.md"),
    ("rounds", "rollouts"),
    ("news", "messages; events"),
    ("judge", "validate"),
    ("judged", "validated"),
    ("judges", "validates"),
    ("sight", "observations"),
    ("picture", "snapshot"),
    ("standing", "generations"),
    ("arrival", "node warm-up"),
    ("arrivals", "node warm-ups"),
    ("room", "capacity"),
    ("look at tags", "tag check"),
    ("looks at tags", "tag checks; checks tags"),
    ("looks at the tags", "checks the tags"),
    ("looked at", "checked"),
    ("at work", "available; enforced"),
    ("accepted form", "accepted version"),
    ("accepted forms", "accepted versions"),
    ("somebody else", "another client"),
    ("somebody else's", "another client's"),
];

/// What is read, from the top of the checkout.
const READ: [&str; 10] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "Makefile",
    "README.md",
    "config",
    "deploy",
    "docs",
    "src",
    "tests",
];
/// Words of others that the project only carries, and these here.
const NOT_READ: [&str; 3] = ["tests/binaries/", "tests/deploy/former-chart/", "tests/structure/wording.rs"];
/// A word in lower case, and its line.
type Word = (String, usize);

#[test]
fn nothing_is_said_in_a_private_language() {
    let mut found = Vec::new();
    let read_files = READ.iter().flat_map(|place| files(place)).filter(|file| !is_in(file, &NOT_READ));
    for file in read_files {
        let Some(text) = read(&file) else { continue };
        let said = not_to_be_said(&words(&text));
        found.extend(said.iter().map(|(line, not, but)| format!("{file}:{line}: not {not:?} but {but:?}")));
    }
    assert!(found.is_empty(), "{} places to say in plain English:\n{}", found.len(), found.join("\n"));
}

fn is_in(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| if place.ends_with('/') { file.starts_with(place) } else { file == *place })
}

/// With the line on which each begins. What marks a comment is between words, so a phrase may go on in its next line.
fn words(text: &str) -> Vec<Word> {
    let words = text.lines().zip(1..).flat_map(|(line, number)| {
        let parts = line.split(|character: char| !character.is_alphanumeric() && character != '\'');
        parts.filter(|part| !part.is_empty()).map(move |part| (part.to_lowercase(), number))
    });
    words.collect()
}

fn not_to_be_said(words: &[Word]) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (not, but) in NOT_SAID {
        let phrase: Vec<String> = self::words(not).into_iter().map(|(word, _)| word).collect();
        let places = words.windows(phrase.len()).filter(|words| words.iter().map(|(word, _)| word).eq(&phrase));
        found.extend(places.map(|words| (words[0].1, not, but)));
    }
    found.sort_unstable();
    found
}

#[test]
fn a_phrase_is_found_across_lines_and_in_names() {
    let found = |text: &str| not_to_be_said(&words(text)).iter().map(|&(line, not, _)| (line, not)).collect::<Vec<_>>();
    assert_eq!(found("/// It is\n/// let go\n/// of."), [(2, "let go of")]);
    assert_eq!(
        found("fn told_twice() {}\nkube_prepull_rounds_started_total"),
        [(1, "told"), (2, "rounds"), (2, "rounds started total")]
    );
    assert!(found("retold, a newer one").is_empty());
}
