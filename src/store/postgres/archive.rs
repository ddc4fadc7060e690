//! The archive: every accepted position event, appended to `positions_log` by COPY, a partition a day.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use watchtower_dataflows::model::Millis;

use super::encode::Time;
use super::error::StoreError;
use crate::events::Measured;
use crate::tables::{Cell, time};

const DAY_MS: i64 = 86_400_000;

/// An accepted position event as it came.
#[derive(Clone, Debug)]
pub struct ArchivedPosition {
    /// Whose.
    pub vehicle_id: Arc<str>,
    /// When the vehicle was there.
    pub ts: Millis,
    /// Number of its entry in the stream, from 1.
    pub entry: u64,
    /// Its number in the entry, from 0.
    pub entry_index: u32,
    /// When it arrived.
    pub received_at: Millis,
    /// What was measured; nothing if it withdraws.
    pub measured: Option<Measured<'static>>,
}

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

/// The days that have a partition, as far as this session knows.
#[derive(Debug, Default)]
pub struct Partitions {
    days: BTreeSet<i64>,
    loaded: bool,
}

impl Partitions {
    /// Makes sure that every row finds its partition. Outside of any transaction: attaching one does not
    /// wait for readers, nor they for it.
    ///
    /// # Errors
    /// If a partition cannot be made.
    pub async fn ensure(&mut self, client: &Client, rows: &[ArchivedPosition]) -> Result<(), StoreError> {
        if !self.loaded {
            self.load(client).await?;
        }
        let wanted: BTreeSet<i64> = rows.iter().map(|row| row.ts.div_euclid(DAY_MS)).collect();
        for &day in wanted.difference(&self.days.clone()) {
            attach(client, day).await?;
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

/// `positions_log_20261123`
fn name_of(day: i64) -> String {
    format!("positions_log_{}", time::format(day * DAY_MS)[..10].replace('-', ""))
}

fn day_of(name: &str) -> Option<i64> {
    let digits = name.strip_prefix("positions_log_")?;
    let date = jiff::civil::Date::strptime("%Y%m%d", digits).ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond().div_euclid(DAY_MS))
}

async fn attach(client: &Client, day: i64) -> Result<(), StoreError> {
    let name = name_of(day);
    let (from, until) = (time::format(day * DAY_MS), time::format((day + 1) * DAY_MS));
    let sql = format!(
        "BEGIN;
         CREATE TABLE IF NOT EXISTS {name} (LIKE positions_log INCLUDING COMMENTS);
         COMMENT ON TABLE {name} IS 'The positions of {}, a part of positions_log.';
         ALTER TABLE positions_log ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{until}');
         COMMIT;",
        &from[..10]
    );
    if let Err(error) = client.batch_execute(&sql).await {
        let failed = StoreError::statement(format!("create the partition {name}"))(error);
        // The session is left in a void transaction; if it is gone, so is that.
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(failed);
    }
    Ok(())
}

/// Appends the rows, within a transaction.
///
/// # Errors
/// If COPY fails; the transaction is void then.
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
            &attributes,
        ];
        writer.as_mut().write(&cells).await.map_err(doing())?;
    }
    writer.finish().await.map_err(doing())?;
    Ok(())
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
