//! The metrics of the daemon: names, descriptions, and a function to set each.
//!
//! They are set once per epoch or commit, never per event.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use watchtower_model::Millis;
use watchtower_store::Backend;

use watchtower_core::events::Reason;

/// Gauge, seconds: age of a stream's newest entry beyond the last committed one.
pub const LAG_SECONDS: &str = "watchtower_lag_seconds";
/// Gauge: entries of a stream that are not committed.
pub const LAG_ENTRIES: &str = "watchtower_lag_entries";
/// Gauge: entries of a stream that were found to be lost.
pub const LOST_ENTRIES: &str = "watchtower_lost_entries";
/// Counter: events read, by stream.
pub const EVENTS_TOTAL: &str = "watchtower_events_total";
/// Counter: events rejected, by reason.
pub const REJECTED_TOTAL: &str = "watchtower_rejected_total";
/// Counter: epochs computed.
pub const EPOCHS_TOTAL: &str = "watchtower_epochs_total";
/// Histogram, seconds: computing an epoch.
pub const EPOCH_SECONDS: &str = "watchtower_epoch_seconds";
/// Histogram, seconds: duration of a commit.
pub const COMMIT_SECONDS: &str = "watchtower_commit_seconds";
/// Counter: transactions committed.
pub const COMMITS_TOTAL: &str = "watchtower_commits_total";
/// Gauge: number of the last commit.
pub const COMMIT_SEQ: &str = "watchtower_commit_seq";
/// Histogram, seconds: from the arrival of an entry in Redis to its commit.
pub const EVENT_TO_COMMIT_SECONDS: &str = "watchtower_event_to_commit_seconds";
/// Counter: rows written, by table.
pub const ROWS_WRITTEN_TOTAL: &str = "watchtower_rows_written_total";
/// Counter: tracks computed again from an earlier position.
pub const REWINDS_TOTAL: &str = "watchtower_rewinds_total";
/// Counter: positions computed again.
pub const REWOUND_POSITIONS_TOTAL: &str = "watchtower_rewound_positions_total";
/// Gauge: positions in memory.
pub const RETAINED_POSITIONS: &str = "watchtower_retained_positions";
/// Gauge: vehicles in memory.
pub const VEHICLES: &str = "watchtower_vehicles";
/// Gauge: records in an arrangement.
pub const ARRANGEMENT_RECORDS: &str = "watchtower_arrangement_records";
/// Gauge: groups of an aggregate in memory.
pub const GROUPS: &str = "watchtower_groups";
/// Gauge, bytes: approximate memory of the groups of an aggregate.
pub const GROUP_BYTES: &str = "watchtower_group_bytes";
/// Counter: changes to groups that had left memory, each of which makes a row wrong. Expected to stay 0.
pub const GROUP_LATE_UPDATES: &str = "watchtower_group_late_updates";
/// Gauge: epochs submitted but not committed.
pub const EPOCHS_IN_FLIGHT: &str = "watchtower_epochs_in_flight";
/// Gauge, bytes: entries read but not committed.
pub const BYTES_IN_FLIGHT: &str = "watchtower_bytes_in_flight";
/// Counter: connections made again, by server.
pub const RECONNECTS_TOTAL: &str = "watchtower_reconnects_total";
/// Gauge, seconds since 1970: log time.
pub const NOW_SECONDS: &str = "watchtower_now_seconds";

/// Upper bounds of the buckets of all histograms, seconds: half a millisecond to a minute.
pub const BUCKETS_S: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A server that the daemon depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// The source of events.
    Redis,
    /// The store of tables.
    Postgres,
    /// The GeoPackage of the embedded mode, both source and store.
    File,
}

/// The process already collects metrics, or the recorder cannot be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot collect metrics")]
pub struct MetricsError(#[from] BuildError);

/// The recorder of the process, once it is installed.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Installs the recorder of the process, unless it is installed. The handle renders the metrics.
///
/// # Errors
/// If the process collects metrics in another way.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = builder()?.install_recorder()?;
    *installed = Some(handle.clone());
    Ok(handle)
}

/// The recorder before it is installed, for tests.
///
/// # Errors
/// Never: fails only without buckets.
pub fn builder() -> Result<PrometheusBuilder, MetricsError> {
    Ok(PrometheusBuilder::new().set_buckets(&BUCKETS_S)?)
}

