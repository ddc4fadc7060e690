//! Texts of alerts.

use super::*;
use crate::notice::tests::{alert, row};

fn lagos() -> Arc<LocalTime> {
    Arc::new(LocalTime::new("Africa/Lagos", 3_600_000, []))
}

fn notice(event: AlertEvent, now: Value, before: Value, template: Value) -> Notice {
    Notice::of(&row(event, now, before, template), "lagos").unwrap()
}

fn text(notice: &Notice, escape: Escape) -> String {
    Texts::new(lagos(), escape).text(notice)
}

#[test]
fn plain_words_of_raised_corrected_and_retracted() {
    let old = alert("exit", json!({"started_at": "2026-11-23T05:00:00Z", "duration_s": 3600}));
    let new = alert("exit", json!({"started_at": "2026-11-23T05:00:00Z", "duration_s": 3000}));
    let raised = notice(AlertEvent::Raised, old.clone(), Value::Null, Value::Null);
    assert_eq!(text(&raised, Escape::Nothing), "T1 left yard at 2026-11-23 07:00 after 1 h 0 min");
    let corrected = notice(AlertEvent::Corrected, new, old.clone(), Value::Null);
    assert_eq!(
        text(&corrected, Escape::Nothing),
        "Corrected: T1 left yard at 2026-11-23 07:00 after 50 min (reported before: T1 left yard at 2026-11-23 07:00 \
         after 1 h 0 min)"
    );
    let retracted = notice(AlertEvent::Retracted, Value::Null, old, Value::Null);
    let expected = "Retracted, it did not happen: T1 left yard at 2026-11-23 07:00 after 1 h 0 min";
    assert_eq!(text(&retracted, Escape::Nothing), expected);
}

#[test]
fn every_kind_has_words_of_its_own() {
    use watchtower_model::AlertKind;
    let mut seen = std::collections::BTreeSet::new();
    for (kind, _) in AlertKind::NAMES {
        let values = json!({"started_at": "2026-11-23T05:00:00Z", "vehicles": 3, "limit_kmh": 60.0});
        let text = text(&notice(AlertEvent::Raised, alert(kind, values), Value::Null, Value::Null), Escape::Nothing);
        assert!(!text.starts_with(&format!("{kind} of")), "{kind}: {text}");
        assert!(seen.insert(text.clone()), "{kind}: {text}");
    }
}

#[test]
fn a_template_sees_the_alert_and_its_values_are_escaped() {
    let mut hostile = alert("enter", json!({"started_at": "2026-11-23T06:00:00Z"}));
    hostile["vehicle_id"] = "<b>&\"T\n1".into();
    let template =
        json!("<i>{{ vehicle_id | safe }}</i> in {{ geofence_id }} at {{ at }} ({{ event }}) {{ nothing.at.all }}");
    let notice = notice(AlertEvent::Raised, hostile, Value::Null, template);
    let at = "2026-11-23 07:00";
    for (escape, vehicle) in [
        (Escape::Nothing, "<b>&\"T\n1"),
        (Escape::Line, "<b>&\"T 1"),
        (Escape::Slack, "&lt;b&gt;&amp;\"T\n1"),
        (Escape::Html, "&lt;b&gt;&amp;&quot;T\n1"),
    ] {
        assert_eq!(text(&notice, escape), format!("<i>{vehicle}</i> in yard at {at} (raised) "), "{escape:?}");
    }
}

#[test]
fn a_template_that_fails_does_not_keep_the_alert_back() {
    let raised = |template: &str| notice(AlertEvent::Raised, alert("enter", json!({})), Value::Null, template.into());
    let plain = "T1 entered yard at 2026-11-23 07:00";
    for template in ["{{ vehicle_id", "{{ vehicle_id | nosuch }}", "{% for i in range(100000) %}{{ i }}{% endfor %}"] {
        assert_eq!(text(&raised(template), Escape::Nothing), plain, "{template}");
    }
    let long = format!("{}{{{{ vehicle_id }}}}", "x".repeat(MAX_CHARS));
    assert_eq!(text(&raised(&long), Escape::Nothing).len(), MAX_CHARS);
}

#[test]
fn a_template_is_checked_on_a_sample() {
    check_template("{{ vehicle_id }} {{ distance_m / 1000 }} km, {{ text }}").unwrap();
    assert!(check_template("{{ vehicle_id").unwrap_err().contains("line 1"));
    assert!(check_template("{{ vehicle_id | nosuch }}").unwrap_err().contains("nosuch"));
}
