//! What an operator asks before and while a daemon runs: is everything as it should be, and how far are
//! the tables.

pub mod check;
pub mod embedded;
pub mod export;
pub mod fill;
pub mod rebuild;
pub mod resume;
pub mod status;
