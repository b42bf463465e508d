//! The patches of nodes.

use hyper::Request;
use hyper::header::CONTENT_TYPE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::cluster::FIELD_MANAGER;
use crate::coverage::{ImagesReady, Node};
use crate::error::Error;
use crate::gate::condition::WantedCondition;
use crate::gate::patch;
use crate::list::config::TaintKey;

/// Others write a node at the same moment: its kubelet, a cloud's controller, drivers that remove startup taints of their own.
const TRIES: usize = 5;

/// Writes nodes.
pub struct NodeWriter {
    client: Client,
    nodes: Api<NodeObject>,
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
        Self { client: client.clone(), nodes: Api::all(client.clone()) }
    }

    /// Removes a taint from the node with that UID.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn remove_taint(&self, node: &Node, uid: &str, key: &TaintKey) -> Result<Removal, Error> {
        let failed = |error| Error::new(format!("remove the taint {key} from the node {}", node.name), error);
        let as_read = node.taints.iter().map(|taint| serde_json::to_value(taint).unwrap_or_default());
        let mut taints: Vec<Value> = as_read.collect();
        for _ in 0..TRIES {
            let Some(patch) = patch::removal(uid, &taints, key) else { return Ok(Removal::NothingToDo) };
            match self.patch(&node.name, &patch).await {
                Ok(()) => return Ok(Removal::Done),
                Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Removal::NothingToDo),
                // The node has changed since it was read: a test of the patch fails, or its path does not exist.
                Err(kube::Error::Api(status)) if status.code == 422 || status.is_conflict() => {}
                Err(error) => return Err(failed(error)),
            }
            match self.read(&node.name).await.map_err(failed)? {
                Some(live) if live["metadata"]["uid"] == uid => taints = taints_of(&live),
                _ => return Ok(Removal::NothingToDo),
            }
        }
        Ok(Removal::NothingToDo)
    }

    /// Sets the condition of a node, or removes it.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn set_condition(
        &self,
        node: &str,
        current: Option<&ImagesReady>,
        wanted: Option<&WantedCondition>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let patch = wanted.map_or_else(patch::without_condition, |wanted| patch::condition(current, wanted, now));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.nodes.patch_status(node, &parameters, &Patch::Strategic(patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            patched => {
                patched.map(drop).map_err(|error| Error::new(format!("set the condition of the node {node}"), error))
            }
        }
    }

    /// Sends a JSON patch, which kube knows only with a library for it.
    async fn patch(&self, node: &str, patch: &Value) -> kube::Result<()> {
        let uri = format!("/api/v1/nodes/{node}?fieldManager={FIELD_MANAGER}");
        let request = Request::patch(uri).header(CONTENT_TYPE, "application/json-patch+json");
        let request = request.body(patch.to_string().into_bytes()).map_err(kube::Error::HttpError)?;
        self.client.request::<Value>(request).await.map(drop)
    }

    /// The node as it is, with all that a newer API server may know of taints.
    async fn read(&self, node: &str) -> kube::Result<Option<Value>> {
        let request = Request::get(format!("/api/v1/nodes/{node}")).body(Vec::new()).map_err(kube::Error::HttpError)?;
        match self.client.request(request).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            read => read.map(Some),
        }
    }
}

fn taints_of(node: &Value) -> Vec<Value> {
    node["spec"]["taints"].as_array().cloned().unwrap_or_default()
}
