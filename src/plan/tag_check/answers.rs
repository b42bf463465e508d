//! What the tag checks of one refresh said.

use super::places::Place;
use crate::plan::generation::tag_check::Said;

/// What a tag check said, when that was all that it will.
pub struct Answer<'a> {
    /// Where.
    pub place: Place<'a>,
    /// What it said of its images, by the names of their containers.
    pub images: Vec<(String, Said)>,
}
