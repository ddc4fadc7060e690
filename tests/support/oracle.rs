//! Holds the tables of a schema against what PostGIS computes from its archive, its geofences and
//! `pipeline.now`: see `tests/oracle/`.

use std::fmt::Write;

use watchtower_core::tables::{Kind, TABLES, Table};
use watchtower_model::{Outliers, Rules, Speed, ViewSet};

use crate::support::servers::postgres::try_psql;

/// Rows of a table that are shown for each way in which it is wrong.
const SHOWN: usize = 10;

/// What the files share, as functions in `pg_temp`.
pub(crate) const FUNCTIONS: &str = include_str!("../oracle/functions.sql");

/// What several files use: indexes over the archive and the geofences.
const INDEXES: [&str; 3] = [
    include_str!("../oracle/reach.sql"),
    include_str!("../oracle/segments.sql"),
    include_str!("../oracle/local_time.sql"),
];

/// What the query of one file says; statements before it make what it uses.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// All rows of the table.
    Rows,
    /// All rows of the table, in which these columns, none of the key, need not be the same: the query says by
    /// how much each may be off, in a column of the same name followed by `_error`.
    Within(&'static [&'static str]),
    /// Rows of the table that cannot be.
    Offenders,
}

/// The files in an order in which each may use the results of those before it.
const ORACLES: [(&str, Answer, &str); 22] = [
    ("positions", Answer::Offenders, include_str!("../oracle/positions.sql")),
    ("vehicles", Answer::Offenders, include_str!("../oracle/vehicles.sql")),
    ("geofences", Answer::Offenders, include_str!("../oracle/geofences.sql")),
    ("rules", Answer::Offenders, include_str!("../oracle/rules.sql")),
    ("position_marks", Answer::Rows, include_str!("../oracle/position_marks.sql")),
    ("visits", Answer::Rows, include_str!("../oracle/visits.sql")),
    ("offlines", Answer::Rows, include_str!("../oracle/offlines.sql")),
    ("geofence_membership", Answer::Rows, include_str!("../oracle/geofence_membership.sql")),
    ("geofence_occupancy", Answer::Rows, include_str!("../oracle/geofence_occupancy.sql")),
    ("vehicle_state", Answer::Rows, include_str!("../oracle/vehicle_state.sql")),
    ("stops", Answer::Rows, include_str!("../oracle/stops.sql")),
    ("idlings", Answer::Rows, include_str!("../oracle/idlings.sql")),
    ("overspeeds", MEASURED, include_str!("../oracle/overspeeds.sql")),
    ("moves_off", Answer::Within(&["distance_m"]), include_str!("../oracle/moves_off.sql")),
    ("trips", Answer::Within(&["distance_m", "gap_m", "max_speed_kmh"]), include_str!("../oracle/trips.sql")),
    ("turnarounds", Answer::Within(&["distance_m"]), include_str!("../oracle/turnarounds.sql")),
    ("alerts", Answer::Rows, include_str!("../oracle/alerts.sql")),
    (
        "vehicle_daily",
        Answer::Within(&["distance_m", "gap_m", "towed_m", "max_speed_kmh"]),
        include_str!("../oracle/vehicle_daily.sql"),
    ),
    (
        "geofence_hourly",
        Answer::Within(&["dwell_mean_s", "dwell_p50_s", "dwell_p95_s"]),
        include_str!("../oracle/geofence_hourly.sql"),
    ),
    (
        "od_daily",
        Answer::Within(&["duration_mean_s", "duration_p50_s", "duration_p95_s", "distance_m"]),
        include_str!("../oracle/od_daily.sql"),
    ),
    (
        "fleet_daily",
        Answer::Within(&[
            "distance_m",
            "gap_m",
            "turnaround_mean_s",
            "turnaround_p50_s",
            "turnaround_p95_s",
            "utilisation",
        ]),
        include_str!("../oracle/fleet_daily.sql"),
    ),
    (
        "kind_daily",
        Answer::Within(&["dwell_mean_s", "dwell_p50_s", "dwell_p95_s"]),
        include_str!("../oracle/kind_daily.sql"),
    ),
];

/// Distances, and speeds that are means over them.
const MEASURED: Answer = Answer::Within(&["distance_m", "max_speed_kmh"]);

/// Whether every table of the schema is what it should be, under the rules that are the default; if
/// not, which rows differ. The database may be written to meanwhile.
pub(crate) fn compare(url: &str, schema: &str) -> Result<(), String> {
    compare_under(&Rules::default(), url, schema)
}

