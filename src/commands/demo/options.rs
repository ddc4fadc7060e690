//! What was asked for, and what it means in simulated time.

use std::path::PathBuf;

use watchtower_model::Millis;

use super::DemoArgs;
use watchtower_simulator::{Fleet, MIDNIGHT};

const HOUR_MS: Millis = 3_600_000;
const MINUTE_MS: Millis = 60_000;

/// When the demo begins: late enough that all have something behind them.
const LIVE: Millis = MIDNIGHT + 11 * HOUR_MS;
/// How much has happened before.
const HISTORY_MS: Millis = 6 * HOUR_MS;
/// Of a large fleet less: so much of one lorry's time is simulated within two seconds or so.
const HISTORY_OF_ALL_MS: Millis = 1_200 * HOUR_MS;

/// What to simulate, and where to keep it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    pub(super) fleet: Fleet,
    /// The first second that is not history.
    pub(super) live: Millis,
    /// The first second that is not simulated any more.
    pub(super) ends: Option<Millis>,
    pub(super) speedup: f64,
    /// Nobody looks, and nothing waits for its time.
    pub(super) headless: bool,
    pub(super) workers: u16,
    /// The file that was named.
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
        // Whole seconds: a step of the simulation.
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

/// How much has happened to a fleet of so many.
fn history_of(vehicles: u32) -> Millis {
    let fair = HISTORY_OF_ALL_MS / Millis::from(vehicles);
    // A round number, if it can be one.
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
