//! One list as it is at one time: from the watches, or read from the API server.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::image_caches::{Visibility, selector};
use super::observed::Observed;
use super::pages::{all, each};
use super::resources;
use crate::coverage::SlimPod;
use crate::error::Error;
use crate::image_cache::object::resource;
use crate::image_cache::{Cache, ImageCacheObject};
use crate::list::{IMAGE_LIST_LABEL, ListData};
use crate::naming::labels;
use crate::plan::adoption::Adoptable;
use crate::plan::generation::tag_check::TagCheck;
use crate::plan::versions::{self, Revision};
use crate::plan::{Generation, SlimDaemonSet};

/// How many accepted versions are read at a time: a list may have a megabyte.
const REVISIONS: u32 = 50;

/// A list with its history and everything created from it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The name of its ConfigMap.
    pub name: String,
    /// Its ConfigMap; `None` if it does not exist, or is not a list any more.
    pub config_map: Option<Arc<ConfigMap>>,
    /// Its accepted versions.
    pub revisions: Vec<Revision>,
    /// Its generations.
    pub generations: Vec<Generation>,
    /// Its tag checks.
    pub tag_checks: Vec<TagCheck>,
    /// DaemonSets of kubernetes-image-puller that no list has adopted.
    pub adoptable: Vec<Adoptable>,
    /// Its ImageCaches.
    pub image_caches: Visibility<Vec<Cache>>,
}

impl Snapshot {
    /// The list with that label as the watches have seen it. They may be a moment behind.
    pub fn observed(observed: &Observed, label: &str) -> Self {
        let (config_map, revisions) = (observed.list(label), observed.accepted.of(label));
        let written = config_map.as_ref().map(|config_map| config_map.name_any());
        let kept = || versions::newest(&revisions).map(|revision| revision.list.name.clone());
        Self {
            // The name differs from the label only if it is too long for one.
            name: written.or_else(kept).unwrap_or_else(|| label.to_owned()),
            config_map,
            generations: observed.generations(label),
            tag_checks: observed.tag_checks(label),
            adoptable: observed.adoptable(),
            image_caches: observed.image_caches.of(label),
            revisions,
        }
    }

    /// The list's data.
    pub fn data(&self) -> Option<ListData> {
        let config_map = self.config_map.as_ref()?;
        Some(ListData {
            namespace: config_map.namespace().unwrap_or_default(),
            name: config_map.name_any(),
            data: config_map.data.clone().unwrap_or_default(),
            found: None,
        })
    }

    /// The refresh that was requested last.
    pub fn refresh_request(&self) -> Option<&str> {
        labels::refresh_request(self.config_map.as_ref()?.annotations())
    }

    /// Whether the list, its history and everything created from it are gone.
    pub fn is_empty(&self) -> bool {
        let others = self.generations.is_empty() && self.tag_checks.is_empty() && !self.has_image_caches(|_| true);
        self.config_map.is_none() && self.revisions.is_empty() && others
    }

    /// Whether nothing is left but ImageCaches.
    pub fn has_image_caches_only(&self) -> bool {
        let others = self.generations.is_empty() && self.tag_checks.is_empty();
        self.config_map.is_none() && self.revisions.is_empty() && others && self.has_image_caches(|_| true)
    }

    /// Whether something created from it exists and is not being deleted.
    pub fn is_left_behind(&self) -> bool {
        self.generations.iter().any(|generation| !generation.deleting) || self.has_image_caches(|cache| !cache.deleting)
    }

    fn has_image_caches(&self, which: impl Fn(&Cache) -> bool) -> bool {
        matches!(&self.image_caches, Visibility::Visible(caches) if caches.iter().any(which))
    }
}

/// Reads from the API server, so that nothing is done twice or because of outdated observations.
#[derive(Clone)]
pub struct Reader {
    config_maps: Api<ConfigMap>,
    revisions: Api<ControllerRevision>,
    daemon_sets: Api<SlimDaemonSet>,
    pods: Api<SlimPod>,
    image_caches: Api<ImageCacheObject>,
    namespace: String,
    named: Vec<String>,
}

impl Reader {
    /// Prepares to read in a namespace; `named` are the lists that need no label.
    pub fn new(client: &Client, namespace: &str, named: &[String]) -> Self {
        Self {
            config_maps: Api::namespaced(client.clone(), namespace),
            revisions: Api::namespaced(client.clone(), namespace),
            daemon_sets: Api::namespaced_with(client.clone(), namespace, &resources::daemon_sets()),
            pods: Api::namespaced_with(client.clone(), namespace, &resources::pods()),
            image_caches: Api::all_with(client.clone(), &resource()),
            namespace: namespace.to_owned(),
            named: named.to_vec(),
        }
    }

