//! What a commit's change of `alerts` means to endpoints: rows of the outbox.
//!
//! ```text
//! differences of alerts ─> AlertChanges (key -> row before, row after) ─> OutboxRow (one per endpoint)
//! ```
//!
//! | before | after | event |
//! |---|---|---|
//! | none | row | `raised` |
//! | row | another row | `corrected` |
//! | row | none | `retracted` |
//!
//! Epochs that are committed together are merged first: an alert that is raised and retracted within one commit is no
//! event. A late position that moves the start of a fact moves its subject: of one rule, kind, vehicle and geofence, an
//! alert that is retracted and one that is raised in the same commit are one `corrected`, which names both subjects, if
//! their starts are closer to each other than the longer of the two lasts. An alert lasts from its start to its end, or
//! to its instant if that is later; where no end is known, [`LEAST_LENGTH_MS`] at least. The closest starts are joined
//! first.
//!
//! The rows are a function of the commit: the same commit written again has the same rows, byte for byte.

mod changes;
mod row;
mod schema;
mod version;

pub use changes::AlertChanges;
pub use row::{AlertEvent, Condition, OutboxRow};
pub use schema::schema;
pub use version::AlertVersion;

use watchtower_model::Millis;

/// Least length of an alert without a known end, for the comparison with one that may be the same fact. Milliseconds.
pub const LEAST_LENGTH_MS: Millis = 3_600_000;
/// `max_age` of a rule that has none. Milliseconds.
pub const DEFAULT_MAX_AGE_MS: Millis = 3_600_000;
