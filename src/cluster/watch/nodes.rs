//! The nodes: the one watch that the controller can do without.

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};

use super::follow::Watches;
use super::health::NODES;
use crate::cluster::affected_lists::{Change, Changed};
use crate::cluster::observed::{Nodes, ObservedNodes};
use crate::cluster::watch_error::WatchErrorKind;
use crate::coverage::SlimNode;

impl Watches<'_> {
    /// `with_gates`: whether gates need to know more of them.
    pub fn nodes(&mut self, api: Api<SlimNode>, with_gates: bool) -> ObservedNodes {
        let listings = self.listings.clone();
        let begin = move || listings.watch(api.clone(), watcher::Config::default()).boxed();
        self.follow_nodes(relisted_once_allowed(begin), with_gates)
    }

    fn follow_nodes(
        &mut self,
        stream: impl Stream<Item = watcher::Result<Event<SlimNode>>> + Send + 'static,
        with_gates: bool,
    ) -> ObservedNodes {
        let nodes = ObservedNodes::default();
        let (shared, forgotten) = (nodes.clone(), nodes.clone());
        let mut listing = Nodes::default();
        // After any other error, the nodes seen so far are merely out of date for a while. But a missing right may never be
        // granted: without nodes that join later, the controller would take these for deleted.
        let stream = stream.inspect_err(move |error| {
            if WatchErrorKind::of(error) == WatchErrorKind::Forbidden {
                forgotten.forget();
            }
        });
        self.follow(NODES, stream, move |event| {
            let change = match event {
                // During a new listing, the nodes from before it stay in use until the listing is complete.
                Event::Init => {
                    listing = Nodes::new(with_gates);
                    None
                }
                Event::InitApply(node) => {
                    listing.apply(node);
                    None
                }
                Event::InitDone => {
                    shared.replace(std::mem::take(&mut listing));
                    return Some(Change::anywhere(Changed::Everything));
                }
                Event::Apply(node) => shared.apply(node),
                Event::Delete(node) => shared.delete(&node.name_any()),
            };
            change.map(Changed::Node).map(Change::anywhere)
        });
        nodes
    }
}

