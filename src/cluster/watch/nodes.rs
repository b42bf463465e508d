//! The nodes: the one watch that the controller can do without.

use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::{Changed, Watches};
use crate::cluster::observed::{Nodes, ObservedNodes};
use crate::coverage::SlimNode;

/// What this watch is called.
pub(super) const NODES: &str = "nodes";

impl Watches<'_> {
    pub(super) fn nodes(&mut self, api: Api<SlimNode>) -> ObservedNodes {
        let nodes = ObservedNodes::default();
        let shared = nodes.clone();
        let mut listing = Nodes::default();
        self.follow(NODES, watcher(api, watcher::Config::default()), move |event| {
            let is_news = match event {
                // While everything is listed anew, the old picture stands until the new one is whole.
                Event::Init => {
                    listing = Nodes::default();
                    false
                }
                Event::InitApply(node) => {
                    listing.apply(node);
                    false
                }
                Event::InitDone => {
                    shared.replace(std::mem::take(&mut listing));
                    true
                }
                Event::Apply(node) => shared.apply(node),
                Event::Delete(node) => shared.delete(&node.name_any()),
            };
            is_news.then_some(Changed::Everything)
        });
        nodes
    }
}
