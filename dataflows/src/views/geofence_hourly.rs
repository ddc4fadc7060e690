//! `geofence_hourly`: what happened in each geofence during each local hour.
//!
//! Visits count where they begin and end; how long the ended ones took is a histogram. Presences come
//! cut at the hours: their lengths add up, their vehicles are counted one by one, their edges make the
//! peak. A presence grows with each position of its vehicle: such a replacement is one fact, of which only
//! the end is looked at. What an epoch replaced is gathered first, so that only what became different
//! reaches the ordered state.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::{Operator, OutputBuilderSession};

use crate::control::Epoch;
use crate::views::grouped::{Given, Grouped, grouped};
use crate::views::groups::{Group, Key};
use crate::views::histogram::Histogram;
use crate::views::peak::Peak;
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::Span;
use watchtower_model::aggregates::GeofenceHourly;
use watchtower_model::facts::Presence;
use watchtower_model::local_time::LocalTime;
use watchtower_model::{GeofenceId, Millis, VehicleId, Visit};

/// A geofence's local hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GeofenceHour {
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// The first instant of the hour.
    pub hour: Millis,
}

/// Contribution of a fact to a geofence's hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// A visit began in the hour.
    Entry,
    /// A visit ended in the hour.
    Exit {
        /// How long it took.
        dwell_ms: i64,
        /// It was confirmed.
        confirmed: bool,
    },
    /// A vehicle was inside: milliseconds since the hour began.
    Presence {
        /// Dense number of the vehicle.
        vehicle: VehicleId,
        /// First instant inside.
        from: u32,
        /// First instant no longer inside.
        until: u32,
    },
    /// A presence that began at `from` ends otherwise.
    Grown {
        /// First instant inside.
        from: u32,
        /// First instant no longer inside, until now.
        was: u32,
        /// The same from now on.
        is: u32,
    },
}

/// The state of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GeofenceHourlyGroup {
    entries: i64,
    confirmed_visits: i64,
    dwell: Histogram,
    vehicle_ms_inside: i64,
    peak: Peak,
    /// The number of each vehicle's presences.
    vehicles: BTreeMap<VehicleId, i32>,
    /// Not yet among them.
    pending: Vec<(VehicleId, i32)>,
}

/// The table. `presences` are cut at local hours.
pub fn geofence_hourly<'s>(
    visits: Rows<'s, Visit>,
    presences: Rows<'s, Presence>,
    given: &Given<'s>,
) -> Grouped<'s, GeofenceHourly> {
    let zone = Arc::clone(&given.local_time);
    let visits = visits.flat_map(move |visit| {
        let Visit { vehicle: _, geofence, entered_at, exited_at, confirmed } = visit;
        let at = |t| GeofenceHour { geofence, hour: zone.hour_span(t).from };
        let exit = exited_at.map(|t| (at(t), Part::Exit { dwell_ms: t - entered_at, confirmed }));
        [Some((at(entered_at), Part::Entry)), exit].into_iter().flatten()
    });
    let zone = Arc::clone(&given.local_time);
    let presences = presences.inner.unary(Pipeline, "Presences", move |_, _| {
        move |input, output: &mut OutputBuilderSession<'_, Epoch, CapacityContainerBuilder<Vec<_>>>| {
            input.for_each(|cap, batch| output.session(&cap).give_iterator(parts(batch, &zone)));
        }
    });
    grouped::<GeofenceHourlyGroup>("GeofenceHourly", visits.concat(presences.as_collection()), given)
}

type Update<D> = (D, Epoch, i64);

