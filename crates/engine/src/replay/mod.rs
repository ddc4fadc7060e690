//! A log of files, without streams and arrival: what `watchtower replay` and the benchmarks run.
//!
//! The log is the features of the geofence files, then the rows of the position files, then the
//! lines of the event files, each in file order. Its time is the greatest explicit clock or accepted
//! position so far; arrival plays no part, so nothing is refused for being early or old unless a
//! lateness is asked for, and nothing leaves memory.
//!
//! A shuffle permutes the position events *after* they were accepted, as if the network had: equal
//! (vehicle, ts) keep their order, edits and clocks their places. The tables must not notice.

mod archive;
mod driver;
mod shuffle;

use watchtower_dataflows::control::Control;
use watchtower_model::{Millis, PositionEvent};

use watchtower_core::admission::{Accepted, Admission, Stream};
use watchtower_core::events::Record;
use watchtower_core::events::{Event, Limits, RejectedEvent, Rejection};
use watchtower_core::tables::Lookup;

pub use archive::Archive;
pub use driver::Driver;
pub use shuffle::permute_positions;

/// An accepted event on its way into the engine.
#[derive(Debug)]
pub enum Item {
    /// Where a vehicle was.
    Position(PositionEvent),
    /// An edit.
    Control(Control),
    /// The log's own time.
    Clock(Millis),
}

/// Where events are accepted, and what only the tables need is kept.
#[derive(Debug)]
pub struct Intake {
    admission: Admission,
    /// Names and definitions.
    pub lookup: Lookup,
    /// Accepted positions, for the table `positions`.
    pub archive: Archive,
    /// Refused events, in the order of the log.
    pub rejected: Vec<RejectedEvent>,
    /// Events so far, refused ones included.
    pub events: u64,
}

impl Intake {
    /// Of files, under these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            admission: Admission::new(Stream::Files, limits),
            lookup: Lookup::default(),
            archive: Archive::default(),
            rejected: Vec::new(),
            events: 0,
        }
    }

    /// The log's time so far.
    pub fn now(&self) -> Millis {
        self.admission.now()
    }

    /// The event of a record if `judge`, who has read all files before, lets it pass and it is accepted; otherwise it
    /// is kept with the reason.
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

    /// What the engine gets of an accepted event.
    ///
    /// # Errors
    /// If it is refused.
    pub fn admit(&mut self, event: &Event<'_>) -> Result<Item, Rejection> {
        self.admission.begin_epoch(); // the driver numbers the positions of its epochs itself
        let accepted = self.admission.admit(event, 0, &mut self.lookup.names)?;
        self.events += 1;
        Ok(match (accepted, event) {
            (Accepted::Position(position), Event::Position(report)) => {
                self.archive.push(position.vehicle, report.ts, &report.fix);
                Item::Position(position)
            }
            (Accepted::Position(_), _) => unreachable!("only a position event is accepted as one"),
            (Accepted::Geofence(edit), _) => {
                self.lookup.remember_geofence(&edit);
                Item::Control(Control::Geofence(edit))
            }
            (Accepted::Vehicle(edit), _) => {
                self.lookup.remember_vehicle(&edit);
                Item::Control(Control::Vehicle(edit))
            }
            (Accepted::Clock, _) => Item::Clock(self.admission.now()),
        })
    }
}

/// Whether the event counts for the log's time.
fn instant_of(item: &Item) -> Option<Millis> {
    match item {
        Item::Position(event) => (!event.withdrawn).then_some(event.position.ts),
        Item::Clock(now) => Some(*now),
        Item::Control(_) => None,
    }
}
