//! A position before it is one: its fields as texts, from whatever format.

use std::borrow::Cow;

use watchtower_core::events::{
    AttributesBuilder, Event, Fix, Limits, Measured, PositionReport, Reason, Rejection, check_time, check_vehicle_id,
    checked_attributes, place, push_json_string, quoted,
};
use watchtower_model::{Heading, Millis, Place, Speed};

use super::aliases::Slot;
use super::notes::Notes;
use super::reading::SpeedUnit;
use super::times::{self, TimeFault, TimeRules};
use super::values::{self, Axis, Optional};

pub(crate) const UNREADABLE: &str = "cells that cannot be read, taken as unknown";
pub(crate) const WRAPPED: &str = "longitudes just beyond 180 degrees, wrapped";
pub(crate) const LEFT_OUT: &str = "attributes that cannot be stored, left out";

/// Longitudes up to this are taken for ones that run on beyond 180 degrees.
const WRAPPED_UP_TO_DEG: f64 = 190.0;

/// How the texts of a file's positions are meant.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Of `ts` and `received_at`.
    pub(crate) times: TimeRules,
    /// Of speeds that name none.
    pub(crate) speed_unit: SpeedUnit,
    /// Speeds from this many km/h on mean that none is known.
    pub(crate) speed_unknown_from: Option<f64>,
    /// Whether a heading of 360 means that none is known.
    pub(crate) north_is_zero: bool,
    /// The vehicle of positions that name none.
    pub(crate) vehicle_id: Option<String>,
}

/// The fields of a position as texts.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    slots: [Option<Cow<'a, str>>; Slot::ALL.len()],
    attributes: AttributesBuilder,
}

impl<'a> Draft<'a> {
    /// Sets a field; the empty text is nothing.
    pub(crate) fn set(&mut self, slot: Slot, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        if !text.is_empty() {
            self.slots[slot.index()] = Some(text);
        }
    }

