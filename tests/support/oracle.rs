//! Holds the tables of a schema against what PostGIS computes from its archive, its geofences and
//! `pipeline.now`: see `tests/oracle/`.

use std::fmt::Write;

use watchtower::tables::{TABLES, Table};
use watchtower_dataflows::model::Rules;

use crate::support::servers::postgres::try_psql;

/// Rows of a table that are shown for each way in which it is wrong.
const SHOWN: usize = 10;

/// What the files share, as functions in `pg_temp`.
pub(crate) const FUNCTIONS: &str = include_str!("../oracle/functions.sql");

const REACH: &str = include_str!("../oracle/reach.sql");

/// What one file says.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// All rows of the table.
    Rows,
    /// Rows of the table that cannot be.
    Offenders,
}

/// The files in an order in which each may use the results of those before it.
const ORACLES: [(&str, Answer, &str); 8] = [
    ("positions", Answer::Offenders, include_str!("../oracle/positions.sql")),
    ("vehicles", Answer::Offenders, include_str!("../oracle/vehicles.sql")),
    ("geofences", Answer::Offenders, include_str!("../oracle/geofences.sql")),
    ("visits", Answer::Rows, include_str!("../oracle/visits.sql")),
    ("offlines", Answer::Rows, include_str!("../oracle/offlines.sql")),
    ("geofence_membership", Answer::Rows, include_str!("../oracle/geofence_membership.sql")),
    ("geofence_occupancy", Answer::Rows, include_str!("../oracle/geofence_occupancy.sql")),
    ("vehicle_state", Answer::Rows, include_str!("../oracle/vehicle_state.sql")),
];

/// Whether every table of the schema is what it should be, under the rules that are the default; if
/// not, which rows differ. The database may be written to meanwhile.
pub(crate) fn compare(url: &str, schema: &str) -> Result<(), String> {
    compare_under(&Rules::default(), url, schema)
}

/// As [`compare`], under other rules.
///
/// A lagging table that has not caught up with `pipeline.commit_seq` is a difference too.
pub(crate) fn compare_under(rules: &Rules, url: &str, schema: &str) -> Result<(), String> {
    let Rules { offline_after_ms, idle_speed, max_plausible, .. } = rules;
    let kmh = |speed: &watchtower_dataflows::model::Speed| speed.kmh().expect("a rule is a known speed");
    // One snapshot for everything. What is made here is temporary, and rolled back at that.
    let mut script = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ;
         SET LOCAL client_min_messages = warning;
         SET LOCAL search_path = {schema}, public;
         SET LOCAL timezone = 'UTC';
         SET LOCAL jit = off;
         SET LOCAL work_mem = '128MB';
         SET LOCAL watchtower.offline_after_ms = '{offline_after_ms}';
         SET LOCAL watchtower.idle_speed_kmh = '{}';
         SET LOCAL watchtower.max_plausible_kmh = '{}';
         {FUNCTIONS}{REACH}
         SELECT table_name || ' is as of commit ' || progress.commit_seq || ', not ' || pipeline.commit_seq
         FROM table_progress AS progress, pipeline
         WHERE progress.commit_seq <> pipeline.commit_seq;\n",
        kmh(idle_speed),
        kmh(max_plausible),
    );
    for (name, answer, query) in ORACLES {
        let query = query.trim_end().trim_end_matches(';');
        match answer {
            Answer::Rows => push_rows(&mut script, table(name), schema, query),
            Answer::Offenders => {
                writeln!(script, "CREATE TEMP TABLE oracle_{name} AS\n{query};").unwrap();
                push_listing(&mut script, &format!("{name}: a row breaks a rule"), &format!("TABLE oracle_{name}"));
            }
        }
    }
    script.push_str("ROLLBACK;\n");
    let differences = try_psql(url, &script)?;
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

fn table(name: &str) -> &'static Table {
    TABLES.into_iter().find(|table| table.name == name).unwrap_or_else(|| panic!("there is no table {name}"))
}

/// What is wanted and not there, and the other way about.
fn push_rows(script: &mut String, table: &Table, schema: &str, query: &str) {
    let name = table.name;
    let columns = table.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    // By place, as the names of the query's columns are its own: they must be as many.
    writeln!(script, "CREATE TEMP TABLE oracle_{name} ({columns}) AS\n{query};\nANALYZE oracle_{name};").unwrap();
    let (wanted, found) =
        (format!("SELECT {columns} FROM oracle_{name}"), format!("SELECT {columns} FROM {schema}.{name}"));
    push_listing(script, &format!("{name}: missing"), &format!("{wanted} EXCEPT ALL {found}"));
    push_listing(script, &format!("{name}: unexpected"), &format!("{found} EXCEPT ALL {wanted}"));
}

/// Prints the first rows of a query, and how many there are.
fn push_listing(script: &mut String, what: &str, query: &str) {
    writeln!(
        script,
        "WITH listed AS MATERIALIZED ({query})
         SELECT '{what} (' || (SELECT count(*) FROM listed) || ' of them): ' || listed FROM listed LIMIT {SHOWN};"
    )
    .unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_an_oracle() {
        for table in TABLES {
            let has = ORACLES.iter().any(|(name, ..)| *name == table.name);
            // What is refused depends on what arrived when, and on the bytes of it.
            assert_eq!(has, !["rejected_events", "rejected_counts"].contains(&table.name), "{}", table.name);
        }
    }
}
