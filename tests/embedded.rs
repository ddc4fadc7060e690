//! The one file: what others find in it, what it refuses, and what its commands do. That its tables are those of
//! PostgreSQL, however its daemon ends, is said in `crash`.

use std::process::Command;

use rusqlite::Connection;
use watchtower_core::tables::{Kind, TABLES};
use watchtower_core::{Commit, Flush};
use watchtower_geopackage::GeoPackage;
use watchtower_log::file::{Appender, Batch, Reader};
use watchtower_store::geopackage::commit::Writer;
use watchtower_store::geopackage::lagging::LaggingWriter;
use watchtower_store::geopackage::{EmbeddedError, claim};

use crate::support::file::OneFile;
use crate::support::rng::Rng;
use crate::support::rows::differences;

/// 2026-11-23T00:00:00Z
const START: i64 = 1_795_392_000_000;
const MINUTE: i64 = 60_000;
const VEHICLES: usize = 12;

/// Geofences of all shapes, and a morning of vehicles that drive among them, as lines of events.
fn events(minutes: i64) -> String {
    let square = |west: f64| {
        let ring = [[west, 6.5], [west + 0.01, 6.5], [west + 0.01, 6.51], [west, 6.51], [west, 6.5]];
        serde_json::json!([ring])
    };
    let geofences = [
        serde_json::json!({"geofence_id": "port", "kind": "terminal", "tags": ["a", "b \"c\""],
            "geometry": {"type": "Polygon", "coordinates": square(3.40)}}),
        serde_json::json!({"geofence_id": "yards", "kind": "client", "min_dwell_s": 120,
            "geometry": {"type": "MultiPolygon", "coordinates": [square(3.42), square(3.44)]}}),
        serde_json::json!({"geofence_id": "pump", "kind": "depot", "radius_m": 300,
            "geometry": {"type": "Point", "coordinates": [3.465, 6.505]}}),
    ];
    let mut lines = String::new();
    for mut geofence in geofences {
        geofence["type"] = "geofence".into();
        geofence["valid_from"] = (START - MINUTE).into();
        lines.push_str(&format!("{geofence}\n"));
    }
    let mut rng = Rng::new(11);
    for minute in 0..minutes {
        for vehicle in 0..VEHICLES {
            let lon = 3.40 + ((minute as usize * (1 + vehicle % 3) + vehicle * 5) % 70) as f64 * 0.001;
            let speed = rng.between(0, 80);
            let position = serde_json::json!({"type": "position", "vehicle_id": format!("T{vehicle}"),
                "ts": START + minute * MINUTE, "lon": lon, "lat": 6.505, "speed_kmh": speed, "ignition": true});
            lines.push_str(&format!("{position}\n"));
        }
    }
    lines + "no event\n"
}

/// A file that `replay` made, with nobody at work on it.
fn replayed(minutes: i64) -> OneFile {
    let one = OneFile::new(1, "");
    let lines = one.beside("events.ndjson");
    std::fs::write(&lines, events(minutes)).unwrap();
    let output = one.run("replay", &["--events", lines.to_str().unwrap()]);
    // One line is refused.
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    one
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, (), |row| row.get(0)).unwrap()
}

