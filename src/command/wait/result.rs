//! The result of waiting, for programs. Pure.

use std::time::Duration;

use serde::Serialize;

use super::goal::Warmth;
use crate::command::outcome::Outcome;
use crate::text::{CleanText, json};

/// The version of the JSON. It changes when a key is removed or changes its meaning, but not when a key is added.
const JSON_VERSION: u32 = 1;

/// The result of waiting. Its fields are the keys of the JSON, which `docs/wait.md` documents.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)] // The documentation for users says it.
pub struct WaitResult {
    version: u32,
    pub namespace: Option<CleanText>,
    pub list: Option<CleanText>,
    succeeded: bool,
    pub accepted: bool,
    warm: bool,
    images: usize,
    reached: usize,
    nodes: AwaitedNodes,
    seconds: u64,
    reasons: Vec<CleanText>,
}

/// Numbers of nodes, summed over the images.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct AwaitedNodes {
    counted: usize,
    required: usize,
    warm: usize,
}

impl WaitResult {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            version: JSON_VERSION,
            namespace: None,
            list: None,
            succeeded: false,
            accepted: false,
            warm: false,
            images: 0,
            reached: 0,
            nodes: AwaitedNodes::default(),
            seconds: 0,
            reasons: Vec::new(),
        }
    }

    /// Notes how close the goal is. If no node counts, nothing is warm.
    pub fn measure(&mut self, warmth: &Warmth) {
        let Warmth { images, reached, required, warm, counted, .. } = *warmth;
        (self.images, self.reached) = (images, reached);
        self.nodes = AwaitedNodes { counted, required, warm };
        self.warm = warmth.is_reached() && counted > 0;
    }

    /// Adds a reason for each line of the text.
    pub fn add_reasons(&mut self, text: &str) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        self.reasons.extend(lines.map(CleanText::from));
    }

    /// Notes how it ended, after how long.
    pub fn end(&mut self, outcome: &anyhow::Result<Outcome>, took: Duration) {
        if let Err(error) = outcome {
            self.add_reasons(&format!("{error:#}"));
        }
        self.succeeded = matches!(outcome, Ok(Outcome::Good));
        // What was measured before the list was edited, or on too few nodes at the end of the time, does not count.
        self.warm &= self.succeeded;
        self.seconds = took.as_secs();
    }

    /// The JSON, without unprintable characters.
    pub fn as_json(&self) -> serde_json::Result<String> {
        Ok(json::escaped(&serde_json::to_string_pretty(self)?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn warmth(reached: usize, counted: usize) -> Warmth {
        Warmth {
            images: 2,
            reached,
            required: counted,
            warm: counted * reached / 2,
            counted,
            start_delays_end_at: None,
        }
    }

    fn ended(mut result: WaitResult, outcome: anyhow::Result<Outcome>) -> Value {
        result.end(&outcome, Duration::from_millis(12_900));
        serde_json::from_str(&result.as_json().expect("JSON")).expect("an object")
    }

    #[test]
    fn a_goal_that_is_reached_has_numbers_and_no_reason() {
        let mut result = WaitResult::new();
        (result.namespace, result.list) = (Some("prepull".into()), Some("tools".into()));
        result.accepted = true;
        result.measure(&warmth(2, 6));
        let expected = json!({
            "version": 1, "namespace": "prepull", "list": "tools", "succeeded": true, "accepted": true, "warm": true,
            "images": 2, "reached": 2, "nodes": {"counted": 6, "required": 6, "warm": 6}, "seconds": 12, "reasons": [],
        });
        assert_eq!(ended(result, Ok(Outcome::Good)), expected);
    }

    #[test]
    fn nothing_is_warm_if_no_node_counts_or_the_time_ran_out() {
        let mut result = WaitResult::new();
        result.measure(&warmth(2, 0));
        assert_eq!(ended(result.clone(), Ok(Outcome::Good))["warm"], false);
        result.measure(&warmth(2, 4));
        let ended = ended(result, Ok(Outcome::Not));
        assert_eq!((&ended["warm"], &ended["succeeded"], &ended["reached"]), (&json!(false), &json!(false), &json!(2)));
    }

    #[test]
    fn each_line_of_an_error_is_a_reason() {
        let mut result = WaitResult::new();
        result.add_reasons("timed out: prepull/tools");
        let ended = ended(result, Err(anyhow::anyhow!("not allowed:\n  pods\u{1b}[2J\n\n")));
        assert_eq!(ended["reasons"][0], "timed out: prepull/tools");
        assert_eq!(ended["reasons"][1], "not allowed:");
        assert!(ended["reasons"][2].as_str().is_some_and(|it| it.starts_with("pods") && !it.contains('\u{1b}')));
        assert_eq!((&ended["list"], ended["reasons"].as_array().map(Vec::len)), (&Value::Null, Some(3)));
    }
}
