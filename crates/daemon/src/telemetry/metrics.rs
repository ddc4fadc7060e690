//! The metrics of the daemon: their names, what they mean, and a function to set each.
//!
//! They are set once an epoch or commit, never once an event.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use watchtower_model::Millis;
use watchtower_store::Backend;

use watchtower_core::events::Reason;

/// How far a stream's newest entry is ahead of what is committed.
pub const LAG_SECONDS: &str = "watchtower_lag_seconds";
/// How many entries of a stream are not committed.
pub const LAG_ENTRIES: &str = "watchtower_lag_entries";
/// Entries of a stream that were found to be lost.
pub const LOST_ENTRIES: &str = "watchtower_lost_entries";
/// Events read.
pub const EVENTS_TOTAL: &str = "watchtower_events_total";
/// Events refused.
pub const REJECTED_TOTAL: &str = "watchtower_rejected_total";
/// Epochs computed.
pub const EPOCHS_TOTAL: &str = "watchtower_epochs_total";
/// How long an epoch takes to compute.
pub const EPOCH_SECONDS: &str = "watchtower_epoch_seconds";
/// How long a commit takes.
pub const COMMIT_SECONDS: &str = "watchtower_commit_seconds";
/// Commits.
pub const COMMITS_TOTAL: &str = "watchtower_commits_total";
/// The number of the last commit.
pub const COMMIT_SEQ: &str = "watchtower_commit_seq";
/// From the arrival of an entry in Redis to the commit that holds it.
pub const EVENT_TO_COMMIT_SECONDS: &str = "watchtower_event_to_commit_seconds";
/// Rows written.
pub const ROWS_WRITTEN_TOTAL: &str = "watchtower_rows_written_total";
/// Times that a track was folded again from an earlier position.
pub const REWINDS_TOTAL: &str = "watchtower_rewinds_total";
/// Positions that were folded again.
pub const REWOUND_POSITIONS_TOTAL: &str = "watchtower_rewound_positions_total";
/// Positions in memory.
pub const RETAINED_POSITIONS: &str = "watchtower_retained_positions";
/// Vehicles in memory.
pub const VEHICLES: &str = "watchtower_vehicles";
/// Records in an arrangement.
pub const ARRANGEMENT_RECORDS: &str = "watchtower_arrangement_records";
/// Groups of an aggregate in memory.
pub const GROUPS: &str = "watchtower_groups";
/// Bytes that they take, about.
pub const GROUP_BYTES: &str = "watchtower_group_bytes";
/// Changes to groups that had left memory: rows that are wrong. There should be none.
pub const GROUP_LATE_UPDATES: &str = "watchtower_group_late_updates";
/// Epochs that are submitted but not committed.
pub const EPOCHS_IN_FLIGHT: &str = "watchtower_epochs_in_flight";
/// Bytes of entries that are read but not committed.
pub const BYTES_IN_FLIGHT: &str = "watchtower_bytes_in_flight";
/// Times that a connection had to be made again.
pub const RECONNECTS_TOTAL: &str = "watchtower_reconnects_total";
/// The log's own time.
pub const NOW_SECONDS: &str = "watchtower_now_seconds";

/// Upper bounds of the buckets of all histograms, in seconds: half a millisecond to a minute.
pub const BUCKETS_S: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A server that the daemon depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// Where events come from.
    Redis,
    /// Where tables go.
    Postgres,
    /// The one file that holds everything.
    File,
}

/// The process collects metrics already, or not at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot collect metrics")]
pub struct MetricsError(#[from] BuildError);

/// Begins to collect the metrics of the process. The handle renders them.
///
/// # Errors
/// If the process collects metrics already.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    let handle = builder()?.install_recorder()?;
    describe();
    Ok(handle)
}

/// What renders the metrics, before it is installed anywhere: for tests.
///
/// # Errors
/// Never, as long as there are buckets.
pub fn builder() -> Result<PrometheusBuilder, MetricsError> {
    Ok([EPOCH_SECONDS, COMMIT_SECONDS, EVENT_TO_COMMIT_SECONDS]
        .into_iter()
        .try_fold(PrometheusBuilder::new(), |builder, name| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &BUCKETS_S)
        })?)
}