    /// Whether a field is set.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.slots[slot.index()].is_some()
    }

    /// Adds a text as an attribute; `key` is its name as JSON.
    pub(crate) fn attribute(&mut self, key: &str, text: &str) -> Result<(), Rejection> {
        self.attributes.push(key, text)
    }

    /// Adds a JSON value as an attribute, unless it cannot be stored.
    pub(crate) fn attribute_json(&mut self, name: &str, json: &str, notes: &mut Notes, position: u64) {
        let mut key = String::with_capacity(name.len() + 2);
        push_json_string(&mut key, name);
        if self.attributes.push_json(&key, json).is_err() {
            notes.count(LEFT_OUT, name, position, json);
        }
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, slot: Slot) -> Option<Cow<'a, str>> {
        self.slots[slot.index()].take()
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        self.slots[slot.index()].as_deref()
    }

    /// The position. `position` is its line, for notes.
    pub(crate) fn finish(
        mut self,
        terms: &Terms,
        limits: &Limits,
        notes: &mut Notes,
        position: u64,
    ) -> Result<Event<'a>, Rejection> {
        let deleted = match self.text(Slot::Deleted).map(values::flag) {
            None | Some(Optional::Unknown) => false,
            Some(Optional::Value(deleted)) => deleted,
            Some(Optional::Unreadable) => return Err(self.malformed(Slot::Deleted, "expected true or false")),
        };
        let needed: &[Slot] = if deleted { &[Slot::Ts] } else { &[Slot::Ts, Slot::Lon, Slot::Lat] };
        let id = self.take(Slot::VehicleId);
        if id.is_none() && terms.vehicle_id.is_none() {
            return Err(missing(Slot::VehicleId));
        }
        if let Some(&slot) = needed.iter().find(|slot| !self.has(**slot)) {
            return Err(missing(slot));
        }
        let vehicle_id = match id {
            Some(id) => trimmed(id),
            None => Cow::Owned(terms.vehicle_id.clone().unwrap_or_default()),
        };
        check_vehicle_id(&vehicle_id)?;
        let ts = check_time(Slot::Ts.name(), self.time(terms, notes, position)?, limits)?;
        let received_at = self.received_at(terms, notes, position);
        // Its day counts among those of the file, whatever else is wrong with it.
        let dated = |rejection| Rejection { position_ts: Some(ts), ..rejection };
        let fix = if deleted {
            Fix::Withdrawn
        } else {
            let place = self.place(notes, position).map_err(dated)?;
            Fix::At(self.measured(place, terms, limits, notes, position).map_err(dated)?)
        };
        Ok(Event::Position(PositionReport { vehicle_id, ts, received_at, fix }))
    }

    fn malformed(&self, slot: Slot, expected: &str) -> Rejection {
        let found = quoted(self.text(slot).unwrap_or_default());
        Rejection::new(Reason::Malformed, format!("{}: {expected}, found {found}", slot.name()))
    }

    fn time(&self, terms: &Terms, notes: &mut Notes, position: u64) -> Result<Millis, Rejection> {
        let text = self.text(Slot::Ts).unwrap_or_default();
        match times::parse(text, &terms.times) {
            Ok(instant) => {
                if let Some(remark) = instant.remark {
                    notes.count(remark, Slot::Ts.name(), position, text);
                }
                Ok(instant.ms)
            }
            Err(TimeFault::Unreadable) if values::is_unknown(text.trim()) => Err(missing(Slot::Ts)),
            Err(fault) => Err(self.malformed(Slot::Ts, fault.advice_for(terms.times.given_by))),
        }
    }

    fn received_at(&self, terms: &Terms, notes: &mut Notes, position: u64) -> Option<Millis> {
        let text = self.text(Slot::ReceivedAt)?;
        match times::parse(text, &terms.times) {
            Ok(instant) => Some(instant.ms),
            Err(_) => {
                if !values::is_unknown(text.trim()) {
                    notes.count(UNREADABLE, Slot::ReceivedAt.name(), position, text);
                }
                None
            }
        }
    }

    fn place(&self, notes: &mut Notes, position: u64) -> Result<Place, Rejection> {
        let coordinate = |slot: Slot, axis| {
            let text = self.text(slot).unwrap_or_default();
            values::degrees(text, axis).ok_or_else(|| match values::is_unknown(text.trim()) {
                true => missing(slot),
                false => self.malformed(slot, "expected degrees"),
            })
        };
        let degrees = |slot: Slot, axis| self.text(slot).and_then(|text| values::degrees(text, axis));
        // Where letters say that the columns are the other way round, they are.
        let swapped = degrees(Slot::Lat, Axis::Longitude).zip(degrees(Slot::Lon, Axis::Latitude));
        let (mut lon, lat) = match (coordinate(Slot::Lon, Axis::Longitude), coordinate(Slot::Lat, Axis::Latitude)) {
            (Ok(lon), Ok(lat)) => (lon, lat),
            (Err(_), Err(_)) if swapped.is_some() => swapped.unwrap_or_default(),
            (lon, lat) => (lon?, lat?),
        };
        if (180.0..=WRAPPED_UP_TO_DEG).contains(&lon.abs()) && lon.abs() > 180.0 && (-90.0..=90.0).contains(&lat) {
            notes.count(WRAPPED, "", position, self.text(Slot::Lon).unwrap_or_default());
            lon -= 360.0f64.copysign(lon);
        }
        place(lon, lat)
    }

    fn measured(
        mut self,
        place: Place,
        terms: &Terms,
        limits: &Limits,
        notes: &mut Notes,
        position: u64,
    ) -> Result<Measured<'a>, Rejection> {
        let mut known = |slot: Slot, value: Optional<f64>, text: &str| match value {
            Optional::Value(value) => Some(value),
            Optional::Unknown => None,
            Optional::Unreadable => {
                notes.count(UNREADABLE, slot.name(), position, text);
                None
            }
        };
        let mut number = |slot: Slot, read: &dyn Fn(&str) -> Optional<f64>| {
            let text = self.slots[slot.index()].as_deref()?;
            known(slot, read(text), text)
        };
        let speed = number(Slot::Speed, &|text| values::speed_kmh(text, terms.speed_unit));
        let speed = speed.filter(|kmh| terms.speed_unknown_from.is_none_or(|from| *kmh < from));
        let heading = number(Slot::Heading, &values::heading_deg);
        let heading = heading.filter(|degrees| !terms.north_is_zero || *degrees < 360.0);
        let accuracy_m = number(Slot::Accuracy, &values::metres).filter(|metres| *metres >= 0.0);
        let altitude_m = number(Slot::Altitude, &values::metres);
        let ignition = match self.text(Slot::Ignition).map(|text| (values::flag(text), text)) {
            None | Some((Optional::Unknown, _)) => None,
            Some((Optional::Value(on), _)) => Some(on),
            Some((Optional::Unreadable, text)) => {
                notes.count(UNREADABLE, Slot::Ignition.name(), position, text);
                None
            }
        };
        let attributes = self.given_attributes(limits, notes, position)?;
        Ok(Measured {
            place,
            speed: speed.map_or(Speed::NONE, Speed::from_kmh),
            heading: heading.map_or(Heading::NONE, Heading::from_degrees),
            accuracy_m,
            altitude_m,
            ignition,
            attributes,
        })
    }

    /// The attributes that stand in a field of their own, and those collected.
    fn given_attributes(
        &mut self,
        limits: &Limits,
        notes: &mut Notes,
        position: u64,
    ) -> Result<Option<Cow<'a, str>>, Rejection> {
        let collected = std::mem::take(&mut self.attributes);
        let Some(text) = self.take(Slot::Attributes) else { return collected.finish(None, limits) };
        if values::is_unknown(text.trim()) {
            return collected.finish(None, limits);
        }
        let given = match text {
            Cow::Borrowed(text) => checked_attributes("attributes", text, limits),
            Cow::Owned(text) => {
                checked_attributes("attributes", &text, limits).map(|given| given.map(|g| Cow::Owned(g.into_owned())))
            }
        };
        match given {
            Ok(given) => collected.finish(given, limits),
            Err(rejection) if rejection.reason == Reason::TooLarge => Err(rejection),
            Err(rejection) => {
                notes.count(UNREADABLE, Slot::Attributes.name(), position, &rejection.detail);
                collected.finish(None, limits)
            }
        }
    }
}

fn missing(slot: Slot) -> Rejection {
    Rejection::new(Reason::MissingField, format!("{} is missing", slot.name()))
}

/// The text without the spaces around it.
pub(crate) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}
