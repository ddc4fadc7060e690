//! Which events of a stream are accepted, and what the engine gets of them.
//!
//! An [`Admission`] reads one stream in order. What it decides depends on that order alone, never on
//! how streams interleave or where epochs are cut, so that reading the same stream again decides the
//! same. A refused event leaves no trace here: it gives no vehicle a number and moves no clock.

use std::collections::HashSet;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use watchtower_model::{
    BEGINNING, Edit, GeofenceEdit, Heading, Ignition, Mark, Millis, Place, Position, PositionEvent, RuleEdit, Speed,
    VehicleEdit, VehicleId,
};

use crate::events::{
    Clock, Event, Fix, GeofenceChange, Limits, PositionReport, Reason, Rejection, RuleChange, VehicleChange,
    check_time, stream_of, with_vehicles,
};

mod heard;
mod keys;
mod names;
#[cfg(test)]
mod tests;

use heard::{Bounds, Vehicles, too_many_vehicles};
pub use heard::{Heard, VehicleMemory};
pub use keys::Keys;
pub use names::Names;

/// How far an arrival may lie behind the newest clock of its stream: an event that claims to have arrived
/// earlier counts as having arrived then. Tracks are kept this much longer than the lateness, and aggregates
/// than the horizon, so that every accepted event still finds what it changes.
pub const ARRIVAL_SLACK_MS: Millis = 3_600_000;

/// How far an accepted event may lie behind the log's time: the horizon, and what arrivals and clocks may be
/// ahead or behind.
pub fn reach_ms(limits: &Limits) -> i64 {
    let Limits { horizon_ms, future_tolerance_ms, .. } = limits;
    horizon_ms.saturating_add(*future_tolerance_ms).saturating_add(ARRIVAL_SLACK_MS)
}

/// How far behind the newest position of its vehicle a position may be withdrawn or corrected whatever its arrival,
/// and how far back from its arrival an edit reaches: as far as tracks are in memory. Milliseconds.
pub fn keep_tracks_ms(limits: &Limits) -> Option<Millis> {
    limits.lateness_ms
}

/// How long tracks are kept behind the older of their newest position and the log's time: for ever if nothing is
/// too late.
pub fn retention_ms(limits: &Limits) -> Option<Millis> {
    limits.lateness_ms.map(|lateness_ms| lateness_ms + ARRIVAL_SLACK_MS)
}

/// Kind of source: decides which events belong in it and when they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The files of a replay, one after the other: all events belong here, and each arrives at its
    /// own time, so that none is refused or raised by its arrival.
    Files,
    /// A stream of positions: of the vehicles whose hash names it.
    Positions {
        /// Number of the stream, from 0.
        index: u16,
        /// Number of event streams of the pipeline.
        streams: u16,
    },
    /// The stream of geofence and vehicle events.
    Control,
}

/// An accepted event in the engine's form.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// A position, or the withdrawal of one.
    Position(PositionEvent),
    /// A version of a geofence.
    Geofence(GeofenceEdit),
    /// A version of a vehicle's metadata.
    Vehicle(VehicleEdit),
    /// A version of an alert rule.
    Rule(RuleEdit),
    /// A clock event; [`Admission::now`] returns the new time.
    Clock,
}

/// Everything that an admission has to remember, for a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The newest clock.
    pub now: Millis,
    /// Accepted edits since ever.
    pub edits: u64,
    /// The vehicles of which position events were accepted.
    pub heard: Vec<VehicleMemory>,
    /// The vehicles of which metadata was accepted.
    pub named: Vec<VehicleId>,
}

/// Accepts the events of one stream.
#[derive(Clone, Debug)]
pub struct Admission {
    stream: Stream,
    limits: Limits,
    /// How much may be held; none in a replay.
    bounds: Option<Bounds>,
    vehicles: Vehicles,
    /// Vehicles with metadata. They are no more than `max_vehicles`, whatever their streams hold.
    named: HashSet<VehicleId, FxBuildHasher>,
    now: Millis,
    /// Accepted position events since the epoch began.
    positions: u32,
    /// Accepted edits since ever.
    edits: u64,
}

impl Admission {
    /// Before the first event of the stream.
    pub fn new(stream: Stream, limits: Limits) -> Self {
        let bounds = match stream {
            Stream::Files => None,
            Stream::Positions { streams, .. } => Bounds::of(&limits, streams),
            Stream::Control => Bounds::of(&limits, 1),
        };
        let (vehicles, named) = (Vehicles::default(), HashSet::default());
        Self { stream, limits, bounds, vehicles, named, now: BEGINNING, positions: 0, edits: 0 }
    }