/// Says what each metric means, and begins those counters that can be begun at 0: what appears only
/// with its first increment has no rate then.
pub fn describe() {
    use Unit::{Count, Seconds};
    describe_gauge!(LAG_SECONDS, Seconds, "time from the last committed entry of a stream to its newest");
    describe_gauge!(LAG_ENTRIES, Count, "entries of a stream that are not committed");
    describe_gauge!(LOST_ENTRIES, Count, "entries of a stream that are known to be lost; the daemon has halted");
    describe_counter!(EVENTS_TOTAL, Count, "events read from a stream, refused ones included");
    describe_counter!(REJECTED_TOTAL, Count, "events refused, by reason");
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
    describe_gauge!(GROUP_BYTES, Unit::Bytes, "bytes that the groups take, about, by aggregate");
    describe_gauge!(GROUP_LATE_UPDATES, Count, "changes to groups that had left memory: rows that are wrong; always 0");
    describe_gauge!(EPOCHS_IN_FLIGHT, Count, "epochs that are submitted but not committed");
    describe_gauge!(BYTES_IN_FLIGHT, Unit::Bytes, "bytes that were read and are not committed, as redis sent them");
    describe_counter!(RECONNECTS_TOTAL, Count, "times that a connection was made again, by server");
    describe_gauge!(NOW_SECONDS, Seconds, "the log's own time, since 1970");
    for name in [EPOCHS_TOTAL, COMMITS_TOTAL, REWINDS_TOTAL, REWOUND_POSITIONS_TOTAL] {
        counter!(name).absolute(0);
    }
    Reason::ALL.into_iter().for_each(|reason| rejected(reason, 0));
    [Dependency::Redis, Dependency::Postgres].into_iter().for_each(|server| reconnects(server, 0));
}

/// How far the newest entry of a stream is ahead of what is committed: time, and entries.
pub fn set_lag(stream: &str, behind: Duration, entries: u64) {
    gauge!(LAG_SECONDS, "stream" => stream.to_owned()).set(behind.as_secs_f64());
    gauge!(LAG_ENTRIES, "stream" => stream.to_owned()).set(entries as f64);
}

/// So many entries of a stream are known to be lost.
pub fn set_lost(stream: &str, entries: u64) {
    gauge!(LOST_ENTRIES, "stream" => stream.to_owned()).set(entries as f64);
}

/// Events were read from a stream.
pub fn events(stream: &str, count: u64) {
    counter!(EVENTS_TOTAL, "stream" => stream.to_owned()).increment(count);
}

/// Events were refused.
pub fn rejected(reason: Reason, count: u64) {
    counter!(REJECTED_TOTAL, "reason" => reason.as_str()).increment(count);
}

/// An epoch was computed.
pub fn epoch(took: Duration) {
    counter!(EPOCHS_TOTAL).increment(1);
    histogram!(EPOCH_SECONDS).record(took);
}

/// A commit was made, and this is its number.
pub fn commit(took: Duration, commit_seq: u64) {
    counter!(COMMITS_TOTAL).increment(1);
    histogram!(COMMIT_SECONDS).record(took);
    gauge!(COMMIT_SEQ).set(commit_seq as f64);
}

/// An entry that had arrived so long ago was committed.
pub fn event_to_commit(took: Duration) {
    histogram!(EVENT_TO_COMMIT_SECONDS).record(took);
}

/// Rows of a table were written.
pub fn rows_written(table: &'static str, count: u64) {
    counter!(ROWS_WRITTEN_TOTAL, "table" => table).increment(count);
}

/// Tracks were rewound so many times, over so many positions in all.
pub fn rewinds(count: u64, positions: u64) {
    counter!(REWINDS_TOTAL).increment(count);
    counter!(REWOUND_POSITIONS_TOTAL).increment(positions);
}

/// So many vehicles are in memory, with so many positions.
pub fn set_retained(vehicles: u64, positions: u64) {
    gauge!(VEHICLES).set(vehicles as f64);
    gauge!(RETAINED_POSITIONS).set(positions as f64);
}

/// An arrangement holds so many records.
pub fn set_arrangement_records(arrangement: &'static str, records: u64) {
    gauge!(ARRANGEMENT_RECORDS, "arrangement" => arrangement).set(records as f64);
}

/// An aggregate has so many groups in memory, which take so many bytes; so many changes came too late for
/// theirs.
pub fn set_groups(aggregate: &'static str, groups: u64, bytes: u64, late_updates: u64) {
    gauge!(GROUPS, "aggregate" => aggregate).set(groups as f64);
    gauge!(GROUP_BYTES, "aggregate" => aggregate).set(bytes as f64);
    gauge!(GROUP_LATE_UPDATES, "aggregate" => aggregate).set(late_updates as f64);
}

/// So many epochs are submitted but not committed.
pub fn set_epochs_in_flight(epochs: u64) {
    gauge!(EPOCHS_IN_FLIGHT).set(epochs as f64);
}

/// So many bytes are read but not committed.
pub fn set_bytes_in_flight(bytes: u64) {
    gauge!(BYTES_IN_FLIGHT).set(bytes as f64);
}

/// Connections to a server were made again.
pub fn reconnects(server: Dependency, count: u64) {
    counter!(RECONNECTS_TOTAL, "server" => server.as_str()).increment(count);
}

/// The log's own time.
pub fn set_now(now: Millis) {
    gauge!(NOW_SECONDS).set(now as f64 / 1000.0);
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
    /// The word for it in metrics.
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

    /// What is rendered after `set`.
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
