//! The contract of reading rows: PostgreSQL and the GeoPackage both pass it.

use std::sync::Arc;

use watchtower_core::tables::{
    Cell, ChangeSet, Key, Row, Table, fleet_daily, geofence_occupancy, geofences, rejected_events, trips,
    vehicle_state, vehicles, visits,
};
use watchtower_core::{Commit, Flush};
use watchtower_model::BEGINNING;
use watchtower_model::geometry::Shape;
use watchtower_model::local_time::Day;
use watchtower_store::Writer;
use watchtower_store::query::{Answer, Condition, Query, Reader};

use super::store::{File, PLAN, Postgres, RUNTIME, Store, a_commit, commit, occupancies};

const NOON: i64 = 1_795_413_600_000;

fn reader<S: Store>(store: &S) -> Reader {
    let options = store.options();
    RUNTIME.block_on(async { watchtower_store::Store::new(&options).unwrap().reader().await }).unwrap()
}

fn read(reader: &mut Reader, query: &Query) -> Answer {
    let [answer] = RUNTIME.block_on(reader.read([query])).unwrap();
    answer
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

/// A store whose first commit has these rows.
fn with_rows<S: Store>(rows: &[(&'static Table, Row)]) -> (S, Writer) {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    let mut changes = ChangeSet::default();
    rows.iter().for_each(|(table, row)| changes.set(table, row.clone()));
    commit(&mut writer, &a_commit(changes, vec![])).unwrap();
    (store, writer)
}

fn visit(vehicle: &str, geofence: &str, entered_at: i64, exited_at: Option<i64>) -> (&'static Table, Row) {
    let exited = exited_at.map_or(Cell::Empty, Cell::Time);
    (&visits::TABLE, vec![text(vehicle), text(geofence), Cell::Time(entered_at), exited, Cell::Boolean(true)])
}

fn square(west: f64) -> Vec<Vec<[f64; 2]>> {
    vec![vec![[west, 6.0], [west + 0.1, 6.0], [west + 0.1, 6.1], [west, 6.0]]]
}

fn geofence(id: &str, effective_from: i64, shape: Shape) -> (&'static Table, Row) {
    let radius_m = shape.radius_m().map_or(Cell::Empty, Cell::Real);
    let tags = vec!["a".into(), "b \"c\" \\, {d}".into(), "".into()];
    let row = vec![
        text(id),
        Cell::Time(effective_from),
        Cell::Empty,
        Cell::Time(BEGINNING),
        text("Yard 7, \u{e9}"),
        Cell::Empty,
        Cell::Boolean(false),
        Cell::Texts(tags),
        Cell::Real(300.0),
        Cell::Real(0.1),
        Cell::Empty,
        radius_m,
        Cell::Geometry(Arc::new(shape)),
        Cell::Boolean(true),
    ];
    (&geofences::TABLE, row)
}

/// Cells of every kind come back as they were written.
fn cells_come_back_as_they_were<S: Store>() {
    let json = r#"{"b": [1, 2.50, null], "a": "\u00e9"}"#;
    let trip = |vehicle: &str, distance: Cell| {
        let mut row = vec![Cell::Empty; trips::TABLE.columns.len()];
        row[..4].clone_from_slice(&[text(vehicle), Cell::Time(-1), Cell::Empty, text("yard")]);
        row[5] = distance;
        (&trips::TABLE, row)
    };
    let mut fleet = vec![Cell::Empty; fleet_daily::TABLE.columns.len()];
    for (cell, column) in fleet.iter_mut().zip(fleet_daily::TABLE.columns).skip(2) {
        *cell =
            if column.kind == watchtower_core::tables::Kind::Integer { Cell::Integer(-3) } else { Cell::Real(0.25) };
    }
    fleet[..2].clone_from_slice(&[text(""), Cell::Date(Day(20_780))]);
    let bytes: Arc<[u8]> = vec![0, 255, 10, 39].into();
    let rejected = vec![
        text("events"),
        text("1-0:0"),
        text("malformed"),
        Cell::Bytes(bytes),
        text("two\nlines"),
        Cell::Integer(i64::MAX),
        text("00"),
        Cell::Empty,
    ];
    let vehicle = vec![
        text("T1"),
        Cell::Time(BEGINNING),
        Cell::Time(NOON + 1),
        Cell::Time(NOON),
        Cell::Empty,
        text("VPC"),
        Cell::Real(60.5),
        Cell::Json(json.into()),
        Cell::Empty,
    ];
    let rows = [
        geofence("area", BEGINNING, Shape::from_polygons(vec![square(3.0)]).unwrap()),
        geofence("areas", NOON, Shape::from_polygons(vec![square(3.0), square(4.0)]).unwrap()),
        geofence("circle", NOON + 123, Shape::circle([3.36, 6.44], 150.5).unwrap()),
        trip("T1", Cell::Real(1_234_567.891)),
        trip("T2", Cell::Empty),
        (&fleet_daily::TABLE, fleet),
        (&rejected_events::TABLE, rejected),
        (&vehicles::TABLE, vehicle),
    ];
    let (store, _writer) = with_rows::<S>(&rows);
    let mut reader = reader(&store);
    for table in [&geofences::TABLE, &trips::TABLE, &fleet_daily::TABLE, &rejected_events::TABLE, &vehicles::TABLE] {
        let expected: Vec<&Row> = rows.iter().filter(|(of, _)| of.name == table.name).map(|(_, row)| row).collect();
        let found = read(&mut reader, &Query::all(table));
        assert_eq!(found.rows.iter().collect::<Vec<_>>(), expected, "{}", table.name);
        assert_eq!((found.as_of, found.next), (1, None), "{}", table.name);
    }
}

/// Pages in the order of the key hold every row once, also of rows that came in between.
fn pages_hold_every_row_once<S: Store>() {
    let ids = ["B", "_", "a", "a b", "a-b", "aB", "ab", "\u{e9}", "Z"];
    let mut rows: Vec<_> = ids.iter().flat_map(|id| [visit(id, "x", NOON, None), visit(id, "X", NOON, None)]).collect();
    rows.push(visit("a", "x", NOON - 1, Some(NOON)));
    let (store, mut writer) = with_rows::<S>(&rows);
    let mut expected: Vec<Key> = rows.iter().map(|(table, row)| watchtower_core::tables::key(table, row)).collect();
    expected.sort();
    let mut reader = reader(&store);
    for limit in [1, 4, rows.len() - 1, rows.len(), rows.len() + 1] {
        let (mut found, mut query) = (Vec::new(), Query::all(&visits::TABLE).limit(limit));
        loop {
            let page = read(&mut reader, &query);
            assert!(page.rows.len() <= limit);
            found.extend(page.rows.iter().map(|row| watchtower_core::tables::key(&visits::TABLE, row)));
            let Some(next) = page.next else { break };
            query = query.after(next).unwrap();
        }
        assert_eq!(found, expected, "by {limit}");
    }
    let page = read(&mut reader, &Query::all(&visits::TABLE).limit(4));
    let mut changes = ChangeSet::default();
    let (table, between) = visit("A", "x", NOON, None);
    changes.set(table, between);
    commit(&mut writer, &a_commit(changes, vec![])).unwrap();
    let rest = read(&mut reader, &Query::all(&visits::TABLE).after(page.next.unwrap()).unwrap());
    assert_eq!((rest.as_of, page.rows.len() + rest.rows.len()), (2, rows.len()));
}

/// A filter finds the rows that fulfil it.
fn filters_find_their_rows<S: Store>() {
    let (store, _writer) = with_rows::<S>(&[
        visit("1", "yard", NOON, Some(NOON + 10)),
        visit("2", "yard", NOON + 5, None),
        visit("3", "port", NOON + 10, Some(NOON + 20)),
        (&fleet_daily::TABLE, {
            let mut row = vec![Cell::Real(0.5); fleet_daily::TABLE.columns.len()];
            for (cell, column) in row.iter_mut().zip(fleet_daily::TABLE.columns) {
                *cell =
                    if column.kind == watchtower_core::tables::Kind::Integer { Cell::Integer(7) } else { cell.clone() };
            }
            row[..2].clone_from_slice(&[text("VPC"), Cell::Date(Day(20_780))]);
            row
        }),
    ]);
    let mut reader = reader(&store);
    let mut found = |conditions: Vec<(&str, Condition)>| {
        let mut query = Query::all(&visits::TABLE);
        for (column, condition) in conditions {
            query = query.filter(column, condition).unwrap();
        }
        let rows = read(&mut reader, &query).rows;
        rows.iter().map(|row| row[0].as_text().unwrap().to_owned()).collect::<Vec<_>>().concat()
    };
    let at = |ms| Cell::Time(NOON + ms);
    let yard = || ("geofence_id", Condition::Equals(text("yard")));
    assert_eq!(found(vec![yard()]), "12");
    assert_eq!(found(vec![yard(), ("entered_at", Condition::From(at(1)))]), "2");
    assert_eq!(found(vec![("entered_at", Condition::From(at(0))), ("entered_at", Condition::Before(at(10)))]), "12");
    assert_eq!(found(vec![("exited_at", Condition::Equals(Cell::Empty))]), "2");
    assert_eq!(found(vec![("exited_at", Condition::FromOrEmpty(at(20)))]), "23");
    assert_eq!(found(vec![("exited_at", Condition::From(at(20)))]), "3");
    assert_eq!(found(vec![("vehicle_id", Condition::In(vec![text("3"), text("1"), text("4'")]))]), "13");
    assert_eq!(found(vec![("vehicle_id", Condition::In(vec![]))]), "");
    assert_eq!(found(vec![("entered_at", Condition::In(vec![at(5), at(10)]))]), "23");
    assert_eq!(found(vec![("confirmed", Condition::In(vec![Cell::Boolean(false)]))]), "");
    assert_eq!(found(vec![("confirmed", Condition::Equals(Cell::Boolean(true)))]), "123");
    let ids = (0..50_000).map(|id| text(&id.to_string())).collect();
    assert_eq!(found(vec![("vehicle_id", Condition::In(ids))]), "123");
    let mut fleets = |column, condition| {
        read(&mut reader, &Query::all(&fleet_daily::TABLE).filter(column, condition).unwrap()).rows.len()
    };
    assert_eq!(fleets("day", Condition::From(Cell::Date(Day(20_780)))), 1);
    assert_eq!(fleets("day", Condition::Before(Cell::Date(Day(20_780)))), 0);
    assert_eq!(fleets("day", Condition::In(vec![Cell::Date(Day(20_780))])), 1);
    assert_eq!(fleets("trips_started", Condition::In(vec![Cell::Integer(7)])), 1);
    assert_eq!(fleets("utilisation", Condition::In(vec![Cell::Real(0.5)])), 1);
    assert_eq!(fleets("utilisation", Condition::Before(Cell::Real(0.5))), 0);
}

/// An answer carries the commit that its table equals, also where that is behind the others.
fn an_answer_carries_its_commit<S: Store>() {
    let store = S::new();
    let (_, mut writer, mut lagging) = store.claim(PLAN).unwrap();
    let mut reader = reader(&store);
    let (occupancy, state) = (Query::all(&geofence_occupancy::TABLE), Query::all(&vehicle_state::TABLE));
    let mut as_of = || RUNTIME.block_on(reader.read([&occupancy, &state])).unwrap().map(|answer| answer.as_of);
    assert_eq!(as_of(), [0, 0]);
    for vehicles in 1..4 {
        commit(&mut writer, &a_commit(occupancies(&[("a", vehicles)]), vec![])).unwrap();
    }
    assert_eq!(as_of(), [3, 0]);
    let flush = Flush { rows: Vec::new(), complete: true, commit_seq: 2 };
    RUNTIME.block_on(lagging.flush(&flush)).unwrap();
    assert_eq!(as_of(), [3, 2]);
}

/// While commits go on, the answers of one call are of one commit, which is the one they carry.
fn answers_are_of_one_commit<S: Store>() {
    let store = S::new();
    let (_, mut writer, _) = store.claim(PLAN).unwrap();
    let of_commit = |number: i64| -> Commit {
        let mut changes = occupancies(&[("a", number), ("b", -number)]);
        let (table, visit) = visit("T1", "a", NOON + number, None);
        changes.set(table, visit);
        a_commit(changes, vec![])
    };
    commit(&mut writer, &of_commit(1)).unwrap();
    let mut reader = reader(&store);
    let last = 60;
    std::thread::scope(|scope| {
        let commits = scope.spawn(|| (2..=last).for_each(|number| commit(&mut writer, &of_commit(number)).unwrap()));
        let (occupancy, visits) = (Query::all(&geofence_occupancy::TABLE), Query::all(&visits::TABLE));
        let mut reads_once_more = true;
        loop {
            let [before, visits, after] = RUNTIME.block_on(reader.read([&occupancy, &visits, &occupancy])).unwrap();
            let vehicles = [Cell::Integer(before.as_of), Cell::Integer(-before.as_of)];
            assert_eq!([before.rows[0][1].clone(), before.rows[1][1].clone()], vehicles);
            assert_eq!((visits.as_of, visits.rows.len() as i64), (before.as_of, before.as_of));
            assert_eq!(before, after);
            if before.as_of == last {
                break;
            }
            assert!(!commits.is_finished() || reads_once_more, "the commits have failed");
            reads_once_more = !commits.is_finished();
        }
    });
}

/// Without tables the error names what is missing.
fn without_tables_it_is_an_error<S: Store>() {
    let store = S::new();
    let read = RUNTIME.block_on(async {
        let mut reader = watchtower_store::Store::new(&store.options()).unwrap().reader().await?;
        reader.read([&Query::all(&visits::TABLE)]).await.map_err(anyhow::Error::from)
    });
    let error = read.unwrap_err().to_string();
    assert!(error.contains("no daemon has run") || error.contains("there is no file"), "{error}");
}

contract! {
    postgresql: Postgres, one_file: File;
    cells_come_back_as_they_were,
    pages_hold_every_row_once,
    filters_find_their_rows,
    an_answer_carries_its_commit,
    answers_are_of_one_commit,
    without_tables_it_is_an_error,
}
