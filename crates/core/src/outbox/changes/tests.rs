//! Rows of the outbox, from rows of `alerts` before and after.

use serde_json::{Value, json};

use super::*;
use crate::outbox::Condition;
use crate::tables::Cell;

const MINUTE: Millis = 60_000;
/// 2026-11-23T06:00:00Z.
const T0: Millis = 1_795_413_600_000;

/// An alert of rule `in` about a vehicle that entered `yard`, so many minutes after [`T0`].
fn entered(vehicle: &str, minute: Millis, severity: &str, definition: &Value) -> AlertVersion {
    let at = T0 + minute * MINUTE;
    let text = |text: &str| Cell::Text(text.into());
    let row = vec![
        text("in"),
        text(&format!("in/enter/{vehicle}/yard/{minute}")),
        Cell::Time(at),
        text("enter"),
        text(vehicle),
        text("yard"),
        text(severity),
        Cell::Json("{}".into()),
    ];
    AlertVersion { row, started_at: at, ended_at: None, definition: definition.to_string().into() }
}

fn rule() -> Value {
    json!({"on": "enter", "to": ["ops", "boss"]})
}

fn changes(of: &[(AlertVersion, i64)]) -> AlertChanges {
    let mut changes = AlertChanges::default();
    of.iter().for_each(|(version, diff)| changes.add(version.clone(), *diff));
    changes
}

/// Endpoint, event, condition and subjects of each row.
fn told(changes: &AlertChanges, now: Millis) -> Vec<(String, &'static str, Condition, String)> {
    let subjects = |row: &OutboxRow| match &row.old_subject {
        Some(old) => format!("{old} -> {}", row.subject),
        None => row.subject.to_string(),
    };
    let rows = changes.rows(now);
    rows.iter().map(|row| (row.endpoint.to_string(), row.event.name(), row.condition, subjects(row))).collect()
}

fn expect(found: Vec<(String, &'static str, Condition, String)>, expected: &[(&str, &str, Condition, &str)]) {
    let found: Vec<_> = found.iter().map(|(to, event, when, of)| (to.as_str(), *event, *when, of.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn raised_corrected_retracted() {
    let a = entered("T1", 0, "warning", &rule());
    let b = entered("T1", 0, "critical", &rule());
    let subject = "in/enter/T1/yard/0";
    let raised = changes(&[(a.clone(), 1)]);
    expect(
        told(&raised, T0),
        &[("boss", "raised", Condition::Always, subject), ("ops", "raised", Condition::Always, subject)],
    );
    let corrected = changes(&[(b.clone(), 1), (a.clone(), -1)]);
    expect(
        told(&corrected, T0),
        &[("boss", "corrected", Condition::Known, subject), ("ops", "corrected", Condition::Known, subject)],
    );
    let body: Value = serde_json::from_str(&corrected.rows(T0)[0].body).unwrap();
    assert_eq!((&body["alert"]["severity"], &body["before"]["severity"]), (&json!("critical"), &json!("warning")));
    let retracted = changes(&[(b, -1)]);
    expect(
        told(&retracted, T0),
        &[("boss", "retracted", Condition::Known, subject), ("ops", "retracted", Condition::Known, subject)],
    );
    assert!(told(&changes(&[(a.clone(), 1), (a, -1)]), T0).is_empty(), "equal rows are no event");
}

#[test]
fn epochs_of_a_commit_are_one_change() {
    let (a, b) = (entered("T1", 0, "warning", &rule()), entered("T1", 0, "critical", &rule()));
    let mut merged = changes(&[(a.clone(), 1)]);
    merged.then(changes(&[(a.clone(), -1), (b.clone(), 1)]));
    assert_eq!(merged.rows(T0), changes(&[(b.clone(), 1)]).rows(T0));
    merged.then(changes(&[(b.clone(), -1)]));
    assert!(merged.rows(T0).is_empty(), "raised and retracted within one commit");
    let mut back = changes(&[(a.clone(), -1), (b.clone(), 1)]);
    back.then(changes(&[(b, -1), (a, 1)]));
    assert!(back.rows(T0).is_empty(), "as it was before");
}

#[test]
fn a_fact_whose_start_moves_keeps_its_thread() {
    let rule = json!({"on": "enter", "to": "ops"});
    let old = |vehicle, minute| (entered(vehicle, minute, "warning", &rule), -1);
    let new = |vehicle, minute| (entered(vehicle, minute, "warning", &rule), 1);
    let moved = changes(&[old("T1", 0), new("T1", 3), old("T2", 0), new("T3", 3)]);
    expect(
        told(&moved, T0),
        &[
            ("ops", "corrected", Condition::Known, "in/enter/T1/yard/0 -> in/enter/T1/yard/3"),
            ("ops", "retracted", Condition::Known, "in/enter/T2/yard/0"),
            ("ops", "raised", Condition::Always, "in/enter/T3/yard/3"),
        ],
    );
    // Exactly as far apart as either lasts is another fact.
    let apart = changes(&[old("T1", 0), new("T1", 60)]);
    assert_eq!(told(&apart, T0).iter().map(|row| row.1).collect::<Vec<_>>(), ["retracted", "raised"]);
    // Two that both move: each with its nearest.
    let both = changes(&[old("T1", 0), old("T1", 30), new("T1", 2), new("T1", 32)]);
    let subjects: Vec<String> = told(&both, T0).into_iter().map(|row| row.3).collect();
    assert_eq!(subjects, ["in/enter/T1/yard/0 -> in/enter/T1/yard/2", "in/enter/T1/yard/30 -> in/enter/T1/yard/32"]);
}

#[test]
fn age_and_silence_decide_who_gets_it() {
    let quiet = json!({"on": "enter", "to": "ops", "max_age": "10m"});
    let raised = changes(&[(entered("T1", 0, "warning", &quiet), 1)]);
    assert_eq!(told(&raised, T0 + 10 * MINUTE)[0].2, Condition::Always, "exactly as old as it may be");
    assert_eq!(told(&raised, T0 + 10 * MINUTE + 1)[0].2, Condition::Known);
    let silent = json!({"on": "enter", "to": "ops", "corrections": "silent"});
    let (a, b) = (entered("T1", 0, "warning", &silent), entered("T1", 0, "critical", &silent));
    assert_eq!(told(&changes(&[(a.clone(), 1)]), T0)[0].2, Condition::New);
    assert!(told(&changes(&[(a.clone(), 1)]), T0 + 61 * MINUTE).is_empty());
    assert!(told(&changes(&[(a.clone(), -1), (b, 1)]), T0).is_empty());
    assert!(told(&changes(&[(a, -1)]), T0).is_empty());
    let nobody = json!({"on": "enter"});
    assert!(told(&changes(&[(entered("T1", 0, "warning", &nobody), 1)]), T0).is_empty());
}

#[test]
fn a_rule_that_gets_another_channel_writes_to_both() {
    let (old, new) = (json!({"on": "enter", "to": "ops"}), json!({"on": "enter", "to": "boss"}));
    let changed = changes(&[(entered("T1", 0, "warning", &old), -1), (entered("T1", 0, "critical", &new), 1)]);
    let endpoints: Vec<String> = told(&changed, T0).into_iter().map(|row| row.0).collect();
    assert_eq!(endpoints, ["boss", "ops"]);
}