/// Registers the descriptions of all metrics, and sets the counters without labels to 0: a counter that first appears
/// with an increment has no rate for it.
pub fn describe() {
    use Unit::{Count, Seconds};
    describe_gauge!(LAG_SECONDS, Seconds, "time from the last committed entry of a stream to its newest");
    describe_gauge!(LAG_ENTRIES, Count, "entries of a stream that are not committed");
    describe_gauge!(LOST_ENTRIES, Count, "entries of a stream that are known to be lost; the daemon has halted");
    describe_counter!(EVENTS_TOTAL, Count, "events read from a stream, rejected ones included");
    describe_counter!(REJECTED_TOTAL, Count, "events rejected, by reason");
    describe_counter!(EPOCHS_TOTAL, Count, "epochs computed");
    describe_histogram!(EPOCH_SECONDS, Seconds, "time from submitting an epoch until its changes are known");
    describe_histogram!(COMMIT_SECONDS, Seconds, "duration of a commit");
    describe_counter!(COMMITS_TOTAL, Count, "commits");
    describe_gauge!(COMMIT_SEQ, Count, "number of the last commit");
    describe_histogram!(EVENT_TO_COMMIT_SECONDS, Seconds, "time from an entry's arrival in redis to its commit");
    describe_counter!(ROWS_WRITTEN_TOTAL, Count, "rows inserted, updated or deleted, by table");
    describe_counter!(REWINDS_TOTAL, Count, "times that a track was computed again from an earlier position");
    describe_counter!(REWOUND_POSITIONS_TOTAL, Count, "positions that were computed again");
    describe_gauge!(RETAINED_POSITIONS, Count, "positions in memory");
    describe_gauge!(VEHICLES, Count, "vehicles in memory");
    describe_gauge!(ARRANGEMENT_RECORDS, Count, "records in memory, by arrangement");
    describe_gauge!(GROUPS, Count, "groups in memory, by aggregate");
    describe_gauge!(GROUP_BYTES, Unit::Bytes, "approximate memory of the groups, by aggregate");
    describe_gauge!(
        GROUP_LATE_UPDATES,
        Count,
        "changes to groups that had left memory, each a wrong row; expected to stay 0"
    );
    describe_gauge!(EPOCHS_IN_FLIGHT, Count, "epochs that are submitted but not committed");
    describe_gauge!(
        BYTES_IN_FLIGHT,
        Unit::Bytes,
        "bytes of entries that are read but not committed, as redis sent them"
    );
    describe_counter!(RECONNECTS_TOTAL, Count, "connections made again, by server");
    describe_gauge!(NOW_SECONDS, Seconds, "log time, since 1970");
    for name in [EPOCHS_TOTAL, COMMITS_TOTAL, REWINDS_TOTAL, REWOUND_POSITIONS_TOTAL] {
        counter!(name).absolute(0);
    }
    Reason::ALL.into_iter().for_each(|reason| rejected(reason, 0));
    [Dependency::Redis, Dependency::Postgres].into_iter().for_each(|server| reconnects(server, 0));
}

/// Sets the lag of a stream: time and entries between the last committed entry and the newest one.
pub fn set_lag(stream: &str, behind: Duration, entries: u64) {
    gauge!(LAG_SECONDS, "stream" => stream.to_owned()).set(behind.as_secs_f64());
    gauge!(LAG_ENTRIES, "stream" => stream.to_owned()).set(entries as f64);
}

/// Sets the number of entries of a stream that are known to be lost.
pub fn set_lost(stream: &str, entries: u64) {
    gauge!(LOST_ENTRIES, "stream" => stream.to_owned()).set(entries as f64);
}

/// Counts events read from a stream.
pub fn events(stream: &str, count: u64) {
    counter!(EVENTS_TOTAL, "stream" => stream.to_owned()).increment(count);
}

/// Counts rejected events.
pub fn rejected(reason: Reason, count: u64) {
    counter!(REJECTED_TOTAL, "reason" => reason.as_str()).increment(count);
}

/// Records an epoch with the time it took.
pub fn epoch(took: Duration) {
    counter!(EPOCHS_TOTAL).increment(1);
    histogram!(EPOCH_SECONDS).record(took);
}

/// Records a commit with its duration and number.
pub fn commit(took: Duration, commit_seq: u64) {
    counter!(COMMITS_TOTAL).increment(1);
    histogram!(COMMIT_SECONDS).record(took);
    gauge!(COMMIT_SEQ).set(commit_seq as f64);
}

/// Records the time from an entry's arrival to its commit.
pub fn event_to_commit(took: Duration) {
    histogram!(EVENT_TO_COMMIT_SECONDS).record(took);
}

/// Counts written rows of a table.
pub fn rows_written(table: &'static str, count: u64) {
    counter!(ROWS_WRITTEN_TOTAL, "table" => table).increment(count);
}

/// Counts rewinds of tracks, and the positions computed again.
pub fn rewinds(count: u64, positions: u64) {
    counter!(REWINDS_TOTAL).increment(count);
    counter!(REWOUND_POSITIONS_TOTAL).increment(positions);
}

/// Sets the numbers of vehicles and positions in memory.
pub fn set_retained(vehicles: u64, positions: u64) {
    gauge!(VEHICLES).set(vehicles as f64);
    gauge!(RETAINED_POSITIONS).set(positions as f64);
}

/// Sets the number of records in an arrangement.
pub fn set_arrangement_records(arrangement: &'static str, records: u64) {
    gauge!(ARRANGEMENT_RECORDS, "arrangement" => arrangement).set(records as f64);
}

