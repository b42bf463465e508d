//! What users stumble over, and what they meant.

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::problem::quoted;
use super::suggest;
use super::tree::{TreeNode, Value};

/// No interval is longer.
const MAX_INTERVAL: usize = 100;
/// How many images a corrected list has.
const MAX_IMAGES: usize = 20;
/// The key of images as pairs.
const PAIRS_KEY: &str = "IMAGES";
/// The longest variable of a template, in bytes.
const MAX_VARIABLE: usize = 300;
/// A corrected text that is longer is not shown.
const MAX_CORRECTED: usize = 300;

/// The first variable of a template in a text that nothing has filled in: `${a}`, `$(a)`, `$A` or `{{ a }}`. None of them is part of
/// a valid name, number or image reference.
pub fn unfilled(text: &str) -> Option<&str> {
    let starts = text.char_indices().filter(|(_, letter)| matches!(letter, '$' | '{'));
    starts.map(|(start, _)| &text[start..]).find_map(variable_at)
}

fn variable_at(text: &str) -> Option<&str> {
    let enclosed = [("${", "}"), ("$(", ")"), ("{{", "}}")].into_iter().find(|(open, _)| text.starts_with(open));
    if let Some((open, close)) = enclosed {
        // No further than that, or else a text of nothing but opening brackets would be searched from each of them to its end.
        let text = &text[..text.floor_char_boundary(MAX_VARIABLE)];
        let end = text[open.len()..].find(close)? + open.len() + close.len();
        return Some(&text[..end]).filter(|_| end > open.len() + close.len());
    }
    let name = text.strip_prefix('$')?;
    let length = name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(name.len());
    name.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_').then(|| &text[..=length])
}

/// The remedy for a variable that nothing has filled in.
pub fn fill_in(variable: &str) -> String {
    format!("put a value in place of {variable}: kube-prepull fills in no variables of templates")
}

/// An interval with days or weeks in hours, such as `168h` for `7d`.
pub fn in_hours(text: &str) -> Option<String> {
    let span: Span = Some(text).filter(|text| text.len() <= MAX_INTERVAL)?.trim().parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (duration > SignedDuration::ZERO).then(|| format!("{duration:#}"))
}

/// Pairs `name=image` that are not separated by `;`: the message and the remedy.
pub fn missing_separator(pair: &str) -> Option<(String, String)> {
    if pair.matches('=').count() < 2 {
        return None;
    }
    let tidy = pair.split('=').map(str::trim).collect::<Vec<_>>().join("=");
    let pairs: Vec<&str> = tidy
        .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '|'))
        .filter(|it| !it.is_empty())
        .collect();
    let all_are_pairs = pairs.len() > 1 && pairs.iter().all(|it| it.matches('=').count() == 1);
    if !all_are_pairs {
        return None;
    }
    let corrected = pairs.join(";");
    let remedy = match corrected.len() {
        0..=MAX_CORRECTED => format!("separate them by ;, as in {corrected}"),
        _ => format!("separate them by ;, as in {};{}", pairs[0], pairs[1]),
    };
    Some((format!("{} has {} pairs without ; between them", quoted(pair), pairs.len()), remedy))
}

/// What to do about pairs `name=image` where a list in YAML belongs; `None` for other texts.
pub fn pairs_as_list(text: &str) -> Option<String> {
    let pairs = text.split(';').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('='));
    let images = pairs.map(|pair| pair.map(|(_, image)| image.trim())).collect::<Option<Vec<&str>>>()?;
    let is_image = |image: &&str| !image.is_empty() && !image.contains(|it: char| it.is_whitespace() || it == '=');
    if images.is_empty() || !images.iter().all(is_image) {
        return None;
    }
    let plain =
        |image: &str| image.starts_with(|it: char| it.is_ascii_alphanumeric()) && !image.contains([',', ']', '}']);
    let item = |image: &&str| if plain(image) { (*image).to_owned() } else { format!("{image:?}") };
    let items: Vec<String> = images.iter().take(MAX_IMAGES).map(item).collect();
    let more = if images.len() > MAX_IMAGES { ", …" } else { "" };
    let list = items.join(", ");
    Some(format!("write a list, as in images: [{list}{more}]; pairs belong under the key {PAIRS_KEY} of the ConfigMap"))
}

/// Whether a text is a list in YAML or JSON, and not pairs.
pub fn is_yaml_list(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("- ") || text.starts_with("-\n") || text.starts_with('[')
}

