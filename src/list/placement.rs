//! Tolerations and architectures. Tolerations are checked by the API's own rules (`ValidateTolerations` in
//! `k8s.io/kubernetes/pkg/apis/core/validation`), so that a bad one is reported when the list is edited, and not by a failing
//! DaemonSet.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Toleration;

use super::config::Architecture;
use super::labels::{KEY_FORM, VALUE_FORM, label_value, qualified_name};
use super::problem::{Code, quoted};
use super::reader::{At, Place, Problems};
use super::suggest;

/// Parses a sequence of tolerations.
pub fn tolerations(at: &At, problems: &mut Problems) -> Vec<Toleration> {
    let mut tolerations = Vec::new();
    for item in at.items(problems) {
        if let Some(toleration) = item.typed::<Toleration>(problems) {
            check_toleration(&item, &toleration, problems);
            tolerations.push(toleration);
        }
    }
    tolerations
}

fn check_toleration(at: &At, toleration: &Toleration, problems: &mut Problems) {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let mut bad = |field: &str, message: String, remedy: &str| {
        problems.error(at.child(field).place(), Code::InvalidValue, message, remedy);
    };
    if !key.is_empty()
        && let Err(why) = qualified_name(key)
    {
        bad("key", format!("{} is not a taint's key: it {why}", quoted(key)), KEY_FORM);
    }
    if !["", "NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        bad(
            "effect",
            format!("unknown taint effect {}", quoted(effect)),
            "write NoSchedule, PreferNoSchedule or NoExecute, or leave it out for all",
        );
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        bad("tolerationSeconds", "it needs the effect NoExecute".to_owned(), "remove it, or write effect: NoExecute");
    }
    check_operator(at, toleration, key, problems);
}

/// The operators that API servers know. `Lt` and `Gt` exist since Kubernetes 1.35, and need the feature gate
/// `TaintTolerationComparisonOperators`; an API server without it refuses the DaemonSet, which is reported in its words.
const OPERATORS: [&str; 4] = ["Exists", "Equal", "Lt", "Gt"];

fn check_operator(at: &At, toleration: &Toleration, key: &str, problems: &mut Problems) {
    let value = toleration.value.as_deref().unwrap_or_default();
    let operator = toleration.operator.as_deref().unwrap_or_default();
    let mut bad = |field: &str, message: String, remedy: &str| {
        problems.error(at.child(field).place(), Code::InvalidValue, message, remedy);
    };
    if !operator.is_empty() && !OPERATORS.contains(&operator) {
        let remedy = format!("write one of {}", OPERATORS.join(", "));
        return bad("operator", format!("unknown operator {}", quoted(operator)), &remedy);
    }
    if key.is_empty() && operator != "Exists" {
        bad(
            "operator",
            "without a key the operator must be Exists".to_owned(),
            "name the key, or write operator: Exists to tolerate every taint",
        );
    }
    match operator {
        "Exists" if !value.is_empty() => {
            bad("value", "Exists takes no value".to_owned(), "remove the value, or use the operator Equal");
        }
        "Exists" => {}
        "Lt" | "Gt" => {
            if decimal_integer(value).is_none() {
                bad(
                    "value",
                    format!("{} is not a whole number, as the operator {operator} needs", quoted(value)),
                    "write a whole number in quotes, without leading zeros, such as \"950\"",
                );
            }
        }
        _ => {
            if let Err(why) = label_value(value) {
                bad("value", format!("{} is not a taint's value: it {why}", quoted(value)), VALUE_FORM);
            }
        }
    }
}

/// The number that the operators `Lt` and `Gt` compare: decimal, without leading zeros (`IsDecimalInteger` in
/// `k8s.io/apimachinery/pkg/api/validate/content`), and of 64 bits.
pub fn decimal_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = text == "0" || !digits.starts_with('0');
    (is_decimal && is_canonical).then(|| text.parse().ok()).flatten()
}

/// Parses a sequence of architectures.
pub fn architectures(at: &At, problems: &mut Problems) -> BTreeSet<Architecture> {
    let mut found = BTreeSet::new();
    for item in at.items(problems) {
        if let Some(text) = item.text(problems) {
            found.extend(architecture(item.place(), text, problems));
        }
    }
    found
}

/// Parses the name of an architecture.
pub fn architecture(place: Place, name: &str, problems: &mut Problems) -> Option<Architecture> {
    let known = Architecture::ALL.map(|(name, _)| name);
    let found = Architecture::ALL.iter().find(|(known, _)| *known == name);
    if found.is_none() {
        problems.error(
            place,
            Code::InvalidValue,
            format!("unknown architecture {}", quoted(name)),
            suggest::value_remedy(name, &known),
        );
    }
    found.map(|(_, architecture)| *architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_the_api_server_takes() {
        for (text, number) in [("0", 0), ("950", 950), ("-5", -5), ("9223372036854775807", i64::MAX)] {
            assert_eq!(decimal_integer(text), Some(number), "{text}");
        }
        for text in ["", "-", "-0", "007", "-07", "+5", "1.0", "1e3", " 5", "9223372036854775808", "many"] {
            assert_eq!(decimal_integer(text), None, "{text}");
        }
    }
}
