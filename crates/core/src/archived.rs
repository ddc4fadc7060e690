//! Accepted events on their way into an archive, or out of it.

use std::sync::Arc;

use watchtower_model::Millis;

use crate::events::Measured;

/// An accepted position event as it came.
#[derive(Clone, Debug)]
pub struct ArchivedPosition {
    /// Whose.
    pub vehicle_id: Arc<str>,
    /// When the vehicle was there.
    pub ts: Millis,
    /// Number of its entry in the stream, from 1.
    pub entry: u64,
    /// Its number in the entry, from 0.
    pub entry_index: u32,
    /// When it arrived.
    pub received_at: Millis,
    /// What was measured; nothing if it withdraws.
    pub measured: Option<Measured<'static>>,
}

/// An accepted edit of a geofence or vehicle.
#[derive(Clone, Debug)]
pub struct ArchivedEdit {
    /// Number of its entry in the control stream, from 1.
    pub entry: u64,
    /// Its number in the entry, from 0.
    pub entry_index: u32,
    /// When it arrived.
    pub received_at: Millis,
    /// The event as JSON, with its `valid_from` and its arrival.
    pub event: String,
}

/// An archived event, to be taken in again.
#[derive(Clone, Debug)]
pub enum Archived {
    /// A position, or the withdrawal of one.
    Position(ArchivedPosition),
    /// An edit.
    Edit(ArchivedEdit),
}

impl Archived {
    /// What it takes in memory, roughly. Bytes.
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
