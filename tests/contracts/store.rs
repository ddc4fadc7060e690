//! The contract of a store: PostgreSQL and the GeoPackage both pass it.

use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;
use watchtower_core::tables::{Cell, ChangeSet, KeyCell, Row, geofence_occupancy, rejected_events, vehicle_state};
use watchtower_core::{Commit, Cursor, EntryId, Flush, StreamPosition};
use watchtower_geopackage::GeoPackage;
use watchtower_model::BEGINNING;
use watchtower_store::geopackage::EmbeddedError;
use watchtower_store::postgres::{self, StoreError};
use watchtower_store::{Claim, ClaimError, LaggingWriter, Opened, Options, Writer, WriterError};

use crate::support::rows::{self, Rows};
use crate::support::servers::postgres::{PostgresServer, psql};

pub(super) const PLAN: &str = "{}";

/// A store under test.
pub(super) trait Store {
    /// A new one, without a pipeline.
    fn new() -> Self;
    /// Where a daemon opens it.
    fn options(&self) -> Options;

    /// Takes over the pipeline, as a daemon does.
    fn claim(&self, plan: &str) -> Result<(Claim, Writer, LaggingWriter), WriterError> {
        RUNTIME.block_on(async {
            let store = watchtower_store::Store::new(&self.options())?;
            let session = store.connect().await?;
            match store.claim(session, plan, true, &mut |_| {}).await {
                Ok(Opened { claim, writer, lagging, hold: _ }) => Ok((claim, writer, lagging)),
                Err(ClaimError::Writer(error)) => Err(error),
                Err(occupied) => panic!("{occupied}"),
            }
        })
    }

    /// The rows of all tables.
    fn rows(&self) -> Rows;
    /// Runs a statement behind the writer's back.
    fn execute(&self, sql: &str);
}

pub(super) struct Postgres {
    url: String,
}

impl Store for Postgres {
    fn new() -> Self {
        Self { url: PostgresServer::shared().database() }
    }

    fn options(&self) -> Options {
        let postgres = postgres::Options {
            url: self.url.clone().into(),
            schema: "lagos".to_owned(),
            ..postgres::Options::default()
        };
        Options::Postgres { pipeline: "lagos".to_owned(), postgres, streams: 1 }
    }

    fn rows(&self) -> Rows {
        rows::of_postgres(&self.url)
    }

    fn execute(&self, sql: &str) {
        psql(&self.url, &format!("SET search_path = lagos; {sql}"));
    }
}

pub(super) struct File {
    file: GeoPackage,
    _folder: tempfile::TempDir,
}

impl Store for File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { file: GeoPackage::at(folder.path().join("fleet.gpkg")), _folder: folder }
    }

    fn options(&self) -> Options {
        Options::File(self.file.clone())
    }

    fn rows(&self) -> Rows {
        rows::of_a_file(&self.file.connect_to_read().unwrap())
    }

    fn execute(&self, sql: &str) {
        self.file.connect().unwrap().execute_batch(sql).unwrap();
    }
}

/// A runtime of several threads, as a daemon has.
pub(super) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

pub(super) fn commit(writer: &mut Writer, commit: &Commit) -> Result<(), WriterError> {
    RUNTIME.block_on(writer.commit(commit))
}

fn occupancy(id: &str, vehicles: i64) -> Row {
    vec![Cell::Text(id.into()), Cell::Integer(vehicles)]
}

pub(super) fn occupancies(rows: &[(&str, i64)]) -> ChangeSet {
    let mut changes = ChangeSet::default();
    rows.iter().for_each(|(id, vehicles)| changes.set(&geofence_occupancy::TABLE, occupancy(id, *vehicles)));
    changes
}

fn cursor(stream: &str, ms: u64, entries: u64) -> Cursor {
    let position = StreamPosition { last: EntryId { ms, seq: 1 }, entries, skipped: 0, rebased: 0 };
    Cursor { position, now: 1_795_413_600_000, ..Cursor::start(stream, 0) }
}

pub(super) fn a_commit(changes: ChangeSet, cursors: Vec<Cursor>) -> Commit {
    Commit { changes, cursors, now: BEGINNING, events: 1, ..Commit::default() }
}

fn is_fenced(error: &WriterError) -> bool {
    matches!(
        error,
        WriterError::Postgres(StoreError::Fenced { .. }) | WriterError::Embedded(EmbeddedError::Fenced { .. })
    )
}