/// Whether the value of a key of the data is probably meant to be the list as YAML, because of the key's name or of the value.
pub fn is_meant_as_document(key: &str, value: &str) -> bool {
    is_named_as_document(key) || has_images(value)
}

/// Whether a key or a file is probably meant to be the list as YAML, because of its name.
pub fn is_named_as_document(key: &str) -> bool {
    let (stem, extension) = key.rsplit_once('.').unwrap_or((key, ""));
    ["yaml", "yml", "json"].contains(&extension.to_lowercase().as_str())
        && suggest::closest(stem, &["images", "image-list", "imagelist"]).is_some()
}

fn has_images(value: &str) -> bool {
    match TreeNode::from_yaml(value).map(|node| node.value) {
        Ok(Value::Mapping(entries)) => {
            entries.iter().any(|(key, node)| ["images", "groups"].contains(&key.name.as_str()) && is_sequence(node))
        }
        Ok(Value::Sequence(items)) => {
            !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Text(_)))
        }
        _ => false,
    }
}

fn is_sequence(node: &TreeNode) -> bool {
    matches!(node.value, Value::Sequence(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_templates_are_found() {
        for (text, variable) in [
            ("nginx:${TAG}", "${TAG}"),
            ("ghcr.io/$(ORG)/app:1", "$(ORG)"),
            ("nginx:$TAG-x", "$TAG"),
            ("\"{{ .Values.image }}\" is not", "{{ .Values.image }}"),
            ("a ${X:-1} b", "${X:-1}"),
        ] {
            assert_eq!(unfilled(text), Some(variable), "{text}");
        }
        for none in ["nginx:1", "costs 5$", "$5", "{}", "{\"a\": {}}", "${", "${}", "{{", "$ A", "ä$", "a$b"] {
            assert_eq!(unfilled(none), None, "{none}");
        }
    }

    #[test]
    fn days_and_weeks_are_converted_to_hours() {
        for (text, hours) in
            [("7d", "168h"), ("1w", "168h"), ("1d 12h", "36h"), ("2 weeks", "336h"), ("1d30m", "24h 30m")]
        {
            assert_eq!(in_hours(text).as_deref(), Some(hours), "{text}");
        }
        for none in ["1mo", "1y", "often", "7", "-7d", ""] {
            assert_eq!(in_hours(none), None, "{none}");
        }
    }

    #[test]
    fn pairs_without_a_separator_are_recognized() {
        for (pair, corrected) in [
            ("a=nginx:1 b=redis:7", "a=nginx:1;b=redis:7"),
            ("a=nginx:1\n  b = redis:7\nc=busybox", "a=nginx:1;b=redis:7;c=busybox"),
            ("a=nginx,b=redis", "a=nginx;b=redis"),
        ] {
            let (_, remedy) = missing_separator(pair).unwrap_or_else(|| panic!("{pair}"));
            assert!(remedy.ends_with(corrected), "{remedy}");
        }
        for other in ["a=nginx", "a=b=c", "a=nginx redis", "a=b=c d=e"] {
            assert_eq!(missing_separator(other), None, "{other}");
        }
    }

    #[test]
    fn pairs_are_shown_as_a_list() {
        for (text, list) in [
            ("a=nginx:1;b=redis:7", "[nginx:1, redis:7]"),
            ("a = nginx:1 ; b=[fd00::3]:5000/app:1;", "[nginx:1, \"[fd00::3]:5000/app:1\"]"),
            ("a=nginx", "[nginx]"),
        ] {
            let remedy = pairs_as_list(text).unwrap_or_else(|| panic!("{text}"));
            assert!(remedy.contains(list), "{remedy}");
        }
        for other in ["", ";", "nginx:1", "a=", "a=b=c", "a=nginx b=redis", "a=nginx;redis"] {
            assert_eq!(pairs_as_list(other), None, "{other}");
        }
    }

    #[test]
    fn a_document_is_known_by_its_key_or_by_what_it_is() {
        for (key, value) in [
            ("images.yml", ""),
            ("image.yaml", ""),
            ("images.json", "x"),
            ("Images.YAML", ""),
            ("config.yaml", "images: [a]"),
            ("images", "- nginx:1\n- redis:7\n"),
            ("list", "groups: [{name: g}]"),
        ] {
            assert!(is_meant_as_document(key, value), "{key}");
        }
        for (key, value) in
            [("README", "to do"), ("images", "a=nginx"), ("config.yaml", "images: 3"), ("x", "[{a: b}]")]
        {
            assert!(!is_meant_as_document(key, value), "{key}");
        }
    }
}
