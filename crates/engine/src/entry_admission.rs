//! An entry of a stream, event by event: admitted and handed to the engine, archived, or refused.

use std::sync::Arc;

use watchtower_dataflows::control::Control;
use watchtower_model::{BEGINNING, Millis, Rules};

use crate::Batch;
use crate::inlet::{Inlet, OpenEpoch};
use watchtower_core::EntryId;
use watchtower_core::admission::Accepted;
use watchtower_core::events::{Decoded, Event, Fix, PositionReport, Raw, Rejection, field_lines, json};
use watchtower_core::tables::Lookup;
use watchtower_core::{ArchivedEdit, ArchivedPosition};

/// One entry being taken in.
pub(super) struct EntryAdmission<'a, H> {
    pub(super) inlet: &'a mut Inlet,
    pub(super) lookup: &'a mut Lookup,
    pub(super) batch: &'a mut Batch,
    pub(super) open: &'a mut OpenEpoch<H>,
    pub(super) rules: &'a Rules,
    pub(super) archive: bool,
    pub(super) muted: bool,
    pub(super) stream: usize,
    pub(super) id: EntryId,
    pub(super) fields: &'a [(&'a [u8], &'a [u8])],
}

impl<H> EntryAdmission<'_, H> {
    pub(super) fn event(&mut self, decoded: Decoded<'_>) {
        self.open.commit.events += 1;
        self.open.counts.events[self.stream] += 1;
        let Decoded { index, bytes, whole, result } = decoded;
        let refused = match result {
            Ok(event) => match self.inlet.admission.admit(&event, self.id.instant(), &mut self.lookup.names) {
                Ok(accepted) => return self.accept(accepted, &event, index),
                Err(rejection) if self.fields.is_empty() => {
                    return self.refuse(index, rejection, Raw::complete(json::encode(&event).as_bytes()));
                }
                Err(rejection) if bytes.is_empty() => {
                    return self.refuse(index, rejection, Raw::complete(&field_lines(self.fields)));
                }
                Err(rejection) => rejection,
            },
            Err(rejection) => rejection,
        };
        self.refuse(index, refused, Raw { bytes: &bytes, whole });
    }

    fn accept(&mut self, accepted: Accepted, event: &Event<'_>, index: usize) {
        match accepted {
            Accepted::Position(mut position) => {
                if let Event::Position(report) = event {
                    position.position.mark = self.rules.mark(report.fix.accuracy_m());
                    if self.archive {
                        let vehicle_id = self.lookup.names.vehicle_id(position.vehicle).clone();
                        self.open.commit.archive.push(self.archived(vehicle_id, event, report, index));
                    }
                }
                self.batch.positions.push(position);
            }
            Accepted::Geofence(edit) => {
                self.lookup.remember_geofence(&edit);
                self.archive_edit(event, edit.valid_from, index);
                self.batch.control.push(Control::Geofence(edit));
            }
            Accepted::Vehicle(edit) => {
                self.lookup.remember_vehicle(&edit);
                self.archive_edit(event, edit.valid_from, index);
                self.batch.control.push(Control::Vehicle(edit));
            }
            Accepted::Rule(edit) => {
                self.lookup.remember_rule(&edit);
                self.archive_edit(event, edit.valid_from, index);
                self.batch.control.push(Control::Rule(edit));
            }
            Accepted::Clock => {} // the least of all streams' clocks counts, when the epoch closes
        }
    }

    fn archived(
        &self,
        vehicle_id: Arc<str>,
        event: &Event<'_>,
        report: &PositionReport<'_>,
        index: usize,
    ) -> ArchivedPosition {
        ArchivedPosition {
            vehicle_id,
            ts: report.ts,
            entry: self.inlet.position.entries,
            entry_index: index as u32,
            received_at: self.inlet.admission.arrival(event, self.id.instant()),
            measured: match &report.fix {
                Fix::Withdrawn => None,
                Fix::At(measured) => Some(measured.clone().into_owned()),
            },
        }
    }

    /// Edits are few, and nothing can be computed anew without them.
    fn archive_edit(&mut self, event: &Event<'_>, valid_from: Millis, index: usize) {
        if self.muted {
            return;
        }
        let received_at = self.inlet.admission.counted_arrival(event, self.id.instant());
        let mut event = event.clone();
        *event.received_at_mut() = Some(received_at);
        // The beginning of time is no time that an event can name; the first version of an id has it if it names none.
        let valid_from = Some(valid_from).filter(|valid_from| *valid_from != BEGINNING);
        match &mut event {
            Event::Geofence(change) => change.valid_from = valid_from,
            Event::Vehicle(change) => change.valid_from = valid_from,
            Event::Rule(change) => change.valid_from = valid_from,
            Event::Position(_) | Event::Clock(_) => {}
        }
        let (entry, entry_index) = (self.inlet.position.entries, index as u32);
        self.open.commit.edits.push(ArchivedEdit { entry, entry_index, received_at, event: json::encode(&event) });
    }

    fn refuse(&mut self, index: usize, rejection: Rejection, raw: Raw<'_>) {
        *self.open.counts.refused.entry(rejection.reason).or_default() += 1;
        let Inlet { stream, refused, .. } = &mut *self.inlet;
        let position = format!("{}:{index}", self.id);
        refused.add(stream, position, self.id.instant(), rejection, raw, &mut self.open.commit.changes);
    }
}
