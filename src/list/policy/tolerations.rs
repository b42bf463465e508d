//! Which tolerations are allowed.

use std::fmt;

use k8s_openapi::api::core::v1::Toleration;

use super::pattern::Glob;

/// An allowance. What it does not name may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TolerationRule {
    /// Whether it also allows tolerations without a key, which tolerate every taint.
    pub every_taint: bool,
    /// The taint's key.
    pub key: Option<(String, Glob)>,
    /// The operator.
    pub operator: Option<String>,
    /// The taint's value.
    pub value: Option<(String, Glob)>,
    /// The taint's effect.
    pub effect: Option<String>,
}

impl TolerationRule {
    /// Everything.
    pub fn everything() -> Self {
        Self { every_taint: true, ..Self::default() }
    }

    /// Whether it allows all that a toleration tolerates: one without an effect tolerates all effects, and one with another operator
    /// than `Equal` several values.
    pub fn allows(&self, toleration: &Toleration) -> bool {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (key, value, effect) = (text(&toleration.key), text(&toleration.value), text(&toleration.effect));
        let operator = operator(toleration);
        let key_is_allowed = match &self.key {
            Some((_, pattern)) => !key.is_empty() && pattern.matches(&key),
            None => self.every_taint,
        };
        key_is_allowed
            && self.operator.as_ref().is_none_or(|wanted| wanted == operator)
            && self.value.as_ref().is_none_or(|(_, pattern)| operator == "Equal" && pattern.matches(&value))
            && self.effect.as_ref().is_none_or(|wanted| *wanted == effect)
    }
}

fn operator(toleration: &Toleration) -> &str {
    toleration.operator.as_deref().filter(|operator| !operator.is_empty()).unwrap_or("Equal")
}

impl fmt::Display for TolerationRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every_taint = self.every_taint.then_some("every taint".to_owned());
        let key = self.key.as_ref().map(|(text, _)| text.clone());
        let operator = self.operator.as_ref().map(|text| format!("operator {text}"));
        let value = self.value.as_ref().map(|(text, _)| format!("value {text}"));
        let effect = self.effect.as_ref().map(|text| format!("effect {text}"));
        let parts: Vec<String> = [every_taint, key, operator, value, effect].into_iter().flatten().collect();
        f.write_str(&parts.join(" with "))
    }
}

/// A toleration, in words.
pub fn described(toleration: &Toleration) -> String {
    let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
    let effect = effect.map_or_else(|| "all effects".to_owned(), |effect| format!("the effect {effect}"));
    match toleration.key.as_deref().filter(|key| !key.is_empty()) {
        None => format!("every taint with {effect}"),
        Some(key) => match toleration.value.as_deref().filter(|value| !value.is_empty()) {
            Some(value) => format!("the taint {key} {} {value} with {effect}", operator(toleration)),
            None => format!("the taint {key} with {effect}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn toleration(value: Value) -> Toleration {
        serde_json::from_value(value).expect("a toleration")
    }

    fn named(text: &str) -> Option<(String, Glob)> {
        Some((text.to_owned(), Glob::of_name(text).expect("a pattern")))
    }

    #[test]
    fn a_toleration_of_more_than_a_rule_says_is_not_allowed() {
        let any_key = TolerationRule { key: named("*"), ..TolerationRule::default() };
        let gpu = TolerationRule { key: named("nvidia.com/*"), ..TolerationRule::default() };
        let no_schedule = TolerationRule { effect: Some("NoSchedule".to_owned()), ..gpu.clone() };
        let valued = TolerationRule { value: named("a*"), ..gpu.clone() };
        let equal = TolerationRule { operator: Some("Equal".to_owned()), ..gpu.clone() };
        let everything_unscheduled =
            TolerationRule { effect: Some("NoSchedule".to_owned()), ..TolerationRule::everything() };
        let one = json!({"key": "nvidia.com/gpu", "operator": "Exists"});
        let with = |rest: Value| {
            let mut value = json!({"key": "nvidia.com/gpu"});
            value.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
            value
        };
        let all = json!({"operator": "Exists"});
        for (rule, value, allowed) in [
            (&TolerationRule::everything(), all.clone(), true),
            (&TolerationRule::everything(), one.clone(), true),
            (&any_key, one.clone(), true),
            (&any_key, all.clone(), false),
            (&any_key, json!({"key": "", "operator": "Exists"}), false),
            (&gpu, one.clone(), true),
            (&gpu, json!({"key": "example.com/gpu", "operator": "Exists"}), false),
            (&no_schedule, one.clone(), false),
            (&no_schedule, with(json!({"operator": "Exists", "effect": "NoSchedule"})), true),
            (&no_schedule, with(json!({"operator": "Exists", "effect": "NoExecute"})), false),
            (&valued, one.clone(), false),
            (&valued, with(json!({"value": "a1"})), true),
            (&valued, with(json!({"value": "b1"})), false),
            (&valued, with(json!({"operator": "Gt", "value": "a1"})), false),
            (&equal, with(json!({"value": "b1"})), true),
            (&equal, with(json!({"operator": "", "value": "b1"})), true),
            (&equal, one, false),
            (&everything_unscheduled, all, false),
            (&everything_unscheduled, json!({"operator": "Exists", "effect": "NoSchedule"}), true),
        ] {
            assert_eq!(rule.allows(&toleration(value.clone())), allowed, "{rule}: {value}");
        }
    }
}