/// Rows, number and cursors change together, and the next claim finds them.
fn a_commit_is_found_by_the_next_claim<S: Store>() {
    let store = S::new();
    let (claim, mut writer, _) = store.claim(PLAN).unwrap();
    assert_eq!((claim.commit_seq, claim.cursors.as_slice()), (0, &[][..]));
    let cursors = vec![cursor("control", 7, 2), cursor("events", 9, 5)];
    commit(&mut writer, &a_commit(occupancies(&[("a", 1), ("b", 2)]), cursors.clone())).unwrap();
    assert_eq!(writer.commit_seq(), 1);
    let (again, ..) = store.claim(PLAN).unwrap();
    let mut found = again.cursors.clone();
    found.sort_by(|a, b| a.stream.cmp(&b.stream));
    assert_eq!((again.commit_seq, found), (1, cursors));
    assert_eq!((again.lineage == claim.lineage, again.term), (true, claim.term + 1));
    assert_eq!(store.rows()["geofence_occupancy"], [r#"["a",1]"#, r#"["b",2]"#]);
}

/// Values are set, never added to; a deletion goes before the rows of its commit.
fn values_are_set_and_deleted<S: Store>() {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    for _ in 0..2 {
        commit(&mut writer, &a_commit(occupancies(&[("a", 3)]), vec![])).unwrap();
    }
    assert_eq!(store.rows()["geofence_occupancy"], [r#"["a",3]"#]);
    let mut changes = occupancies(&[("b", 1)]);
    changes.remove(&geofence_occupancy::TABLE, vec![KeyCell::Text("a".into())]);
    changes.remove(&geofence_occupancy::TABLE, vec![KeyCell::Text("absent".into())]);
    commit(&mut writer, &a_commit(changes, vec![])).unwrap();
    assert_eq!(store.rows()["geofence_occupancy"], [r#"["b",1]"#]);
}

/// A large commit is the same as a small one.
fn a_large_commit_is_like_a_small_one<S: Store>() {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    let mut changes = ChangeSet::default();
    let count = 5_000;
    (0..count).for_each(|i| changes.set(&geofence_occupancy::TABLE, occupancy(&format!("{i:05}"), i)));
    commit(&mut writer, &a_commit(changes, vec![])).unwrap();
    let mut changes = ChangeSet::default();
    (0..count)
        .step_by(2)
        .for_each(|i| changes.remove(&geofence_occupancy::TABLE, vec![KeyCell::Text(format!("{i:05}").into())]));
    commit(&mut writer, &a_commit(changes, vec![])).unwrap();
    assert_eq!(store.rows()["geofence_occupancy"].len() as i64, count / 2);
}

/// Whoever was replaced changes nothing afterwards, in no table.
fn a_replaced_writer_changes_nothing<S: Store>() {
    let store = S::new();
    let (_, mut first, mut lagging) = store.claim(PLAN).unwrap();
    commit(&mut first, &a_commit(occupancies(&[("a", 1)]), vec![cursor("events", 1, 1)])).unwrap();
    let (_, mut second, _) = store.claim(PLAN).unwrap();
    let error = commit(&mut first, &a_commit(occupancies(&[("a", 9)]), vec![cursor("events", 2, 2)])).unwrap_err();
    assert!(is_fenced(&error), "{error}");
    let flush = Flush { rows: Vec::<vehicle_state::Named>::new(), complete: true, commit_seq: 1 };
    let error = RUNTIME.block_on(lagging.flush(&flush)).unwrap_err();
    assert!(is_fenced(&error), "{error}");
    assert_eq!(store.rows()["geofence_occupancy"], [r#"["a",1]"#]);
    commit(&mut second, &a_commit(occupancies(&[("a", 2)]), vec![cursor("events", 2, 2)])).unwrap();
    assert_eq!(store.rows()["geofence_occupancy"], [r#"["a",2]"#]);
}

/// Tables of another plan are not mixed with ours; the error names the difference.
fn another_plan_is_refused<S: Store>() {
    let store = S::new();
    drop(store.claim(r#"{"rules.stop_radius_m":50}"#).unwrap());
    let error = store.claim(r#"{"rules.stop_radius_m":80}"#).map(drop).unwrap_err().to_string();
    assert!(error.contains("rules.stop_radius_m was 50 and is 80"), "{error}");
}

/// A stored id that cannot be read is an error that names the row, not the beginning of the log.
fn an_unreadable_cursor_is_named<S: Store>() {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    commit(&mut writer, &a_commit(ChangeSet::default(), vec![cursor("events", 5, 3)])).unwrap();
    drop(writer);
    store.execute("UPDATE cursors SET last_id = 'rubbish'");
    let error = store.claim(PLAN).map(drop).unwrap_err().to_string();
    for part in ["stream events", "table cursors", "\"rubbish\"", "last_id"] {
        assert!(error.contains(part), "{error}");
    }
}

/// Every kind of cell comes back as it was.
fn cells_come_back<S: Store>() {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    let mut changes = ChangeSet::default();
    let text = |text: &str| Cell::Text(text.into());
    let bytes: Arc<[u8]> = vec![0, 255, 10, 39].into();
    changes.set(
        &rejected_events::TABLE,
        vec![
            text("events"),
            text("1-0:0"),
            text("malformed"),
            Cell::Bytes(bytes),
            text("a \"quoted\" \\ text\nof two lines, \u{e9}"),
            Cell::Integer(i64::MAX),
            text("00"),
            Cell::Time(1_795_413_600_123),
        ],
    );
    commit(&mut writer, &a_commit(changes, vec![])).unwrap();
    let expected = serde_json::json!([
        "events",
        "1-0:0",
        "malformed",
        "00ff0a27",
        "a \"quoted\" \\ text\nof two lines, \u{e9}",
        i64::MAX,
        "00",
        "2026-11-23T06:00:00.123Z"
    ]);
    let found: Vec<serde_json::Value> =
        store.rows()["rejected_events"].iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(found, [expected]);
}

contract! {
    postgresql: Postgres, one_file: File;
    a_commit_is_found_by_the_next_claim,
    values_are_set_and_deleted,
    a_large_commit_is_like_a_small_one,
    a_replaced_writer_changes_nothing,
    another_plan_is_refused,
    an_unreadable_cursor_is_named,
    cells_come_back,
}
