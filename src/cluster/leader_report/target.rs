//! The Lease → the leader's pod, and the port of its status. Pure.

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use super::obstacle::Obstacle;
use crate::naming::labels;

/// The port of `--status-listen`, if the Lease names none.
const DEFAULT_PORT: u16 = 8082;

/// Where the leader serves its status.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderPort {
    pub pod: String,
    pub port: u16,
}

impl LeaderPort {
    /// The pod that holds the Lease.
    pub fn of(lease: Option<&Lease>) -> Result<Self, Obstacle> {
        let lease = lease.ok_or(Obstacle::NoLeader)?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        // The name of the pod and the number of its process, see `cluster::controller`.
        let (pod, process) = holder.rsplit_once('_').ok_or(Obstacle::NoLeader)?;
        if process.parse::<u32>().is_err() || !is_name(pod) {
            return Err(Obstacle::NoLeader);
        }
        let port = lease.annotations().get(labels::STATUS_PORT).and_then(|port| port.parse().ok());
        Ok(Self { pod: pod.to_owned(), port: port.unwrap_or(DEFAULT_PORT) })
    }
}

/// Whether it may be the name of a pod. It becomes a part of a path, and whoever may write the Lease writes it.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| is_part(byte) || byte == b'-' || byte == b'.') && text.bytes().next().is_some_and(is_part)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(metadata: Value, holder: Value) -> Result<LeaderPort, Obstacle> {
        let lease = json!({"metadata": metadata, "spec": {"holderIdentity": holder}});
        LeaderPort::of(Some(&serde_json::from_value(lease).expect("a Lease")))
    }

    #[test]
    fn the_holder_of_the_lease_names_its_pod_and_an_annotation_its_port() {
        let named = |port| Ok(LeaderPort { pod: "kube-prepull-5d4b-x2".to_owned(), port });
        let holder = json!("kube-prepull-5d4b-x2_1");
        assert_eq!(target(json!({}), holder.clone()), named(DEFAULT_PORT));
        let annotated = |port: &str| json!({"annotations": {labels::STATUS_PORT: port}});
        assert_eq!(target(annotated("9000"), holder.clone()), named(9000));
        assert_eq!(target(annotated("none"), holder), named(DEFAULT_PORT));
    }

    #[test]
    fn without_a_holder_that_may_be_a_pod_there_is_no_leader() {
        assert_eq!(LeaderPort::of(None), Err(Obstacle::NoLeader));
        for holder in [Value::Null, json!(""), json!("clean-up"), json!("_1"), json!("../secrets/a_1"), json!("pod_x")]
        {
            assert_eq!(target(json!({}), holder.clone()), Err(Obstacle::NoLeader), "{holder}");
        }
    }
}
