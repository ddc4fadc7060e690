//! The arguments in terms of simulated time.

use std::path::PathBuf;

use watchtower_model::Millis;

use super::DemoArgs;
use watchtower_simulator::{Fleet, MIDNIGHT};

const HOUR_MS: Millis = 3_600_000;
const MINUTE_MS: Millis = 60_000;

/// Begin of the demo: late enough in the day that all tables have rows.
const LIVE: Millis = MIDNIGHT + 11 * HOUR_MS;
/// Simulated time before it.
const HISTORY_MS: Millis = 6 * HOUR_MS;
/// Limit of the history of all lorries together, which takes some two seconds.
const HISTORY_OF_ALL_MS: Millis = 1_200 * HOUR_MS;

/// Parameters of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    pub(super) fleet: Fleet,
    /// The first second after history.
    pub(super) live: Millis,
    /// The end of the simulation.
    pub(super) ends: Option<Millis>,
    pub(super) speedup: f64,
    /// Whether the simulation runs without screen and without pauses.
    pub(super) headless: bool,
    pub(super) workers: u16,
    /// The file given by `--embedded`.
    pub(super) file: Option<PathBuf>,
}

impl From<&DemoArgs> for Options {
    fn from(args: &DemoArgs) -> Self {
        let DemoArgs { vehicles, seed, speedup, embedded, headless, lasts, history, workers } = args;
        let history = history.unwrap_or_else(|| history_of(*vehicles)).min(LIVE - MIDNIGHT);
        let lasts_ms = match (lasts, headless) {
            (Some(ms), _) => Some(*ms),
            (None, true) => Some(MINUTE_MS),
            (None, false) => None,
        };
        // In whole seconds, the step of the simulation.
        let ends = lasts_ms.map(|ms| LIVE + (ms as f64 * speedup / 1000.0).round() as Millis * 1000);
        Self {
            fleet: Fleet { vehicles: *vehicles, seed: *seed, begins: LIVE - history / 1000 * 1000 },
            live: LIVE,
            ends,
            speedup: *speedup,
            headless: *headless,
            workers: *workers,
            file: embedded.clone(),
        }
    }
}

/// Length of the history for a fleet of this size.
fn history_of(vehicles: u32) -> Millis {
    let fair = HISTORY_OF_ALL_MS / Millis::from(vehicles);
    // In whole minutes, unless it is shorter.
    if fair > MINUTE_MS { (fair / MINUTE_MS * MINUTE_MS).min(HISTORY_MS) } else { fair / 1000 * 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_fleets_have_less_behind_them() {
        assert_eq!(
            [1, 84, 200, 400, 1_000].map(history_of),
            [6, 6, 6, 3, 1].map(|n| if n == 1 { 72 * MINUTE_MS } else { n * HOUR_MS })
        );
        assert_eq!(history_of(100_000), 43_000);
    }
}
