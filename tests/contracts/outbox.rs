//! The contract of the outbox: PostgreSQL and the GeoPackage both pass it.

use std::collections::BTreeSet;
use std::time::Duration;

use watchtower_core::Commit;
use watchtower_core::outbox::{AlertChanges, AlertEvent, AlertVersion, Condition, OutboxRow};
use watchtower_core::tables::Cell;
use watchtower_model::Millis;
use watchtower_store::outbox::{ClaimedRow, Endpoint, Filter, Outbox, Outcome, RowState};

use super::store::{File, PLAN, Postgres, RUNTIME, Store, commit};

/// 2026-11-23T06:00:00Z.
const T0: Millis = 1_795_413_600_000;
const LEASE: Duration = Duration::from_secs(60);

fn outbox<S: Store>(store: &S) -> Outbox {
    Outbox::new(&store.options()).unwrap()
}

/// Waits for what a test does with the outbox, on a thread of the runtime.
fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    RUNTIME.block_on(async { tokio::spawn(work).await.unwrap() })
}

fn claim(outbox: &Outbox, endpoint: &'static str, limit: usize, lease: Duration, now: Millis) -> Vec<ClaimedRow> {
    let outbox = outbox.clone();
    wait(async move { outbox.claim(endpoint, limit, lease, now).await.unwrap() })
}

fn settle(outbox: &Outbox, row: &ClaimedRow, outcome: Outcome, now: Millis) {
    let (outbox, row) = (outbox.clone(), row.clone());
    wait(async move { outbox.settle(&[(&row, outcome)], now).await.unwrap() });
}

fn delivered() -> Outcome {
    Outcome::Delivered { external_ref: None }
}

fn due(outbox: &Outbox, now: Millis) -> Vec<String> {
    let outbox = outbox.clone();
    let names = ["a", "b", "c"].map(str::to_owned);
    wait(async move { outbox.due(&names, now).await.unwrap() })
}

fn set_endpoint(outbox: &Outbox, name: &'static str, endpoint: Endpoint) {
    let outbox = outbox.clone();
    wait(async move { outbox.set_endpoint(name, &endpoint, T0).await.unwrap() });
}

fn listed(outbox: &Outbox, filter: Filter) -> Vec<String> {
    let outbox = outbox.clone();
    let rows = wait(async move { outbox.list(&filter, 1_000).await.unwrap() });
    rows.iter()
        .map(|row| format!("{} {} {} {} {}", row.endpoint, row.subject, row.revision, row.event, row.state.name()))
        .collect()
}

/// A row of `alerts` of a rule that sends to endpoints.
fn version(subject: &str, severity: &str, to: &[&str]) -> AlertVersion {
    let text = |text: &str| Cell::Text(text.into());
    AlertVersion {
        row: vec![
            text("in"),
            text(subject),
            Cell::Time(T0),
            text("enter"),
            text(subject),
            text("yard"),
            text(severity),
            Cell::Json("{}".into()),
        ],
        started_at: T0,
        ended_at: None,
        definition: serde_json::json!({"on": "enter", "to": to}).to_string().into(),
    }
}

fn a_commit(of: &[(AlertVersion, i64)], now: Millis) -> Commit {
    let mut alerts = AlertChanges::default();
    of.iter().for_each(|(version, diff)| alerts.add(version.clone(), *diff));
    Commit { alerts, now, events: 1, ..Commit::default() }
}

fn row(endpoint: &str, subject: &str, old: Option<&str>, event: AlertEvent, condition: Condition) -> OutboxRow {
    OutboxRow {
        endpoint: endpoint.into(),
        subject: subject.into(),
        old_subject: old.map(Into::into),
        event,
        condition,
        body: "{}".into(),
    }
}

fn raised(endpoint: &str, subject: &str) -> OutboxRow {
    row(endpoint, subject, None, AlertEvent::Raised, Condition::Always)
}

fn corrected(endpoint: &str, subject: &str, old: Option<&str>) -> OutboxRow {
    row(endpoint, subject, old, AlertEvent::Corrected, Condition::Known)
}