    /// Reads the list that was seen in this form a moment ago.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn read(&self, label: &str, seen: &Snapshot) -> Result<Snapshot, Error> {
        let name = seen.name.as_str();
        let of_list = ListParams::default().labels(&format!("{}={label}", labels::LIST));
        let config_map = self.config_maps.get_opt(name).await;
        let config_map = config_map.map_err(|error| Error::new(format!("read the ConfigMap {name}"), error))?;
        let of_revisions = format!("{}={label},{}", labels::LIST, labels::REVISIONS_OF_LISTS);
        let revisions = self.revisions.list(&ListParams::default().labels(&of_revisions)).await;
        let revisions = revisions.map_err(|error| Error::new("list the ControllerRevisions", error))?;
        let daemon_sets = all(self.daemon_sets.clone(), "the DaemonSets", of_list.clone()).await?;
        let pods =
            if daemon_sets.iter().any(is_tag_check) { self.pods_of_tag_checks(label).await? } else { Vec::new() };
        Ok(Snapshot {
            image_caches: self.image_caches_of(label, &seen.image_caches).await?,
            adoptable: self.still_adoptable(&seen.adoptable).await?,
            name: name.to_owned(),
            config_map: config_map.filter(|config_map| self.is_list(config_map)).map(Arc::new),
            revisions: revisions.items.iter().filter_map(Revision::from_object).collect(),
            tag_checks: tag_checks(&daemon_sets, &pods),
            generations: daemon_sets.iter().filter_map(Generation::from_daemon_set).collect(),
        })
    }

    /// The pods of a list's tag checks. An API server whose cache is behind may read all pods of the namespace for this, so it is asked only
    /// if there is a tag check.
    async fn pods_of_tag_checks(&self, label: &str) -> Result<Vec<SlimPod>, Error> {
        let of_tag_checks = ListParams::default().labels(&format!("{}={label},{}", labels::LIST, labels::TAG_CHECK));
        let pods = self.pods.list(&of_tag_checks).await;
        Ok(pods.map_err(|error| Error::new("list the pods of tag checks", error))?.items)
    }

    /// Reads the accepted versions of all lists, some at a time.
    ///
    /// # Errors
    /// What the API server answered, or why it could not be reached.
    pub async fn read_accepted(&self, mut record: impl FnMut(&ControllerRevision)) -> Result<(), Error> {
        let of_lists = ListParams::default().labels(labels::REVISIONS_OF_LISTS).limit(REVISIONS);
        each(self.revisions.clone(), "the ControllerRevisions", of_lists, |revision| record(&revision)).await
    }

    /// The list's ImageCaches. They are not read if they were not visible a moment ago, since the rest must not fail because of
    /// them.
    async fn image_caches_of(
        &self,
        label: &str,
        seen: &Visibility<Vec<Cache>>,
    ) -> Result<Visibility<Vec<Cache>>, Error> {
        if !matches!(seen, Visibility::Visible(_)) {
            return Ok(seen.clone());
        }
        let of_list = format!("{},{}={label}", selector(&self.namespace), labels::LIST);
        match self.image_caches.list(&ListParams::default().labels(&of_list)).await {
            Ok(found) => Ok(Visibility::Visible(found.items.iter().filter_map(Cache::from_object).collect())),
            // The watch is about to find out which it is.
            Err(kube::Error::Api(status)) if status.code == 403 || status.code == 404 => Ok(Visibility::Unknown),
            Err(error) => Err(Error::new("list the ImageCaches", error)),
        }
    }

    async fn still_adoptable(&self, adoptable: &[Adoptable]) -> Result<Vec<Adoptable>, Error> {
        if adoptable.is_empty() {
            return Ok(Vec::new());
        }
        let others = self.daemon_sets.list_metadata(&ListParams::default().labels(labels::OF_NO_LIST)).await;
        let others = others.map_err(|error| Error::new("list the DaemonSets of no list", error))?;
        let exists = |it: &&Adoptable| others.items.iter().any(|other| other.metadata.uid.as_ref() == Some(&it.uid));
        Ok(adoptable.iter().filter(exists).cloned().collect())
    }

    fn is_list(&self, config_map: &ConfigMap) -> bool {
        let labelled = config_map.labels().get(IMAGE_LIST_LABEL).is_some_and(|value| value == "true");
        labelled || self.named.contains(&config_map.name_any())
    }
}

fn is_tag_check(daemon_set: &SlimDaemonSet) -> bool {
    daemon_set.labels().contains_key(labels::TAG_CHECK)
}

fn tag_checks(daemon_sets: &[SlimDaemonSet], pods: &[SlimPod]) -> Vec<TagCheck> {
    daemon_sets.iter().filter_map(|it| TagCheck::from_metadata(&it.metadata, pods)).collect()
}
