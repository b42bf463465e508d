//! Finding out who changed a DaemonSet, from the API server's managed fields.

use kube::core::ObjectMeta;
use serde_json::{from_value, json};

use crate::plan::generation::alteration::{Alteration, changed_by};

fn metadata(generation: i64, managed_fields: serde_json::Value) -> ObjectMeta {
    from_value(json!({"generation": generation, "managedFields": managed_fields})).expect("metadata")
}

#[test]
fn managers_of_spec_fields_are_named_latest_first() {
    let spec = json!({"f:spec": {"f:template": {}}});
    let found = changed_by(&metadata(
        2,
        json!([
            {"manager": "helm", "operation": "Apply", "time": "2026-03-01T12:00:00Z", "fieldsV1": spec},
            {"manager": "kube-prepull", "operation": "Apply", "time": "2026-03-01T12:00:09Z", "fieldsV1": spec},
            {"manager": "kubectl-patch", "operation": "Update", "time": "2026-03-01T12:00:02Z", "fieldsV1": spec},
            {"manager": "helm", "operation": "Update", "time": "2026-03-01T12:00:01Z", "fieldsV1": spec},
            {"manager": "kubectl-label", "operation": "Update", "time": "2026-03-01T12:00:03Z",
             "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "time": "2026-03-01T12:00:04Z",
             "subresource": "status", "fieldsV1": {"f:status": {}}},
        ]),
    ));
    assert_eq!(found, ["kubectl-patch", "helm"]);
}

#[test]
fn a_change_is_detected_even_if_its_manager_is_unknown() {
    let altered = Alteration::of(&metadata(2, json!([])));
    assert_eq!(altered, Some(Alteration { generation: 2, by: Vec::new() }));
    assert_eq!(Alteration::of(&metadata(1, json!([]))), None);
}