fn enqueue(outbox: &Outbox, revision: i64, rows: &[OutboxRow]) {
    let (outbox, rows) = (outbox.clone(), rows.to_vec());
    wait(async move { outbox.enqueue(&rows, revision).await.unwrap() });
}

/// A store with an outbox: in a file, its tables are there once a commit has had a row.
fn with_outbox<S: Store>() -> (S, Outbox) {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    commit(&mut writer, &a_commit(&[(version("first", "info", &["setup"]), 1)], T0)).unwrap();
    drop(writer);
    let outbox = outbox(&store);
    let row = claim(&outbox, "setup", 9, LEASE, T0).remove(0);
    settle(&outbox, &row, Outcome::Skipped, T0);
    (store, outbox)
}

fn subjects(rows: &[ClaimedRow]) -> Vec<(&str, i64)> {
    rows.iter().map(|row| (row.subject.as_str(), row.revision)).collect()
}

/// What a commit says is in the outbox with it, for each endpoint; a commit that fails leaves nothing.
fn rows_come_with_their_commit<S: Store>() {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    let outbox = outbox(&store);
    assert!(claim(&outbox, "a", 9, LEASE, T0).is_empty(), "nothing is due before the first row");
    assert!(listed(&outbox, Filter::default()).is_empty());
    let first = a_commit(&[(version("t1", "info", &["a", "b"]), 1), (version("t2", "info", &["a"]), 1)], T0);
    commit(&mut writer, &first).unwrap();
    assert_eq!(due(&outbox, T0), ["a", "b"]);
    let (_, mut second, _) = store.claim(PLAN).unwrap();
    commit(&mut writer, &a_commit(&[(version("t3", "info", &["a"]), 1)], T0)).unwrap_err();
    let change = [(version("t1", "info", &["a", "b"]), -1), (version("t1", "critical", &["a", "b"]), 1)];
    commit(&mut second, &a_commit(&change, T0)).unwrap();
    let all = listed(&outbox, Filter::default());
    assert_eq!(
        all,
        [
            "a t1 1 raised pending",
            "a t2 1 raised pending",
            "a t1 2 corrected pending",
            "b t1 1 raised pending",
            "b t1 2 corrected pending",
        ]
    );
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    let body: serde_json::Value = serde_json::from_str(&rows[0].body).unwrap();
    assert_eq!((&body["alert"]["subject"], &body["now"]), (&"t1".into(), &"2026-11-23T06:00:00.000Z".into()));
    let expected = first.alerts.rows(T0);
    assert_eq!(rows[0].body, *expected[0].body, "byte for byte");
}

/// The same rows again are the same rows.
fn a_row_is_written_once<S: Store>() {
    let (_store, outbox) = with_outbox::<S>();
    enqueue(&outbox, 5, &[raised("a", "t1")]);
    enqueue(&outbox, 5, &[raised("a", "t1")]);
    assert_eq!(listed(&outbox, Filter::default()), ["a t1 5 raised pending"]);
}

/// Of a subject one row at a time, in order; other subjects do not wait.
fn subjects_are_in_order<S: Store>() {
    let (_store, outbox) = with_outbox::<S>();
    enqueue(&outbox, 5, &[raised("a", "t1"), raised("a", "t2")]);
    enqueue(&outbox, 6, &[corrected("a", "t1", None), raised("a", "t3")]);
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    assert_eq!(subjects(&rows), [("t1", 5), ("t2", 5), ("t3", 6)]);
    assert!(claim(&outbox, "a", 9, LEASE, T0).is_empty(), "all are claimed, or wait for one that is");
    settle(&outbox, &rows[0], Outcome::Delivered { external_ref: Some("ref".to_owned()) }, T0);
    let next = claim(&outbox, "a", 9, LEASE, T0);
    assert_eq!(subjects(&next), [("t1", 6)]);
    assert_eq!((next[0].delivered_revision, next[0].external_ref.as_deref()), (Some(5), Some("ref")));
    assert!(next[0].is_due());
    // A row that waits for its next attempt holds up the rows behind it.
    settle(&outbox, &next[0], Outcome::Retry { at: T0 + 10, error: "away".to_owned() }, T0);
    enqueue(&outbox, 7, &[corrected("a", "t1", None)]);
    assert!(claim(&outbox, "a", 9, LEASE, T0 + 9).is_empty());
    let again = claim(&outbox, "a", 9, LEASE, T0 + 10);
    assert_eq!((subjects(&again), again[0].attempts, again[0].failing_since), (vec![("t1", 6)], 2, Some(T0)));
}

