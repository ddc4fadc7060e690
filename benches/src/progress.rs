//! Shows the current step of a benchmark.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Progress display: one changing line on a terminal, one line per step elsewhere.
pub(super) struct Steps {
    spinner: Option<ProgressBar>,
}

/// Interval between redraws, long enough not to disturb the measurement.
const TICK: Duration = Duration::from_millis(500);

impl Steps {
    pub(super) fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is a constant");
            let spinner = ProgressBar::new_spinner().with_style(style);
            spinner.enable_steady_tick(TICK);
            spinner
        });
        Self { spinner }
    }

    pub(super) fn begin(&mut self, what: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(what.to_owned()),
            None => eprintln!("{what}"),
        }
    }

    pub(super) fn finish(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}
