//! Configurable bounds that decoding and admission check events against.

use watchtower_model::Millis;

const MINUTE_MS: Millis = 60 * 1000;
const HOUR_MS: Millis = 60 * MINUTE_MS;
const DAY_MS: Millis = 24 * HOUR_MS;

/// The bounds of what is accepted. Every process of a pipeline has the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The earliest instant a `ts`, `now` or `valid_from` may name.
    pub earliest: Millis,
    /// The first instant that is too late for any of them.
    pub latest: Millis,
    /// The largest entry, line, CSV row or GeoJSON feature. The default leaves room for a geofence
    /// of 100 000 vertices written with all their digits.
    pub max_entry_bytes: usize,
    /// The largest `attributes` of a position or vehicle, as JSON text.
    pub max_attributes_bytes: usize,
    /// How far ahead of its arrival a position or clock may be.
    pub future_tolerance_ms: Millis,
    /// How far behind its arrival a position may be.
    pub horizon_ms: Millis,
    /// How far behind the newest position of its vehicle a position may be, and how far back from
    /// its arrival an edit can reach. `None`: any distance.
    pub lateness_ms: Option<Millis>,
    /// Whether the machine of the daemon tells the time (`[clock] source = "wall"`): then no event arrives later than
    /// the id of its entry says, whatever its producer says.
    pub wall_clock: bool,
    /// Whether a position at exactly 0, 0 is refused (`[rules] refuse_zero`).
    pub refuse_zero: bool,
    /// How much of empty days makes the rows of a file far away from the others (`[rules] isolated_after`); 0: none.
    /// Decides for producers that read files, never for a daemon. Milliseconds.
    pub isolated_after_ms: Millis,
    /// How many vehicles there may be: each stream takes its share of them, rounded up. None are too many in a
    /// replay.
    pub max_vehicles: u32,
    /// How many positions of one vehicle may be held in memory: see [`crate::admission`]. None are too many where
    /// nothing is too late.
    pub max_retained_positions: u32,
}

/// Positions a second that a vehicle may send all the time: more than any tracker does.
const POSITIONS_A_SECOND: Millis = 5;

/// Default number of retained positions of a vehicle: two windows of those that a device sends
/// which sends more than four a second. A window is the lateness and the hour that edits may come late.
pub fn default_max_retained_positions(lateness_ms: Millis) -> u32 {
    let window_s = lateness_ms.saturating_add(HOUR_MS) / 1000;
    u32::try_from(window_s.saturating_mul(2 * POSITIONS_A_SECOND)).unwrap_or(u32::MAX)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            earliest: 315_532_800_000,
            latest: 4_102_444_800_000,
            max_entry_bytes: 8 << 20,
            max_attributes_bytes: 64 << 10,
            future_tolerance_ms: MINUTE_MS,
            horizon_ms: 14 * DAY_MS,
            lateness_ms: Some(6 * HOUR_MS),
            wall_clock: false,
            refuse_zero: true,
            isolated_after_ms: 30 * DAY_MS,
            max_vehicles: 10_000_000,
            max_retained_positions: default_max_retained_positions(6 * HOUR_MS),
        }
    }
}

impl Limits {
    /// The default limits of a replay of files: nothing is late, whatever the order of the rows.
    pub fn for_replay() -> Self {
        Self { lateness_ms: None, ..Self::default() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_time_is_1980_to_2100() {
        let limits = Limits::default();
        let instant = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        assert_eq!(limits.earliest, instant("1980-01-01T00:00:00Z"));
        assert_eq!(limits.latest, instant("2100-01-01T00:00:00Z"));
    }
}