/// As [`compare`], under other rules.
///
/// A lagging table that has not caught up with `pipeline.commit_seq` is a difference too.
pub(crate) fn compare_under(rules: &Rules, url: &str, schema: &str) -> Result<(), String> {
    // One snapshot for everything. What is made here is temporary, and rolled back at that.
    let mut script = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ;
         SET LOCAL client_min_messages = warning;
         SET LOCAL search_path = {schema}, public;
         SET LOCAL timezone = 'UTC';
         SET LOCAL jit = off;
         SET LOCAL work_mem = '128MB';\n"
    );
    push_rules(&mut script, rules);
    script.push_str(FUNCTIONS);
    script.extend(INDEXES);
    script.push_str(
        "SELECT table_name || ' is as of commit ' || progress.commit_seq || ', not ' || pipeline.commit_seq
         FROM table_progress AS progress, pipeline
         WHERE progress.commit_seq <> pipeline.commit_seq;\n",
    );
    for (name, answer, file) in ORACLES {
        let file = file.trim_end().trim_end_matches(';');
        let (before, query) = file.rsplit_once(";\n").unwrap_or(("", file));
        writeln!(script, "{before};\nCREATE TEMP TABLE oracle_{name} AS\n{query};\nANALYZE oracle_{name};").unwrap();
        match answer {
            Answer::Rows => push_rows(&mut script, table(name), schema, &[]),
            Answer::Within(near) => push_rows(&mut script, table(name), schema, near),
            Answer::Offenders => {
                push_listing(&mut script, &format!("{name}: a row breaks a rule"), &format!("TABLE oracle_{name}"));
            }
        }
    }
    script.push_str("ROLLBACK;\n");
    let differences = try_psql(url, &script)?;
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

/// The rules, as settings that the files read.
fn push_rules(script: &mut String, rules: &Rules) {
    let Rules {
        views: ViewSet::All, // of a smaller set most tables are empty
        offline_after_ms,
        offline_count_ms,
        max_accuracy_m,
        outliers,
        jump_mm,
        idle_speed,
        max_plausible,
        speed_hold_ms,
        speed_span_ms,
        min_step_mm,
        tow_min_mm,
        stop_radius_m,
        stop_min_ms,
        idle_min_ms,
        overspeed_min_ms,
        default_speed_limit,
        presence_limit_ms,
        local_time,
        horizon_ms: _,
        retention_ms,
    } = rules
    else {
        panic!("the oracle knows all tables");
    };
    let kmh = |speed: &Speed| speed.kmh().expect("a rule is a known speed").to_string();
    let settings = [
        ("offline_after_ms", offline_after_ms.to_string()),
        ("offline_count_ms", offline_count_ms.to_string()),
        ("max_accuracy_m", max_accuracy_m.to_string()),
        ("skip_outliers", i32::from(*outliers == Outliers::Skip).to_string()),
        ("jump_mm", jump_mm.to_string()),
        ("speed_hold_ms", speed_hold_ms.to_string()),
        ("speed_span_ms", speed_span_ms.to_string()),
        ("min_step_mm", min_step_mm.to_string()),
        ("tow_min_mm", tow_min_mm.to_string()),
        ("idle_speed_kmh", kmh(idle_speed)),
        ("max_plausible_kmh", kmh(max_plausible)),
        ("stop_radius_m", stop_radius_m.to_string()),
        ("stop_min_ms", stop_min_ms.to_string()),
        ("idle_min_ms", idle_min_ms.to_string()),
        ("overspeed_min_ms", overspeed_min_ms.to_string()),
        ("default_speed_limit_kmh", kmh(default_speed_limit)),
        ("presence_limit_ms", presence_limit_ms.to_string()),
        ("retention_ms", retention_ms.unwrap_or(0).to_string()),
        ("time_zone", local_time.name().to_owned()),
    ];
    for (name, value) in settings {
        writeln!(script, "SET LOCAL watchtower.{name} = '{value}';").unwrap();
    }
}

fn table(name: &str) -> &'static Table {
    TABLES.into_iter().find(|table| table.name == name).unwrap_or_else(|| panic!("there is no table {name}"))
}

/// What is wanted and not there, the other way about, and which numbers are too far off.
fn push_rows(script: &mut String, table: &Table, schema: &str, near: &[&str]) {
    let name = table.name;
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let exact = table.columns.iter().filter(|column| !near.contains(&column.name)).map(|column| match column.kind {
        Kind::Json => format!("{}::jsonb", column.name), // JSON has no equality of its own
        _ => column.name.to_owned(),
    });
    let exact = exact.collect::<Vec<_>>().join(", ");
    let (wanted, found) =
        (format!("SELECT {exact} FROM oracle_{name}"), format!("SELECT {exact} FROM {schema}.{name}"));
    push_listing(script, &format!("{name}: missing"), &format!("{wanted} EXCEPT ALL {found}"));
    push_listing(script, &format!("{name}: unexpected"), &format!("{found} EXCEPT ALL {wanted}"));

    let key = columns[..table.key].join(", ");
    for column in near {
        let off = format!(
            "SELECT {key}, found.{column}, wanted.{column} AS instead_of, {column}_error AS give_or_take
             FROM {schema}.{name} AS found JOIN oracle_{name} AS wanted USING ({key})
             WHERE (found.{column} IS NULL) <> (wanted.{column} IS NULL)
                OR abs(found.{column} - wanted.{column}) > {column}_error"
        );
        push_listing(script, &format!("{name}: {column} is wrong"), &off);
    }
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
