//! Watch Tower keeps answers about moving vehicles up to date while the events arrive.

pub mod admission;
pub mod duration;
pub mod engine;
pub mod events;
pub mod replay;
pub mod sources;
pub mod store;
pub mod tables;
