//! Switches for what goes wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;

/// What goes wrong with an ImageCache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails when it has come to so many per cent.
    FailsAt(u8),
    /// Its creation never begins.
    StaysPending,
    /// It is deleted so long after it became Ready, whatever its retention.
    ExpiresEarly(SignedDuration),
    /// The images take more than half of it.
    SizeTooSmall,
    /// A Secret that it names is not found.
    SecretMissing,
    /// Somebody deletes it once it is Ready.
    IsDeleted,
    /// Once it is Ready, it is Creating and Ready alternately, each for so long.
    Flaps(SignedDuration),
}

/// The switches, which tests keep while the simulator reads them. Clones are the same switches.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Switches>>);

#[derive(Debug, Default)]
struct Switches {
    of_all: Option<Fault>,
    of_one: HashMap<String, Option<Fault>>,
}

impl Faults {
    /// For every ImageCache that has no switch of its own.
    pub fn set(&self, fault: Option<Fault>) {
        self.switches(|switches| switches.of_all = fault);
    }

    /// For that ImageCache, whatever goes wrong with the others.
    pub fn set_of(&self, image_cache: &str, fault: Option<Fault>) {
        self.switches(|switches| switches.of_one.insert(image_cache.to_owned(), fault));
    }

    /// What goes wrong with an ImageCache.
    #[must_use]
    pub fn of(&self, image_cache: &str) -> Option<Fault> {
        self.switches(|switches| switches.of_one.get(image_cache).copied().unwrap_or(switches.of_all))
    }

    fn switches<T>(&self, observe: impl FnOnce(&mut Switches) -> T) -> T {
        observe(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_of_its_own_counts_more_than_that_of_all() {
        let faults = Faults::default();
        faults.set(Some(Fault::StaysPending));
        faults.set_of("good", None);
        faults.set_of("bad", Some(Fault::FailsAt(40)));
        assert_eq!(faults.of("good"), None);
        assert_eq!(faults.of("bad"), Some(Fault::FailsAt(40)));
        assert_eq!(faults.clone().of("other"), Some(Fault::StaysPending));
    }
}