/// A row that names an old subject waits for it, and takes over what was delivered under it.
fn a_moved_subject_goes_on<S: Store>() {
    let (_store, outbox) = with_outbox::<S>();
    enqueue(&outbox, 5, &[raised("a", "old")]);
    enqueue(&outbox, 6, &[corrected("a", "new", Some("old"))]);
    enqueue(&outbox, 7, &[raised("a", "old"), corrected("a", "new", None)]);
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    assert_eq!(subjects(&rows), [("old", 5)]);
    settle(&outbox, &rows[0], Outcome::Delivered { external_ref: Some("thread".to_owned()) }, T0);
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    assert_eq!(subjects(&rows), [("new", 6)]);
    assert_eq!((rows[0].external_ref.as_deref(), rows[0].is_due()), (Some("thread"), true));
    settle(&outbox, &rows[0], Outcome::Delivered { external_ref: Some("thread".to_owned()) }, T0);
    let delivered = Filter { state: Some(RowState::Delivered), ..Filter::default() };
    assert_eq!(listed(&outbox, delivered), ["a new 6 corrected delivered"]);
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    assert_eq!(subjects(&rows), [("new", 7), ("old", 7)]);
    assert_eq!((rows[0].delivered_revision, rows[1].delivered_revision), (Some(6), None));
}

/// A correction is for those that got the alert, and for no one else.
fn corrections_go_where_the_alert_went<S: Store>() {
    let (_store, outbox) = with_outbox::<S>();
    enqueue(&outbox, 5, &[corrected("a", "t1", None)]);
    assert!(listed(&outbox, Filter::default()).is_empty(), "nothing was delivered and nothing is on its way");
    enqueue(&outbox, 6, &[raised("a", "t1")]);
    enqueue(&outbox, 7, &[corrected("a", "t1", None)]);
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    settle(&outbox, &rows[0], Outcome::Dead { error: "impossible".to_owned() }, T0);
    assert!(claim(&outbox, "a", 9, LEASE, T0).is_empty(), "it waits for the dead one to be retried or purged");
    assert_eq!(listed(&outbox, Filter::default()), ["a t1 6 raised dead", "a t1 7 corrected pending"]);
    let handle = outbox.clone();
    let purged = wait(async move { handle.purge(&Filter::default()).await.unwrap() });
    assert_eq!(purged, 1);
    let rows = claim(&outbox, "a", 9, LEASE, T0);
    assert_eq!((subjects(&rows), rows[0].is_due()), (vec![("t1", 7)], false));
    settle(&outbox, &rows[0], Outcome::Skipped, T0);
    assert!(listed(&outbox, Filter::default()).is_empty());
}

/// A claim ends by itself; a delivery that is recorded late counts, a late failure does not.
fn claims_expire<S: Store>() {
    let (_store, first) = with_outbox::<S>();
    enqueue(&first, 5, &[raised("a", "t1"), raised("a", "t2")]);
    let lost = claim(&first, "a", 9, Duration::ZERO, T0);
    let second = outbox(&_store);
    let rows = claim(&second, "a", 9, LEASE, T0);
    assert_eq!(subjects(&rows), subjects(&lost));
    settle(&first, &lost[0], Outcome::Retry { at: T0 + 1_000_000, error: "late".to_owned() }, T0);
    settle(&first, &lost[1], delivered(), T0);
    assert_eq!(listed(&first, Filter::default()), ["a t1 5 raised pending", "a t2 5 raised delivered"]);
    settle(&second, &rows[0], Outcome::Released, T0);
    settle(&second, &rows[1], delivered(), T0);
    let again = claim(&first, "a", 9, LEASE, T0);
    assert_eq!((subjects(&again), again[0].attempts), (vec![("t1", 5)], 2), "it was released, without the attempt");
}