/// What presences bring. Of one that is replaced by another with the same beginning the two stand side by side:
/// they come sorted.
fn parts(presences: &[Update<Presence>], zone: &LocalTime) -> impl Iterator<Item = Update<(GeofenceHour, Part)>> {
    let (mut rest, mut hour) = (presences, Span::EMPTY);
    std::iter::from_fn(move || {
        let (&(Presence { vehicle, geofence, from, until }, epoch, mut diff), mut after) = rest.split_first()?;
        if !hour.contains(from) {
            hour = zone.hour_span(from);
        }
        debug_assert!(until <= hour.until, "a presence is a piece within one local hour");
        let since = |t: Millis| (t - hour.from) as u32;
        let mut part = Part::Presence { vehicle, from: since(from), until: since(until) };
        if let Some(((next, next_epoch, next_diff), later)) = after.split_first()
            && (next.vehicle, next.geofence, next.from) == (vehicle, geofence, from)
            && (*next_epoch, *next_diff) == (epoch, -diff)
        {
            part = Part::Grown { from: since(from), was: since(until), is: since(next.until) };
            (diff, after) = (*next_diff, later);
        }
        rest = after;
        Some(((GeofenceHour { geofence, hour: hour.from }, part), epoch, diff))
    })
}

impl Key for GeofenceHour {
    fn route(&self) -> u64 {
        u64::from(self.geofence.0)
    }

    fn end(&self, local_time: &LocalTime) -> Millis {
        local_time.hour_span(self.hour).until
    }
}

impl Group for GeofenceHourlyGroup {
    type Key = GeofenceHour;
    type Value = Part;
    type Row = GeofenceHourly;

    const GEOFENCE: Option<fn(&GeofenceHour) -> GeofenceId> = Some(|key| key.geofence);

    fn update(&mut self, value: &Part, diff: i64) {
        match *value {
            Part::Entry => self.entries += diff,
            Part::Exit { dwell_ms, confirmed } => {
                self.dwell.add(dwell_ms, diff);
                self.confirmed_visits += if confirmed { diff } else { 0 };
            }
            Part::Presence { vehicle, from, until } => {
                self.vehicle_ms_inside += i64::from(until - from) * diff;
                self.peak.add(from, until, diff);
                self.pending.push((vehicle, diff as i32));
            }
            Part::Grown { from, was, is } => {
                self.vehicle_ms_inside += (i64::from(is) - i64::from(was)) * diff;
                self.peak.grow(from, was, is, diff);
            }
        }
    }

    fn settle(&mut self) {
        self.peak.settle();
        let mut pending = std::mem::take(&mut self.pending);
        consolidate(&mut pending);
        for (vehicle, diff) in pending {
            let presences = self.vehicles.entry(vehicle).or_default();
            *presences += diff;
            if *presences == 0 {
                self.vehicles.remove(&vehicle);
            }
        }
    }

    fn row(&self, key: &GeofenceHour) -> Option<GeofenceHourly> {
        (!self.is_empty()).then(|| GeofenceHourly {
            geofence: key.geofence,
            hour: key.hour,
            entries: self.entries,
            exits: self.dwell.count(),
            confirmed_visits: self.confirmed_visits,
            unique_vehicles: self.vehicles.len() as i64,
            dwell_total_ms: self.dwell.total(),
            dwell_mean_ms: self.dwell.mean(),
            dwell_p50_ms: self.dwell.percentile(50),
            dwell_p95_ms: self.dwell.percentile(95),
            vehicle_ms_inside: self.vehicle_ms_inside,
            peak_vehicles: self.peak.highest(),
        })
    }

    fn is_empty(&self) -> bool {
        self.entries == 0 && self.dwell.is_empty() && self.vehicles.is_empty()
    }

    fn heap_bytes(&self) -> usize {
        let vehicles = self.vehicles.len() * 3 / 2 * size_of::<(VehicleId, i32)>();
        self.dwell.heap_bytes() + self.peak.heap_bytes() + vehicles
    }

    fn peek(&self) -> i64 {
        self.entries ^ self.dwell.peek() ^ self.peak.peek() ^ self.vehicles.len() as i64
    }

    fn snapshot(key: GeofenceHour, group: Arc<Self>) -> GroupSnapshot {
        GroupSnapshot::GeofenceHourly(key, group)
    }

    fn restored(snapshot: GroupSnapshot) -> Option<(GeofenceHour, Arc<Self>)> {
        let GroupSnapshot::GeofenceHourly(key, group) = snapshot else { return None };
        Some((key, group))
    }
}
