//! From arguments to the parameters of the measurements.

use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

use watchtower_model::ViewSet;

use super::{AlertsArgs, EngineArgs, GeofenceEditArgs, KernelArgs, LateArgs, MemoryArgs, WorkloadArg};
#[cfg(unix)]
use super::{DrainArgs, LiveArgs, RestartArgs, ServerArgs};
use crate::engine::Source;
#[cfg(unix)]
use crate::loader::Shape;
use crate::memory::MemoryPart;
#[cfg(unix)]
use crate::stage::{Setup, Urls};
use crate::{alerts, engine, geofence_edit, kernel, late, memory};
#[cfg(unix)]
use crate::{drain, live, restart};
#[cfg(unix)]
use watchtower_log::ClockSource;

impl KernelArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> kernel::Options {
        let data = std::env::var_os("WATCHTOWER_DATA").map(PathBuf::from);
        kernel::Options { geofences: self.geofences.clone(), data }
    }
}

impl EngineArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> engine::Options {
        let workloads = match (&self.events_csv, &self.geofences) {
            (Some(events), Some(geofences)) => {
                vec![Source::Files { events: events.clone(), geofences: geofences.clone() }]
            }
            (None, _) | (_, None) => self.workload.iter().copied().map(Source::from).collect(),
        };
        let workers = self.workers.iter().copied().map(usize::from).collect();
        let views = self.views.iter().copied().map(ViewSet::from).collect();
        engine::Options { workloads, views, workers, epoch: self.epoch as usize, postgis: self.postgis }
    }
}

#[cfg(unix)]
impl ServerArgs {
    /// URLs of the servers to use.
    pub fn urls(&self) -> Urls {
        Urls { redis: self.redis.clone(), postgres: self.postgres.clone() }
    }

    /// Setup of the daemon, with one checkpoint per minute.
    pub fn setup(&self, archive: bool) -> Setup {
        let (checkpoints, log_keep) = (Duration::from_secs(60), Duration::from_secs(3600));
        let (views, workers) = (self.views.into(), self.workers.into());
        Setup { views, workers, archive, checkpoints, log_keep, clock: ClockSource::Wall }
    }
}

#[cfg(unix)]
impl DrainArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> drain::Options {
        let shapes = self.format.iter().map(|&format| Shape { format: format.into(), batch: self.batch }).collect();
        drain::Options { shapes, setup: self.servers.setup(false), urls: self.servers.urls() }
    }
}

#[cfg(unix)]
impl LiveArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> live::Options {
        live::Options {
            rates: self.rate.clone(),
            seconds: self.seconds,
            shape: Shape { format: self.format.into(), batch: self.batch },
            setup: self.servers.setup(self.archive),
            urls: self.servers.urls(),
        }
    }
}

impl GeofenceEditArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> geofence_edit::Options {
        geofence_edit::Options {
            rate: self.rate,
            seconds: self.seconds,
            views: self.views.into(),
            workers: self.workers.into(),
        }
    }
}

impl AlertsArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> alerts::Options {
        alerts::Options { rules: self.rules, workers: self.workers.into(), epoch: self.epoch as usize }
    }
}

impl LateArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> late::Options {
        late::Options {
            percents: self.percent.clone(),
            views: self.views.into(),
            workers: self.workers.into(),
            epoch: self.epoch as usize,
        }
    }
}

#[cfg(unix)]
impl RestartArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> restart::Options {
        restart::Options {
            vehicles: self.vehicles,
            positions: self.positions as usize,
            setup: self.servers.setup(false),
            urls: self.servers.urls(),
        }
    }
}

impl MemoryArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> memory::Options {
        memory::Options { views: self.views.into(), epochs: self.epochs as usize }
    }

    /// The part that this process measures, if a parent process started it.
    pub(crate) fn part(&self) -> Option<MemoryPart> {
        self.part
    }
}

impl From<WorkloadArg> for Source {
    fn from(workload: WorkloadArg) -> Self {
        match workload {
            WorkloadArg::W => Self::W,
            WorkloadArg::Realistic => Self::Realistic,
        }
    }
}
