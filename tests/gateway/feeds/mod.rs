//! Sources that are fetched or subscribed to: each record is in the log once or again, never not at all.

mod polls;
pub(super) mod server;
mod servers;
pub(super) mod support;
