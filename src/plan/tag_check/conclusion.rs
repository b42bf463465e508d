//! What follows from the answers to one look.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Said;
use super::digests::Digest;
use super::holders::Holders;
use super::places::Place;
use super::record::{TagCheckRecord, Taken};
use super::{Answer, Moved, note, renewal};
use crate::list::config::Group;
use crate::messages::end_of;
use crate::plan::generation::Generation;
use crate::plan::rollouts::{Action, Context, Finding, Plan};

/// After so many rollouts that did not bring what had begun them, no more of them begin.
const MOST_IN_VAIN: usize = 3;
/// The most images that are named in one sentence.
const NAMED: usize = 3;

/// Notes what a look came to, or says that a rollout is to begin. All answers of a look together begin one.
pub fn conclude(
    context: &Context,
    asked: &Group,
    newest: &Generation,
    holders: &Holders,
    answers: &[Answer],
    plan: &mut Plan,
) -> Option<Moved> {
    let mut tag_check_record = newest.tag_check_record.clone();
    tag_check_record.tried.forget_what_led_to(|image, architecture, digest| holders.have(image, architecture, digest));
    let (mut agreeing, mut differing, mut failed) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for answer in answers {
        let (place, architecture) = (answer.place, answer.place.architecture);
        for (image, said) in &answer.images {
            match said {
                Said::Is(digest) => match before(holders, place, image, digest) {
                    Some(before) => drop(differing.insert((image, architecture, digest), before)),
                    None => drop(agreeing.insert((image, architecture))),
                },
                Said::Failed(why) => drop(failed.insert(image.clone(), (place.node, why.clone()))),
                Said::Unreported | Said::Nothing => {}
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
        if holders.have(image, architecture, digest) {
            if tag_check_record.renewals_in_vain < renewal::MOST_IN_VAIN {
                outdated.insert(image.clone());
                tag_check_record.outdated.add(image, architecture, before.clone());
            }
        } else if tag_check_record.try_out(holders, image, architecture, digest) {
            moved.insert(image.clone(), (before.clone(), digest.clone()));
        }
    }
    // A look at what had failed before says nothing of the others.
    let tags =
        context.list.config.groups.iter().filter(|group| group.name == asked.name).flat_map(|group| &group.images);
    let all = asked.images.len() == tags.filter(|image| image.may_move()).count();
    let any_answered = all && asked.images.iter().any(|image| !failed.contains_key(image.name.as_str()));
    tag_check_record.take_in(Taken {
        at: context.now,
        request: context.refresh_request,
        any_answered,
        failed: failed.iter().map(|(image, (_, why))| (image.clone(), end_of(why))).collect(),
        schedule: &context.list.config.refresh.schedule,
        salt: &format!("{}\n{}", context.list.label, asked.name),
    });
    let mut findings: Vec<Finding> = deferred(asked, newest, &tag_check_record, &failed).into_iter().collect();
    findings.extend(recovered(asked, newest, &tag_check_record));
    findings.extend(out_of_date(asked, &outdated));
    if moved.is_empty() {
        plan.actions.push(note(newest, tag_check_record));
        plan.actions.extend(findings.into_iter().map(Action::Tell));
        return None;
    }
    findings.insert(0, Finding::Moved(moves(asked, &moved)));
    Some(Moved { images: moved.into_keys().collect(), tag_check_record, findings })
}

/// What the tag was on that node before, if the node calls it something else now.
///
/// A node is compared with itself, since others may call the same thing differently. Only where it does not hold the image
/// do the others of its architecture speak for it.
fn before<'a>(holders: &'a Holders, place: Place, image: &str, digest: &Digest) -> Option<&'a Digest> {
    let own = holders.on(place.node).and_then(|images| images.get(image));
    match own {
        Some(own) => Some(own).filter(|own| *own != digest),
        None if holders.have(image, place.architecture, digest) => None,
        None => holders.of_image(image, place.architecture).next(),
    }
}

impl TagCheckRecord {
    /// Whether a digest that a node did not have begins a rollout, which is remembered. Without a limit, nodes that call a tag
    /// something else each time would have one at every look.
    fn try_out(&mut self, holders: &Holders, image: &str, architecture: &str, digest: &Digest) -> bool {
        let tried = self.tried.of(image, architecture);
        if tried.contains(digest) || tried.len() >= MOST_IN_VAIN {
            return false;
        }
        match tried.last() {
            Some(last) if !holders.have(image, architecture, last) => {
                self.tried.add(image, architecture, digest.clone());
            }
            _ => self.tried.replace(image, architecture, digest.clone()),
        }
        true
    }
}

fn out_of_date(asked: &Group, outdated: &BTreeSet<String>) -> Option<Finding> {
    let names: Vec<String> = outdated.iter().map(|image| reference(asked, image).to_owned()).collect();
    (!names.is_empty()).then(|| {
        Finding::Outdated(format!(
            "group {}: some nodes hold older content than others of {}; they are brought up to date a few at a time, and no other node \
             is asked",
            asked.name,
            some(names.into_iter())
        ))
    })
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
    tag_check_record: &TagCheckRecord,
    failed: &BTreeMap<String, (&str, String)>,
) -> Option<Finding> {
    if failed.keys().all(|image| newest.tag_check_record.failed.contains_key(image)) {
        return None;
    }
    let sentence = |(image, (node, why)): (&String, &(&str, String))| {
        format!("{} on {node}: {}", reference(asked, image), end_of(why))
    };
    let next = tag_check_record
        .retry_at
        .map(|at| format!(", tried again at {at:.0} and then less and less often"))
        .unwrap_or_default();
    Some(Finding::Deferred(format!(
        "group {}: {} of {} images could not be looked at, and stay as they are{next}: {}",
        asked.name,
        failed.len(),
        asked.images.len(),
        some(failed.iter().map(sentence))
    )))
}

fn recovered(asked: &Group, newest: &Generation, tag_check_record: &TagCheckRecord) -> Option<Finding> {
    (!newest.tag_check_record.failed.is_empty() && tag_check_record.failed.is_empty())
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
