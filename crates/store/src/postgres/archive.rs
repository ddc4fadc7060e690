//! The archive: every accepted position event, appended to `positions_log` by COPY; one partition per day.

use std::collections::BTreeSet;
use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use watchtower_model::{Heading, Place, Speed};

use super::encode::{Sql, Time};
use super::error::StoreError;
use super::queue::{Parameters, StatementQueue};
use watchtower_core::events::Measured;
use watchtower_core::tables::Cell;
use watchtower_core::{Archived, ArchivedEdit, ArchivedPosition};
use watchtower_model::rfc3339;

const DAY_MS: i64 = 86_400_000;

const COLUMNS: &str = "vehicle_id, ts, entry, entry_index, received_at, deleted, lon, lat, speed_kmh, heading_deg, \
                       accuracy_m, altitude_m, ignition, attributes";
const TYPES: [Type; 14] = [
    Type::TEXT,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT4,
    Type::TIMESTAMPTZ,
    Type::BOOL,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::BOOL,
    Type::JSON,
];

/// The days that have a partition, as far as this session knows; others may exist.
#[derive(Debug, Default)]
pub struct Partitions {
    days: BTreeSet<i64>,
    loaded: bool,
}

impl Partitions {
    /// Creates missing partitions, so that every row has one. Runs outside of any transaction; attaching a partition
    /// does not wait for readers, and readers do not wait for it.
    ///
    /// # Errors
    /// If a partition cannot be created.
    pub async fn ensure(&mut self, client: &Client, rows: &[ArchivedPosition]) -> Result<(), StoreError> {
        if !self.loaded {
            self.load(client).await?;
        }
        let wanted: BTreeSet<i64> = rows.iter().map(|row| row.ts.div_euclid(DAY_MS)).collect();
        for &day in wanted.difference(&self.days.clone()) {
            if let Err(error) = attach(client, day).await {
                // Another daemon may have created it in the meantime.
                self.load(client).await?;
                if !self.days.contains(&day) {
                    return Err(error);
                }
            }
            self.days.insert(day);
        }
        Ok(())
    }

    async fn load(&mut self, client: &Client) -> Result<(), StoreError> {
        let sql = "SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid \
                   WHERE inhparent = 'positions_log'::regclass";
        let rows = client.query(sql, &[]).await.map_err(StoreError::statement("list the partitions"))?;
        self.days = rows.iter().filter_map(|row| day_of(row.get(0))).collect();
        self.loaded = true;
        Ok(())
    }
}

/// Name of a day's partition, such as `positions_log_20261123`.
fn name_of(day: i64) -> String {
    format!("positions_log_{}", rfc3339::format(day * DAY_MS)[..10].replace('-', ""))
}

fn day_of(name: &str) -> Option<i64> {
    let digits = name.strip_prefix("positions_log_")?;
    let date = jiff::civil::Date::strptime("%Y%m%d", digits).ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond().div_euclid(DAY_MS))
}

async fn attach(client: &Client, day: i64) -> Result<(), StoreError> {
    let name = name_of(day);
    let (from, until) = (rfc3339::format(day * DAY_MS), rfc3339::format((day + 1) * DAY_MS));
    // Two daemons may reach a new day at the same time, or one while another process migrates. Concurrent DDL fails in
    // the server's catalogue.
    let sql = format!(
        "BEGIN;
         SELECT pg_advisory_xact_lock(hashtextextended('watchtower migrate ' || current_schema(), 0));
         CREATE TABLE IF NOT EXISTS {name} (LIKE positions_log INCLUDING COMMENTS);
         COMMENT ON TABLE {name} IS 'The positions of {}, a part of positions_log.';
         ALTER TABLE positions_log ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{until}');
         COMMIT;",
        &from[..10]
    );
    if let Err(error) = client.batch_execute(&sql).await {
        let failed = StoreError::statement(format!("create the partition {name}"))(error);
        // The transaction is void. If the session is lost, so is the transaction.
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(failed);
    }
    Ok(())
}

/// Appends the rows, within a transaction.
///
/// # Errors
/// If COPY fails; the transaction is then void.
pub async fn append(client: &Client, rows: &[ArchivedPosition]) -> Result<(), StoreError> {
    let doing = || StoreError::statement("append to positions_log");
    let sink = client.copy_in(&format!("COPY positions_log ({COLUMNS}) FROM STDIN BINARY")).await.map_err(doing())?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for row in rows {
        let ArchivedPosition { vehicle_id, ts, entry, entry_index, received_at, measured } = row;
        let at = measured.as_ref();
        let attributes = at.and_then(|at| at.attributes.as_deref()).map(|json| Cell::Json(json.into()));
        let cells: [&(dyn ToSql + Sync); 14] = [
            &&**vehicle_id,
            &Time(*ts),
            &(*entry as i64),
            &(*entry_index as i32),
            &Time(*received_at),
            &measured.is_none(),
            &at.map(|at| at.place.lon_degrees()),
            &at.map(|at| at.place.lat_degrees()),
            &at.and_then(|at| at.speed.kmh()),
            &at.and_then(|at| at.heading.degrees()),
            &at.and_then(|at| at.accuracy_m),
            &at.and_then(|at| at.altitude_m),
            &at.and_then(|at| at.ignition),
            &attributes.as_ref().map(Sql),
        ];
        writer.as_mut().write(&cells).await.map_err(doing())?;
    }
    writer.finish().await.map_err(doing())?;
    Ok(())
}

