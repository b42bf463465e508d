//! Values that many pods have in common.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Stores each value once, and drops it some time after its last user.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// How many values may be stored before the unused ones are dropped.
    sweep_at: usize,
    /// How many values were refused since the last sweep.
    refused: usize,
}

/// With fewer values, a sweep is not worthwhile.
const FEW: usize = 64;

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), sweep_at: FEW, refused: 0 }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// Returns the stored value that equals this one.
    pub fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.sweep();
        }
        let new: Arc<T> = value.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// The same, but `None` if it is new and `limit` values are stored already.
    pub fn share_within<V: Borrow<T> + Into<Arc<T>>>(&mut self, limit: usize, value: V) -> Option<Arc<T>> {
        if self.known.len() >= limit && !self.known.contains(value.borrow()) {
            self.refused += 1;
            // Rarely, because a sweep checks every value.
            if self.refused >= limit {
                self.sweep();
            }
            if self.known.len() >= limit {
                return None;
            }
        }
        Some(self.share(value))
    }

    fn sweep(&mut self) {
        self.known.retain(|value| Arc::strong_count(value) > 1);
        // Twice as many as are in use, so the cost of a sweep per new value is constant on average.
        self.sweep_at = FEW.max(2 * self.known.len());
        self.known.shrink_to(self.sweep_at);
        self.refused = 0;
    }

    /// How many values are stored.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut pool = Pool::<str>::default();
        let (one, other) = (pool.share("nginx:1.27"), pool.share("nginx:1.27"));
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn what_nobody_has_is_let_go_and_what_somebody_has_stays_the_same() {
        let mut pool = Pool::<str>::default();
        let kept = pool.share("kept");
        (0..100_000).for_each(|number| drop(pool.share(&*number.to_string())));
        assert!(pool.len() <= FEW, "{}", pool.len());
        assert!(Arc::ptr_eq(&kept, &pool.share("kept")));
    }
}