/// Processes that claim at the same time never get the same row.
fn a_row_has_one_claim<S: Store>() {
    let (store, outbox) = with_outbox::<S>();
    let names: Vec<String> = (0..200).map(|i| format!("t{i:03}")).collect();
    enqueue(&outbox, 5, &names.iter().map(|name| raised("a", name)).collect::<Vec<_>>());
    let claimers: Vec<Outbox> = (0..4).map(|_| super::outbox::outbox(&store)).collect();
    let claimed = wait(async move {
        let mut tasks = tokio::task::JoinSet::new();
        for claimer in claimers {
            tasks.spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let rows = claimer.claim("a", 7, LEASE, T0).await.unwrap();
                    if rows.is_empty() {
                        return mine;
                    }
                    mine.extend(rows.into_iter().map(|row| row.subject));
                }
            });
        }
        tasks.join_all().await.concat()
    });
    // A claimer that met only locked rows may have ended early; no row is there twice.
    let distinct: BTreeSet<&String> = claimed.iter().collect();
    assert_eq!(distinct.len(), claimed.len());
    let rest = claim(&outbox, "a", 500, LEASE, T0).len();
    assert_eq!(claimed.len() + rest, names.len());
}

/// An endpoint that is away or disabled hands out nothing; the others do.
fn an_endpoint_that_is_away_holds_up_no_other<S: Store>() {
    let (_store, outbox) = with_outbox::<S>();
    enqueue(&outbox, 5, &[raised("a", "t1"), raised("b", "t1"), raised("c", "t1")]);
    set_endpoint(&outbox, "a", Endpoint { retry_at: Some(T0 + 100), failures: 3, ..Endpoint::default() });
    assert_eq!(due(&outbox, T0 + 99), ["b", "c"]);
    assert!(claim(&outbox, "a", 9, LEASE, T0 + 99).is_empty());
    assert_eq!(due(&outbox, T0 + 100), ["a", "b", "c"]);
    assert_eq!(claim(&outbox, "a", 9, LEASE, T0 + 100).len(), 1);
    let gone = Endpoint { disabled_at: Some(T0), error: Some("gone".to_owned()), ..Endpoint::default() };
    set_endpoint(&outbox, "b", gone.clone());
    let handle = outbox.clone();
    assert_eq!(wait(async move { handle.endpoint("b").await.unwrap() }), gone);
    assert_eq!(due(&outbox, T0 + 100), ["c"]);
    let of_b = Filter { endpoint: Some("b".to_owned()), ..Filter::default() };
    assert_eq!(listed(&outbox, of_b.clone()), ["b t1 5 raised dead"]);
    let handle = outbox.clone();
    assert_eq!(wait(async move { handle.retry(&of_b).await.unwrap() }), 1);
    assert_eq!(due(&outbox, T0 + 100), ["b", "c"], "it is enabled again");
    let rows = claim(&outbox, "b", 9, LEASE, T0 + 100);
    assert_eq!((rows[0].attempts, rows[0].failing_since), (1, None));
}

/// What was delivered, and what is dead, leaves after its time; what waits does not.
fn what_is_old_leaves<S: Store>() {
    let (_store, outbox) = with_outbox::<S>();
    enqueue(&outbox, 5, &[raised("a", "t1"), raised("a", "t2"), raised("a", "t3"), raised("a", "t4")]);
    let rows = claim(&outbox, "a", 3, LEASE, T0);
    settle(&outbox, &rows[0], delivered(), T0);
    settle(&outbox, &rows[1], Outcome::Dead { error: "no".to_owned() }, T0);
    settle(&outbox, &rows[2], delivered(), T0 + 1);
    let handle = outbox.clone();
    wait(async move { handle.expire(T0 + 1, T0 + 1).await.unwrap() });
    assert_eq!(listed(&outbox, Filter::default()), ["a t4 5 raised pending", "a t3 5 raised delivered"]);
}

contract! {
    postgresql: Postgres, one_file: File;
    rows_come_with_their_commit,
    a_row_is_written_once,
    subjects_are_in_order,
    a_moved_subject_goes_on,
    corrections_go_where_the_alert_went,
    claims_expire,
    a_row_has_one_claim,
    an_endpoint_that_is_away_holds_up_no_other,
    what_is_old_leaves,
}
