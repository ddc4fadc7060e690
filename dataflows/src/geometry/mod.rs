//! Shapes of geofences.
use serde::{Deserialize, Serialize};

/// The shape of a geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape;