    /// After events that were accepted before.
    pub fn resume(stream: Stream, limits: Limits, memory: Memory) -> Self {
        let Memory { now, edits, heard, named } = memory;
        let mut admission = Self { now, edits, ..Self::new(stream, limits) };
        heard.into_iter().for_each(|memory| admission.vehicles.restore(memory));
        admission.named.extend(named);
        admission
    }

    /// State for a checkpoint, from which [`Self::resume`] continues.
    pub fn memory(&self) -> Memory {
        let mut named: Vec<VehicleId> = self.named.iter().copied().collect();
        named.sort_unstable();
        Memory { now: self.now, edits: self.edits, heard: self.vehicles.all().collect(), named }
    }

    /// The stream's time: its newest clock; in a replay, or the newest accepted position that is not
    /// a withdrawal. [`BEGINNING`] before there is any.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The greatest ts of the vehicle's positions in this stream that are accepted and not withdrawn.
    pub fn newest(&self, vehicle: VehicleId) -> Option<Millis> {
        self.vehicles.get(vehicle).map(|heard| heard.newest).filter(|newest| *newest != BEGINNING)
    }

    /// Begins an epoch: [`PositionEvent::seq`] counts within one.
    pub fn begin_epoch(&mut self) {
        self.positions = 0;
    }

    /// Decides on the next event. `entry_ms` is the time in the entry's stream id: the arrival of an
    /// event that says none. A replay passes any.
    pub fn admit(&mut self, event: &Event<'_>, entry_ms: Millis, names: &mut Names) -> Result<Accepted, Rejection> {
        let arrival = match self.stream {
            Stream::Files => None,
            Stream::Positions { .. } | Stream::Control => Some(self.arrival(event, entry_ms)),
        };
        match event {
            Event::Position(report) => self.position(report, arrival, names).map(Accepted::Position),
            Event::Geofence(change) => self.geofence(change, arrival, names).map(Accepted::Geofence),
            Event::Vehicle(change) => self.vehicle(change, arrival, names).map(Accepted::Vehicle),
            Event::Rule(change) => self.rule(change, arrival, names).map(Accepted::Rule),
            Event::Clock(clock) => self.clock(*clock, arrival).map(|()| Accepted::Clock),
        }
    }

    /// Arrival of an event: its own, but with the machine's clock never after its entry; else that of its entry.
    pub fn arrival(&self, event: &Event<'_>, entry_ms: Millis) -> Millis {
        match event.received_at() {
            Some(said) if self.limits.wall_clock => said.min(entry_ms),
            Some(said) => said,
            None => entry_ms,
        }
    }

    /// When an accepted event counts as having arrived: not long before the newest clock.
    pub fn counted_arrival(&self, event: &Event<'_>, entry_ms: Millis) -> Millis {
        self.arrival_not_before_clock(self.arrival(event, entry_ms))
    }

    fn position(
        &mut self,
        report: &PositionReport<'_>,
        arrival: Option<Millis>,
        names: &mut Names,
    ) -> Result<PositionEvent, Rejection> {
        let (id, ts, withdrawn) = (report.vehicle_id.as_ref(), report.ts, report.fix == Fix::Withdrawn);
        self.check_stream(id)?;
        let known = names.vehicle(id);
        self.check_arrival(ts, arrival).or_else(|rejection| self.unless_repair(known, ts, rejection))?;
        self.check_zero(&report.fix)?;
        self.check_lateness(ts, known).or_else(|rejection| self.unless_repair(known, ts, rejection))?;
        self.vehicles.check_room(self.bounds.as_ref(), known)?;
        let heard =
            if withdrawn { None } else { Some(self.vehicles.decide(self.bounds.as_ref(), known, ts, self.now)?) };

        let vehicle = known.unwrap_or_else(|| names.intern_vehicle(id));
        self.remember(vehicle, ts, heard);
        let seq = self.positions;
        self.positions = seq.checked_add(1).expect("an epoch has fewer than 2^32 positions");
        Ok(PositionEvent { vehicle, seq, position: position(ts, &report.fix), withdrawn })
    }

    /// Remembers an accepted position with what is heard of its vehicle then, or a withdrawal.
    fn remember(&mut self, vehicle: VehicleId, ts: Millis, heard: Option<(Heard, u32)>) {
        let retention_ms = retention_ms(&self.limits);
        let retention_ms = if self.stream == Stream::Files { None } else { retention_ms };
        let Some((heard, ahead)) = heard else {
            return self.vehicles.release(self.bounds.as_ref(), vehicle, ts, (self.now, retention_ms));
        };
        self.vehicles.set(vehicle, heard, ahead);
        if self.stream != Stream::Files || self.limits.lateness_ms.is_some() {
            let kept = retention_ms.map_or(BEGINNING, |ms| heard.newest.min(self.now).saturating_sub(ms));
            self.vehicles.hold(vehicle, ts, kept);
        }
        if self.stream == Stream::Files {
            self.now = self.now.max(ts);
        }
    }