/// Appends edits, within a transaction.
///
/// # Errors
/// If the statement fails; the transaction is then void.
pub async fn append_edits<'a>(queue: &mut StatementQueue<'a>, edits: &'a [ArchivedEdit]) -> Result<(), StoreError> {
    if edits.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO edits_log (entry, entry_index, received_at, event)
               SELECT e, i, r, v::json FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::text[]) AS u(e, i, r, v)";
    let parameters: Parameters<'a> = vec![
        Box::new(edits.iter().map(|edit| edit.entry as i64).collect::<Vec<_>>()),
        Box::new(edits.iter().map(|edit| edit.entry_index as i32).collect::<Vec<_>>()),
        Box::new(edits.iter().map(|edit| Time(edit.received_at)).collect::<Vec<_>>()),
        Box::new(edits.iter().map(|edit| edit.event.as_str()).collect::<Vec<_>>()),
    ];
    queue.execute(sql, &[], parameters, "append to edits_log".to_owned()).await
}

/// Reads the whole archive of a schema: all edits, then all positions in the order of their entries, in portions of
/// `READ_ROWS`. `sink` returns whether to continue.
///
/// # Errors
/// If the database does not answer.
pub async fn read_all<F: Future<Output = bool>>(
    client: &Client,
    mut sink: impl FnMut(Vec<Archived>) -> F,
) -> Result<(), StoreError> {
    let doing = || StoreError::statement("read the archive");
    let edits = "SELECT entry, entry_index, (extract(epoch FROM received_at) * 1000)::bigint, event::text FROM edits_log \
                 ORDER BY entry, entry_index";
    let rows = client.query(edits, &[]).await.map_err(doing())?;
    let edit = |row: &Row| {
        Archived::Edit(ArchivedEdit {
            entry: row.get::<_, i64>(0) as u64,
            entry_index: row.get::<_, i32>(1) as u32,
            received_at: row.get(2),
            event: row.get(3),
        })
    };
    if !sink(rows.iter().map(edit).collect()).await {
        return Ok(());
    }
    let positions = "DECLARE archive NO SCROLL CURSOR FOR SELECT vehicle_id, (extract(epoch FROM ts) * 1000)::bigint, \
                     entry, entry_index, (extract(epoch FROM received_at) * 1000)::bigint, deleted, lon, lat, speed_kmh, \
                     heading_deg, accuracy_m, altitude_m, ignition, attributes::text FROM positions_log \
                     ORDER BY entry, entry_index";
    // `sink` may block for longer than the session's limit for idle transactions.
    let patient = "SET idle_in_transaction_session_timeout = 0";
    client.batch_execute(&format!("{patient}; BEGIN; {positions}")).await.map_err(doing())?;
    loop {
        let rows = client.query(&format!("FETCH {READ_ROWS} FROM archive"), &[]).await.map_err(doing())?;
        if rows.is_empty() || !sink(rows.iter().map(position).collect()).await {
            break;
        }
    }
    client.batch_execute("ROLLBACK").await.map_err(doing())
}

/// Rows fetched per round trip.
const READ_ROWS: usize = 8192;

fn position(row: &Row) -> Archived {
    let measured = (!row.get::<_, bool>(5)).then(|| Measured {
        place: Place::from_degrees(row.get(6), row.get(7)),
        speed: row.get::<_, Option<f64>>(8).map_or(Speed::NONE, Speed::from_kmh),
        heading: row.get::<_, Option<f64>>(9).map_or(Heading::NONE, Heading::from_degrees),
        accuracy_m: row.get(10),
        altitude_m: row.get(11),
        ignition: row.get(12),
        attributes: row.get::<_, Option<String>>(13).map(Into::into),
    });
    Archived::Position(ArchivedPosition {
        vehicle_id: row.get::<_, String>(0).into(),
        ts: row.get(1),
        entry: row.get::<_, i64>(2) as u64,
        entry_index: row.get::<_, i32>(3) as u32,
        received_at: row.get(4),
        measured,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_name_is_its_day() {
        for day in [0, 20_780, -5_000] {
            assert_eq!(day_of(&name_of(day)), Some(day), "{}", name_of(day));
        }
        assert_eq!(name_of(20_780), "positions_log_20261123");
        assert_eq!(day_of("positions_log_default"), None);
    }
}
