//! A list, its ImageCaches, and ECI around them, each as simple as its contract allows.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::image_cache::ledger::Ledger;
use crate::image_cache::object::{ImageCacheObject, Status};
use crate::image_cache::{
    Cache, CacheAction, CacheCause, CacheContext, CacheFinding, CachePlan, HeldDigests, Phase, plan,
};
use crate::list::{self, Config, ListData};
use crate::plan::AcceptedList;
use crate::plan::generation::digests::Digest;

/// The list `tools` in the namespace `prepull`, and what is made of it.
#[derive(Clone, Debug)]
pub struct Eci {
    pub now: Timestamp,
    pub config: Config,
    pub accepted_at: Timestamp,
    /// What nodes hold; nothing where they have nothing yet.
    pub known: HeldDigests,
    pub request: Option<String>,
    pub sizes: Option<BTreeMap<String, u64>>,
    pub objects: Vec<ImageCacheObject>,
    pub ledger: Option<Ledger>,
    pub causes: Vec<CacheCause>,
    pub findings: Vec<CacheFinding>,
    next_uid: u32,
}

/// The accepted version of an `images.yaml`.
pub fn config(text: &str) -> Config {
    let data = [("images.yaml".to_owned(), text.to_owned())].into();
    let list = ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None };
    let parsed = list::parse(&list);
    parsed.config.unwrap_or_else(|| panic!("{text}: {:?}", parsed.problems))
}

/// What nodes say of images: image, digest, number of nodes.
pub fn known(images: &[(&str, &str, usize)]) -> HeldDigests {
    let mut known = HeldDigests::default();
    for (image, digest, nodes) in images {
        for _ in 0..*nodes {
            known.add(image, "amd64", Digest::of_image_id(digest).expect("a digest"), 1);
        }
    }
    known
}

impl Eci {
    pub fn new(text: &str) -> Self {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        Self {
            now,
            config: config(text),
            accepted_at: now,
            known: HeldDigests::default(),
            request: None,
            sizes: None,
            objects: Vec::new(),
            ledger: None,
            causes: Vec::new(),
            findings: Vec::new(),
            next_uid: 0,
        }
    }

    pub fn pass(&mut self, time: SignedDuration) {
        self.now = self.now.checked_add(time).expect("a time");
    }

    pub fn caches(&self) -> Vec<Cache> {
        self.objects.iter().filter_map(Cache::from_object).collect()
    }

    pub fn of_phase(&self, phase: Phase) -> Vec<Cache> {
        self.caches().into_iter().filter(|cache| cache.phase == phase).collect()
    }

    /// The list as accepted.
    pub fn list(&self) -> AcceptedList<'_> {
        AcceptedList { namespace: "prepull", label: "tools", config: &self.config }
    }

    pub fn plan(&self) -> CachePlan {
        self.plan_from(self.ledger.as_ref(), self.ledger.as_ref())
    }

    /// Plans with a ledger that may not be on the newest accepted version.
    pub fn plan_from(&self, ledger: Option<&Ledger>, on_newest_version: Option<&Ledger>) -> CachePlan {
        plan(&CacheContext {
            list: self.list(),
            name: "tools",
            accepted_at: Some(self.accepted_at),
            refresh_request: self.request.as_deref(),
            caches: &self.caches(),
            ledger,
            on_newest_version,
            known: &self.known,
            sizes: self.sizes.as_ref(),
            now: self.now,
        })
    }

    /// Plans and carries out until nothing is left to do.
    pub fn settle(&mut self) -> CachePlan {
        for _ in 0..20 {
            let plan = self.plan();
            if plan.actions.is_empty() {
                return plan;
            }
            plan.actions.iter().for_each(|action| self.carry_out(action));
        }
        panic!("there is always something left to do: {:#?}", self.plan().actions);
    }

    pub fn carry_out(&mut self, action: &CacheAction) {
        match action {
            CacheAction::Keep { ledger, findings } => {
                self.ledger = ledger
                    .as_ref()
                    .map(|ledger| Ledger::from_text(&ledger.to_text()).expect("a ledger that can be read back"));
                self.findings.extend(findings.iter().cloned());
            }
            CacheAction::Create { object, cause } => {
                if self.objects.iter().any(|known| known.name_any() == object.name_any()) {
                    return;
                }
                self.next_uid += 1;
                let mut object = (**object).clone();
                object.metadata.uid = Some(self.next_uid.to_string());
                object.metadata.creation_timestamp = Some(Time(self.now));
                self.objects.push(object);
                self.causes.push(*cause);
            }
            CacheAction::Delete { uid, .. } => self.objects.retain(|object| object.metadata.uid.as_ref() != Some(uid)),
        }
    }

    /// ECI moves one of that number on.
    pub fn set(&mut self, index: usize, phase: &str, percent: u8) {
        let now = self.now;
        let object = &mut self.objects[index];
        let days = object.spec.retention_days;
        let created = object.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let end = match phase {
            "Failed" => now.checked_add(SignedDuration::from_hours(24)).ok(),
            _ => days.and_then(|days| super::super::cache::after_days(created, days)),
        };
        object.status = Some(Status {
            phase: Some(phase.to_owned()),
            progress: Some(format!("{percent}%")),
            image_cache_id: Some(format!("imc-{}", object.metadata.uid.clone().unwrap_or_default())),
            expire_date_time: end.map(|end| end.to_string()),
            events: None,
        });
    }

    pub fn set_all(&mut self, phase: &str) {
        (0..self.objects.len()).for_each(|index| self.set(index, phase, 100));
    }

    /// ECI deletes what has expired.
    pub fn expire(&mut self) {
        let now = self.now;
        self.objects.retain(|object| {
            let cache = Cache::from_object(object).expect("one of ours");
            let expires = if cache.phase == Phase::Ready { cache.expires_at() } else { cache.expires };
            expires.is_none_or(|end| now < end)
        });
    }
}
