//! What is edited: geofences and the metadata of vehicles, version by version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::geometry::Shape;
use crate::units::{GeofenceId, Millis, Speed, VehicleId};

/// What a geofence is while one of its versions is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geofence {
    /// The id in the log.
    pub id: Arc<str>,
    /// Display name, if it has one.
    pub name: Option<String>,
    /// `terminal`, `client`, `depot`, or whatever the producer says.
    pub kind: Option<String>,
    /// Whether trips begin and end here; if the log does not say, by kind: see [`Geofence::is_anchor`].
    pub anchor: Option<bool>,
    /// Labels for people and reports.
    pub tags: Vec<String>,
    /// A visit counts as confirmed once it lasted this long.
    pub min_dwell_ms: i64,
    /// A vehicle inside stays inside until it is farther than this from the geometry. Metres, 0..=5000.
    pub exit_buffer_m: f64,
    /// Speed limit inside, if there is one.
    pub speed_limit: Speed,
    /// Area on the ellipsoid, validated.
    pub shape: Arc<Shape>,
}

impl Geofence {
    /// Whether trips begin and end here: the flag, or else kind terminal, client or depot.
    pub fn is_anchor(&self) -> bool {
        self.anchor.unwrap_or(matches!(self.kind.as_deref(), Some("terminal" | "client" | "depot")))
    }
}

/// An accepted version of something that is edited: a geofence or a vehicle's metadata.
///
/// In force at `t` is, of the versions with `effective_from <= t`, the one with the greatest
/// `(valid_from, seq)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit<K, D> {
    /// Dense number of the geofence or vehicle that is edited.
    pub key: K,
    /// From when the producer wants it.
    pub valid_from: Millis,
    /// From when it can hold: `valid_from`, or later if the edit came too late for that.
    pub effective_from: Millis,
    /// Place in the control log: of two edits with the same `valid_from` the greater holds.
    pub seq: u64,
    /// What holds from then on; nothing if it is deleted.
    pub definition: Option<Arc<D>>,
}

/// An accepted `geofence` event.
pub type GeofenceEdit = Edit<GeofenceId, Geofence>;

/// What is known of a vehicle besides its positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vehicle {
    /// Display name, if it has one.
    pub name: Option<String>,
    /// The group it is counted in.
    pub fleet: Option<String>,
    /// Its own speed limit, if it has one.
    pub speed_limit: Speed,
    /// Its own `offline_after`, for trackers that report hourly; none if the pipeline's holds. Milliseconds.
    pub offline_after_ms: Option<i64>,
    /// Anything else the producer said, as a JSON object.
    pub attributes: Option<String>,
}

/// An accepted `vehicle` event.
pub type VehicleEdit = Edit<VehicleId, Vehicle>;

/// The interval during which one version of a geofence or vehicle is in force. Versions that never
/// are, and the time after a deletion, have none. What the version says is found by `(key, seq)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InForce<K> {
    /// Dense number of the geofence or vehicle.
    pub key: K,
    /// First instant in force.
    pub effective_from: Millis,
    /// First instant no longer in force; [`END`](crate::units::END) while nothing replaces it.
    pub effective_until: Millis,
    /// From when the producer wanted it.
    pub valid_from: Millis,
    /// Which edit it is: [`Edit::seq`].
    pub seq: u64,
}
