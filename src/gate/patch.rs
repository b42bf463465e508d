//! Patches of Node objects.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::CONDITION;
use super::condition::WantedCondition;
use crate::coverage::ImagesReady;
use crate::list::config::TaintKey;

/// The JSON patch (RFC 6902) that removes a taint from a node. `None` if the node does not have it.
///
/// It applies only to the node and the taints as they were read: others remove their own startup taints at the same moment, and would
/// otherwise get theirs back.
pub fn removal(uid: &str, taints: &[Value], key: &TaintKey) -> Option<Value> {
    let is_other = |taint: &&Value| taint["key"] != key.as_str();
    let others: Vec<&Value> = taints.iter().filter(is_other).collect();
    (others.len() < taints.len()).then(|| {
        let change = match others.as_slice() {
            [] => json!({"op": "remove", "path": "/spec/taints"}),
            others => json!({"op": "replace", "path": "/spec/taints", "value": others}),
        };
        json!([
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": "/spec/taints", "value": taints},
            change,
        ])
    })
}

/// The strategic merge patch of a node's status that sets the condition. Conditions are merged by their type. It applies only to the node
/// with that UID: another one of the same name has to say for itself what is there.
pub fn condition(uid: &str, current: Option<&ImagesReady>, wanted: &WantedCondition, now: Timestamp) -> Value {
    let status = if wanted.is_warm { "True" } else { "False" };
    let mut condition = json!({
        "type": CONDITION,
        "status": status,
        "reason": wanted.reason,
        "message": wanted.message,
        "lastHeartbeatTime": Time(now),
    });
    if current.is_none_or(|current| current.is_true != wanted.is_warm) {
        condition["lastTransitionTime"] = json!(Time(now));
    }
    json!({"metadata": {"uid": uid}, "status": {"conditions": [condition]}})
}

/// The strategic merge patch of a node's status that removes the condition.
pub fn without_condition(uid: &str) -> Value {
    json!({"metadata": {"uid": uid}, "status": {"conditions": [{"$patch": "delete", "type": CONDITION}]}})
}
