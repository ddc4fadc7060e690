//! The silences of a vehicle around which facts may still change: the days that aggregates keep for them.
//!
//! What comes after a silence decides about what was before it. As long as that may be withdrawn, corrected or marked, so
//! may the decision: the days around a silence are pinned from when it begins until the positions that ended it are beyond
//! what is accepted.

use serde::{Deserialize, Serialize};

use crate::timeline::deltas::FactDeltas;
use watchtower_model::facts::Pin;
use watchtower_model::{END, Millis};

/// A silence, or several on the same days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Silence {
    /// The days around it, as emitted.
    pin: Pin,
    /// No position that ended it is later; [`END`] while it lasts.
    ended_by: Millis,
}

/// The silences of one vehicle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Silences {
    held: Vec<Silence>,
}

impl Silences {
    /// Whether no days are pinned.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Emits the pins of all, as if they had just begun: after a restart.
    pub fn restate(&self, facts: &mut FactDeltas) {
        facts.pins.extend(self.held.iter().map(|silence| (silence.pin, 1)));
    }

    /// Emits what has changed: `lasting` are the days around a silence that lasts now, `heard` is the vehicle's last position,
    /// and `final_before` the instant before which no position comes or goes any more.
    pub fn update(&mut self, lasting: Option<Pin>, heard: Millis, final_before: Millis, facts: &mut FactDeltas) {
        for silence in self.held.iter_mut().filter(|silence| silence.ended_by == END) {
            silence.ended_by = heard;
        }
        if let Some(pin) = lasting {
            match self.held.iter_mut().find(|silence| silence.pin == pin) {
                Some(silence) => silence.ended_by = END,
                None => {
                    self.held.push(Silence { pin, ended_by: END });
                    facts.pins.push((pin, 1));
                }
            }
        }
        self.held.retain(|silence| {
            let stays = silence.ended_by >= final_before;
            facts.pins.extend((!stays).then_some((silence.pin, -1)));
            stays
        });
    }
}
