//! Alert rules, and the alerts that follow from them.
//!
//! A rule selects facts. An alert is a fact that a rule selects at an instant: both come and go with the facts, so an alert
//! of the past may change like any other row. What is sent to whom because of it is no concern of this module.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::edits::Edit;
use crate::local_time::LocalTime;
use crate::units::{GeofenceId, Millis, Place, VehicleId};

/// Dense number of an alert rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleId(pub u32);

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertKind {
    /// A vehicle entered a geofence.
    Enter,
    /// A vehicle left a geofence.
    Exit,
    /// A vehicle has been in a geofence for some time.
    Dwell,
    /// A vehicle is faster than the limit.
    Overspeed,
    /// The ignition is on and the vehicle does not get away.
    Idling,
    /// A vehicle stands.
    Stop,
    /// A vehicle is silent.
    Offline,
    /// A vehicle that was silent is heard again.
    BackOnline,
    /// A vehicle left an anchor.
    TripStarted,
    /// A vehicle reached the next anchor.
    TripCompleted,
    /// A vehicle reached a terminal again.
    TurnaroundCompleted,
    /// A geofence has held more, or fewer, vehicles than a number for some time.
    Occupancy,
    /// Another version of a geofence came into force, or it was deleted.
    GeofenceChanged,
}

impl AlertKind {
    /// All kinds, by the names that configurations and tables have for them.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("enter", Self::Enter),
        ("exit", Self::Exit),
        ("dwell", Self::Dwell),
        ("overspeed", Self::Overspeed),
        ("idling", Self::Idling),
        ("stop", Self::Stop),
        ("offline", Self::Offline),
        ("back_online", Self::BackOnline),
        ("trip_started", Self::TripStarted),
        ("trip_completed", Self::TripCompleted),
        ("turnaround_completed", Self::TurnaroundCompleted),
        ("occupancy", Self::Occupancy),
        ("geofence_changed", Self::GeofenceChanged),
    ];

    /// The name in configurations and tables.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Whether it is about a vehicle.
    pub fn has_vehicle(self) -> bool {
        match self {
            Self::Enter | Self::Exit | Self::Dwell | Self::Overspeed | Self::Idling | Self::Stop => true,
            Self::Offline | Self::BackOnline => true,
            Self::TripStarted | Self::TripCompleted | Self::TurnaroundCompleted => true,
            Self::Occupancy | Self::GeofenceChanged => false,
        }
    }

    /// Whether it is about a geofence. Stops and overspeeds may be in none.
    pub fn has_geofence(self) -> bool {
        match self {
            Self::Enter | Self::Exit | Self::Dwell | Self::Overspeed | Self::Stop => true,
            Self::TripStarted | Self::TripCompleted | Self::TurnaroundCompleted => true,
            Self::Occupancy | Self::GeofenceChanged => true,
            Self::Idling | Self::Offline | Self::BackOnline => false,
        }
    }

    /// Whether it is a condition that lasts, rather than the instant of a change.
    pub fn lasts(self) -> bool {
        match self {
            Self::Enter | Self::Dwell | Self::Overspeed | Self::Idling | Self::Stop | Self::Offline => true,
            Self::Occupancy => true,
            Self::Exit | Self::BackOnline | Self::TripStarted | Self::TripCompleted => false,
            Self::TurnaroundCompleted | Self::GeofenceChanged => false,
        }
    }
}

/// How much an alert matters, in ascending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// For the record.
    Info,
    /// To be looked at.
    #[default]
    Warning,
    /// To be acted on at once.
    Critical,
}

