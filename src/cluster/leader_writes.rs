//! Refuses writes of a controller that does not lead.
//!
//! This is the only place that asks before a write. It is asked for every single request, so a leader that is paused between two
//! writes, and wakes up when another controller leads, does not send the second one.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::{Method, Request};
use tower::{BoxError, Layer, Service};

use super::leadership::Leadership;
use crate::error::NotLeading;

/// API groups that every controller writes to: its Lease and its Events, and reviews, which store nothing.
const FREE_GROUPS: [&str; 4] =
    ["coordination.k8s.io", "events.k8s.io", "authorization.k8s.io", "authentication.k8s.io"];

/// Makes a client refuse writes unless this process leads, with [`NotLeading`].
#[derive(Clone, Debug)]
pub struct LeaderWrites(pub Leadership);

impl<S> Layer<S> for LeaderWrites {
    type Service = LeaderWriting<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LeaderWriting { inner, leadership: self.0.clone() }
    }
}

/// A service that takes writes only while this process leads.
#[derive(Clone, Debug)]
pub struct LeaderWriting<S> {
    inner: S,
    leadership: Leadership,
}

impl<S, A> Service<Request<A>> for LeaderWriting<S>
where
    S: Service<Request<A>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        if needs_lead(&request) && !self.leadership.holds() {
            return Box::pin(async { Err(NotLeading.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

/// Whether a request changes something that only the leader may change.
fn needs_lead<A>(request: &Request<A>) -> bool {
    let is_write = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    is_write && !is_dry_run(request) && !is_free(request.uri().path())
}

fn is_dry_run<A>(request: &Request<A>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|parameter| parameter == "dryRun=All"))
}

fn is_free(path: &str) -> bool {
    let group = path.strip_prefix("/apis/").and_then(|rest| rest.split('/').next());
    group.is_some_and(|group| FREE_GROUPS.contains(&group))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant, SystemTime};

    use hyper::Response;
    use k8s_openapi::api::apps::v1::DaemonSet;
    use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
    use k8s_openapi::api::coordination::v1::Lease;
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use k8s_openapi::api::events::v1::Event;
    use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
    use kube::client::{Body, ClientBuilder};
    use kube::{Api, Client};
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::error::Error;

    /// A client whose requests are answered with an empty object, and how many there were.
    fn client(leadership: &Leadership) -> (Client, Arc<AtomicUsize>) {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let server = service_fn(move |_: Request<Body>| {
            counter.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Infallible>(Response::new(Body::from(b"{\"metadata\": {}, \"items\": []}".to_vec()))) }
        });
        let client = ClientBuilder::new(server, "prepull").with_layer(&LeaderWrites(leadership.clone())).build();
        (client, sent)
    }

    fn lead_for(leadership: &Leadership, duration: Duration) {
        leadership.lead_until((Instant::now() + duration, SystemTime::now() + duration));
    }

    /// Whether the request was refused for want of the lead.
    fn refused<T>(outcome: kube::Result<T>) -> bool {
        outcome.is_err_and(|error| matches!(Error::new("write", error), Error::NotLeading))
    }

    #[tokio::test]
    async fn every_write_needs_the_lead_and_no_read_does() {
        let leadership = Leadership::to_be_elected();
        let (client, sent) = client(&leadership);
        let lists: Api<ConfigMap> = Api::namespaced(client, "prepull");
        let (posting, patching, deleting) = (PostParams::default(), PatchParams::default(), DeleteParams::default());
        let (list, patch) = (ConfigMap::default(), Patch::Merge(json!({})));
        let outcomes = async || {
            [
                refused(lists.create(&posting, &list).await),
                refused(lists.replace("tools", &posting, &list).await),
                refused(lists.patch("tools", &patching, &patch).await),
                refused(lists.patch_metadata("tools", &patching, &patch).await),
                refused(lists.delete("tools", &deleting).await),
                refused(lists.delete_collection(&deleting, &ListParams::default()).await),
            ]
        };
        assert_eq!(outcomes().await, [true; 6]);
        assert_eq!(sent.load(Ordering::SeqCst), 0);
        assert!(!refused(lists.get("tools").await));
        assert!(!refused(lists.list(&ListParams::default()).await));
        assert_eq!(sent.load(Ordering::SeqCst), 2);
        lead_for(&leadership, Duration::from_secs(60));
        assert_eq!(outcomes().await, [false; 6]);
        assert_eq!(sent.load(Ordering::SeqCst), 8);
    }

    #[tokio::test]
    async fn a_leader_whose_lead_ends_between_two_writes_sends_only_the_first() {
        let leadership = Leadership::to_be_elected();
        let (client, sent) = client(&leadership);
        let daemon_sets: Api<DaemonSet> = Api::namespaced(client, "prepull");
        lead_for(&leadership, Duration::from_secs(60));
        assert!(!refused(daemon_sets.delete("a", &DeleteParams::default()).await));
        lead_for(&leadership, Duration::ZERO);
        assert!(refused(daemon_sets.delete("b", &DeleteParams::default()).await));
        assert_eq!(sent.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_lease_events_reviews_and_dry_runs_need_no_lead() {
        let (client, sent) = client(&Leadership::to_be_elected());
        let posting = PostParams::default();
        let leases: Api<Lease> = Api::namespaced(client.clone(), "prepull");
        assert!(!refused(leases.replace("kube-prepull", &posting, &Lease::default()).await));
        let events: Api<Event> = Api::namespaced(client.clone(), "prepull");
        assert!(!refused(events.create(&posting, &Event::default()).await));
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        assert!(!refused(reviews.create(&posting, &SelfSubjectAccessReview::default()).await));
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let pods: Api<Pod> = Api::namespaced(client, "prepull");
        assert!(!refused(pods.create(&dry_run, &Pod::default()).await));
        assert_eq!(sent.load(Ordering::SeqCst), 4);
        assert!(refused(pods.create(&posting, &Pod::default()).await));
    }
}
