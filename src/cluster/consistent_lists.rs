//! Makes streaming lists consistent.
//!
//! kube asks for a streaming list from resource version 0: whatever the cache of an API server has, however old. Paged listings are of
//! the present, and so is a streaming list without a resource version.

use std::task::{Context, Poll};

use hyper::{Request, Uri};
use tower::{Layer, Service};

/// Makes a client's streaming lists consistent.
#[derive(Clone, Copy, Debug)]
pub struct ConsistentLists;

impl<S> Layer<S> for ConsistentLists {
    type Service = Consistent<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Consistent(inner)
    }
}

/// A service whose streaming lists are consistent.
#[derive(Clone, Debug)]
pub struct Consistent<S>(S);

impl<S: Service<Request<A>>, A> Service<Request<A>> for Consistent<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        if let Some(uri) = of_the_present(request.uri()) {
            *request.uri_mut() = uri;
        }
        self.0.call(request)
    }
}

/// The same streaming list, but of the present; `None` if it is none from resource version 0.
fn of_the_present(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    let parameters = || query.split('&');
    let is_stream = parameters().any(|it| it == "sendInitialEvents=true");
    if !(is_stream && parameters().any(|it| it == "resourceVersion=0")) {
        return None;
    }
    let kept: Vec<&str> = parameters().filter(|it| *it != "resourceVersion=0").collect();
    let path = format!("{}?{}", uri.path(), kept.join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use kube::api::{Request, WatchParams};

    fn of_the_present(uri: &str) -> Option<String> {
        super::of_the_present(&uri.parse().expect("a URI")).map(|uri| uri.to_string())
    }

    #[test]
    fn a_streaming_list_is_of_the_present() {
        let parameters = WatchParams { send_initial_events: true, ..WatchParams::default().labels("a=b") };
        let request = Request::new("/api/v1/pods").watch(&parameters, "0").expect("a request");
        let uri = super::of_the_present(request.uri()).expect("another URI").to_string();
        assert!(uri.starts_with("/api/v1/pods?") && uri.contains("labelSelector=a%3Db"), "{uri}");
        assert!(uri.contains("sendInitialEvents=true&resourceVersionMatch=NotOlderThan"), "{uri}");
        assert!(!uri.contains("resourceVersion="), "{uri}");
    }

    #[test]
    fn where_the_api_server_is_stays_the_same() {
        let found = of_the_present("https://10.0.0.1:6443/api/v1/nodes?sendInitialEvents=true&resourceVersion=0");
        assert_eq!(found.as_deref(), Some("https://10.0.0.1:6443/api/v1/nodes?sendInitialEvents=true"));
    }

    #[test]
    fn other_requests_stay_as_they_are() {
        for uri in ["/api/v1/pods", "/api/v1/pods?resourceVersion=0", "/api/v1/pods?watch=true&resourceVersion=7"] {
            assert_eq!(of_the_present(uri), None, "{uri}");
        }
    }
}
