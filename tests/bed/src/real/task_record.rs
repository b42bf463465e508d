//! containerd's own record of the containers whose processes start and end, in the order in which that happens.
//!
//! Samples of a node, however close together, miss what lasts for a few hundredths of a second. This misses nothing.

use std::fs;
use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

use crate::machine::{Machine, Service};

/// A record that goes on as long as this lives.
#[derive(Debug)]
pub struct TaskRecord {
    machine: Machine,
    service: Service,
}

/// The process of a container (or of a pod's sandbox) has started or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEvent {
    /// containerd's id of the container.
    pub container: String,
    /// Whether it is a start.
    pub started: bool,
    /// When, by containerd.
    pub at: SystemTime,
}

impl TaskRecord {
    /// Begins it.
    pub(super) fn begin(machine: Machine, ctr: std::path::PathBuf) -> Result<Self> {
        let arguments = ["--namespace", "k8s.io", "events"].map(str::to_owned).to_vec();
        let record = Self { machine, service: Service { name: "events", program: ctr, arguments } };
        let path = record.machine.log(record.service.name);
        fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        record.machine.start(&record.service)?;
        Ok(record)
    }

    /// What has happened so far, oldest first.
    pub fn events(&self) -> Result<Vec<TaskEvent>> {
        let path = self.machine.log(self.service.name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&text).lines().filter_map(parse).collect())
    }
}

impl Drop for TaskRecord {
    fn drop(&mut self) {
        if let Err(error) = self.machine.stop(&self.service) {
            eprintln!("{error:#}");
        }
    }
}

/// `2030-01-01 17:26:03.33511344 +0000 UTC k8s.io /tasks/start {"container_id":"…","pid":1}`, among other topics and
/// containerd's warnings.
fn parse(line: &str) -> Option<TaskEvent> {
    let (time, rest) = line.split_once(" UTC k8s.io /tasks/")?;
    let at = Timestamp::strptime("%Y-%m-%d %H:%M:%S%.f %z", time).ok()?.into();
    let (topic, event) = rest.split_once(' ')?;
    let event: Value = serde_json::from_str(event).ok()?;
    let container = event["container_id"].as_str()?.to_owned();
    let started = match topic {
        "start" => true,
        // A command that somebody ran in the container has an id of its own.
        "exit" if event["id"] == event["container_id"] => false,
        _ => return None,
    };
    Some(TaskEvent { container, started, at })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn starts_and_ends_are_picked_out_of_the_events() {
        let start = r#"1970-01-02 00:00:01.50000344 +0000 UTC k8s.io /tasks/start {"container_id":"a","pid":1}"#;
        let at = SystemTime::UNIX_EPOCH + Duration::new(86_401, 500_003_440);
        let event = TaskEvent { container: "a".into(), started: true, at };
        assert_eq!(parse(start), Some(event));
        let end = r#"2030-01-01 01:01:02 +0000 UTC k8s.io /tasks/exit {"container_id":"a","id":"a","pid":1}"#;
        assert!(!parse(end).unwrap().started);
    }

    #[test]
    fn other_lines_are_left_out() {
        let command = r#"2030-01-01 01:01:02 +0000 UTC k8s.io /tasks/exit {"container_id":"a","id":"b","pid":1}"#;
        let create = r#"2030-01-01 01:01:02 +0000 UTC k8s.io /tasks/create {"container_id":"a"}"#;
        for line in [command, create, "time=\"2030-01-01T01:01:01Z\" level=warning msg=\"DEPRECATION\"", ""] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
