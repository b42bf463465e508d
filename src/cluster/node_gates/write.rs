//! The patches of nodes.

use std::time::Duration;

use hyper::Request;
use hyper::header::CONTENT_TYPE;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::timeout;

use super::decide::DueCondition;
use crate::cluster::{FIELD_MANAGER, resources};
use crate::coverage::{Node, SlimNode};
use crate::error::Error;
use crate::gate::patch;
use crate::list::config::TaintKey;

/// Others write a node at the same moment: its kubelet, a cloud's controller, drivers that remove startup taints of their own.
const TRIES: usize = 5;
/// How long all about one node may take: a connection that is silent must not stop the others.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Writes nodes.
pub struct NodeWriter {
    client: Client,
    /// Answers are decoded without the fields that nobody needs.
    nodes: Api<SlimNode>,
}

/// What became of a taint that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was removed.
    Done,
    /// It was removed before, or the node is gone.
    NothingToDo,
}

impl NodeWriter {
    /// Prepares to write the nodes of a cluster.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), nodes: Api::all_with(client.clone(), &resources::nodes()) }
    }

    /// Removes a taint from the node with that UID.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn remove_taint(&self, node: &Node, uid: &str, key: &TaintKey) -> Result<Removal, Error> {
        in_time(self.try_to_remove_taint(node, uid, key)).await
    }

    async fn try_to_remove_taint(&self, node: &Node, uid: &str, key: &TaintKey) -> Result<Removal, Error> {
        let failed = |error| Error::new(format!("remove the taint {key} from the node {}", node.name), error);
        let as_read = node.taints.iter().map(|taint| serde_json::to_value(taint).unwrap_or_default());
        let mut taints: Vec<Value> = as_read.collect();
        let mut tried = 1;
        loop {
            let Some(patch) = patch::removal(uid, &taints, key) else { return Ok(Removal::NothingToDo) };
            let refusal = match self.patch(&node.name, &patch).await {
                Ok(()) => return Ok(Removal::Done),
                Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Removal::NothingToDo),
                // The node has changed since it was read: a test of the patch fails, or its path does not exist.
                Err(kube::Error::Api(status)) if status.code == 422 || status.is_conflict() => status,
                Err(error) => return Err(failed(error)),
            };
            let live = self.read(&node.name).await.map_err(failed)?;
            let Some(live) = live.filter(|live| live["metadata"]["uid"] == uid) else {
                return Ok(Removal::NothingToDo);
            };
            let now = taints_of(&live);
            // The same taints as in the patch: no test of it failed, so this is somebody's refusal.
            if now == taints || tried == TRIES {
                return Err(failed(kube::Error::Api(refusal)));
            }
            taints = now;
            tried += 1;
        }
    }

    /// Sets the condition of a node, or removes it.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn set_condition(&self, due: &DueCondition, now: Timestamp) -> Result<(), Error> {
        let patch = match &due.wanted {
            Some(wanted) => patch::condition(&due.uid, due.current.as_ref(), wanted, now),
            None => patch::without_condition(&due.uid),
        };
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = async {
            match self.nodes.patch_status(&due.node, &parameters, &Patch::Strategic(patch)).await {
                Err(kube::Error::Api(status)) if status.is_not_found() || is_of_another(&status) => Ok(()),
                patched => patched
                    .map(drop)
                    .map_err(|error| Error::new(format!("set the condition of the node {}", due.node), error)),
            }
        };
        in_time(written).await
    }

    /// Sends a JSON patch, which kube knows only with a library for it.
    async fn patch(&self, node: &str, patch: &Value) -> kube::Result<()> {
        let uri = format!("/api/v1/nodes/{node}?fieldManager={FIELD_MANAGER}");
        let request = Request::patch(uri).header(CONTENT_TYPE, "application/json-patch+json");
        let request = request.body(patch.to_string().into_bytes()).map_err(kube::Error::HttpError)?;
        self.client.request::<Value>(request).await.map(drop)
    }

    /// The node as it is, with all that a newer API server may know of taints. By a list, which needs no other right than the watch.
    async fn read(&self, node: &str) -> kube::Result<Option<Value>> {
        let uri = format!("/api/v1/nodes?fieldSelector=metadata.name%3D{node}");
        let request = Request::get(uri).body(Vec::new()).map_err(kube::Error::HttpError)?;
        let mut list: Value = self.client.request(request).await?;
        Ok(list["items"].get_mut(0).map(Value::take))
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(TIME_LIMIT, work).await.unwrap_or(Err(Error::TimedOut { seconds: TIME_LIMIT.as_secs() }))
}

/// Whether another node has the name by now: a UID never changes (`ValidateObjectMetaUpdate` in `k8s.io/apimachinery`).
fn is_of_another(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.field == "metadata.uid")
}

fn taints_of(node: &Value) -> Vec<Value> {
    node["spec"]["taints"].as_array().cloned().unwrap_or_default()
}
