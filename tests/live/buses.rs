//! Real buses, in the neighbourhoods of their city.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use watchtower::commands::replay::{self, Options};
use watchtower_core::events::Limits;
use watchtower_inputs::Present;
use watchtower_model::Rules;

use super::pipeline;
use crate::support::data_dir;
use crate::support::entries::Log;
use crate::support::load::{differences, load, make_tables};
use crate::support::oracle::compare;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Nothing is refused however late it comes: then the tables are those of a replay.
const UNLIMITED: &str = "horizon = \"3650d\"\nlateness = \"3650d\"";

/// A geofence that does not say since when it holds does so since ever in a replay, but in a stream only
/// since it arrived: here each says since before the first position.
fn dated_neighbourhoods(data: &Path, folder: &Path) -> PathBuf {
    let mut text = String::new();
    let file = File::open(data.join("geofences/city_austin_neighbourhoods.geojson.gz")).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut collection: Value = serde_json::from_str(&text).unwrap();
    for feature in collection["features"].as_array_mut().unwrap() {
        feature["properties"]["valid_from"] = "2000-01-01T00:00:00Z".into();
    }
    let path = folder.join("neighbourhoods.geojson");
    File::create(&path).unwrap().write_all(collection.to_string().as_bytes()).unwrap();
    path
}

/// The tables are what PostGIS computes from their archive, and the same as those of a replay of the files: on
/// so many event streams and worker threads.
fn come_to_the_tables_of_a_replay(file: &str, refused: &str, counts: &str, shapes: &[(u16, u16)]) {
    let Some(data) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let positions = data.join("positions").join(file);
    let geofences = dated_neighbourhoods(&data, folder.path());
    let out = folder.path().join("replayed");
    let options = Options {
        positions: vec![positions.clone()],
        geofences: vec![geofences.clone()],
        events: Vec::new(),
        alert_rules: Vec::new(),
        has_rule_events: true,
        shuffle: None,
        workers: 2,
        limits: Limits::for_replay(),
        present: Present::At(i64::MAX),
        reading: Default::default(),
        rules: Rules::default(),
    };
    let (tables, _) = replay::replay(&options, &mut |_, _| {}).unwrap();
    replay::write(tables, &out).unwrap();

    let [positions, geofences] = [positions, geofences].map(|path| path.display().to_string());
    for &(streams, workers) in shapes {
        let begun = std::time::Instant::now();
        let redis = RedisServer::start(RedisOptions::default());
        let pipeline = pipeline(&redis, streams, workers, UNLIMITED);
        let daemon = pipeline.start();
        pipeline.publish(&["--geofences", &geofences, "--positions", &positions]);
        pipeline.wait_for_entries(Log::read(&redis.url(), &pipeline.keys()).len());
        println!("{file} on {streams} streams and {workers} workers: in {:.1?}", begun.elapsed());
        assert_eq!(pipeline.sql("SELECT reason, sum(events) FROM rejected_counts GROUP BY 1"), refused);
        let visits = pipeline.sql("SELECT count(*), count(exited_at) FROM visits");
        assert!(visits.starts_with(counts), "{visits}");
        let url = &pipeline.setup.postgres;
        compare(url, "lagos").unwrap();
        println!("compared with PostGIS after {:.1?}", begun.elapsed());
        make_tables(url);
        load(url, &out, 0);
        let same = ["visits", "offlines", "geofence_membership", "geofence_occupancy", "vehicle_state", "positions"];
        differences(url, "lagos", &same).unwrap();
        differences(url, "lagos", &["geofences", "vehicles"]).unwrap();
        assert!(daemon.stop().success());
        println!("compared with a replay after {:.1?}", begun.elapsed());
    }
}

#[test]
fn clean_buses() {
    come_to_the_tables_of_a_replay("bus_austin_2016-11-24_27.csv.gz", "", "52010|51838", &[(1, 1), (4, 2)]);
}

#[test]
fn messy_buses() {
    come_to_the_tables_of_a_replay("bus_austin_messy.csv.gz", "null_island|78", "48888|", &[(4, 1), (1, 2)]);
}
