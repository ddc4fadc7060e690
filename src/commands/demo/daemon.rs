//! The daemon of `run --embedded`, on a thread of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::DemoError;
use super::gauge::Gauge;
use crate::config;
use watchtower_daemon as daemon;
use watchtower_geopackage::GeoPackage;
use watchtower_store::geopackage::claim;

/// The daemon's configuration.
const CONFIGURATION: &str = include_str!("demo.toml");
/// Interval between checks whether the daemon has created its tables.
const POLL_EVERY: Duration = Duration::from_millis(2);

/// The section `[rules]` of the configuration.
pub(super) fn rules() -> &'static str {
    CONFIGURATION.split("\n\n").find(|part| part.starts_with("[rules]")).unwrap_or_default()
}

/// A running daemon.
#[derive(Debug)]
pub(super) struct Daemon {
    /// Dropping it stops the daemon.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), DemoError>>,
}

impl Daemon {
    /// Starts a daemon on a file and waits until its tables exist. If the daemon ends by itself, the gauge reports it.
    ///
    /// # Errors
    /// If the daemon cannot start.
    pub(super) fn start(file: &GeoPackage, workers: u16, gauge: &Arc<Gauge>) -> Result<Self, DemoError> {
        let mut options = config::parse("the configuration of the demo", CONFIGURATION, std::iter::empty())?;
        options.engine.workers = workers;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(DemoError::Threads)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (places, gauge) = (options.places(Some(file)), Arc::clone(gauge));
        let ended = Arc::new(AtomicBool::new(false));
        let has_ended = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let stopped = async { drop(stopped.await) };
            let result = runtime.block_on(daemon::run(options, &places, false, stopped));
            has_ended.store(true, Ordering::Relaxed);
            gauge.end();
            Ok(result?)
        });
        let daemon = Self { stop, thread };
        let connection = file.connect_to_read()?;
        while claim::owner(file, &connection)?.is_none() {
            if ended.load(Ordering::Relaxed) {
                daemon.finish()?;
                return Err(DemoError::Ended);
            }
            thread::sleep(POLL_EVERY);
        }
        Ok(daemon)
    }

    /// Stops the daemon after it has committed what it has read.
    ///
    /// # Errors
    /// The error of the daemon, if it failed at any time.
    pub(super) fn finish(self) -> Result<(), DemoError> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
