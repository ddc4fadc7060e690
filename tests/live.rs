//! The daemon with the real servers: what it writes is what PostGIS computes from its archive.

use crate::support::daemon::{Pipeline, Setup};
use crate::support::data_dir;
use crate::support::oracle::compare;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// A pipeline on a Redis of its own and a new database.
fn pipeline(redis: &RedisServer, streams: u16, workers: u16) -> Pipeline {
    Pipeline::new(Setup {
        redis: redis.url(),
        postgres: PostgresServer::shared().database(),
        streams,
        workers,
        clock: "log",
        more: String::new(),
    })
}

/// Entries that were ever added to the streams.
fn added(redis: &RedisServer, pipeline: &Pipeline) -> u64 {
    let length = |key: &String| redis.command(&["XLEN", key]).trim().trim_start_matches(':').parse::<u64>().unwrap();
    pipeline.keys().iter().map(length).sum()
}

#[test]
fn real_buses_come_to_the_same_tables_as_postgis_computes() {
    let Some(data) = data_dir() else { return };
    for (positions, visits, ended, streams, workers) in [
        ("bus_austin_2016-11-24_27.csv.gz", "52010", "51838", 1, 1),
        ("bus_austin_2016-11-24_27.csv.gz", "52010", "51838", 4, 2),
    ] {
        let redis = RedisServer::start(RedisOptions::default());
        let mut pipeline = pipeline(&redis, streams, workers);
        pipeline.setup.more = "horizon = \"3650d\"\nlateness = \"3650d\"".to_owned();
        pipeline.configure();
        let daemon = pipeline.start();
        let file = |name: &str| data.join(name).display().to_string();
        pipeline.publish(&[
            "--geofences",
            &file("geofences/city_austin_neighbourhoods.geojson.gz"),
            "--positions",
            &file(&format!("positions/{positions}")),
        ]);
        pipeline.wait_for_entries(added(&redis, &pipeline));
        assert_eq!(pipeline.sql("SELECT count(*), count(exited_at) FROM visits"), format!("{visits}|{ended}"));
        compare(&pipeline.setup.postgres, "lagos").unwrap();
        assert!(daemon.stop().success());
    }
}
