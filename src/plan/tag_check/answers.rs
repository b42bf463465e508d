//! The answers of tag checks.

use super::places::Place;
use crate::plan::generation::tag_check::Said;

/// The answers of a finished tag check.
pub struct Answer<'a> {
    /// Where it ran.
    pub place: Place<'a>,
    /// The answers by container name.
    pub images: Vec<(String, Said)>,
}
