//! The PostGIS baseline: the same membership and changes from a table of polygons with a GiST index, in the database of
//! the tables. Either a query for each event, with the state in the client; or batches of events, with the state in a
//! table. Neither knows event time.

use std::fmt::Write;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, NoTls};
use watchtower_model::PositionEvent;

use super::baseline::Plain;
use super::measure::{Sample, Samples, Scope, Timer};
use super::report::{Measure, Outcome, Report};
use super::stage::{POSTGRES, cpu_of_family_s};
use super::tally::{LastSeen, Tally};
use super::workload::Workload;
use super::{BenchError, Context};
use watchtower_testing::servers::PostgresServer;

/// Limit of measured events: PostGIS takes a hundred times as long per event as the other baselines.
const EVENTS: usize = 20_000;
const EVENTS_IN_BATCHES: usize = 200_000;
/// Events per batch.
const BATCH: usize = 10_000;

/// Measures PostGIS over the first events of a workload; `engine` is the speed to compare with.
///
/// # Errors
/// If PostGIS cannot be started, Ctrl-C was pressed, or the results differ.
pub(super) fn measure(
    workload: &Workload,
    plain: &Plain,
    engine: Option<(String, f64)>,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Result<(), BenchError> {
    context.step(|| "starting PostgreSQL".to_owned())?;
    let server = PostgresServer::start(POSTGRES)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(connect(&server.database()?))?;
    runtime.block_on(load(&client, workload))?;
    let postgres_s = || server.pid().map_or(0.0, cpu_of_family_s);
    let quick = if context.settings.quick { 10 } else { 1 };
    for (what, events) in [("postgis-per-event", EVENTS / quick), ("postgis-batches", EVENTS_IN_BATCHES / quick)] {
        let events = &workload.events[..events.min(workload.events.len())];
        let name = format!("{}/{what}", workload.name);
        context.step(|| name.clone())?;
        let mut seen = LastSeen::new(workload.vehicles);
        plain.advance(&mut seen, events);
        let expected = seen.tally();
        let (before, timer) = (postgres_s(), Timer::start(Scope::Process));
        let found = match what {
            "postgis-per-event" => runtime.block_on(per_event(&client, workload, events, context))?,
            _ => runtime.block_on(in_batches(&client, events, context))?,
        };
        let Sample { wall_s, cpu_s } = timer.stop();
        let mut samples = Samples::default();
        samples.push(Sample { wall_s, cpu_s: cpu_s + postgres_s() - before });
        super::kernel::agree(&name, found, expected)?;
        let mut outcome = Outcome::new(name).timed(&samples, events.len());
        if let Some((engine, events_per_s)) = &engine {
            outcome.baseline = Some(engine.clone().into());
            outcome = outcome.with(Measure::Ratio, events.len() as f64 / wall_s / events_per_s);
        }
        report.results.push(outcome);
    }
    Ok(())
}

async fn connect(url: &str) -> Result<Client, BenchError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn load(client: &Client, workload: &Workload) -> Result<(), BenchError> {
    client.batch_execute("CREATE TABLE fences (id integer PRIMARY KEY, geom geometry NOT NULL)").await?;
    let mut rows = String::new();
    for (number, geofence) in workload.geofences.iter().enumerate() {
        let _ = writeln!(rows, "{number}\tSRID=4326;{}", geofence.shape.wkt());
    }
    copy(client, "COPY fences FROM STDIN", rows).await?;
    let index = "CREATE INDEX ON fences USING gist (geom); ANALYZE fences; \
                 CREATE TABLE last (vehicle integer PRIMARY KEY, ids integer[] NOT NULL); \
                 CREATE TEMP TABLE batch (seq integer, vehicle integer, lon float8, lat float8); \
                 CREATE TEMP TABLE moved (seq integer, vehicle integer, ids integer[], before integer[])";
    client.batch_execute(index).await?;
    Ok(())
}

async fn copy(client: &Client, statement: &str, rows: String) -> Result<(), BenchError> {
    let mut sink = std::pin::pin!(client.copy_in::<_, Bytes>(statement).await?);
    sink.send(Bytes::from(rows)).await?;
    sink.close().await?;
    Ok(())
}

/// One query for each event.
async fn per_event(
    client: &Client,
    workload: &Workload,
    events: &[PositionEvent],
    context: &Context<'_>,
) -> Result<Tally, BenchError> {
    let query = "SELECT id FROM fences WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint($1, $2), 4326))";
    let query = client.prepare(query).await?;
    let mut seen = LastSeen::new(workload.vehicles);
    for (number, event) in events.iter().enumerate() {
        if number % 1000 == 0 {
            context.check()?;
        }
        let place = event.position.place;
        let rows = client.query(&query, &[&place.lon_degrees(), &place.lat_degrees()]).await?;
        let ids = rows.iter().map(|row| row.get::<_, i32>(0).unsigned_abs());
        seen.advance(std::slice::from_ref(event), |_, found| found.extend(ids.clone()));
    }
    Ok(seen.tally())
}

/// A few statements for each batch.
async fn in_batches(client: &Client, events: &[PositionEvent], context: &Context<'_>) -> Result<Tally, BenchError> {
    let locate = "INSERT INTO moved
        SELECT seq, vehicle, here.ids, coalesce(lag(here.ids) OVER (PARTITION BY vehicle ORDER BY seq), last.ids, '{}')
        FROM (SELECT seq, vehicle, coalesce(
                  (SELECT array_agg(id ORDER BY id) FROM fences
                   WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(lon, lat), 4326))), '{}') AS ids FROM batch) AS here
        LEFT JOIN last USING (vehicle)";
    let count = "SELECT coalesce(sum(cardinality(ARRAY(SELECT unnest(ids) EXCEPT SELECT unnest(before)))), 0)::bigint,
                        coalesce(sum(cardinality(ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(ids)))), 0)::bigint
                 FROM moved WHERE ids <> before";
    let keep = "INSERT INTO last SELECT DISTINCT ON (vehicle) vehicle, ids FROM moved ORDER BY vehicle, seq DESC
                ON CONFLICT (vehicle) DO UPDATE SET ids = excluded.ids";
    let mut tally = Tally::default();
    for batch in events.chunks(BATCH) {
        context.check()?;
        let mut rows = String::new();
        for (seq, event) in batch.iter().enumerate() {
            let place = event.position.place;
            let _ = writeln!(rows, "{seq}\t{}\t{}\t{}", event.vehicle.0, place.lon_degrees(), place.lat_degrees());
        }
        client.batch_execute("TRUNCATE batch, moved").await?;
        copy(client, "COPY batch FROM STDIN", rows).await?;
        client.execute(locate, &[]).await?;
        let row = client.query_one(count, &[]).await?;
        tally.enters += row.get::<_, i64>(0).unsigned_abs();
        tally.exits += row.get::<_, i64>(1).unsigned_abs();
        client.execute(keep, &[]).await?;
    }
    Ok(tally)
}
