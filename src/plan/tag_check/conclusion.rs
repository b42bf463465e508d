//! Draws conclusions from the answers to a tag check.

use std::collections::{BTreeMap, BTreeSet};

use super::held_digests::GenerationDigests;
use super::outdated_nodes;
use super::targets::{Answer, CheckTarget};
use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::{Action, Finding, Moved, MovedTag, Plan, UncheckedImage};
use crate::plan::generation::Generation;
use crate::plan::generation::check_failure::CheckFailure;
use crate::plan::generation::digests::Digest;
use crate::plan::generation::tag_check::ImageAnswer;
use crate::plan::generation::tag_check_record::{FinishedTagCheck, TagCheckRecord};

/// After this many rollouts that did not deliver the digest that started them, a tag starts no further rollout.
const MAX_FUTILE_ROLLOUTS: usize = 3;

/// What follows from the answers to a tag check.
pub struct Conclusion {
    /// The images whose tags have moved.
    moved: BTreeSet<String>,
    /// The results of tag checks from now on.
    tag_check_record: TagCheckRecord,
    /// The findings to report.
    findings: Vec<Finding>,
}

impl Conclusion {
    /// Whether all that is new is that images could not be checked, which has time: nothing changes for them. Until the other shards of
    /// the group have their answers too, the check stays, so that one Event says it of all.
    pub fn is_deferred(&self) -> bool {
        let mut findings = self.findings.iter();
        self.moved.is_empty() && findings.any(|it| matches!(it, Finding::RefreshDeferred { .. }))
    }

    /// Records the outcome, or returns a rollout if tags have moved.
    pub fn carry_out(self, newest: &Generation, plan: &mut Plan) -> Option<Moved> {
        let Self { moved: images, tag_check_record, findings } = self;
        if images.is_empty() {
            plan.actions.push(Action::note(newest, tag_check_record));
            plan.actions.extend(findings.into_iter().map(Action::Report));
            return None;
        }
        Some(Moved { images, tag_check_record, findings })
    }
}

/// Compares the answers to a tag check with what nodes hold. All answers together start one rollout.
pub fn conclude(
    context: &Context,
    asked: &Group,
    newest: &Generation,
    held: &GenerationDigests,
    answers: &[Answer],
) -> Conclusion {
    let mut tag_check_record = newest.tag_check_record.clone();
    tag_check_record.tried.drop_superseded(|image, architecture, digest| held.have(image, architecture, digest));
    let (mut agreeing, mut differing, mut failed) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for answer in answers {
        let (target, architecture) = (answer.target, answer.target.architecture);
        for (image, image_answer) in &answer.images {
            match image_answer {
                ImageAnswer::Resolved(digest) => match before(held, target, image, digest) {
                    Some(before) => drop(differing.insert((image, architecture, digest), before)),
                    None => drop(agreeing.insert((image, architecture))),
                },
                ImageAnswer::Failed(failure) => {
                    drop(
                        failed.insert(image.clone(), (target.node, newest.tag_check_record.explained(image, failure))),
                    );
                }
                ImageAnswer::Unreported | ImageAnswer::Pending => {}
            }
        }
    }
    let differs =
        |of: &(&String, &str)| differing.keys().any(|(image, architecture, _)| (*image, *architecture) == *of);
    for (image, architecture) in agreeing.iter().filter(|of| !differs(of)) {
        tag_check_record.tried.keep_newest(image, architecture);
    }
    let (mut moved, mut outdated) = (BTreeMap::new(), BTreeSet::new());
    for ((image, architecture, digest), before) in differing {
        if held.have(image, architecture, digest) {
            if tag_check_record.failed_renewals < outdated_nodes::MAX_FAILED_RENEWALS {
                outdated.insert(image.clone());
                tag_check_record.outdated.add(image, architecture, before.clone());
            }
        } else if tag_check_record.start_rollout_for(held, image, architecture, digest) {
            moved.insert(image.clone(), (before.clone(), digest.clone()));
        }
    }
    // A retry of failed images does not cover the others.
    let same = context.list.config.groups.iter().filter(|group| group.is_same_shard(asked));
    let tags = same.flat_map(|group| &group.images);
    let all = asked.images.len() == tags.filter(|image| image.may_move()).count();
    let any_succeeded = all && asked.images.iter().any(|image| !failed.contains_key(image.name.as_str()));
    tag_check_record.record_outcome(FinishedTagCheck {
        at: context.now,
        request: context.refresh_request,
        any_succeeded,
        failed: failed.iter().map(|(image, (_, failure))| (image.clone(), Some(failure.shortened()))).collect(),
        schedule: &context.list.config.refresh.schedule,
        salt: &format!("{}\n{}", context.list.label, asked.name),
    });
    let mut findings: Vec<Finding> = deferred(asked, newest, &tag_check_record, &failed).into_iter().collect();
    findings.extend(recovered(asked, newest, &tag_check_record));
    findings.extend(nodes_outdated(asked, &outdated));
    if !moved.is_empty() {
        findings.insert(0, tags_moved(asked, &moved));
    }
    Conclusion { moved: moved.into_keys().collect(), tag_check_record, findings }
}

