//! The questions of docs/questions.md: each is answered by the tables as they are, and none by reading a whole one.

use std::path::Path;

use super::pipeline;
use crate::support::servers::postgres::{psql, try_psql};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Tables that stay small however long a pipeline runs: a row a vehicle, a row a geofence, or one row.
const SMALL: [&str; 4] = ["pipeline", "vehicle_state", "geofence_occupancy", "geofences"];

/// Fewer than this, and some of them were not found.
const MIN_QUESTIONS: usize = 11;

/// The SQL of docs/questions.md: what is set first, and the questions.
fn questions() -> (String, Vec<String>) {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/questions.md")).unwrap();
    // The questions to a file are SQLite's, and run elsewhere.
    let asked = page.split_once("## Ten questions").expect("a chapter of questions").1;
    let blocks = asked.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // A line that ends in a semicolon ends a statement.
    let statements = blocks.flat_map(|block| block.split_inclusive(";\n")).map(str::to_owned);
    let (set, asked): (Vec<_>, Vec<_>) = statements.partition(|sql| sql.starts_with("SET "));
    (set.concat(), asked)
}

/// The scans of a plan that read all of a table, or all of an index, that grows.
fn read_whole(plan: &str) -> Vec<&str> {
    let mut scans = Vec::new();
    let mut lines = plan.lines().peekable();
    while let Some(node) = lines.next() {
        let mut conditions = std::iter::from_fn(|| lines.next_if(|line| !line.contains("(cost=")));
        let narrow = conditions.any(|line| line.contains("Index Cond:"));
        conditions.for_each(drop);
        let small =
            SMALL.iter().any(|table| node.contains(&format!(" on {table} ")) || node.contains(&format!("{table}_")));
        let is_scan = node.contains("Seq Scan") || node.contains("Index Scan") || node.contains("Index Only Scan");
        if is_scan && !narrow && !small {
            scans.push(node.trim());
        }
    }
    scans
}

#[test]
fn the_questions_of_the_readme_are_answered_by_indexes() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, 1, 1, "");
    let output = pipeline.run("migrate", &[]);
    assert!(output.status.success(), "{output:?}");
    let (set, questions) = questions();
    assert!(questions.len() >= MIN_QUESTIONS, "{questions:#?}");
    let url = &pipeline.setup.postgres;
    for question in &questions {
        try_psql(url, &format!("{set}{question}")).unwrap_or_else(|error| panic!("{question}\n{error}"));
        // With empty tables any plan is cheap; so a whole table is read only if there is no other way.
        let plan = psql(url, &format!("{set}SET enable_seqscan = off;\nEXPLAIN {question}"));
        assert!(plan.contains("(cost="), "{plan}");
        assert_eq!(read_whole(&plan), Vec::<&str>::new(), "{question}\n{plan}");
    }
}