    /// A position that is held may be withdrawn or corrected as far back as tracks are kept, or a mistaken clock could
    /// never be repaired.
    fn unless_repair(&self, vehicle: Option<VehicleId>, ts: Millis, rejection: Rejection) -> Result<(), Rejection> {
        let Some(vehicle) = vehicle.filter(|vehicle| self.vehicles.holds(*vehicle, ts)) else { return Err(rejection) };
        let kept_from = match (self.stream, keep_tracks_ms(&self.limits)) {
            (Stream::Files, _) | (_, None) => BEGINNING,
            (Stream::Positions { .. } | Stream::Control, Some(ms)) => {
                let newest = self.newest(vehicle).unwrap_or(BEGINNING);
                newest.saturating_sub(ms).max(self.vehicles.kept_from(vehicle))
            }
        };
        if ts >= kept_from { Ok(()) } else { Err(rejection) }
    }

    fn geofence(
        &mut self,
        change: &GeofenceChange<'_>,
        arrival: Option<Millis>,
        names: &mut Names,
    ) -> Result<GeofenceEdit, Rejection> {
        self.check_control("a geofence")?;
        let is_new = names.geofence(&change.geofence_id).is_none();
        let (valid_from, effective_from) = self.instants(change.valid_from, is_new, arrival)?;
        Ok(Edit {
            key: names.intern_geofence(&change.geofence_id),
            valid_from,
            effective_from,
            seq: self.next_edit(),
            definition: change.definition.as_ref().map(|definition| definition.geofence.clone()),
        })
    }

    fn vehicle(
        &mut self,
        change: &VehicleChange<'_>,
        arrival: Option<Millis>,
        names: &mut Names,
    ) -> Result<VehicleEdit, Rejection> {
        self.check_control("a vehicle")?;
        let is_new = !names.vehicle(&change.vehicle_id).is_some_and(|vehicle| self.named.contains(&vehicle));
        let (valid_from, effective_from) = self.instants(change.valid_from, is_new, arrival)?;
        if let Some(Bounds { vehicles, .. }) = self.bounds
            && self.named.len() >= vehicles as usize
            && is_new
        {
            return Err(too_many_vehicles(vehicles));
        }
        let key = names.intern_vehicle(&change.vehicle_id);
        self.named.insert(key);
        Ok(Edit { key, valid_from, effective_from, seq: self.next_edit(), definition: change.definition.clone() })
    }

    /// A rule holds from its arrival if it names no time, the first version too: it never concerns what was before.
    fn rule(
        &mut self,
        change: &RuleChange<'_>,
        arrival: Option<Millis>,
        names: &mut Names,
    ) -> Result<RuleEdit, Rejection> {
        self.check_control("a rule")?;
        let (valid_from, effective_from) = self.instants(change.valid_from, false, arrival)?;
        let number = |id: &str| names.intern_vehicle(id);
        let definition = change.definition.as_deref().map(|rule| Arc::new(with_vehicles(rule, number)));
        let key = names.intern_rule(&change.rule_id);
        Ok(Edit { key, valid_from, effective_from, seq: self.next_edit(), definition })
    }

    fn clock(&mut self, clock: Clock, arrival: Option<Millis>) -> Result<(), Rejection> {
        self.check_future("now", clock.now, arrival)?;
        self.now = self.now.max(clock.now);
        Ok(())
    }

    /// `valid_from` and `effective_from`: the wanted time, and that or the earliest which the edit can still change.
    /// Where none is wanted, it is the arrival; the first version of an id holds from the beginning of time, and in a
    /// replay every one. Unlike a position's, an edit's arrival becomes a time of tables and has to be one.
    fn instants(
        &self,
        wanted: Option<Millis>,
        is_new: bool,
        arrival: Option<Millis>,
    ) -> Result<(Millis, Millis), Rejection> {
        let arrival = arrival.map(|ms| check_time("received_at", ms, &self.limits)).transpose()?;
        let arrival = arrival.map(|ms| self.arrival_not_before_clock(ms));
        let valid_from = wanted.or(arrival.filter(|_| !is_new)).unwrap_or(BEGINNING);
        let earliest = match (arrival, keep_tracks_ms(&self.limits)) {
            (Some(arrival), Some(keep_tracks_ms)) => arrival.saturating_sub(keep_tracks_ms),
            (None, _) | (_, None) => BEGINNING,
        };
        Ok((valid_from, valid_from.max(earliest)))
    }

