//! What becomes of an ImageCache, and how long that takes.

use jiff::SignedDuration;

/// The times and sizes of the simulated service.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// From its creation until the pulls begin.
    pub pending: SignedDuration,
    /// From the first pull until it is ready.
    pub building: SignedDuration,
    /// What each image takes of the cache, in MiB.
    pub image_mib: u64,
}

impl Default for Behaviour {
    /// Ten minutes, as in the published example of what a cache costs; a full list fits into a cache of the least size.
    fn default() -> Self {
        Self { pending: SignedDuration::from_secs(30), building: SignedDuration::from_mins(10), image_mib: 500 }
    }
}

impl Behaviour {
    /// For those who watch.
    #[must_use]
    pub fn within(total: SignedDuration) -> Self {
        Self { pending: total / 5, building: total * 4 / 5, ..Self::default() }
    }
}
