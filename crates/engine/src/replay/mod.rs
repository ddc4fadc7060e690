//! A log read from files, without streams and arrival times: for `watchtower replay` and the benchmarks.
//!
//! The log consists of the features of the geofence files, then the rows of the position files, then the lines of the
//! event files, each in file order. Log time is the greatest explicit clock or accepted position so far. Arrival is
//! ignored, so no event is rejected for being early or old unless a lateness is configured, and no state is evicted.
//!
//! A shuffle permutes the position events *after* admission, as a network could have: events of equal (vehicle, ts)
//! keep their order, edits and clocks their places. The tables must not depend on it.

mod archive;
mod driver;
mod shuffle;

use watchtower_dataflows::control::Control;
use watchtower_model::{Millis, Rules};

use watchtower_core::admission::{Accepted, Admission, Stream};
use watchtower_core::events::Record;
use watchtower_core::events::{Event, Limits, RejectedEvent, Rejection};
use watchtower_core::tables::Lookup;

pub use crate::item::Item;
pub use archive::Archive;
pub use driver::Driver;
pub use shuffle::permute_positions;

/// Admission of events, and the data that only the tables need.
#[derive(Debug)]
pub struct Intake {
    rules: Rules,
    admission: Admission,
    /// Names and definitions of vehicles, geofences and alert rules.
    pub lookup: Lookup,
    /// Accepted positions, for the table `positions`.
    pub archive: Archive,
    /// Rejected events, in the order of the log.
    pub rejected: Vec<RejectedEvent>,
    /// Number of events so far, rejected ones included.
    pub events: u64,
}

impl Intake {
    /// Admission of events from files, under these limits; positions are marked by the rules.
    pub fn new(limits: Limits, rules: Rules) -> Self {
        Self {
            rules,
            admission: Admission::new(Stream::Files, limits),
            lookup: Lookup::default(),
            archive: Archive::default(),
            rejected: Vec::new(),
            events: 0,
        }
    }

    /// Log time after the events so far.
    pub fn now(&self) -> Millis {
        self.admission.now()
    }

    /// Admits a record that passes `judge`, the judgement of a first reading over all files. Returns its event if it is
    /// accepted; otherwise the record is kept with the reason.
    pub fn take(
        &mut self,
        file: &str,
        record: Record<'_>,
        judge: impl FnOnce(&Event<'_>) -> Result<(), Rejection>,
    ) -> Option<Item> {
        let Record { position, raw, result } = record;
        let judged = result.and_then(|event| judge(&event).map(|()| event));
        match judged.and_then(|event| self.admit(&event)) {
            Ok(item) => Some(item),
            Err(rejection) => {
                self.events += 1;
                self.rejected.push(RejectedEvent::new(file, position.to_string(), rejection, raw));
                None
            }
        }
    }

    /// Admits an event; returns its form for the engine.
    ///
    /// # Errors
    /// If the event is rejected.
    pub fn admit(&mut self, event: &Event<'_>) -> Result<Item, Rejection> {
        self.admission.begin_epoch(); // the driver assigns sequence numbers itself
        let accepted = self.admission.admit(event, 0, &mut self.lookup.names)?;
        self.events += 1;
        Ok(match (accepted, event) {
            (Accepted::Position(mut position), Event::Position(report)) => {
                position.position.mark = self.rules.mark(report.fix.accuracy_m());
                self.archive.push(position.vehicle, report.ts, &report.fix);
                Item::Position(position)
            }
            (Accepted::Position(_), _) => unreachable!("only position events are accepted as positions"),
            (Accepted::Geofence(edit), _) => {
                self.lookup.remember_geofence(&edit);
                Item::Control(Control::Geofence(edit))
            }
            (Accepted::Vehicle(edit), _) => {
                self.lookup.remember_vehicle(&edit);
                Item::Control(Control::Vehicle(edit))
            }
            (Accepted::Rule(edit), _) => {
                self.lookup.remember_rule(&edit);
                Item::Control(Control::Rule(edit))
            }
            (Accepted::Clock, _) => Item::Clock(self.admission.now()),
        })
    }
}
