//! The summary of a run, from the file alone. The log determines every number in it, so the same seed has the same
//! summary on every machine and with any number of workers.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use watchtower_model::Millis;

use super::DemoError;
use super::gauge::Change;
use super::options::Options;
use super::tables::{Tables, text};
use super::words::{clock, counted, date, span, thousands};
use watchtower_core::tables::{Column, TABLES, positions};

const VISITS: &str = "SELECT count(*), coalesce(sum(confirmed), 0), coalesce(sum(exited_at IS NULL), 0) FROM visits";
const TRIPS: &str = "SELECT count(*), coalesce(sum(arrived_at IS NULL), 0), coalesce(sum(distance_m), 0.0) FROM trips";
const REFUSED: &str = "SELECT reason, sum(events) FROM rejected_counts GROUP BY reason ORDER BY reason";
const FLEETS: &str = "
SELECT day, fleet, vehicles_reporting, distance_m, trips_completed, turnarounds, turnaround_p50_s, utilisation
FROM fleet_daily WHERE vehicles_reporting > 0 ORDER BY day, fleet";

/// SQL for the median over all rows.
fn median_s(of: &str) -> String {
    format!(
        "SELECT duration_s FROM {of} AND duration_s IS NOT NULL ORDER BY duration_s \
         LIMIT 1 OFFSET ((SELECT count(*) FROM {of} AND duration_s IS NOT NULL) - 1) / 2"
    )
}

/// The summary of a run that ended at `ended`.
pub(super) fn summary(
    tables: &Tables,
    options: &Options,
    ended: Millis,
    changes: &[Change],
    unmeasured: u64,
) -> Result<String, DemoError> {
    tables.at_one_commit(|tables| {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", head(options, ended));
        let _ = write!(out, "{}", log(tables)?);
        let _ = write!(out, "{}", facts(tables)?);
        let _ = write!(out, "{}", fleets(tables)?);
        if !changes.is_empty() {
            let _ = writeln!(out, "\nthe past changed:");
            for Change { at, text } in changes {
                let _ = writeln!(out, "  {}  {text}", clock(*at));
            }
        }
        if unmeasured > 0 {
            let _ = writeln!(out, "  and {} in between", counted(unmeasured, "late upload"));
        }
        let _ = writeln!(out, "\nall tables: sha256 {}", digest(tables)?);
        Ok(out)
    })
}

fn head(options: &Options, ended: Millis) -> String {
    let Options { fleet, live, .. } = options;
    let begins = fleet.begins;
    format!(
        "{} of Lagos on {}, from {} to {}{}: {} simulated, {} of them history; seed {}\n\n",
        counted(u64::from(fleet.vehicles), "truck"),
        date(begins),
        clock(begins),
        if date(begins) == date(ended) { String::new() } else { format!("{} ", date(ended)) },
        clock(ended),
        span((ended - begins) as f64 / 1000.0),
        span((live.min(&ended) - begins) as f64 / 1000.0),
        fleet.seed,
    )
}

/// Events read, and those of them that were rejected.
fn log(tables: &Tables) -> Result<String, DemoError> {
    let refused = tables.rows(REFUSED, (), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let refused: Vec<String> =
        refused.into_iter().map(|(reason, events)| format!("{} {reason}", thousands(events.unsigned_abs()))).collect();
    let (positions, edits) = (tables.count("positions")?, tables.count("geofences")? + tables.count("vehicles")?);
    Ok(format!(
        "positions    {:>9}   versions of geofences and vehicles {}, rejected {}\n",
        thousands(positions),
        thousands(edits),
        if refused.is_empty() { "none".to_owned() } else { refused.join(", ") }
    ))
}

/// Numbers of visits, trips and other facts.
fn facts(tables: &Tables) -> Result<String, DemoError> {
    let three = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, f64>(2)?));
    let (visits, confirmed, inside) = tables
        .one(VISITS, (), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?
        .unwrap_or_default();
    let (trips, open, distance_m) = tables.one(TRIPS, (), three)?.unwrap_or_default();
    let median = |of: &str| -> Result<String, DemoError> {
        let seconds: Option<f64> = tables.one(&median_s(of), (), |row| row.get(0))?;
        Ok(seconds.map_or_else(|| "none".to_owned(), span))
    };
    let number = |number: i64| thousands(number.unsigned_abs());
    let mut out = String::new();
    let mut line = |name: &str, count: String, rest: String| {
        let _ = writeln!(out, "{name:<12} {count:>9}{}{rest}", if rest.is_empty() { "" } else { "   " });
    };
    line("visits", number(visits), format!("{} confirmed, {} open", number(confirmed), number(inside)));
    line(
        "trips",
        number(trips),
        format!(
            "{} under way; of the others {} km, median {}",
            number(open),
            thousands((distance_m / 1000.0).round() as u64),
            median("trips WHERE arrived_at IS NOT NULL")?
        ),
    );
    line("turnarounds", thousands(tables.count("turnarounds")?), format!("median {}", median("turnarounds WHERE 1")?));
    for table in ["stops", "idlings", "overspeeds", "offlines"] {
        let open = tables.count(&format!("{table} WHERE ended_at IS NULL"))?;
        line(table, thousands(tables.count(table)?), format!("{} open", thousands(open)));
    }
    Ok(out)
}

/// One line per fleet and day.
fn fleets(tables: &Tables) -> Result<String, DemoError> {
    let mut out = format!(
        "\n{:<11} {:<16} {:>7} {:>9} {:>7} {:>11} {:>8} {:>7}\n",
        "day", "fleet", "trucks", "km", "trips", "turnarounds", "median", "moving"
    );
    let lines = tables.rows(FLEETS, (), |row| {
        let number = |index| row.get::<_, i64>(index).map(|number| thousands(number.unsigned_abs()));
        let (distance_m, p50_s, used) =
            (row.get::<_, Option<f64>>(3)?, row.get::<_, Option<f64>>(6)?, row.get::<_, Option<f64>>(7)?);
        Ok(format!(
            "{:<11} {:<16} {:>7} {:>9} {:>7} {:>11} {:>8} {:>7}\n",
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            number(2)?,
            thousands((distance_m.unwrap_or(0.0) / 1000.0).round() as u64),
            number(4)?,
            number(5)?,
            p50_s.map_or_else(|| "-".to_owned(), span),
            used.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        ))
    })?;
    out.extend(lines);
    Ok(out)
}

/// SHA-256 of all rows of all computed tables and of rejected events, in the order of their keys.
fn digest(tables: &Tables) -> Result<String, DemoError> {
    let mut hash = Sha256::new();
    for table in TABLES.into_iter().filter(|table| table.name != positions::TABLE.name) {
        let columns: Vec<String> = table.columns.iter().map(Column::quoted).collect();
        let sql =
            format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), table.name, columns[..table.key].join(", "));
        hash.update(table.name);
        tables.rows(&sql, (), |row| {
            for index in 0..columns.len() {
                let cell = text(row.get_ref(index)?);
                hash.update((cell.len() as u64).to_le_bytes());
                hash.update(cell);
            }
            Ok(())
        })?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
