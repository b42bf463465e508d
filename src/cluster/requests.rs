//! Counts the requests to the API server.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::{Request, Response};
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// Makes a client count its requests by verb and answer.
#[derive(Clone, Debug)]
pub struct CountRequests(pub Metrics);

impl<S> Layer<S> for CountRequests {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counting { inner, metrics: self.0.clone() }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counting<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, A, B> Service<Request<A>> for Counting<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (verb, metrics) = (verb(&request), self.metrics.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            metrics.requested(verb, answer.as_ref().ok().map(|response| response.status().as_u16()));
            answer
        })
    }
}

/// The verb of the Kubernetes API. kube notes on each request which of the client's methods made it.
fn verb<A>(request: &Request<A>) -> &'static str {
    let noted = request.extensions().get::<&'static str>().copied().unwrap_or_default();
    match noted.split('_').next().unwrap_or_default() {
        "list" => "list",
        "watch" => "watch",
        "replace" => "update",
        _ if noted == "delete_collection" => "deletecollection",
        _ => match request.method().as_str() {
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "other",
        },
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};

    use super::*;
    use crate::metrics::exposition::Format;

    fn request(method: Method, noted: Option<&'static str>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        noted.map(|noted| request.extensions_mut().insert(noted));
        request
    }

    #[test]
    fn requests_have_the_verbs_of_the_api() {
        for (method, noted, expected) in [
            (Method::GET, Some("get"), "get"),
            (Method::GET, Some("get_metadata"), "get"),
            (Method::GET, Some("list_metadata"), "list"),
            (Method::GET, Some("watch"), "watch"),
            (Method::GET, Some("watch_metadata"), "watch"),
            (Method::GET, None, "get"),
            (Method::POST, Some("create"), "create"),
            (Method::PUT, Some("replace_status"), "update"),
            (Method::PATCH, Some("patch_metadata"), "patch"),
            (Method::DELETE, Some("delete"), "delete"),
            (Method::DELETE, Some("delete_collection"), "deletecollection"),
            (Method::TRACE, Some("anything"), "other"),
        ] {
            assert_eq!(verb(&request(method, noted)), expected, "{noted:?}");
        }
    }

    /// Answers with this status, or not at all.
    struct Server(Option<StatusCode>);

    impl Service<Request<()>> for Server {
        type Response = Response<()>;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<Response<()>, std::io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(match self.0 {
                Some(status) => Ok(Response::builder().status(status).body(()).expect("a response")),
                None => Err(std::io::ErrorKind::ConnectionRefused.into()),
            })
        }
    }

    #[tokio::test]
    async fn every_request_is_counted_by_verb_and_answer() {
        let metrics = Metrics::default();
        for answer in [Some(StatusCode::OK), Some(StatusCode::OK), Some(StatusCode::CONFLICT), None] {
            let answered =
                CountRequests(metrics.clone()).layer(Server(answer)).call(request(Method::PATCH, None)).await;
            assert_eq!(answered.is_ok(), answer.is_some());
        }
        let text = metrics.exposition(Format::Prometheus, false, None);
        for (code, count) in [("200", 2), ("409", 1), ("error", 1)] {
            let line = format!("kube_prepull_api_requests_total{{verb=\"patch\",code=\"{code}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
