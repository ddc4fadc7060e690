//! Accepted events in the form in which archives store them.

use std::sync::Arc;

use watchtower_model::Millis;

use crate::events::Measured;

/// An accepted position event as received.
#[derive(Clone, Debug)]
pub struct ArchivedPosition {
    /// Id of the vehicle.
    pub vehicle_id: Arc<str>,
    /// Instant of the position.
    pub ts: Millis,
    /// Number of its entry in the stream, from 1.
    pub entry: u64,
    /// Index of the event within its entry, from 0.
    pub entry_index: u32,
    /// Instant of arrival.
    pub received_at: Millis,
    /// Measured values; `None` for a withdrawal.
    pub measured: Option<Measured<'static>>,
}

/// An accepted edit of a geofence or vehicle.
#[derive(Clone, Debug)]
pub struct ArchivedEdit {
    /// Number of its entry in the control stream, from 1.
    pub entry: u64,
    /// Index of the event within its entry, from 0.
    pub entry_index: u32,
    /// Instant of arrival.
    pub received_at: Millis,
    /// The event as JSON, with `valid_from` and `received_at`.
    pub event: String,
}

/// An archived event, read back to compute tables anew.
#[derive(Clone, Debug)]
pub enum Archived {
    /// A position, or the withdrawal of one.
    Position(ArchivedPosition),
    /// An edit of a geofence or vehicle.
    Edit(ArchivedEdit),
}

impl Archived {
    /// Approximate size in memory, bytes.
    pub fn bytes(&self) -> usize {
        let text = match self {
            Self::Position(ArchivedPosition { vehicle_id, measured, .. }) => {
                let attributes = measured.as_ref().and_then(|measured| measured.attributes.as_deref());
                vehicle_id.len() + attributes.map_or(0, str::len)
            }
            Self::Edit(ArchivedEdit { event, .. }) => event.len(),
        };
        size_of::<Self>() + text
    }
}
