//! The words.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{News, Reason};
use crate::list::Parsed;
use crate::plan::{Action, Ending, Finding, Leaving, Reach, history, labels};

/// A list was accepted or rejected: the first three problems; the rest stands on the list.
pub fn verdict(parsed: &Parsed) -> News {
    let first: Vec<String> = parsed.problems.iter().take(3).map(ToString::to_string).collect();
    let rest = match parsed.problems.len() {
        0..=3 => String::new(),
        count => format!(" | … and {} more in the annotation {}", count - 3, labels::PROBLEMS),
    };
    // On one line, since `kubectl get events` shows no more of a note.
    let problems = format!("{}{rest}", first.join(" | "));
    match &parsed.config {
        None => News::new(Reason::ListRejected, format!("this edit is rejected, and nothing was changed: {problems}")),
        Some(config) => {
            let images: usize = config.groups.iter().map(|group| group.images.len()).sum();
            let groups = config.groups.len();
            let accepted =
                format!("accepted: {images} images in {groups} {}", if groups == 1 { "group" } else { "groups" });
            let note = if problems.is_empty() { accepted } else { format!("{accepted}; {problems}") };
            News::new(Reason::ListAccepted, note)
        }
    }
}

/// An action was carried out, and is worth telling.
pub fn done(action: &Action) -> Option<News> {
    Some(match action {
        Action::Create { daemon_set, cause } => {
            let name = daemon_set.name_any();
            let group = daemon_set.labels().get(labels::GROUP).cloned().unwrap_or_default();
            let note = format!("group {group}: the DaemonSet {name} begins a round, because {cause}");
            News::new(Reason::RoundStarted, note).about(&name)
        }
        Action::Repair { daemon_set } => {
            let name = daemon_set.name_any();
            let note = format!("the DaemonSet {name} had been changed by somebody else and was put back");
            News::new(Reason::DaemonSetRepaired, note).about(&name).on(name)
        }
        Action::Adopt { name, .. } => {
            let note = format!(
                "the DaemonSet {name} of kubernetes-image-puller was taken over: it holds its images until this list's own \
                 DaemonSets do, and goes then"
            );
            News::new(Reason::LeftoverAdopted, note).about(name)
        }
        Action::Narrow { name, reach, leaving, .. } => narrowed(name, reach, leaving).about(name),
        Action::Delete { name, ending, .. } => ended(name, *ending).about(name),
        Action::Tell(finding) => found_by_look(finding),
        Action::Probe { .. } | Action::EndProbe { .. } | Action::Note { .. } => return None,
    })
}

fn found_by_look(finding: &Finding) -> News {
    match finding {
        Finding::Moved(note) => News::new(Reason::TagsMoved, note.clone()),
        Finding::Deferred(note) => News::new(Reason::RefreshDeferred, note.clone()),
        Finding::Recovered(note) => News::new(Reason::RefreshRecovered, note.clone()),
    }
}

fn narrowed(name: &str, reach: &Reach, leaving: &Leaving) -> News {
    match leaving {
        Leaving::NeededOnFew => {
            let note = format!("the DaemonSet {name} is needed on few nodes only and is from now on {reach}");
            News::new(Reason::Narrowed, note)
        }
        Leaving::NoRoom { nodes } => {
            let causes: Vec<String> = nodes.iter().map(|(node, shortage)| format!("{node} ({shortage})")).collect();
            let note = format!(
                "the DaemonSet {name} leaves before the new one is there, since there is no room for both on {}; other nodes \
                 show that the images can be pulled",
                causes.join(", ")
            );
            News::new(Reason::MakingRoom, note)
        }
    }
}

fn ended(name: &str, ending: Ending) -> News {
    let (reason, why) = match ending {
        Ending::NeededNowhere => (Reason::RoundDone, "is needed nowhere any more and was deleted".to_owned()),
        Ending::MadeAnew(cause) => (Reason::Recreating, format!("was deleted and is made anew, because {cause}")),
        Ending::ListGone => (Reason::ListCleanedUp, "was deleted, since its list stayed away".to_owned()),
    };
    News::new(reason, format!("the DaemonSet {name} {why}"))
}

/// The list has gone.
pub fn missing(since: Timestamp) -> News {
    let until = since.checked_add(history::GRACE).unwrap_or(since);
    let note = format!(
        "this list is gone: there is no such ConfigMap with the label {}=true; its images stay held until {until:.0}, and \
         longer if it comes back before",
        crate::list::IMAGE_LIST_LABEL
    );
    News::new(Reason::ListMissing, note)
}

/// The list has come back.
pub fn found() -> News {
    News::new(Reason::ListFound, "this list is back; nothing was lost meanwhile")
}

/// Something has to wait.
pub fn waiting(note: &str) -> News {
    News::new(Reason::Waiting, note)
}
