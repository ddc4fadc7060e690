//! Sources that are fetched or subscribed to: each record is in the log once or again, never not at all.

mod polls;
mod server;
mod servers;
mod support;