    /// Arrival by which an event is judged whose producer reported `said`.
    fn arrival_not_before_clock(&self, said: Millis) -> Millis {
        said.max(self.now.saturating_sub(ARRIVAL_SLACK_MS))
    }

    /// Sets the newest clock of the entries read so far.
    pub fn set_now(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    fn next_edit(&mut self) -> u64 {
        self.edits += 1;
        self.edits - 1
    }

    /// A position belongs in the stream that its vehicle's hash names.
    fn check_stream(&self, vehicle_id: &str) -> Result<(), Rejection> {
        let fault = match self.stream {
            Stream::Files => return Ok(()),
            Stream::Positions { index, streams } => match stream_of(vehicle_id, streams) {
                named if named == index => return Ok(()),
                named => format!("vehicle_id: its positions belong in stream {named} of {streams}, found in {index}"),
            },
            Stream::Control => "a position does not belong in the control stream".to_owned(),
        };
        Err(Rejection::new(Reason::WrongStream, fault))
    }

    /// Everything else but clocks belongs in the control stream.
    fn check_control(&self, what: &str) -> Result<(), Rejection> {
        match self.stream {
            Stream::Files | Stream::Control => Ok(()),
            Stream::Positions { .. } => {
                Err(Rejection::new(Reason::WrongStream, format!("{what} event belongs in the control stream")))
            }
        }
    }

    fn check_arrival(&self, ts: Millis, arrival: Option<Millis>) -> Result<(), Rejection> {
        self.check_future("ts", ts, arrival)?;
        let behind_ms = arrival.map_or(0, |arrival| self.arrival_not_before_clock(arrival).saturating_sub(ts));
        if behind_ms <= self.limits.horizon_ms {
            return Ok(());
        }
        let detail = format!("ts: expected at most {} ms before arrival, found {behind_ms}", self.limits.horizon_ms);
        Err(Rejection::new(Reason::Horizon, detail))
    }

    fn check_future(&self, name: &str, instant: Millis, arrival: Option<Millis>) -> Result<(), Rejection> {
        let (most_ms, ahead_ms) =
            (self.limits.future_tolerance_ms, arrival.map_or(0, |arrival| instant.saturating_sub(arrival)));
        if ahead_ms <= most_ms {
            return Ok(());
        }
        let detail = format!("{name}: expected at most {most_ms} ms after arrival, found {ahead_ms}");
        Err(Rejection::new(Reason::Future, detail))
    }

    /// A receiver without a fix reports 0, 0.
    fn check_zero(&self, fix: &Fix<'_>) -> Result<(), Rejection> {
        match fix {
            Fix::At(at) if self.limits.refuse_zero && at.place == (Place { lon: 0, lat: 0 }) => {
                Err(Rejection::new(Reason::NullIsland, "lon, lat: both 0, what a receiver without a fix reports"))
            }
            Fix::At(_) | Fix::Withdrawn => Ok(()),
        }
    }

    fn check_lateness(&self, ts: Millis, vehicle: Option<VehicleId>) -> Result<(), Rejection> {
        let (Some(vehicle), Some(most_ms)) = (vehicle, self.limits.lateness_ms) else { return Ok(()) };
        let behind_ms = self.newest(vehicle).map_or(0, |newest| newest.saturating_sub(ts));
        if behind_ms > most_ms {
            let detail = format!("ts: expected at most {most_ms} ms behind the vehicle's newest, found {behind_ms}");
            return Err(Rejection::new(Reason::Late, detail));
        }
        let kept_from = self.vehicles.kept_from(vehicle);
        if ts < kept_from {
            let given_up_ms = kept_from.saturating_sub(ts);
            let detail = format!("ts: {given_up_ms} ms before what is kept of the vehicle's track");
            return Err(Rejection::new(Reason::Late, detail));
        }
        Ok(())
    }
}

/// The position of a fix as timelines keep it.
fn position(ts: Millis, fix: &Fix<'_>) -> Position {
    match fix {
        Fix::At(at) => Position {
            ts,
            place: at.place,
            speed: at.speed,
            heading: at.heading,
            ignition: Ignition::from_report(at.ignition),
            mark: Mark::None, // the rules mark it, of which admission knows nothing
        },
        Fix::Withdrawn => Position {
            ts,
            place: Place { lon: 0, lat: 0 },
            speed: Speed::NONE,
            heading: Heading::NONE,
            ignition: Ignition::Unknown,
            mark: Mark::None,
        },
    }
}
