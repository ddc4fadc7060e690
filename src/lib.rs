//! Watch Tower keeps answers about moving vehicles up to date while the events arrive.

pub mod engine;
