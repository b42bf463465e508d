//! What each fuzz target does with its input. The programs in fuzz/ include these files, too.

pub mod coverage;
pub mod lists;
pub mod messages;
pub mod references;
