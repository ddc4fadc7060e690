//! What is accepted of them: one bad row costs itself, live, published and replayed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchtower_log::file::{Appender, Batch};

use crate::support::daemon::wait_until;
use crate::support::data_dir;
use crate::support::file::OneFile;

/// The folder of inputs, if it is there.
fn field() -> Option<PathBuf> {
    let folder = data_dir()?.join("field");
    if !folder.is_dir() {
        println!("left out: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

/// A table of a replay, its rows split at commas.
fn table(folder: &Path, name: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join(format!("{name}.csv"))).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// The tables that files come to.
fn replay(positions: &[PathBuf], geofences: &[PathBuf], more: &[&str]) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command.arg("replay").arg("--out").arg(out.path()).args(["--now", "2026-11-30T08:00:00Z"]).args(more);
    command.arg("--positions").args(positions);
    if !geofences.is_empty() {
        command.arg("--geofences").args(geofences);
    }
    let output = command.output().unwrap();
    // 1 if something was refused, which is for the test to say.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

/// How many rows were refused, by reason.
fn refused(folder: &Path) -> BTreeMap<String, usize> {
    let mut refused = BTreeMap::new();
    table(folder, "rejected_events").iter().for_each(|row| *refused.entry(row["reason"].clone()).or_default() += 1);
    refused
}

fn counts(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

/// A file, how many of its rows are refused and why, and how many are accepted.
type Rows = (&'static str, &'static [(&'static str, usize)], usize);

/// What becomes of the rows of files.
const ROWS: [Rows; 4] = [
    ("future-row.csv", &[("future", 1)], 19),
    ("future-nextday.csv", &[], 20),
    ("rollover.csv", &[("isolated_time", 2)], 18),
    ("factory.csv", &[], 21),
];

#[test]
fn a_bad_row_of_a_file_costs_itself() {
    let Some(field) = field() else { return };
    for (name, expected, accepted) in &ROWS {
        let out = replay(&[field.join(name)], &[], &[]);
        assert_eq!(refused(out.path()), counts(expected), "{name}");
        assert_eq!(table(out.path(), "positions").len(), *accepted, "{name}");
    }
}

#[test]
fn zeros_are_refused_unless_they_are_wanted() {
    let Some(field) = field() else { return };
    for name in ["zero-coldstart.csv", "zero-single.csv"] {
        let text = std::fs::read_to_string(field.join(name)).unwrap();
        let zeros = text.lines().filter(|line| line.contains("Z,0,0,") || line.contains("Z,0.0,0.0,")).count();
        assert!(zeros > 0, "{name}");
        let out = replay(&[field.join(name)], &[], &[]);
        assert_eq!(refused(out.path()), counts(&[("null_island", zeros)]), "{name}");
        let config = out.path().join("old.toml");
        std::fs::write(&config, "pipeline = \"lagos\"\n[rules]\nrefuse_zero = false\nisolated_after = \"0s\"\n")
            .unwrap();
        let all = replay(&[field.join(name)], &[], &["--config", config.to_str().unwrap()]);
        assert_eq!(refused(all.path()), counts(&[]), "{name}");
    }
    let out = replay(&[field.join("zero-single.csv")], &[field.join("zone.geojson")], &[]);
    let visits = table(out.path(), "visits");
    let times: Vec<_> = visits.iter().map(|row| (row["entered_at"].as_str(), row["exited_at"].as_str())).collect();
    assert_eq!(times, [("2026-11-20T06:15:00.000Z", "2026-11-20T06:26:00.000Z")], "one visit, not split");
}

#[test]
fn a_receiver_that_lost_1024_weeks_makes_no_visit_of_20_years() {
    let Some(field) = field() else { return };
    let out = replay(&[field.join("rollover-depot.csv")], &[field.join("rollover-depot.geojson")], &[]);
    assert_eq!(refused(out.path()).into_keys().collect::<Vec<_>>(), ["isolated_time"]);
    let visits = table(out.path(), "visits");
    let times: Vec<_> = visits.iter().map(|row| (row["entered_at"].as_str(), row["exited_at"].as_str())).collect();
    assert_eq!(times, [("2026-11-20T06:00:00.000Z", "2026-11-20T06:40:00.000Z")]);
}

#[test]
fn a_depot_across_the_antimeridian_is_where_it_was_drawn() {
    let Some(field) = field() else { return };
    for depot in ["antimeridian-uncut.geojson", "antimeridian-cut.geojson"] {
        let out =
            replay(&[field.join("antimeridian.csv"), field.join("antimeridian-far.csv")], &[field.join(depot)], &[]);
        let visits = table(out.path(), "visits");
        assert!(!visits.is_empty(), "{depot}");
        // One file also has a circle of the same extent.
        for visit in &visits {
            let times = (visit["entered_at"].as_str(), visit["exited_at"].as_str());
            assert_eq!(times, ("2026-11-20T06:04:00.000Z", "2026-11-20T06:11:00.000Z"), "{depot}");
        }
    }
}

/// Rows of two vehicles in the last ten minutes; one of A is five years ahead, one of B 1 024 weeks behind.
fn live_rows(now: i64) -> Vec<(&'static str, i64, f64)> {
    const DAY: i64 = 86_400_000;
    let at = |i: i64, vehicle| {
        let astray = match (i, vehicle) {
            (4, "A") => 1_800 * DAY,
            (4, _) => -7_168 * DAY,
            _ => 0,
        };
        (vehicle, (now - (10 - i) * 60_000 + astray) / 1_000 * 1_000, 3.36 + i as f64 * 0.003)
    };
    (0..10).flat_map(|i| ["A", "B"].map(|vehicle| at(i, vehicle))).collect()
}

/// A file whose daemon's clock is this one; waits until it has taken so many events.
fn taken_live(clock: &str, events: i64, send: impl FnOnce(&OneFile)) -> OneFile {
    let one = OneFile::new(1, "");
    let config = std::fs::read_to_string(one.config()).unwrap();
    std::fs::write(one.config(), config.replace("source = \"log\"", &format!("source = \"{clock}\""))).unwrap();
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    send(&one);
    let sql = "SELECT (SELECT count(*) FROM positions) + (SELECT coalesce(sum(events), 0) FROM rejected_counts)";
    wait_until("every row is accepted or refused", || one.number(sql) == Some(events));
    assert!(daemon.stop().success());
    one
}

/// How many events were refused, by reason.
fn rejected(one: &OneFile) -> BTreeMap<String, usize> {
    let connection = one.connection();
    let mut statement = connection.prepare("SELECT reason, count(*) FROM rejected_events GROUP BY reason").unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Publishes rows of vehicle, time and longitude with the command; some are refused.
fn publish(one: &OneFile, name: &str, rows: &[(&str, i64, f64)]) {
    let lines = rows.iter().map(|(vehicle, ts, lon)| format!("{vehicle},{ts},{lon:.3},6.5\n"));
    let csv = one.beside(name);
    std::fs::write(&csv, format!("vehicle_id,ts,lon,lat\n{}", lines.collect::<String>())).unwrap();
    let output = one.run("publish", &["--positions", csv.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

fn append(one: &OneFile, rows: &[(&str, i64, f64)], received_at: Option<i64>) {
    let mut batch = Batch::default();
    for (vehicle, ts, lon) in rows {
        let (ts, lon, received_at) = (ts.to_string(), lon.to_string(), received_at.map(|at| at.to_string()));
        let texts = [("type", "position"), ("vehicle_id", vehicle), ("ts", &ts), ("lon", &lon), ("lat", "6.5")];
        let said = received_at.as_ref().map(|at| ("received_at", at.as_str()));
        let fields: Vec<_> =
            texts.into_iter().chain(said).map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        batch.push(0, None, &fields);
    }
    Appender::open(&one.file(), None).unwrap().append(&batch).unwrap();
}

#[test]
fn a_bad_row_of_today_costs_itself_published_and_appended() {
    let now = jiff::Timestamp::now().as_millisecond();
    let rows = live_rows(now);
    let published = taken_live("wall", 20, |one| publish(one, "live.csv", &rows));
    assert_eq!(rejected(&published), counts(&[("future", 1), ("isolated_time", 1)]));
    // A producer that is wrong about arrivals: by the machine's clock nothing arrives after its entry.
    for said in [None, Some(now + 1_801 * 86_400_000)] {
        let appended = taken_live("wall", 20, |one| append(one, &rows, said));
        assert_eq!(rejected(&appended), counts(&[("future", 1), ("horizon", 1)]), "received_at {said:?}");
    }
    let by_the_log = taken_live("log", 20, |one| append(one, &rows, None));
    assert_eq!(rejected(&by_the_log), counts(&[("future", 1), ("horizon", 1)]));
}

#[test]
fn what_a_producer_refuses_is_kept_with_its_bytes() {
    let now = jiff::Timestamp::now().as_millisecond();
    let rows = live_rows(now);
    let one = taken_live("log", 20, |one| publish(one, "live.csv", &rows));
    let connection = one.connection();
    let mut statement = connection.prepare("SELECT reason, event FROM rejected_events ORDER BY reason").unwrap();
    let kept = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let kept: Vec<(String, Vec<u8>)> = kept.map(Result::unwrap).collect();
    let line = |i: usize| format!("{},{},{:.3},6.5", rows[i].0, rows[i].1, rows[i].2).into_bytes();
    assert_eq!(kept, [("future".to_owned(), line(8)), ("isolated_time".to_owned(), line(9))]);
}

#[test]
fn the_day_after_a_row_from_the_future_nothing_is_refused() {
    let Some(field) = field() else { return };
    let one = OneFile::new(1, "");
    for (name, code) in [("future-row.csv", 1), ("future-nextday.csv", 0)] {
        let path = field.join(name);
        let output = one.run("publish", &["--positions", path.to_str().unwrap(), "--now", "2026-11-30T08:00:00Z"]);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    wait_until("all is accepted but one", || one.number("SELECT count(*) FROM positions") == Some(39));
    assert!(daemon.stop().success());
    assert_eq!(rejected(&one), counts(&[("future", 1)]));
}

#[test]
fn a_file_sorted_by_vehicle_is_delivered_in_order_of_time() {
    const HOUR: i64 = 3_600_000;
    let one = OneFile::new(1, "");
    let start = 1_794_000_000_000;
    let rows = ["A", "B", "C"].into_iter().flat_map(|vehicle| (0..600).map(move |i| (vehicle, start + i * HOUR)));
    let lines: String = rows.map(|(vehicle, ts)| format!("{vehicle},{ts},3.4,6.5\n")).collect();
    let csv = one.beside("sorted.csv");
    std::fs::write(&csv, format!("vehicle_id,ts,lon,lat\n{lines}")).unwrap();
    let output = one.run("publish", &["--positions", csv.to_str().unwrap(), "--now", "2026-12-30T08:00:00Z"]);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && notes.contains("everything was delivered in order of ts"), "{notes}");
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    wait_until("all is accepted", || one.number("SELECT count(*) FROM positions") == Some(1_800));
    assert!(daemon.stop().success());
    assert_eq!(rejected(&one), counts(&[]));
}

#[test]
fn a_pipe_is_read_twice_through_a_copy() {
    let out = tempfile::tempdir().unwrap();
    let rows: String = (0..9).map(|i| format!("A,2026-11-20T06:0{i}:00Z,3.4,6.5\n")).collect();
    let csv = format!("vehicle_id,ts,lon,lat\n{rows}A,2007-04-06T06:00:00Z,3.4,6.5\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command.args(["replay", "--positions", "/dev/stdin", "--now", "2026-11-30T08:00:00Z", "--out"]).arg(out.path());
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), csv.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(refused(out.path()), counts(&[("isolated_time", 1)]));
    assert_eq!(table(out.path(), "rejected_events")[0]["stream"], "/dev/stdin");
}
