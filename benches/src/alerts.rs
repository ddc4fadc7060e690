//! `bench alerts`: what alert rules cost the engine. The same events without rules and with them, in turns.

use std::sync::Arc;

use serde_json::json;
use watchtower_core::events::{Limits, RuleText};
use watchtower_dataflows::control::Control;
use watchtower_model::{BEGINNING, Edit, RuleId, Rules, ViewSet};

use super::engine::{Epochs, engine_turn, realistic_workload, rules};
use super::measure::Samples;
use super::report::{Measure, Outcome, Report};
use super::{BenchError, Context};

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of alert rules.
    pub rules: u32,
    /// Worker threads of the engine.
    pub workers: usize,
    /// Events per epoch.
    pub epoch: usize,
}

/// Name of the result that the other one is compared with.
const WITHOUT: &str = "without rules";

/// Runs the benchmark.
///
/// # Errors
/// If Ctrl-C was pressed.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "making events".to_owned())?;
    let workload = realistic_workload(context);
    let without = Epochs::new(&workload, options.epoch);
    let mut with = Epochs::new(&workload, options.epoch);
    with.geofences.control.extend((0..options.rules).map(rule));
    let rules = Rules { outliers: workload.outliers, ..rules(ViewSet::All) };
    let name = format!("{} rules", options.rules);
    let (mut theirs, mut mine) = (Samples::default(), Samples::default());
    for turn in 1..=context.settings.turns() {
        context.step(|| format!("{WITHOUT}, turn {turn}"))?;
        theirs.push(engine_turn(&without, &rules, options.workers, context)?.0);
        context.step(|| format!("{name}, turn {turn}"))?;
        mine.push(engine_turn(&with, &rules, options.workers, context)?.0);
    }
    let events = workload.measured();
    report.results.push(Outcome::new(WITHOUT).timed(&theirs, events));
    let outcome = Outcome::new(name).timed(&mine, events).against(WITHOUT, &mine, &theirs);
    report.results.push(outcome.with(Measure::Count, f64::from(options.rules)));
    Ok(())
}

/// A rule of a kind that its number chooses, in force since the beginning; some are about few geofences, some have hours or
/// a cooldown, as those of a fleet have.
fn rule(number: u32) -> Control {
    let id = format!("rule-{number}");
    let geofence = format!("geofence-{}", number * 97 % super::engine::GEOFENCES);
    let text = match number % 10 {
        0 => json!({ "on": "enter" }),
        1 => json!({ "on": "exit", "where": { "geofence": geofence } }),
        2 => json!({ "on": "dwell", "after": "15m", "cooldown": "1h" }),
        3 => json!({ "on": "overspeed", "where": { "fleet": "north" } }),
        4 => json!({ "on": "enter", "hours": { "from": "22:00", "to": "06:00" } }),
        5 => json!({ "on": "stop", "after": "30m" }),
        6 => json!({ "on": "offline" }),
        7 => json!({ "on": "enter", "where": { "kind": "terminal" } }),
        8 => json!({ "on": "trip_completed" }),
        _ => json!({ "on": "exit", "where": { "tags": ["port"] }, "cooldown": "10m" }),
    };
    let text: RuleText = serde_json::from_value(text).expect("the members are those of a rule");
    let change = RuleText { rule_id: id, ..text }.change(&Limits::for_replay()).expect("the rule makes sense");
    Control::Rule(Edit {
        key: RuleId(number),
        valid_from: BEGINNING,
        effective_from: BEGINNING,
        seq: u64::from(number),
        definition: change.definition.map(|definition| Arc::clone(&definition)),
    })
}