/// Sets the number of groups of an aggregate in memory, their approximate bytes, and the changes that came after their
/// group had left memory.
pub fn set_groups(aggregate: &'static str, groups: u64, bytes: u64, late_updates: u64) {
    gauge!(GROUPS, "aggregate" => aggregate).set(groups as f64);
    gauge!(GROUP_BYTES, "aggregate" => aggregate).set(bytes as f64);
    gauge!(GROUP_LATE_UPDATES, "aggregate" => aggregate).set(late_updates as f64);
}

/// Sets the number of epochs submitted but not committed.
pub fn set_epochs_in_flight(epochs: u64) {
    gauge!(EPOCHS_IN_FLIGHT).set(epochs as f64);
}

/// Sets the number of bytes read but not committed.
pub fn set_bytes_in_flight(bytes: u64) {
    gauge!(BYTES_IN_FLIGHT).set(bytes as f64);
}

/// Counts reconnections to a server.
pub fn reconnects(server: Dependency, count: u64) {
    counter!(RECONNECTS_TOTAL, "server" => server.as_str()).increment(count);
}

/// Sets the gauge of log time; epoch milliseconds.
pub fn set_now(now: Millis) {
    gauge!(NOW_SECONDS).set(now as f64 / 1000.0);
}

impl From<watchtower_log::Backend> for Dependency {
    fn from(backend: watchtower_log::Backend) -> Self {
        match backend {
            watchtower_log::Backend::Redis => Self::Redis,
            watchtower_log::Backend::File => Self::File,
        }
    }
}

impl From<Backend> for Dependency {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Postgres => Self::Postgres,
            Backend::File => Self::File,
        }
    }
}

impl Dependency {
    /// The value of the label `server`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::File => "file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rendered metrics after `set`.
    fn rendered(set: impl FnOnce()) -> String {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            set();
        });
        recorder.handle().render()
    }

    #[test]
    fn every_metric_is_described_and_rendered_under_its_name() {
        let text = rendered(|| {
            set_lag("wt:lagos:events:0", Duration::from_millis(1500), 12);
            set_lost("wt:lagos:events:0", 3);
            events("wt:lagos:events:0", 64);
            rejected(Reason::Late, 3);
            epoch(Duration::from_micros(700));
            commit(Duration::from_millis(4), 17);
            event_to_commit(Duration::from_millis(30));
            rows_written("visits", 5);
            rewinds(2, 130);
            set_retained(84, 9000);
            set_arrangement_records("occupancy", 26);
            set_groups("vehicle_daily", 3, 1200, 0);
            set_epochs_in_flight(1);
            set_bytes_in_flight(640);
            reconnects(Dependency::Postgres, 1);
            set_now(1_795_413_600_500);
        });
        for line in [
            "watchtower_lag_seconds{stream=\"wt:lagos:events:0\"} 1.5",
            "watchtower_lag_entries{stream=\"wt:lagos:events:0\"} 12",
            "watchtower_lost_entries{stream=\"wt:lagos:events:0\"} 3",
            "watchtower_events_total{stream=\"wt:lagos:events:0\"} 64",
            "watchtower_rejected_total{reason=\"late\"} 3",
            "watchtower_rejected_total{reason=\"future\"} 0",
            "watchtower_epochs_total 1",
            "watchtower_epoch_seconds_bucket{le=\"0.0005\"} 0",
            "watchtower_epoch_seconds_bucket{le=\"0.001\"} 1",
            "watchtower_epoch_seconds_bucket{le=\"60\"} 1",
            "watchtower_commit_seconds_sum 0.004",
            "watchtower_commits_total 1",
            "watchtower_commit_seq 17",
            "watchtower_event_to_commit_seconds_count 1",
            "watchtower_rows_written_total{table=\"visits\"} 5",
            "watchtower_rewinds_total 2",
            "watchtower_rewound_positions_total 130",
            "watchtower_retained_positions 9000",
            "watchtower_vehicles 84",
            "watchtower_arrangement_records{arrangement=\"occupancy\"} 26",
            "watchtower_groups{aggregate=\"vehicle_daily\"} 3",
            "watchtower_group_bytes{aggregate=\"vehicle_daily\"} 1200",
            "watchtower_group_late_updates{aggregate=\"vehicle_daily\"} 0",
            "watchtower_epochs_in_flight 1",
            "watchtower_bytes_in_flight 640",
            "watchtower_reconnects_total{server=\"postgres\"} 1",
            "watchtower_reconnects_total{server=\"redis\"} 0",
            "watchtower_now_seconds 1795413600.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let helps = text.lines().filter(|line| line.starts_with("# HELP")).count();
        let types = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!((helps, types), (24, 24), "{text}");
    }

    #[test]
    fn counters_begin_at_0() {
        let text = rendered(|| {});
        for line in ["watchtower_epochs_total 0", "watchtower_rejected_total{reason=\"malformed\"} 0"] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn buckets_rise() {
        assert!(BUCKETS_S.is_sorted_by(|a, b| a < b));
    }
}
