//! What is decoded from Protocol Buffers is what is decoded from JSON.

use std::fmt::Debug;

use http_body_util::BodyExt;
use hyper::header::ACCEPT;
use kube::Client;
use kube::client::Body;
use kube::core::ObjectList;
use kube_prepull::coverage::{SlimNode, SlimPod};
use kube_prepull::slim::protobuf::{FromProtobuf, PROTOBUF, ProtobufPage};
use prost::bytes::Bytes;
use serde::de::DeserializeOwned;

use super::trial::eventually;

/// Compares the pods of a namespace in both encodings. Returns what was compared.
pub async fn same_pods(client: &Client, namespace: &str) -> Vec<String> {
    same::<SlimPod>(client, &format!("/api/v1/namespaces/{namespace}/pods")).await
}

/// Compares a node in both encodings. Returns what was compared.
pub async fn same_node(client: &Client, name: &str) -> String {
    let found = same::<SlimNode>(client, &format!("/api/v1/nodes?fieldSelector=metadata.name%3D{name}")).await;
    let [node] = &found[..] else { panic!("one node: {found:?}") };
    node.clone()
}

async fn same<K: FromProtobuf + Clone + Debug + DeserializeOwned>(client: &Client, path: &str) -> Vec<String> {
    // Between two requests, objects change.
    eventually("the same in both encodings", async || {
        let page = ProtobufPage::of(body(client, path, PROTOBUF).await).unwrap();
        let decoded: Vec<String> = page.objects::<K>().map(|object| format!("{:#?}", object.unwrap())).collect();
        let json = body(client, path, "application/json").await;
        let json: ObjectList<K> = serde_json::from_slice(&json).unwrap();
        let from_json: Vec<String> = json.items.iter().map(|object| format!("{object:#?}")).collect();
        let differing = decoded.iter().zip(&from_json).find(|(one, other)| one != other);
        differing.iter().for_each(|(one, other)| eprintln!("from Protocol Buffers: {one}\nfrom JSON: {other}"));
        (decoded == from_json).then_some(decoded)
    })
    .await
}

async fn body(client: &Client, path: &str, accept: &str) -> Bytes {
    let request = hyper::Request::get(path).header(ACCEPT, accept).body(Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.into_body().collect().await.unwrap().to_bytes()
}
