//! The pods, by list and generation. A copy shares everything with the original, so whoever plans or reports takes one and keeps no watch
//! waiting meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use super::covering_pod::CoveringPod;

/// The pods, by list and generation.
#[derive(Clone, Debug, Default)]
pub struct IndexedPods(HashMap<Arc<str>, Arc<PodsOfList>>);

/// The pods of a list, by generation.
type PodsOfList = HashMap<Arc<str>, Arc<PodsOfGeneration>>;

/// The pods of a generation, by uid.
type PodsOfGeneration = HashMap<Arc<str>, Arc<CoveringPod>>;

impl IndexedPods {
    /// The pod with that uid. `list` is its list, unless its label was changed: it is looked for there first.
    pub fn get(&self, list: Option<&str>, uid: &str) -> Option<&Arc<CoveringPod>> {
        let first = list.and_then(|list| self.0.get(list)).into_iter();
        let mut generations = first.chain(self.0.values()).flat_map(|generations| generations.values());
        generations.find_map(|pods| pods.get(uid))
    }

    /// Puts a pod in the place of the one that it is a later version of, if that is known.
    pub fn insert(&mut self, pod: CoveringPod, before: Option<&CoveringPod>) {
        if let Some(before) = before.filter(|before| before.list != pod.list || before.generation != pod.generation) {
            self.remove(before);
        }
        let generations = Arc::make_mut(self.0.entry(Arc::clone(&pod.list)).or_default());
        let pods = Arc::make_mut(generations.entry(Arc::clone(&pod.generation)).or_default());
        pods.insert(Arc::clone(&pod.uid), Arc::new(pod));
    }

    /// Removes a pod. What was the last one of a list or generation takes its memory along.
    pub fn remove(&mut self, pod: &CoveringPod) {
        let Some(generations) = self.0.get_mut(&pod.list).map(Arc::make_mut) else { return };
        let Some(pods) = generations.get_mut(&pod.generation).map(Arc::make_mut) else { return };
        pods.remove(&pod.uid);
        if pods.is_empty() {
            generations.remove(&pod.generation);
        }
        if generations.is_empty() {
            self.0.remove(&pod.list);
        }
    }

    /// All pods.
    pub fn all(&self) -> impl Iterator<Item = &Arc<CoveringPod>> {
        self.0.values().flat_map(|generations| generations.values()).flat_map(|pods| pods.values())
    }

    /// The pods of a list.
    pub fn of_list<'a>(&'a self, list: &str) -> impl Iterator<Item = &'a CoveringPod> + use<'a> {
        let generations = self.0.get(list).into_iter().flat_map(|generations| generations.values());
        generations.flat_map(|pods| pods.values()).map(|pod| &**pod)
    }

    /// The pods of a generation of a list.
    pub fn of_generation<'a>(
        &'a self,
        list: &str,
        generation: &str,
    ) -> impl Iterator<Item = &'a CoveringPod> + use<'a> {
        let pods = self.0.get(list).and_then(|generations| generations.get(generation));
        pods.into_iter().flat_map(|pods| pods.values()).map(|pod| &**pod)
    }

    /// The same pods, of one list only.
    pub fn only_of(&self, list: &str) -> Self {
        Self(self.0.get_key_value(list).map(|(list, pods)| (Arc::clone(list), Arc::clone(pods))).into_iter().collect())
    }
}

#[cfg(test)]
impl std::ops::Index<&str> for IndexedPods {
    type Output = CoveringPod;

    fn index(&self, uid: &str) -> &CoveringPod {
        self.get(None, uid).expect("the pod")
    }
}