impl Severity {
    /// Names in configurations and tables.
    pub const NAMES: [(&'static str, Self); 3] =
        [("info", Self::Info), ("warning", Self::Warning), ("critical", Self::Critical)];

    /// The name in configurations and tables.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

/// When an alert becomes a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AlertMode {
    /// As soon as its fact is there.
    #[default]
    Immediate,
    /// Once no position that is on time can change it: `lateness` after it.
    Final,
}

/// Hours of the week in which a rule is active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveHours {
    /// Days of the week on which the hours begin, Monday first.
    pub days: [bool; 7],
    /// Local time of day at which they begin. Milliseconds, a whole number of minutes.
    pub from_ms: i64,
    /// Local time of day at which they end, on the next day unless it is after `from_ms`. Milliseconds, whole minutes.
    pub until_ms: i64,
    /// Time zone of days and times; `None`: that of the pipeline.
    pub zone: Option<Arc<LocalTime>>,
}

/// Number of vehicles that an [`AlertKind::Occupancy`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Than {
    /// More vehicles than this.
    More(i64),
    /// Fewer vehicles than this.
    Fewer(i64),
}

impl Than {
    /// Whether a number of vehicles meets it.
    pub fn holds(self, vehicles: i64) -> bool {
        match self {
            Self::More(than) => vehicles > than,
            Self::Fewer(than) => vehicles < than,
        }
    }
}

/// Facts that a rule is about: each list that is not empty must have a match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Ids of vehicles.
    pub vehicle_ids: Vec<Arc<str>>,
    /// Dense numbers of the same vehicles, which admission assigns; ascending.
    pub vehicles: Vec<VehicleId>,
    /// Fleets of vehicles at the instant of the alert.
    pub fleets: Vec<Arc<str>>,
    /// Ids of geofences.
    pub geofences: Vec<Arc<str>>,
    /// Kinds of geofences.
    pub kinds: Vec<Arc<str>>,
    /// Tags of geofences, of which one is enough.
    pub tags: Vec<Arc<str>>,
}

/// A version of an alert rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Id in the log.
    pub id: Arc<str>,
    /// Kind of fact.
    pub kind: AlertKind,
    /// How long a condition must last; 0: as long as its table demands. Milliseconds.
    pub after_ms: i64,
    /// The number of vehicles, of an [`AlertKind::Occupancy`] only.
    pub than: Option<Than>,
    /// Facts that it is about.
    pub scope: Scope,
    /// When it is active; `None`: always.
    pub hours: Option<ActiveHours>,
    /// No alert of the same version, vehicle and geofence follows another one sooner than this. Milliseconds.
    pub cooldown_ms: i64,
    /// When an alert becomes a row.
    pub mode: AlertMode,
    /// How much its alerts matter.
    pub severity: Severity,
    /// The whole rule as JSON, with what concerns delivery alone.
    pub definition: Arc<str>,
}

/// An accepted `rule` event.
pub type RuleEdit = Edit<RuleId, AlertRule>;

/// A fact that a version of a rule selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Alert {
    /// Instant of the alert.
    pub at: Millis,
    /// The rule.
    pub rule: RuleId,
    /// Version of the rule: [`Edit::seq`].
    pub seq: u64,
    /// Kind of fact.
    pub kind: AlertKind,
    /// The vehicle, if it is about one.
    pub vehicle: Option<VehicleId>,
    /// The geofence, if it is about one.
    pub geofence: Option<GeofenceId>,
    /// Start of the fact.
    pub started_at: Millis,
    /// The rule's hours began at `at`, amid the fact.
    pub is_opening: bool,
    /// End of the fact, of a kind that waits for it.
    pub ended_at: Option<Millis>,
    /// What else is known when it is raised.
    pub detail: AlertDetail,
}

/// What else is known of an alert when it is raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertDetail {
    /// Nothing.
    #[default]
    None,
    /// Place of a stop.
    Place(Place),
    /// Speed limit that was exceeded, millionths of a km/h.
    LimitMicroKmh(u32),
    /// Anchor that was left, and the way from there, millimetres.
    From(GeofenceId, i64),
    /// Vehicles in the geofence.
    Vehicles(i64),
    /// The geofence was deleted.
    Deleted,
}

const DAY_MS: i64 = 24 * 3_600_000;

/// Hours that recur every week begin again within this time, though a change of the clocks may skip some of them.
const RECURRENCE_MS: i64 = 22 * DAY_MS;

