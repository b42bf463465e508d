//! The leader's answer → its report, or why that is of no use. Pure.

use super::obstacle::Obstacle;
use crate::status::{Report, VERSION};
use crate::text::CleanText;

/// The header of `/status` that says whether the process leads: `true` or `false`.
pub const LEADS: &str = "kube-prepull-leads";
/// The query of `/status` for the report on one namespace, of a controller for all.
pub const NAMESPACE_QUERY: &str = "namespace";
/// The most bytes of a report. One of 5,000 nodes and 20 images has 6 MB at most.
pub const MOST_BYTES: usize = 32 << 20;

/// What was answered to `GET /status`.
#[derive(Debug)]
pub struct LeaderAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The value of [`LEADS`]; `None` in earlier versions, and if something else answered.
    pub leads: Option<bool>,
    /// The body, of [`MOST_BYTES`] at most.
    pub body: Vec<u8>,
}

impl LeaderAnswer {
    /// The report on that namespace.
    pub fn report(self, namespace: &str) -> Result<Report, Obstacle> {
        match (self.status, self.leads) {
            (200, Some(true)) => {}
            (200, Some(false)) => return Err(Obstacle::NotLeading),
            (503, _) => return Err(Obstacle::NotReady(CleanText::of(String::from_utf8_lossy(&self.body)))),
            (status, _) => return Err(Obstacle::OtherVersion(format!("status {status} of /status").into())),
        }
        let report: Report =
            serde_json::from_slice(&self.body).map_err(|error| Obstacle::OtherVersion(CleanText::of(error)))?;
        match () {
            () if report.version != VERSION => {
                Err(Obstacle::OtherVersion(format!("it has the version {}", report.version).into()))
            }
            () if report.namespace.as_str() != namespace => Err(Obstacle::OtherNamespace(report.namespace)),
            () if !report.nodes_known => Err(Obstacle::NodesUnknown),
            () => Ok(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::status::tests::{half_warm, report};

    fn body() -> Value {
        serde_json::to_value(report(&half_warm())).expect("JSON")
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = body();
        body[key] = value;
        body
    }

    fn answer(status: u16, leads: Option<bool>, body: &Value) -> Result<Report, Obstacle> {
        LeaderAnswer { status, leads, body: body.to_string().into_bytes() }.report("prepull")
    }

    #[test]
    fn the_largest_report_of_5000_nodes_and_20_images_is_far_from_the_limit() {
        let mut large = report(&half_warm());
        large.lists[0].groups.truncate(1);
        let images = &mut large.lists[0].groups[0].images;
        let mut image =
            images.iter().find(|image| !image.behind.is_empty()).expect("an image that is not warm").clone();
        image.behind.truncate(1);
        // As long as the names of nodes in clouds are.
        image.behind[0].nodes = (0..5000)
            .map(|node| format!("ip-10-12-{:03}-{:03}.eu-central-1.compute.internal", node / 250, node % 250).into())
            .collect();
        *images = vec![image; 20];
        let body = serde_json::to_vec_pretty(&large).expect("JSON");
        assert!(body.len() < MOST_BYTES / 3, "{}", body.len());
        let read = LeaderAnswer { status: 200, leads: Some(true), body }.report("prepull");
        assert_eq!(read, Ok(large));
    }

    #[test]
    fn the_report_of_a_leader_is_used() {
        assert_eq!(answer(200, Some(true), &body()), Ok(report(&half_warm())));
    }

    #[test]
    fn the_report_of_who_does_not_lead_of_another_version_or_of_another_namespace_is_not_used() {
        assert_eq!(answer(200, Some(false), &body()), Err(Obstacle::NotLeading));
        assert_eq!(
            answer(503, Some(true), &json!("still reading")),
            Err(Obstacle::NotReady("\"still reading\"".into()))
        );
        assert_eq!(answer(200, Some(true), &with("nodesKnown", json!(false))), Err(Obstacle::NodesUnknown));
        let namespace = answer(200, Some(true), &with("namespace", json!("other")));
        assert_eq!(namespace, Err(Obstacle::OtherNamespace("other".into())));
        for (status, leads, body) in [
            (200, None, body()),
            (404, Some(true), body()),
            (200, Some(true), with("version", json!(2))),
            (200, Some(true), with("lists", json!([{"name": "of another version"}]))),
            (200, Some(true), json!("not a report")),
        ] {
            let obstacle = answer(status, leads, &body).expect_err("another version");
            assert!(matches!(obstacle, Obstacle::OtherVersion(_)), "{obstacle}");
        }
    }
}
