//! What kind of log a random one is: how much of everything, under which rules.

use std::sync::Arc;

use watchtower_core::time_zone::local_time;
use watchtower_model::{Millis, Outliers, Rules, Speed};

use crate::support::rng::Rng;
use crate::support::shapes::Grid;

/// When it all happens: around these instants, which are midnight or a change of the clocks in their zones. They are
/// years ago, so that PostgreSQL's edition of the time zones knows of them what ours does.
const BASES: [(&str, &str); 11] = [
    ("UTC", "2026-01-01T00:00:00Z"),
    ("Africa/Lagos", "2026-11-22T23:00:00Z"),
    ("Asia/Kolkata", "2026-11-22T18:30:00Z"),
    ("America/New_York", "2024-03-10T07:00:00Z"),
    ("America/New_York", "2024-11-03T06:00:00Z"),
    ("Australia/Lord_Howe", "2024-04-06T15:00:00Z"),
    ("Australia/Lord_Howe", "2024-10-05T15:30:00Z"),
    ("Africa/Cairo", "2024-04-25T22:00:00Z"),
    ("Africa/Cairo", "2024-10-31T21:00:00Z"),
    ("America/Havana", "2024-03-10T05:00:00Z"),
    ("America/Havana", "2024-11-03T05:00:00Z"),
];

/// Rules for logs whose times are multiples of `unit`, and an instant around which days and hours begin.
fn random_rules(rng: &mut Rng, unit: Millis, lateness: Option<Millis>) -> (Rules, Millis) {
    let default = Rules::default();
    let (zone, around) = *rng.pick(&BASES);
    let around = around.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let rules = Rules {
        offline_after_ms: *rng.pick(&[2 * unit, 5 * unit, 30 * unit, default.offline_after_ms]),
        stop_radius_m: *rng.pick(&[5.0, 50.0, 1_000.0]),
        stop_min_ms: *rng.pick(&[0, unit, 3 * unit, 10 * unit]),
        idle_min_ms: *rng.pick(&[0, unit, 2 * unit, 5 * unit]),
        overspeed_min_ms: *rng.pick(&[0, 0, unit, 2 * unit]),
        presence_limit_ms: *rng.pick(&[unit, 4 * unit, 40 * unit, default.presence_limit_ms]),
        local_time: Arc::new(local_time(zone).expect("a zone")),
        retention_ms: lateness,
        ..rules_of_receivers(&mut Rng::new(rng.clone().next() ^ 0xFA17), unit)
    };
    (rules, around)
}

/// Rules about faults of receivers, about speeds and about distances: the defaults in half of all logs. They have their
/// own randomness, so that the logs of old seeds stay what they were.
fn rules_of_receivers(rng: &mut Rng, unit: Millis) -> Rules {
    let default = Rules::default();
    if rng.chance(50) {
        return default;
    }
    Rules {
        outliers: *rng.pick(&[Outliers::Skip, Outliers::Skip, Outliers::Use]),
        jump_mm: *rng.pick(&[0, 1_000, default.jump_mm, 5_000_000]),
        // Below the 5 km that inaccurate positions of these logs report.
        max_accuracy_m: *rng.pick(&[100.0, default.max_accuracy_m]),
        idle_speed: *rng.pick(&[Speed::from_kmh(1.0), default.idle_speed, Speed::from_kmh(30.0)]),
        max_plausible: *rng.pick(&[Speed::from_kmh(60.0), default.max_plausible, Speed::from_kmh(4_000.0)]),
        speed_hold_ms: *rng.pick(&[0, unit, default.speed_hold_ms, 1_000 * unit]),
        speed_span_ms: *rng.pick(&[0, unit, 3 * unit, default.speed_span_ms]),
        min_step_mm: *rng.pick(&[0, 1, default.min_step_mm, 1_000_000]),
        tow_min_mm: *rng.pick(&[0, 10_000, default.tow_min_mm]),
        offline_count_ms: *rng.pick(&[3 * unit, 40 * unit, default.offline_count_ms]),
        ..default
    }
}

/// What kind of log it is.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) rules: Rules,
    /// When it begins, about.
    pub(crate) base: Millis,
    pub(crate) grid: Grid,
    pub(crate) vehicles: usize,
    pub(crate) geofences: usize,
    /// How many times something is done; some of these things are many events.
    pub(crate) steps: usize,
    /// Most times are multiples of this.
    pub(crate) unit: Millis,
    /// What is refused as late, if anything is.
    pub(crate) lateness: Option<Millis>,
    /// Edits may come into force later than they want to.
    pub(crate) raised: bool,
    /// How often the clock ticks, percent; 0 in logs that know no clock.
    pub(crate) clock: usize,
    /// How often a parked vehicle drives off, percent of its positions.
    pub(crate) departs: usize,
    /// The greatest length of a trek, positions.
    pub(crate) trek: i64,
    /// How long the first trek is: several chunks of a track, or nothing.
    pub(crate) first_trek: i64,
    /// Geofences are mostly anchors that confirm visits soon, and vehicles go from one to the other.
    pub(crate) roads: bool,
}

impl Habits {
    /// Of a log whose positions are all accepted, or of a pipeline that refuses what is late.
    pub(crate) fn random(rng: &mut Rng, live: bool) -> Self {
        let unit = rng.weighted(&[(6, 60_000), (2, 1_000), (1, 10)]);
        let lateness = live.then(|| unit * rng.weighted(&[(1, 0), (2, 2), (3, 8), (3, 30), (1, 200)]));
        let long = rng.chance(15);
        let (rules, around) = random_rules(rng, unit, lateness);
        let early = rng.between(0, 40) * unit;
        Self {
            rules,
            base: around - early,
            grid: Grid::random(rng),
            vehicles: if long { 1 + rng.below(2) } else { 1 + rng.below(6) },
            geofences: 1 + rng.below(if long { 4 } else { 6 }),
            steps: if long { 10 + rng.below(30) } else { 2 + rng.below(60) },
            unit,
            lateness,
            raised: rng.chance(30),
            clock: *rng.pick(&[0, 5, 15, 30]),
            departs: *rng.pick(&[2, 15]),
            trek: if long { 100 } else { 8 },
            roads: rng.chance(35),
            first_trek: if long { rng.between(100, 350) } else { 0 },
        }
    }
}