impl ActiveHours {
    fn zone<'a>(&'a self, pipeline: &'a LocalTime) -> &'a LocalTime {
        self.zone.as_deref().unwrap_or(pipeline)
    }

    /// Whether the rule is active at `t`, in a pipeline with this time zone.
    pub fn is_active(&self, t: Millis, pipeline: &LocalTime) -> bool {
        let (offset, _) = self.zone(pipeline).offset_and_span(t);
        let (day, time) = ((t + offset).div_euclid(DAY_MS), (t + offset).rem_euclid(DAY_MS));
        let begins_on = |day: i64| self.days[(day + 3).rem_euclid(7) as usize]; // 1970-01-01 was a Thursday
        if self.from_ms < self.until_ms {
            begins_on(day) && (self.from_ms..self.until_ms).contains(&time)
        } else {
            (time >= self.from_ms && begins_on(day)) || (time < self.until_ms && begins_on(day - 1))
        }
    }

    /// The first instant in `after < t < before` at which the hours begin.
    pub fn next_opening(&self, after: Millis, before: Millis, pipeline: &LocalTime) -> Option<Millis> {
        let before = before.min(after.saturating_add(RECURRENCE_MS));
        let mut t = after;
        loop {
            t = self.next_boundary(t, pipeline);
            if t >= before {
                return None;
            }
            if self.is_active(t, pipeline) && !self.is_active(t - 1, pipeline) {
                return Some(t);
            }
        }
    }

    /// The first instant after `t` at which hours may begin or end.
    fn next_boundary(&self, t: Millis, pipeline: &LocalTime) -> Millis {
        let (offset, span) = self.zone(pipeline).offset_and_span(t);
        let local = t + offset;
        let midnight = local.div_euclid(DAY_MS) * DAY_MS;
        let boundaries = [self.from_ms, self.until_ms, DAY_MS].map(|time| midnight + time);
        let next = boundaries.into_iter().filter(|&boundary| boundary > local).min().unwrap_or(midnight + DAY_MS);
        (next - offset).min(span.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn hours(days: [bool; 7], from_h: i64, until_h: i64) -> ActiveHours {
        ActiveHours { days, from_ms: from_h * 60 * MINUTE_MS, until_ms: until_h * 60 * MINUTE_MS, zone: None }
    }

    #[test]
    fn names_are_in_the_order_of_the_kinds() {
        for (name, kind) in AlertKind::NAMES {
            assert_eq!((kind.name(), AlertKind::from_name(name)), (name, Some(kind)));
        }
        for (name, severity) in Severity::NAMES {
            assert_eq!(severity.name(), name);
        }
    }

    /// Over a change of the clocks, for hours of a day, over midnight, and all day long.
    #[test]
    fn openings_are_where_every_minute_says_so() {
        let day = 20_000 * DAY_MS; // a Thursday
        let forward = LocalTime::new("forward", 0, [(day + 120 * MINUTE_MS, 60 * MINUTE_MS)]);
        let back = LocalTime::new("back", 0, [(day + 120 * MINUTE_MS, -60 * MINUTE_MS)]);
        let weekdays = [true, true, true, true, true, false, false];
        let thursday = [false, false, false, true, false, false, false];
        for zone in [LocalTime::utc(), forward, back] {
            for days in [[true; 7], weekdays, thursday] {
                for (from, until) in [(8, 18), (22, 6), (0, 0), (2, 3), (1, 1), (0, 24)] {
                    let hours = hours(days, from, until);
                    let (begin, end) = (day - 3 * DAY_MS, day + 9 * DAY_MS);
                    let minutes = (begin + MINUTE_MS..end).step_by(MINUTE_MS as usize);
                    let expected: Vec<Millis> = minutes
                        .filter(|&t| hours.is_active(t, &zone) && !hours.is_active(t - MINUTE_MS, &zone))
                        .collect();
                    let mut found = Vec::new();
                    let mut t = begin;
                    while let Some(opening) = hours.next_opening(t, end, &zone) {
                        found.push(opening);
                        t = opening;
                    }
                    assert_eq!(found, expected, "{hours:?}");
                }
            }
        }
    }
}