#[test]
fn the_file_is_a_geopackage_and_says_what_is_in_it() {
    let one = replayed(90);
    assert_eq!(one.files(), ["events.ndjson", "fleet.gpkg", "watchtower.toml"], "one file, and nothing beside");
    let connection = Connection::open(one.path()).unwrap();
    assert_eq!(count(&connection, "PRAGMA application_id"), 0x4750_4B47);
    assert_eq!(count(&connection, "PRAGMA user_version"), 10_400);
    assert_eq!(texts(&connection, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(texts(&connection, "SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    assert_eq!(texts(&connection, "PRAGMA journal_mode"), ["delete"], "it can be read where nothing can be written");
    let own = texts(
        &connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'gpkg_%' AND name NOT LIKE 'rtree_%' \
         AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    assert_eq!(texts(&connection, "SELECT table_name FROM gpkg_contents ORDER BY 1"), own, "every table is told of");
    for name in &own {
        let key = format!("SELECT type FROM pragma_table_info('{name}') WHERE pk = 1");
        assert_eq!(texts(&connection, &key), ["INTEGER"], "{name}: as every table of a GeoPackage");
        let silent = format!(
            "SELECT name FROM pragma_table_info('{name}') WHERE name NOT IN ('fid', 'geom') AND name NOT IN \
             (SELECT column_name FROM gpkg_data_columns WHERE table_name = '{name}' AND length(description) > 3)"
        );
        assert_eq!(texts(&connection, &silent), [""; 0], "{name}: columns that nobody explains");
    }
    for table in TABLES {
        let columns = texts(&connection, &format!("SELECT name FROM pragma_table_info('{}')", table.name));
        let wanted: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        assert_eq!(columns[1..=wanted.len()], wanted, "{}", table.name);
        let times = table.columns.iter().filter(|column| column.kind == Kind::Time).map(|column| column.name);
        for time in times {
            let odd =
                format!("SELECT count(*) FROM {0} WHERE {1} <> strftime('%Y-%m-%dT%H:%M:%fZ', {1})", table.name, time);
            assert_eq!(count(&connection, &odd), 0, "{}.{time} is no DATETIME", table.name);
        }
    }
    let layers =
        "SELECT table_name || ' ' || column_name || ' ' || geometry_type_name FROM gpkg_geometry_columns ORDER BY 1";
    let expected =
        ["geofences geometry GEOMETRY", "positions geom POINT", "stops geom POINT", "vehicle_state geom POINT"];
    assert_eq!(texts(&connection, layers), expected);
    let rows = |table: &str| count(&connection, &format!("SELECT count(*) FROM {table}"));
    let filled = ["geofences", "positions", "vehicle_state", "visits", "trips", "overspeeds", "geofence_hourly"];
    assert!(filled.iter().all(|table| rows(table) > 0), "worth it");
    assert_eq!(rows("rejected_events"), 1);
    assert_eq!(rows("positions"), 90 * VEHICLES as i64);
    assert_eq!(
        count(&connection, "SELECT count(*) FROM positions WHERE hex(substr(geom, 1, 4)) = '47500001'"),
        rows("positions")
    );
    // The spatial index has every geofence, where it is.
    let found = "SELECT group_concat(geofence_id, ' ' ORDER BY geofence_id) FROM geofences WHERE fid IN \
                 (SELECT id FROM rtree_geofences_geometry WHERE minx <= 3.425 AND maxx >= 3.405)";
    assert_eq!(texts(&connection, found), ["port yards"]);
    assert_eq!(rows("rtree_geofences_geometry"), rows("geofences"));
    ogrinfo_counts_the_same(&one, &connection, &own);
}

/// GDAL, which QGIS and geopandas read with, finds the same tables and rows.
fn ogrinfo_counts_the_same(one: &OneFile, connection: &Connection, tables: &[String]) {
    let Ok(output) = Command::new("ogrinfo").args(["-ro", "-so", "-al"]).arg(one.path()).output() else {
        println!("left out: no ogrinfo (Debian: gdal-bin) to read the file with");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let (mut found, mut layer) = (Vec::new(), "");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Layer name: ") {
            layer = name;
        } else if let Some(features) = line.strip_prefix("Feature Count: ") {
            found.push(format!("{layer} {features}"));
        }
    }
    found.sort();
    let wanted =
        tables.iter().map(|name| format!("{name} {}", count(connection, &format!("SELECT count(*) FROM {name}"))));
    let mut wanted: Vec<String> = wanted.collect();
    wanted.sort();
    assert_eq!(found, wanted);
    assert!(text.contains("ts: DateTime") && text.contains("anchor: Integer(Boolean)"), "{text}");
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let one = OneFile::new(1, "");
    let run = || one.spawn(&[], &[]).ends_with(1);
    let refused = |wanted: &str| {
        let before = std::fs::read(one.path()).unwrap();
        let log = run();
        assert!(log.contains(wanted) && log.contains("it is left unchanged"), "{log}");
        assert_eq!(std::fs::read(one.path()).unwrap(), before);
    };
    std::fs::write(one.path(), "vehicle_id,ts,lon,lat\n").unwrap();
    refused("is not an SQLite database");
    std::fs::remove_file(one.path()).unwrap();
    Connection::open(one.path()).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    refused("is an SQLite database of something else");
    Connection::open(one.path()).unwrap().execute_batch("PRAGMA application_id = 1196444487").unwrap();
    refused("is a GeoPackage of something else");
    std::fs::remove_file(one.path()).unwrap();
    one.connection().execute("UPDATE watchtower SET format = 99", ()).unwrap();
    let log = run();
    assert!(log.contains("has format 99, made by a later watchtower") && log.contains("upgrade it"), "{log}");
    let output = one.run("replay", &["--events", "nothing"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is there already"), "{said}");
    std::fs::remove_file(one.path()).unwrap();
    let output = one.run("status", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("there is no file"), "{said}");
}

/// What the daemon that was paused does when it wakes: nothing.
#[test]
fn a_writer_that_was_replaced_changes_nothing() {
    let one = OneFile::new(1, "");
    let file = one.file();
    let claimed = || {
        let mut connection = file.connect_or_create().unwrap();
        let claim = claim::claim(&file, &mut connection, "{}").unwrap();
        (Writer::new(file.clone(), connection, &claim), LaggingWriter::new(&file, &claim).unwrap())
    };
    let commit = |note: &str| Commit { note: Some(note.to_owned()), ..Commit::default() };
    let flush = |commit_seq| Flush { rows: Vec::new(), complete: true, commit_seq };
    let (mut first, mut lagging) = claimed();
    first.commit(&commit("first")).unwrap();
    lagging.flush(&flush(1)).unwrap();
    let (mut second, _) = claimed();
    let fenced = |error: EmbeddedError| {
        let name = format!("process {} on ", std::process::id());
        assert!(matches!(&error, EmbeddedError::Fenced { term: 2, ours: 1, .. }), "{error}");
        assert!(error.to_string().contains(&name), "{error}");
    };
    fenced(first.commit(&commit("too late")).unwrap_err());
    fenced(lagging.flush(&flush(7)).unwrap_err());
    second.commit(&commit("second")).unwrap();
    fenced(first.commit(&commit("too late")).unwrap_err());
    assert_eq!(texts(&one.connection(), "SELECT note FROM commit_log ORDER BY commit_seq"), ["first", "second"]);
    assert_eq!(one.number("SELECT commit_seq FROM table_progress"), Some(1));
    one.assert_commits_are_dense();
}

/// Other rules are another plan: the daemon says so, and the tables are computed anew, from the log in the file.
#[test]
fn tables_are_computed_anew_under_other_rules() {
    let one = replayed(60);
    let before = one.rows();
    one.configure("[rules]\nspeed_limit_kmh = 30\noffline_after = \"40s\"");
    let log = one.spawn(&[], &[]).ends_with(1);
    assert!(log.contains("rules.default_speed_limit_kmh was 60.0 and is 30.0"), "{log}");
    assert!(log.contains("watchtower rebuild --embedded"), "{log}");
    assert_eq!(differences(&one.rows(), &before), "", "nothing was written");
    let output = one.run("rebuild", &[]);
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("the new tables are in place"), "{said}");
    let fresh = OneFile::new(1, "[rules]\nspeed_limit_kmh = 30\noffline_after = \"40s\"");
    copy_log(&one.file(), &fresh.file());
    let entries = Reader::open(&fresh.file()).unwrap().ends().unwrap().iter().map(|end| end.entries).sum();
    let daemon = fresh.spawn(&[], &[]);
    fresh.wait_for_entries(entries);
    assert_ne!(differences(&fresh.rows(), &before), "", "the rules matter");
    assert_eq!(differences(&one.rows(), &fresh.rows()), "");
    assert!(daemon.stop().success());
    let geofences = "SELECT count(*) FROM rtree_geofences_geometry";
    assert_eq!(one.number(geofences), Some(3), "the spatial index is made anew, too");
    // It goes on from the checkpoint of the new tables.
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    assert!(daemon.log().contains("checkpoint loaded"), "{}", daemon.log());
    assert!(daemon.stop().success());
    let again = one.run("rebuild", &[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing to rebuild"));
}

/// The same entries with the same ids.
fn copy_log(from: &GeoPackage, to: &GeoPackage) {
    let (from, mut to) = (Reader::open(from).unwrap(), Appender::open(to, None).unwrap());
    let mut at = 0;
    loop {
        let entries = from.read(at, u64::MAX).unwrap();
        if entries.is_empty() {
            return;
        }
        let (mut next, mut fields, mut batch) = (entries.iter(), Vec::new(), Batch::default());
        while let Some((stream, id)) = next.next(&mut fields) {
            batch.push(stream, Some(id), &fields);
        }
        to.append(&batch).unwrap();
        at = entries.last();
    }
}

/// Whoever looks holds nobody up, and sees one commit; whoever publishes need not wait for the daemon to end.
#[test]
fn readers_and_producers_do_not_disturb_the_daemon() {
    let one = OneFile::new(1, "");
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    let lines = one.beside("events.ndjson");
    std::fs::write(&lines, events(30)).unwrap();
    let publish = |minutes: i64| {
        std::fs::write(&lines, events(minutes)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        command.arg("publish").arg("--embedded").arg(one.path()).arg("--events").arg(&lines);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let entries = Reader::open(&one.file()).unwrap().ends().unwrap().iter().map(|end| end.entries).sum();
        one.wait_for_entries(entries);
    };
    publish(30);
    let reader = one.file().connect_to_read().unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let positions = "SELECT count(*) FROM positions";
    assert_eq!(count(&reader, positions), 30 * VEHICLES as i64);
    publish(60);
    assert_eq!(one.number(positions), Some(60 * VEHICLES as i64));
    assert_eq!(count(&reader, positions), 30 * VEHICLES as i64, "a reader sees what was there when it began");
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    let status = one.run("status", &[]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && said.contains("daemon    runs\n") && said.contains("positions"), "{said}");
    assert!(daemon.stop().success());
    assert!(!one.files().iter().any(|name| name.starts_with("fleet.gpkg-")), "{:?}", one.files());
}
