//! A row of the outbox as channels see it.

use serde_json::Value;
use sha2::{Digest, Sha256};
use watchtower_core::outbox::AlertEvent;
use watchtower_model::Millis;
use watchtower_store::outbox::ClaimedRow;

/// An event of an alert for an endpoint.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Name of the delivery, the same on every attempt: a receiver that has seen it may ignore it.
    pub key: String,
    /// Name of the pipeline; of a file its name without the extension.
    pub pipeline: String,
    /// Subject of the alert.
    pub subject: String,
    /// Subject of the same alert before, if the start of its fact moved.
    pub old_subject: Option<String>,
    /// Greater with each event of the subject.
    pub revision: i64,
    /// What happened.
    pub event: AlertEvent,
    /// The log's time after the commit, RFC 3339.
    pub now: String,
    /// The row of `alerts`; `None` if it is retracted.
    pub alert: Option<Value>,
    /// The row before; `None` if it is raised.
    pub before: Option<Value>,
    /// Template of the message, if the rule has one.
    pub template: Option<String>,
    /// Name that the receiver has for the last message of the subject.
    pub external_ref: Option<String>,
    /// Number of attempts, this one included.
    pub attempts: u32,
    /// Instant of the first failure.
    pub failing_since: Option<Millis>,
}

impl Notice {
    /// The event in a row of the outbox.
    ///
    /// # Errors
    /// If its body is not what this program writes.
    pub fn of(row: &ClaimedRow, pipeline: &str) -> Result<Self, String> {
        let unreadable = || "the body of the outbox row is not an alert".to_owned();
        let mut body: Value = serde_json::from_str(&row.body).map_err(|_| unreadable())?;
        let mut member = |name: &str| body.get_mut(name).map(Value::take).filter(|value| !value.is_null());
        let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        let notice = Self {
            key: key(&row.endpoint, &row.subject, row.revision),
            pipeline: pipeline.to_owned(),
            subject: row.subject.clone(),
            old_subject: row.old_subject.clone(),
            revision: row.revision,
            event: row.event,
            now: text(member("now")).ok_or_else(unreadable)?,
            alert: member("alert"),
            before: member("before"),
            template: text(member("message")),
            external_ref: row.external_ref.clone(),
            attempts: row.attempts,
            failing_since: row.failing_since,
        };
        if notice.alert.is_none() && notice.before.is_none() {
            return Err(unreadable());
        }
        Ok(notice)
    }

    /// The row of `alerts` that it is about: that before, if it is retracted.
    pub fn latest(&self) -> &Value {
        self.alert.as_ref().or(self.before.as_ref()).expect("a notice has a row")
    }

    /// The text in a column of that row; empty if the cell is.
    pub fn text(&self, column: &str) -> &str {
        self.latest()[column].as_str().unwrap_or_default()
    }
}

/// The name of a delivery: without the characters that have a meaning in signatures, and of a fixed length.
fn key(endpoint: &str, subject: &str, revision: i64) -> String {
    let digest = Sha256::digest(format!("{endpoint}\n{subject}\n{revision}"));
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("wt_{hex}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use watchtower_core::outbox::Condition;

    /// A claimed row about a vehicle that entered a yard.
    pub(crate) fn row(event: AlertEvent, alert: Value, before: Value, message: Value) -> ClaimedRow {
        let body = serde_json::json!({
            "now": "2026-11-23T06:00:01Z", "alert": alert, "before": before, "message": message,
        });
        ClaimedRow {
            endpoint: "ops".to_owned(),
            subject: "in/enter/T1/yard/2026-11-23T06:00:00Z".to_owned(),
            revision: 7,
            old_subject: None,
            event,
            condition: Condition::Always,
            body: body.to_string(),
            attempts: 1,
            failing_since: None,
            delivered_revision: None,
            external_ref: None,
        }
    }

    /// A row of `alerts` of a kind.
    pub(crate) fn alert(kind: &str, values: Value) -> Value {
        serde_json::json!({
            "rule_id": "in", "subject": format!("in/{kind}/T1/yard/2026-11-23T06:00:00Z"), "at": "2026-11-23T06:00:00Z",
            "kind": kind, "vehicle_id": "T1", "geofence_id": "yard", "severity": "warning", "values": values,
        })
    }

    #[test]
    fn the_key_is_of_endpoint_subject_and_revision() {
        let raised = row(AlertEvent::Raised, alert("enter", Value::Null), Value::Null, Value::Null);
        let notice = Notice::of(&raised, "lagos").unwrap();
        assert_eq!(notice.key, Notice::of(&raised, "lagos").unwrap().key);
        assert_eq!((notice.key.len(), notice.text("vehicle_id")), (35, "T1"));
        for other in [
            ClaimedRow { revision: 8, ..raised.clone() },
            ClaimedRow { endpoint: "boss".to_owned(), ..raised.clone() },
            ClaimedRow { subject: "x".to_owned(), ..raised.clone() },
        ] {
            assert_ne!(Notice::of(&other, "lagos").unwrap().key, notice.key);
        }
        let empty = row(AlertEvent::Raised, Value::Null, Value::Null, Value::Null);
        assert!(Notice::of(&empty, "lagos").is_err());
        assert!(Notice::of(&ClaimedRow { body: "[]".to_owned(), ..raised }, "lagos").is_err());
    }
}
