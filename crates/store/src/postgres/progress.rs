//! How far the tables in PostgreSQL are.

use tokio_postgres::Client;
use watchtower_model::BEGINNING;

use super::claim;
use super::connection::Database;
use super::error::StoreError;
use crate::progress::{LAST_REJECTED, Progress, RejectedCount, RejectedEvent, TableProgress};

const PIPELINE: &str = concat!(
    "SELECT ",
    instant_ms!("p.now"),
    ", (SELECT max(",
    instant_ms!("committed_at"),
    ") FROM commit_log), p.halted FROM pipeline p WHERE p.id = $1"
);
/// Of a partitioned table, rows and bytes are the sum over its partitions.
const TABLES: &str = "SELECT c.relname, coalesce(t.commit_seq, (SELECT commit_seq FROM pipeline)), p.rows, p.bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN table_progress t ON t.table_name = c.relname,
    LATERAL (SELECT coalesce(sum(s.n_live_tup), 0)::bigint AS rows,
                    coalesce(sum(pg_total_relation_size(m.oid)), 0)::bigint AS bytes
             FROM (SELECT c.oid UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid) AS m
             LEFT JOIN pg_stat_user_tables s ON s.relid = m.oid) AS p
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname NOT IN ('pipeline', 'cursors', 'commit_log', 'table_progress', 'refinery_schema_history')
    ORDER BY c.relname";
const REJECTED: &str = concat!(
    "SELECT reason, sum(events)::bigint, max(",
    instant_ms!("hour"),
    ") FROM rejected_counts GROUP BY reason ORDER BY 2 DESC, 1"
);
const LAST: &str = concat!(
    "SELECT ",
    instant_ms!("arrived_at"),
    ", stream, position, detail FROM rejected_events AS e ORDER BY e.arrived_at DESC LIMIT $1"
);

/// The state of the pipeline's tables.
///
/// # Errors
/// If the database does not answer, or has no such pipeline.
pub async fn progress(client: &mut Client, database: &Database) -> Result<Progress, StoreError> {
    let doing = |what| StoreError::statement(what);
    let read_only = client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let read_only = read_only.read_only(true).start().await.map_err(doing("begin to read the progress"))?;
    if !claim::exists(read_only.client(), database).await? {
        return Err(claim::missing(database));
    }
    let Some(owner) = claim::owner(read_only.client(), database).await? else { return Err(claim::missing(database)) };
    let stored = claim::stored(read_only.client(), database).await?;
    let row = read_only.query_one(PIPELINE, &[&database.pipeline]).await.map_err(doing("read the pipeline"))?;
    let tables = read_only.query(TABLES, &[&database.schema]).await.map_err(doing("read the sizes of the tables"))?;
    let rejected = read_only.query(REJECTED, &[]).await.map_err(doing("read the counts of rejected events"))?;
    let last = read_only.query(LAST, &[&LAST_REJECTED]).await.map_err(doing("read the rejected events"))?;
    let Database { pipeline, schema, .. } = database;
    Ok(Progress {
        place: format!("pipeline {pipeline} in {}, schema {schema}", database.server()),
        owner,
        is_running: None,
        now: row.get::<_, Option<i64>>(0).unwrap_or(BEGINNING),
        committed_at: row.get(1),
        halted: row.get(2),
        cursors: stored.map_or_else(Vec::new, |stored| stored.cursors),
        tables: tables
            .iter()
            .map(|row| TableProgress {
                name: row.get(0),
                commit_seq: row.get(1),
                rows: row.get(2),
                bytes: Some(row.get(3)),
            })
            .collect(),
        rejected: rejected
            .iter()
            .map(|row| RejectedCount {
                reason: row.get(0),
                events: row.get(1),
                last_hour: row.get::<_, Option<i64>>(2).unwrap_or(BEGINNING),
            })
            .collect(),
        last_rejected: last
            .iter()
            .map(|row| RejectedEvent {
                arrived_at: row.get::<_, Option<i64>>(0).unwrap_or(BEGINNING),
                stream: row.get(1),
                position: row.get(2),
                detail: row.get(3),
            })
            .collect(),
    })
}