/// The tag's digest on that node so far, if the node now reports another one.
///
/// A node is compared with itself, because nodes may report the same image differently. If it does not hold the image,
/// it is compared with other nodes of its architecture.
fn before<'a>(held: &'a GenerationDigests, target: CheckTarget, image: &str, digest: &Digest) -> Option<&'a Digest> {
    let own = held.on(target.node).and_then(|images| images.get(image));
    match own {
        Some(own) => Some(own).filter(|own| *own != digest),
        None if held.have(image, target.architecture, digest) => None,
        None => held.of_image(image, target.architecture).next(),
    }
}

impl TagCheckRecord {
    /// Records that a digest that no node had starts a rollout. Returns `false` if it must not, because nodes that
    /// report a tag differently each time would otherwise start a rollout with every check.
    fn start_rollout_for(
        &mut self,
        held: &GenerationDigests,
        image: &str,
        architecture: &str,
        digest: &Digest,
    ) -> bool {
        let tried = self.tried.of(image, architecture);
        if tried.contains(digest) || tried.len() >= MAX_FUTILE_ROLLOUTS {
            return false;
        }
        match tried.last() {
            Some(last) if !held.have(image, architecture, last) => {
                self.tried.add(image, architecture, digest.clone());
            }
            _ => self.tried.replace(image, architecture, digest.clone()),
        }
        true
    }
}

fn nodes_outdated(asked: &Group, outdated: &BTreeSet<String>) -> Option<Finding> {
    let references: Vec<String> = outdated.iter().map(|image| reference(asked, image)).collect();
    let group = asked.name.to_string();
    (!references.is_empty()).then_some(Finding::NodesOutdated { group, references })
}

fn tags_moved(asked: &Group, moved: &BTreeMap<String, (Digest, Digest)>) -> Finding {
    let tag = |(image, (before, now)): (&String, &(Digest, Digest))| MovedTag {
        reference: reference(asked, image),
        before: before.clone(),
        now: now.clone(),
    };
    Finding::TagsMoved { group: asked.name.to_string(), moved: moved.iter().map(tag).collect() }
}

/// A failure is reported once for each image, not with every retry.
fn deferred(
    asked: &Group,
    newest: &Generation,
    tag_check_record: &TagCheckRecord,
    failed: &BTreeMap<String, (&str, CheckFailure)>,
) -> Option<Finding> {
    if failed.keys().all(|image| newest.tag_check_record.failed.contains_key(image)) {
        return None;
    }
    let unchecked = |(image, (node, failure)): (&String, &(&str, CheckFailure))| UncheckedImage {
        reference: reference(asked, image),
        node: Some((*node).to_owned()),
        failure: Some(failure.clone()),
    };
    Some(Finding::RefreshDeferred {
        group: asked.name.to_string(),
        images: failed.iter().map(unchecked).collect(),
        of: asked.images.len(),
        retry_at: tag_check_record.retry_at,
    })
}

fn recovered(asked: &Group, newest: &Generation, tag_check_record: &TagCheckRecord) -> Option<Finding> {
    (!newest.tag_check_record.failed.is_empty() && tag_check_record.failed.is_empty())
        .then(|| Finding::RefreshRecovered { group: asked.name.to_string() })
}

fn reference(asked: &Group, image: &str) -> String {
    let listed = asked.images.iter().find(|it| it.name.as_str() == image);
    listed.map_or(image, |it| it.reference.as_str()).to_owned()
}
