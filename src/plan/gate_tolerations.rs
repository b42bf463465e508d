//! Which generations have to tolerate taints of gates that they do not tolerate yet.
//!
//! A new generation tolerates them from the start. But whether new nodes wait is no reason to move pods, so the template of one that
//! exists gets the tolerations in place: from then on, the DaemonSet controller creates pods on nodes with these taints. Nothing takes a
//! toleration away again, because a taint with the effect `NoExecute` would end the pods.

use super::decision::Action;
use super::generations::Generations;
use crate::list::Config;

/// The changes of templates.
pub fn tolerations(config: &Config, generations: &Generations) -> Vec<Action> {
    let lacking = config.groups.iter().filter_map(|group| {
        // One that another client changed is restored first.
        let newest = generations.newest_of(group).filter(|newest| newest.altered.is_none())?;
        let tolerated = &newest.record.as_ref()?.gate_taints;
        let taints = tolerated | &group.placement.gate_taints;
        (taints != *tolerated).then(|| Action::Tolerate { name: newest.name.clone(), uid: newest.uid.clone(), taints })
    });
    lacking.collect()
}
