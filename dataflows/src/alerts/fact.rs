//! Facts of all kinds in one form.

use serde::{Deserialize, Serialize};

use watchtower_model::alerts::AlertDetail;
use watchtower_model::facts::{Idling, Overspeed, Stop, Trip, Turnaround};
use watchtower_model::{AlertKind, GeofenceId, Millis, Offline, VehicleId, Visit};

/// The vehicle or geofence whose facts and alerts are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// Facts of a vehicle.
    Vehicle(VehicleId),
    /// Facts of a geofence that are of no vehicle.
    Geofence(GeofenceId),
}

impl Owner {
    /// A number that decides which worker has the owner.
    pub fn route(self) -> u64 {
        match self {
            Self::Vehicle(vehicle) => u64::from(vehicle.0),
            Self::Geofence(geofence) => u64::from(geofence.0),
        }
    }
}

/// What a fact is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FactKind {
    /// From a [`Visit`].
    Visit,
    /// From an [`Offline`].
    Offline,
    /// From a [`Stop`].
    Stop,
    /// From an [`Idling`].
    Idling,
    /// From an [`Overspeed`].
    Overspeed,
    /// From a [`Trip`].
    Trip,
    /// From a [`Turnaround`].
    Turnaround,
    /// A version of a geofence begins, or it is deleted.
    Version,
}

impl FactKind {
    /// The kinds of alerts that come of it.
    pub fn alerts(self) -> &'static [AlertKind] {
        match self {
            Self::Visit => &[AlertKind::Enter, AlertKind::Exit, AlertKind::Dwell],
            Self::Offline => &[AlertKind::Offline, AlertKind::BackOnline],
            Self::Stop => &[AlertKind::Stop],
            Self::Idling => &[AlertKind::Idling],
            Self::Overspeed => &[AlertKind::Overspeed],
            Self::Trip => &[AlertKind::TripStarted, AlertKind::TripCompleted],
            Self::Turnaround => &[AlertKind::TurnaroundCompleted],
            Self::Version => &[AlertKind::GeofenceChanged],
        }
    }
}

/// A fact as far as alerts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// Kind of the fact.
    pub kind: FactKind,
    /// The geofence visited, stopped in, or whose limit is exceeded; of a trip the anchor left, of a turnaround the
    /// terminal reached.
    pub geofence: Option<GeofenceId>,
    /// Its start.
    pub from: Millis,
    /// Its end; `None` while it lasts. Equal to `from` for a version.
    pub until: Option<Millis>,
    /// What else alerts say of it; of a trip that has arrived the anchor reached, instead of that left.
    pub detail: AlertDetail,
}

impl From<Visit> for Fact {
    fn from(visit: Visit) -> Self {
        let Visit { vehicle: _, geofence, entered_at, exited_at, confirmed: _ } = visit;
        let detail = AlertDetail::None;
        Self { kind: FactKind::Visit, geofence: Some(geofence), from: entered_at, until: exited_at, detail }
    }
}

impl From<Offline> for Fact {
    fn from(offline: Offline) -> Self {
        let Offline { vehicle: _, started_at, ended_at } = offline;
        let detail = AlertDetail::None;
        Self { kind: FactKind::Offline, geofence: None, from: started_at, until: ended_at, detail }
    }
}

impl From<Stop> for Fact {
    fn from(stop: Stop) -> Self {
        let Stop { vehicle: _, started_at, ended_at, place, geofence } = stop;
        let detail = AlertDetail::Place(place);
        Self { kind: FactKind::Stop, geofence, from: started_at, until: ended_at, detail }
    }
}

impl From<Idling> for Fact {
    fn from(idling: Idling) -> Self {
        let Idling { vehicle: _, started_at, ended_at } = idling;
        let detail = AlertDetail::None;
        Self { kind: FactKind::Idling, geofence: None, from: started_at, until: ended_at, detail }
    }
}

impl From<Overspeed> for Fact {
    fn from(overspeed: Overspeed) -> Self {
        let Overspeed { vehicle: _, started_at, ended_at, geofence, limit, measures: _ } = overspeed;
        let detail = limit.micro_kmh().map_or(AlertDetail::None, AlertDetail::LimitMicroKmh);
        Self { kind: FactKind::Overspeed, geofence, from: started_at, until: ended_at, detail }
    }
}

impl From<Trip> for Fact {
    fn from(trip: Trip) -> Self {
        let Trip { vehicle: _, origin, departed_at, arrival } = trip;
        let detail = arrival.map(|arrival| AlertDetail::From(arrival.destination, arrival.measures.distance_mm));
        Self {
            kind: FactKind::Trip,
            geofence: Some(origin),
            from: departed_at,
            until: arrival.map(|arrival| arrival.arrived_at),
            detail: detail.unwrap_or_default(),
        }
    }
}

impl From<Turnaround> for Fact {
    fn from(turnaround: Turnaround) -> Self {
        let Turnaround {
            vehicle: _,
            terminal_left,
            departed_at,
            terminal_reached,
            returned_at,
            clients: _,
            distance_mm,
        } = turnaround;
        Self {
            kind: FactKind::Turnaround,
            geofence: Some(terminal_reached),
            from: departed_at,
            until: Some(returned_at),
            detail: AlertDetail::From(terminal_left, distance_mm),
        }
    }
}
