//! The plan: everything besides the log that determines the contents of the tables.
//!
//! Two runs over the same log under the same plan make the same tables; under different plans they may differ. The
//! database and every checkpoint store their plan, so that old and new contents are never mixed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use watchtower_model::{Rules, ViewSet};

use crate::events::Limits;
use crate::time_zone;

/// Raised whenever the program computes different tables from the same log and configuration.
const VERSION: u32 = 3;

/// The plan of this program under a configuration, as JSON on one line.
pub fn of(limits: &Limits, rules: &Rules) -> String {
    let Limits {
        earliest,
        latest,
        max_entry_bytes,
        max_attributes_bytes,
        future_tolerance_ms,
        horizon_ms,
        lateness_ms,
        wall_clock: _, // where the clocks of the log come from is a property of the log
        refuse_zero,
        isolated_after_ms: _, // decided by whoever reads a file, before there is a log
        max_vehicles,
        max_retained_positions,
    } = limits;
    let mut plan = json!({
        "version": VERSION,
        "limits.earliest_ms": earliest,
        "limits.latest_ms": latest,
        "limits.max_entry_bytes": max_entry_bytes,
        "limits.max_attributes_bytes": max_attributes_bytes,
        "limits.future_tolerance_ms": future_tolerance_ms,
        "limits.horizon_ms": horizon_ms,
        "limits.lateness_ms": lateness_ms,
        "limits.max_vehicles": max_vehicles,
        "limits.max_retained_positions": max_retained_positions,
        "rules.refuse_zero": refuse_zero,
        "time_zone_data": time_zone::version(),
    });
    if let (Some(plan), Value::Object(rules)) = (plan.as_object_mut(), of_rules(rules)) {
        plan.extend(rules);
    }
    plan.to_string()
}

/// What the rules contribute to a plan.
fn of_rules(rules: &Rules) -> Value {
    // The retention follows from the limits and does not affect the tables.
    let Rules {
        views,
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
        retention_ms: _,
    } = rules;
    let mut plan = json!({
        "rules.offline_after_ms": offline_after_ms,
        "rules.offline_count_ms": offline_count_ms,
        "rules.max_accuracy_m": max_accuracy_m,
        "rules.outliers": outliers.name(),
        "rules.jump_mm": jump_mm,
        "rules.idle_speed_kmh": idle_speed.kmh(),
        "rules.max_plausible_kmh": max_plausible.kmh(),
        "rules.speed_hold_ms": speed_hold_ms,
        "rules.speed_span_ms": speed_span_ms,
        "rules.min_step_mm": min_step_mm,
        "rules.tow_min_mm": tow_min_mm,
        "rules.stop_radius_m": stop_radius_m,
        "rules.stop_min_ms": stop_min_ms,
        "rules.idle_min_ms": idle_min_ms,
        "rules.overspeed_min_ms": overspeed_min_ms,
        "rules.default_speed_limit_kmh": default_speed_limit.kmh(),
        "rules.presence_limit_ms": presence_limit_ms,
        "rules.time_zone": local_time.name(),
    });
    // Plans from before this key exists have all tables.
    if *views != ViewSet::All {
        plan["rules.views"] = json!(views.name());
    }
    plan
}

/// Describes the differences between two plans, for messages.
pub fn difference(stored: &str, ours: &str) -> String {
    let parse = |plan: &str| serde_json::from_str::<Map<String, Value>>(plan).unwrap_or_default();
    let (stored, ours) = (parse(stored), parse(ours));
    let keys: BTreeMap<&String, ()> = stored.keys().chain(ours.keys()).map(|key| (key, ())).collect();
    let shown = |plan: &Map<String, Value>, key: &str| plan.get(key).map_or("nothing".to_owned(), Value::to_string);
    let differences: Vec<String> = keys
        .into_keys()
        .filter(|key| stored.get(*key) != ours.get(*key))
        .map(|key| format!("{key} was {} and is {}", shown(&stored, key), shown(&ours, key)))
        .collect();
    differences.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let limits = Limits::default();
        let hour = Limits { lateness_ms: Some(3_600_000), ..limits.clone() };
        let (six, one) = (of(&limits, &Rules::default()), of(&hour, &Rules::default()));
        assert_eq!(difference(&six, &one), "limits.lateness_ms was 21600000 and is 3600000");
        assert_eq!(difference(&six, &six), "");
        let membership = of(&limits, &Rules { views: ViewSet::Membership, ..Rules::default() });
        assert_eq!(difference(&six, &membership), "rules.views was nothing and is \"membership\"");
        assert!(!six.contains("views"), "a plan with all tables is what it was before there were sets: {six}");
    }
}
