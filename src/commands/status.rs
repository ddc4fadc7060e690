//! `watchtower status`: prints the progress of the tables, and the lag.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::Client;
use watchtower_daemon as daemon;
use watchtower_log::redis::admin::{Admin, StreamInfo};
use watchtower_log::redis::{RedisError, Server, stream_keys};
use watchtower_store::postgres::{Database, StoreError};

use super::arguments::PlaceArgs;
use super::{embedded, runtime};

/// Time limit for the daemon's answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Number of rejected events shown.
const SHOWN: i64 = 5;

/// Prints the status.
///
/// # Errors
/// If the database or the file cannot be read.
pub fn run(args: &PlaceArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (options, file) = args.load()?;
    match file {
        None => runtime()?.block_on(status(&options, out))?,
        Some(file) => embedded::status(&file, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The status could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The database cannot be used, or holds no such pipeline.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Prints the status of a pipeline.
///
/// # Errors
/// If the database has no such pipeline. A Redis or a daemon that does not answer is part of the status.
pub async fn status(options: &daemon::Options, out: &mut impl Write) -> Result<(), StatusError> {
    let database = Database::new(&options.pipeline, &options.store)?;
    let client = database.connect().await?;
    pipeline(&client, &database, out).await?;
    writeln!(out, "daemon    {}", daemon(options.http.listen).await)?;
    streams(options, &client, out).await?;
    tables(&client, &database, out).await?;
    refused(&client, out).await?;
    Ok(())
}

async fn pipeline(client: &Client, database: &Database, out: &mut impl Write) -> Result<(), StatusError> {
    let exists = "SELECT to_regclass($1) IS NOT NULL";
    let table = format!("{}.pipeline", database.schema);
    let exists: bool =
        client.query_one(exists, &[&table]).await.map_err(StoreError::statement("check for the pipeline"))?.get(0);
    let sql = "SELECT p.commit_seq, p.term, p.owner_pid, p.owner_host, p.now::text,
                      (SELECT date_trunc('milliseconds', max(committed_at))::text FROM commit_log), p.halted
               FROM pipeline p WHERE p.id = $1";
    let row = if exists {
        client.query_opt(sql, &[&database.pipeline]).await.map_err(StoreError::statement("read the pipeline"))?
    } else {
        None
    };
    let Some(row) = row else {
        return Err(StoreError::Setup(format!(
            "there is no pipeline {} in schema {} of {}: no daemon has run yet",
            database.pipeline,
            database.schema,
            database.server()
        ))
        .into());
    };
    let (commit, term, pid): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let (host, now, at): (String, String, Option<String>) = (row.get(3), row.get(4), row.get(5));
    writeln!(out, "pipeline  {} in {}, schema {}", database.pipeline, database.server(), database.schema)?;
    writeln!(out, "commit    {commit} at {}, the log's time then {now}", at.as_deref().unwrap_or("-"))?;
    writeln!(out, "writer    process {pid} on {host}, term {term}")?;
    if let Some(why) = row.get::<_, Option<String>>(6) {
        writeln!(out, "HALTED    {why}")?;
    }
    Ok(())
}

/// State of the daemon according to its `/readyz`.
async fn daemon(listen: SocketAddr) -> String {
    match tokio::time::timeout(PATIENCE, readiness(listen)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => format!("does not answer on {listen}: {error}"),
        Err(_) => format!("does not answer on {listen} within {} s", PATIENCE.as_secs()),
    }
}

async fn readiness(listen: SocketAddr) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(listen).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    Ok(if answer.starts_with("HTTP/1.1 200") { format!("ready on {listen}") } else { format!("not ready: {body}") })
}

async fn streams(options: &daemon::Options, client: &Client, out: &mut impl Write) -> Result<(), StatusError> {
    let rows = client.query("SELECT stream, last_id, entries, entries - rebased FROM cursors", &[]).await;
    let rows = rows.map_err(StoreError::statement("read the cursors"))?;
    let keys = stream_keys(&options.pipeline, options.redis.streams);
    let in_redis = redis(options, &keys).await;
    if let Err(error) = &in_redis {
        writeln!(out, "redis     {error}")?;
    }
    writeln!(out, "\n{:<28} {:>24} {:>12} {:>12}", "stream", "tables contain up to", "entries", "behind")?;
    for (i, key) in keys.iter().enumerate() {
        let row = rows.iter().find(|row| row.get::<_, &str>(0) == key);
        let (last, entries, counted) = row.map_or(("-", 0_i64, 0_i64), |row| (row.get(1), row.get(2), row.get(3)));
        let behind = match &in_redis {
            Ok(infos) => infos[i].added.saturating_sub(counted as u64).to_string(),
            Err(_) => "?".to_owned(),
        };
        writeln!(out, "{key:<28} {last:>24} {entries:>12} {behind:>12}")?;
    }
    Ok(())
}

async fn redis(options: &daemon::Options, keys: &[String]) -> Result<Vec<StreamInfo>, RedisError> {
    let mut admin = Admin::connect(&Server::new(&options.redis)?).await?;
    let mut infos = Vec::new();
    for key in keys {
        infos.push(admin.stream_info(key).await?);
    }
    Ok(infos)
}

async fn tables(client: &Client, database: &Database, out: &mut impl Write) -> Result<(), StatusError> {
    // For a partitioned table, the sum over its partitions.
    let sql =
        "SELECT c.relname, p.rows, pg_size_pretty(p.bytes), coalesce(t.commit_seq, (SELECT commit_seq FROM pipeline))
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               LEFT JOIN table_progress t ON t.table_name = c.relname,
               LATERAL (SELECT coalesce(sum(s.n_live_tup), 0)::bigint AS rows,
                               coalesce(sum(pg_total_relation_size(m.oid)), 0)::bigint AS bytes
                        FROM (SELECT c.oid UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid) AS m
                        LEFT JOIN pg_stat_user_tables s ON s.relid = m.oid) AS p
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                 AND c.relname NOT IN ('pipeline', 'cursors', 'commit_log', 'table_progress', 'refinery_schema_history')
               ORDER BY c.relname";
    let rows =
        client.query(sql, &[&database.schema]).await.map_err(StoreError::statement("read the sizes of the tables"))?;
    writeln!(out, "\n{:<28} {:>24} {:>12} {:>12}", "table", "equals commit", "rows, about", "size")?;
    for row in rows {
        let (name, rows, size, commit): (String, i64, String, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
        writeln!(out, "{name:<28} {commit:>24} {rows:>12} {size:>12}")?;
    }
    Ok(())
}

async fn refused(client: &Client, out: &mut impl Write) -> Result<(), StatusError> {
    let doing = || StoreError::statement("read the rejected events");
    let sql =
        "SELECT reason, sum(events)::bigint, max(hour)::text FROM rejected_counts GROUP BY reason ORDER BY 2 DESC";
    let counts = client.query(sql, &[]).await.map_err(doing())?;
    if counts.is_empty() {
        writeln!(out, "\nno event was rejected")?;
        return Ok(());
    }
    writeln!(out, "\nrejected events (rejected_counts), and the last of them (rejected_events):")?;
    for row in counts {
        let (reason, events, hour): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
        writeln!(out, "  {events:>9} {reason}, the last in the hour from {hour}")?;
    }
    let sql =
        "SELECT arrived_at::text, stream, position, detail FROM rejected_events ORDER BY arrived_at DESC LIMIT $1";
    for row in client.query(sql, &[&SHOWN]).await.map_err(doing())? {
        let (at, stream, position, detail): (String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        writeln!(out, "  {at}  {stream} {position}: {detail}")?;
    }
    Ok(())
}
