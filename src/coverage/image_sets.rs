//! The images of a pod with their states, which are the same in most pods of a generation.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ptr;
use std::sync::Arc;

use super::covering_pod::CoveredImage;

/// Stores each set once, and drops it some time after its last user. Sets are compared by the addresses of their images, which are stored
/// once too.
#[derive(Debug)]
pub struct ImageSets {
    known: HashSet<ByAddress>,
    /// How many may be stored before the unused ones are dropped.
    sweep_at: usize,
}

/// With fewer sets, dropping the unused ones is not worthwhile.
const FEW: usize = 64;

impl Default for ImageSets {
    fn default() -> Self {
        Self { known: HashSet::new(), sweep_at: FEW }
    }
}

impl ImageSets {
    /// Returns the stored set that equals this one.
    pub fn share(&mut self, images: Arc<[Arc<CoveredImage>]>) -> Arc<[Arc<CoveredImage>]> {
        let images = ByAddress(images);
        if let Some(known) = self.known.get(&images) {
            return Arc::clone(&known.0);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(&known.0) > 1);
            self.sweep_at = FEW.max(2 * self.known.len());
            self.known.shrink_to(self.sweep_at);
        }
        self.known.insert(ByAddress(Arc::clone(&images.0)));
        images.0
    }
}

#[derive(Debug)]
struct ByAddress(Arc<[Arc<CoveredImage>]>);

impl ByAddress {
    fn addresses(&self) -> impl Iterator<Item = *const CoveredImage> {
        self.0.iter().map(Arc::as_ptr)
    }
}

impl PartialEq for ByAddress {
    fn eq(&self, other: &Self) -> bool {
        self.addresses().eq(other.addresses())
    }
}

impl Eq for ByAddress {}

impl Hash for ByAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.addresses().for_each(|address| ptr::hash(address, state));
    }
}
