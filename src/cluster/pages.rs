//! Reads all objects of a kind, page by page, so that never more than a page of them is in memory.

use std::fmt::Debug;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderValue};
use kube::api::{ListParams, ObjectList};
use kube::client::Body;
use kube::core::Status;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::slim::protobuf::{FromProtobuf, PROTOBUF, ProtobufPage};

/// How many objects to request per page unless the caller chooses. A page of pods with 20 images each is some 4 MB of JSON, and as much again decoded.
const PAGE: u32 = 100;

/// All objects of a kind.
///
/// # Errors
/// What the API server answered, or why it could not be reached.
pub async fn all<K>(api: Api<K>, what: &str, parameters: ListParams) -> Result<Vec<K>, Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut found = Vec::new();
    each(api, what, parameters, |object| found.push(object)).await?;
    Ok(found)
}

/// What `take` makes of all objects of a kind of which there may be thousands.
///
/// # Errors
/// What the API server answered, or why it could not be reached.
pub async fn fold<K, T>(api: Api<K>, what: &str, parameters: ListParams, take: impl Fn(&mut T, K)) -> Result<T, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned + FromProtobuf,
    T: Default,
{
    let found = fold_protobuf(&api, &parameters, &take).await;
    if let Some(found) = found.map_err(|error| Error::new(format!("list {what}"), error))? {
        return Ok(found);
    }
    // What stands between may know only JSON, and only in JSON is an error decoded.
    let mut found = T::default();
    each(api, what, parameters, |object| take(&mut found, object)).await?;
    Ok(found)
}

/// The same in Protocol Buffers; `None` if the answer is something else. Without any answer, nothing is gained by asking again.
async fn fold_protobuf<K, T>(api: &Api<K>, parameters: &ListParams, take: impl Fn(&mut T, K)) -> kube::Result<Option<T>>
where
    K: Resource + Clone + FromProtobuf,
    T: Default,
{
    let (client, path) = (api.clone().into_client(), api.resource_url().to_owned());
    let mut parameters = parameters.clone().limit(PAGE);
    let mut found = T::default();
    loop {
        let Some(page) = protobuf_page(&client, &path, &parameters).await? else { return Ok(None) };
        for object in page.objects::<K>() {
            let Some(object) = object else { return Ok(None) };
            take(&mut found, object);
        }
        match page.continue_token() {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(Some(found)),
        }
    }
}

async fn protobuf_page(client: &Client, path: &str, parameters: &ListParams) -> kube::Result<Option<ProtobufPage>> {
    let request = kube::core::Request::new(path).list(parameters);
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(PROTOBUF));
    let answer = client.send(request.map(Body::from)).await?;
    let status = answer.status();
    if is_overload(status) {
        let message = status.canonical_reason().unwrap_or_default();
        return Err(kube::Error::Api(Status::failure(message, message).with_code(status.as_u16()).boxed()));
    }
    if !status.is_success() {
        return Ok(None);
    }
    let body = answer.into_body().collect().await?;
    Ok(ProtobufPage::of(body.to_bytes()))
}

/// Whether an API server says that it has too much to do. It is not asked for more right away.
fn is_overload(status: StatusCode) -> bool {
    use StatusCode as Is;
    [Is::TOO_MANY_REQUESTS, Is::BAD_GATEWAY, Is::SERVICE_UNAVAILABLE, Is::GATEWAY_TIMEOUT].contains(&status)
}

/// Takes all objects of a kind, as JSON, in pages of the size that the parameters choose.
///
/// # Errors
/// What the API server answered, or why it could not be reached.
pub async fn each<K>(api: Api<K>, what: &str, mut parameters: ListParams, mut take: impl FnMut(K)) -> Result<(), Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    parameters.limit.get_or_insert(PAGE);
    loop {
        let page: ObjectList<K> =
            api.list(&parameters).await.map_err(|error| Error::new(format!("list {what}"), error))?;
        page.items.into_iter().for_each(&mut take);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(()),
        }
    }
}
