//! How the values of a message are meant: the settings of its source as the readers of files take them.

use super::message::{Message, Options};
use crate::draft::Terms;
use crate::reading::{Reading, SpeedUnit};
use crate::times::{GivenBy, TimeRules};

/// For positions whose speeds name no unit and are in `speed_unit`.
pub(super) fn terms(message: &Message<'_>, options: &Options, speed_unit: SpeedUnit) -> Terms {
    Terms {
        times: TimeRules {
            zone: options.time_zone.clone(),
            order: None,
            now: message.received_at,
            given_by: GivenBy::Source,
        },
        speed_unit,
        speed_unknown_from: None,
        north_is_zero: false,
        vehicle_id: options.vehicle_id.clone(),
    }
}

/// The same for the readers that files have, too.
pub(super) fn reading(message: &Message<'_>, options: &Options) -> Reading {
    Reading {
        vehicle_id: options.vehicle_id.clone(),
        time_zone: options.time_zone.clone(),
        speed_unit: options.speed_unit,
        now: Some(message.received_at),
        ..Reading::default()
    }
}
