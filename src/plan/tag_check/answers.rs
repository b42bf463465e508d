//! The answers of tag checks.

use super::targets::CheckTarget;
use crate::plan::generation::tag_check::ImageAnswer;

/// The answers of a finished tag check.
pub struct Answer<'a> {
    /// Where it ran.
    pub target: CheckTarget<'a>,
    /// The answers by container name.
    pub images: Vec<(String, ImageAnswer)>,
}