/// A watch that lists all nodes again once it is allowed again. A watcher would resume with only the changes since, but the nodes
/// that it had seen are forgotten.
fn relisted_once_allowed<K: Send + 'static>(
    begin: impl Fn() -> BoxStream<'static, watcher::Result<Event<K>>> + Send + 'static,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send {
    stream::unfold((begin, None), |(begin, current)| async {
        let mut watch = current.unwrap_or_else(&begin);
        let event = watch.next().await?;
        let forbidden = event.as_ref().is_err_and(|error| WatchErrorKind::of(error) == WatchErrorKind::Forbidden);
        Some((event, (begin, (!forbidden).then_some(watch))))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
    use kube::core::Status;
    use serde_json::json;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;
    use crate::cluster::affected_lists::NodeChange;
    use crate::cluster::leadership::Leadership;
    use crate::cluster::readiness::Readiness;
    use crate::cluster::watch::Listeners;
    use crate::cluster::watch::listings::Listings;
    use crate::coverage::Node;
    use crate::metrics::Metrics;

    type Events = watcher::Result<Event<SlimNode>>;

    /// A watch of nodes whose events come from the test.
    struct Trial {
        /// Events for each watcher, in the order in which they start.
        api_server: Vec<UnboundedSender<Events>>,
        nodes: ObservedNodes,
        readiness: Readiness,
        changes: mpsc::UnboundedReceiver<Change>,
        _tasks: JoinSet<()>,
    }

    impl Trial {
        fn new() -> Self {
            let (api_server, watches): (Vec<_>, Vec<UnboundedReceiver<Events>>) = (0..2).map(|_| unbounded()).unzip();
            let watches = Mutex::new(watches.into_iter());
            let begin = move || {
                let next = watches.lock().ok().and_then(|mut watches| watches.next());
                next.map_or_else(|| stream::pending().boxed(), StreamExt::boxed)
            };
            let (changed, changes) = mpsc::unbounded_channel();
            let (readiness, metrics, leadership) =
                (Readiness::default(), Metrics::default(), Leadership::without_election());
            let listeners = Listeners { changed, readiness: readiness.clone(), metrics, leadership };
            let mut tasks = JoinSet::new();
            let nodes = Watches { listeners, listings: Listings::default(), tasks: &mut tasks }
                .follow_nodes(relisted_once_allowed(begin), false);
            Self { api_server, nodes, readiness, changes, _tasks: tasks }
        }

        /// Sends events to the watcher of that number, and waits until all lists are to be reconciled.
        async fn sends(&mut self, watch: usize, events: impl IntoIterator<Item = Events>) {
            assert_eq!(self.change_after(watch, events).await, Change::anywhere(Changed::Everything));
        }

        /// Sends events to the watcher of that number, and waits for what they change.
        async fn change_after(&mut self, watch: usize, events: impl IntoIterator<Item = Events>) -> Change {
            events.into_iter().for_each(|event| self.api_server[watch].unbounded_send(event).expect("a watch"));
            self.changes.recv().await.expect("a change")
        }

        fn names(&self) -> Option<Vec<String>> {
            Some(self.nodes.all()?.iter().map(|node| node.name.clone()).collect())
        }
    }

    fn node(name: &str) -> SlimNode {
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}}))
            .expect("a node")
    }

    fn listing(nodes: &[&str]) -> Vec<Events> {
        let nodes = nodes.iter().map(|name| Ok(Event::InitApply(node(name))));
        [Ok(Event::Init)].into_iter().chain(nodes).chain([Ok(Event::InitDone)]).collect()
    }

    fn error(code: u16, reason: &str) -> Events {
        let status = Status::failure("", reason).with_code(code).boxed();
        Err(watcher::Error::WatchStartFailed(kube::Error::Api(status)))
    }

    #[tokio::test]
    async fn nodes_that_may_no_longer_be_read_are_forgotten_and_all_listed_when_they_may_be_again() {
        let mut trial = Trial::new();
        trial.sends(0, listing(&["a", "b"])).await;
        assert_eq!(trial.names(), Some(vec!["a".to_owned(), "b".to_owned()]));
        trial.sends(0, [error(403, "Forbidden")]).await;
        assert_eq!(trial.names(), None);
        assert!(trial.readiness.all_listed(), "the controller works without nodes");
        // The old watcher would send only changes, and never the nodes that stay the same.
        assert!(trial.api_server[0].is_closed());
        trial.sends(1, listing(&["b", "c"])).await;
        assert_eq!(trial.names(), Some(vec!["b".to_owned(), "c".to_owned()]));
    }

    #[tokio::test]
    async fn after_any_other_error_the_nodes_that_were_seen_stand() {
        let mut trial = Trial::new();
        trial.sends(0, listing(&["a"])).await;
        trial.change_after(0, [error(500, "InternalError"), Ok(Event::Apply(node("b")))]).await;
        assert_eq!(trial.names(), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[tokio::test]
    async fn a_right_that_is_missing_from_the_start_does_not_affect_readiness() {
        let mut trial = Trial::new();
        trial.sends(0, [Ok(Event::Init), error(403, "Forbidden")]).await;
        assert_eq!(trial.names(), None);
        assert!(trial.readiness.all_listed());
    }

    #[tokio::test]
    async fn a_node_that_joins_changes_or_leaves_concerns_only_the_lists_that_have_to_do_with_it() {
        let mut trial = Trial::new();
        trial.sends(0, listing(&["a"])).await;
        let mut cordoned = node("b");
        cordoned.spec.unschedulable = true;
        for (event, before, after) in [
            (Event::Apply(node("b")), None, Some(node("b"))),
            (Event::Apply(cordoned.clone()), Some(node("b")), Some(cordoned.clone())),
            (Event::Delete(cordoned.clone()), Some(cordoned), None),
        ] {
            let node = |node: SlimNode| Arc::new(Node::from(&node));
            let change = NodeChange { before: before.map(node), after: after.map(node) };
            assert_eq!(trial.change_after(0, [Ok(event)]).await, Change::anywhere(Changed::Node(change)));
        }
    }
}
