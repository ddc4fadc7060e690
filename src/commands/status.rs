//! `watchtower status`: prints the progress of the tables, and the lag.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchtower_daemon::{self as daemon, Places};
use watchtower_log::{BackendError, StreamLag};
use watchtower_model::rfc3339;
use watchtower_store::{Progress, Store, WriterError};

use super::arguments::PlaceArgs;
use super::runtime;

/// Time limit for the daemon's answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints the status.
///
/// # Errors
/// If the database or the file cannot be read.
pub fn run(args: &PlaceArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (options, places) = args.load()?;
    runtime()?.block_on(status(&options, &places, out))?;
    Ok(ExitCode::SUCCESS)
}

/// The status could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The tables cannot be read, or there are none.
    #[error(transparent)]
    Store(#[from] WriterError),
    /// The output cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Prints the status of a pipeline.
///
/// # Errors
/// If there are no tables, or they cannot be read: then the daemon is asked all the same. A log or a daemon that does not
/// answer is part of the status.
pub async fn status(options: &daemon::Options, places: &Places, out: &mut impl Write) -> Result<(), StatusError> {
    let store = Store::new(&places.store)?;
    let progress = match store.progress().await {
        Ok(progress) => progress,
        Err(error) => {
            if store.file().is_none() {
                writeln!(out, "daemon    {}", readiness(options.http.listen).await)?;
            }
            return Err(error.into());
        }
    };
    let daemon = match progress.is_running {
        Some(true) => "runs".to_owned(),
        Some(false) => "does not run".to_owned(),
        None => readiness(options.http.listen).await,
    };
    pipeline(&progress, &daemon, out)?;
    let lag = async { places.log.lag_meter()?.measure(&progress.cursors).await }.await;
    streams(&progress, &lag, out)?;
    tables(&progress, out)?;
    rejected(&progress, out)?;
    Ok(())
}

fn pipeline(progress: &Progress, daemon: &str, out: &mut impl Write) -> std::io::Result<()> {
    let Progress { place, owner, committed_at, now, halted, .. } = progress;
    let at = committed_at.map_or_else(|| "-".to_owned(), rfc3339::format);
    writeln!(out, "tables    {place}")?;
    writeln!(out, "commit    {} at {at}, the log's time then {}", owner.commit_seq, rfc3339::format(*now))?;
    writeln!(out, "writer    {}, term {}", owner.name, owner.term)?;
    writeln!(out, "daemon    {daemon}")?;
    if let Some(why) = halted {
        writeln!(out, "HALTED    {why}")?;
    }
    Ok(())
}

/// State of the daemon according to its `/readyz`.
async fn readiness(listen: SocketAddr) -> String {
    match tokio::time::timeout(PATIENCE, ask(listen)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => format!("does not answer on {listen}: {error}"),
        Err(_) => format!("does not answer on {listen} within {} s", PATIENCE.as_secs()),
    }
}

async fn ask(listen: SocketAddr) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(listen).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    Ok(if answer.starts_with("HTTP/1.1 200") { format!("ready on {listen}") } else { format!("not ready: {body}") })
}

fn streams(
    progress: &Progress,
    lag: &Result<Vec<StreamLag>, BackendError>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    if let Err(error) = lag {
        writeln!(out, "log       {error}")?;
    }
    writeln!(out, "\n{:<28} {:>24} {:>12} {:>12}", "stream", "tables contain up to", "entries", "behind")?;
    let rows: Vec<(&str, String)> = match lag {
        Ok(lags) => lags.iter().map(|lag| (&*lag.stream, lag.entries.to_string())).collect(),
        Err(_) => progress.cursors.iter().map(|cursor| (&*cursor.stream, "?".to_owned())).collect(),
    };
    for (key, behind) in rows {
        let cursor = progress.cursors.iter().find(|cursor| cursor.stream == key);
        let (last, entries) = cursor
            .map_or_else(|| ("-".to_owned(), 0), |cursor| (cursor.position.last.to_string(), cursor.position.entries));
        writeln!(out, "{key:<28} {last:>24} {entries:>12} {behind:>12}")?;
    }
    Ok(())
}

fn tables(progress: &Progress, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "\n{:<28} {:>24} {:>12} {:>12}", "table", "equals commit", "rows, about", "size")?;
    for table in &progress.tables {
        let size = table.bytes.map_or_else(|| "-".to_owned(), size);
        writeln!(out, "{:<28} {:>24} {:>12} {size:>12}", table.name, table.commit_seq, table.rows)?;
    }
    Ok(())
}

/// A size in the greatest unit in which it is at least ten.
fn size(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["bytes", "kB", "MB", "GB"];
    let unit = (0..UNITS.len()).rev().find(|unit| bytes >> (10 * unit) >= 10).unwrap_or(0);
    format!("{} {}", bytes >> (10 * unit), UNITS[unit])
}

fn rejected(progress: &Progress, out: &mut impl Write) -> std::io::Result<()> {
    if progress.rejected.is_empty() {
        return writeln!(out, "\nno event was rejected");
    }
    writeln!(out, "\nrejected events (rejected_counts), and the last of them (rejected_events):")?;
    for count in &progress.rejected {
        let hour = rfc3339::format(count.last_hour);
        writeln!(out, "  {:>9} {}, the last in the hour from {hour}", count.events, count.reason)?;
    }
    for event in &progress.last_rejected {
        let at = rfc3339::format(event.arrived_at);
        writeln!(out, "  {at}  {} {}: {}", event.stream, event.position, event.detail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_has_two_digits_at_least() {
        assert_eq!(
            [0, 8192, 16 << 10, 9 << 20, 3 << 40].map(size),
            ["0 bytes", "8192 bytes", "16 kB", "9216 kB", "3072 GB"]
        );
    }
}
