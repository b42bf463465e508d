//! The plan over random histories, with a small model of ECI, and the rules one by one.

mod eci;
mod histories;
mod ledgers;
mod names;
mod offline;
mod platforms;
mod rules;
