//! What follows from the answers to one look.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Said;
use super::digests::{Digest, Digests};
use super::holders::Holders;
use super::record::{Looks, Taken};
use super::{Answer, Moved, note};
use crate::list::config::Group;
use crate::plan::generation::Generation;
use crate::plan::rounds::{Action, Facts, Finding, Plan};

/// The most images that are named in one sentence.
const NAMED: usize = 3;

/// Notes what a look came to, or says that a round is to begin. All answers of a look together begin one.
pub fn judge(
    facts: &Facts,
    asked: &Group,
    newest: &Generation,
    holders: &Holders,
    answers: &[Answer],
    plan: &mut Plan,
) -> Option<Moved> {
    let mut looks = newest.looks.clone();
    holders.take_into(&mut looks, holders.round_is_over(facts, newest).is_ok());
    let (mut said, mut moved, mut failed) = (Digests::default(), BTreeMap::new(), BTreeMap::new());
    for answer in answers {
        for (image, of_image) in &answer.images {
            match of_image {
                Said::Is(digest) => {
                    let architecture = answer.probe.architecture.as_str();
                    let known = looks.known.of(image, architecture);
                    if let Some(before) = known.last().filter(|_| !known.contains(digest)) {
                        moved.insert(image.clone(), (before.clone(), digest.clone()));
                    }
                    said.add(image, architecture, digest.clone());
                }
                Said::Failed(why) => drop(failed.insert(image.clone(), (answer.probe, why.clone()))),
                Said::Untold | Said::Nothing => {}
            }
        }
    }
    // A look at what had failed before says nothing of the others.
    let tags = facts.list.config.groups.iter().filter(|group| group.name == asked.name).flat_map(|group| &group.images);
    let all = asked.images.len() == tags.filter(|image| !image.reference.is_pinned()).count();
    let any_told = all && asked.images.iter().any(|image| !failed.contains_key(image.name.as_str()));
    looks.take_in(Taken {
        at: facts.now,
        request: facts.refresh_request,
        any_told,
        failed: failed.keys().cloned().collect(),
        schedule: &facts.list.config.refresh.schedule,
        salt: &format!("{}\n{}", facts.list.label, asked.name),
    });
    let mut findings: Vec<Finding> = deferred(asked, newest, &looks, &failed).into_iter().collect();
    findings.extend(recovered(asked, newest, &looks));
    if moved.is_empty() {
        answers.iter().for_each(|answer| looks.know(answer));
        plan.actions.push(note(newest, looks));
        plan.actions.extend(findings.into_iter().map(Action::Tell));
        return None;
    }
    findings.insert(0, Finding::Moved(moves(asked, &moved)));
    // The new generation begins with what the look said, and learns what its own holders say.
    Some(Moved { images: moved.len(), looks: Looks { known: said, holders_known: false, ..looks }, findings })
}

impl Looks {
    fn know(&mut self, answer: &Answer) {
        for (image, said) in &answer.images {
            if let Said::Is(digest) = said {
                self.known.add(image, &answer.probe.architecture, digest.clone());
            }
        }
    }
}

fn moves(asked: &Group, moved: &BTreeMap<String, (Digest, Digest)>) -> String {
    let sentence = |(image, (before, now)): (&String, &(Digest, Digest))| {
        format!("{} is {now} now and was {before}", reference(asked, image))
    };
    format!("group {}: {}", asked.name, some(moved.iter().map(sentence)))
}

/// It is told once of each image, and not at every try.
fn deferred(
    asked: &Group,
    newest: &Generation,
    looks: &Looks,
    failed: &BTreeMap<String, (&super::Probe, String)>,
) -> Option<Finding> {
    if failed.keys().all(|image| newest.looks.failed.contains(image)) {
        return None;
    }
    let sentence = |(image, (probe, why)): (&String, &(&super::Probe, String))| {
        let node = probe.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
        format!("{}{node}: {why}", reference(asked, image))
    };
    let next =
        looks.retry_at.map(|at| format!(", tried again at {at:.0} and then less and less often")).unwrap_or_default();
    Some(Finding::Deferred(format!(
        "group {}: {} of {} images could not be looked at, and stay as they are{next}: {}",
        asked.name,
        failed.len(),
        asked.images.len(),
        some(failed.iter().map(sentence))
    )))
}

fn recovered(asked: &Group, newest: &Generation, looks: &Looks) -> Option<Finding> {
    let recovered: BTreeSet<&String> = newest.looks.failed.difference(&looks.failed).collect();
    (!recovered.is_empty() && looks.failed.is_empty())
        .then(|| Finding::Recovered(format!("group {}: all of its images could be looked at again", asked.name)))
}

fn reference<'a>(asked: &'a Group, image: &'a str) -> &'a str {
    let listed = asked.images.iter().find(|it| it.name.as_str() == image);
    listed.map_or(image, |it| it.reference.as_str())
}

fn some(sentences: impl ExactSizeIterator<Item = String>) -> String {
    let more = sentences.len().saturating_sub(NAMED);
    let named: Vec<String> = sentences.take(NAMED).collect();
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{more}", named.join("; "))
}
