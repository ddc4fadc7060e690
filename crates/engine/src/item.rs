//! Admitted events.

use watchtower_dataflows::control::Control;
use watchtower_model::{Millis, PositionEvent};

/// An accepted event in the engine's form.
#[derive(Debug)]
pub enum Item {
    /// A position, or the withdrawal of one.
    Position(PositionEvent),
    /// An edit of a geofence or vehicle.
    Control(Control),
    /// An advance of log time.
    Clock(Millis),
}

impl Item {
    /// The instant to which the event advances log time; `None` if it does not.
    pub fn instant(&self) -> Option<Millis> {
        match self {
            Self::Position(event) => (!event.withdrawn).then_some(event.position.ts),
            Self::Clock(now) => Some(*now),
            Self::Control(_) => None,
        }
    }
}
