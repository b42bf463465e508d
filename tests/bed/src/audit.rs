//! The API servers' audit logs: who asked for what, which shows how many requests the controller needs.

/// One line for every request, without its body.
pub const POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"#;
