//! Which of several alerts are raised, where a rule has a cooldown.
//!
//! In the order of their instants, an alert is raised if none was, of the same version of the rule, vehicle and geofence, or
//! if the last one raised lies a cooldown or longer before it. So a late alert may silence later ones, and those raise
//! others that they had silenced: everything behind a change is decided anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use watchtower_model::{Alert, Millis};

/// The alerts of one version of a rule, vehicle and geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// Cooldown of the version, milliseconds.
    cooldown_ms: i64,
    /// Alerts that may still change, and whether each is raised.
    alerts: BTreeMap<Alert, bool>,
    /// Instant of the last raised one that can no longer change.
    raised_before: Option<Millis>,
}

impl Chain {
    /// No alerts yet.
    pub fn new(cooldown_ms: i64) -> Self {
        Self { cooldown_ms, alerts: BTreeMap::new(), raised_before: None }
    }

    /// Adds and removes alerts. Appends to `changes` which are raised now and which are no longer.
    pub fn update(&mut self, diffs: &[(Alert, i64)], changes: &mut Vec<(Alert, i64)>) {
        let Some(first) = diffs.iter().map(|(alert, _)| *alert).min() else { return };
        for &(alert, diff) in diffs {
            if diff > 0 {
                self.alerts.insert(alert, false);
            } else if self.alerts.remove(&alert) == Some(true) {
                changes.push((alert, -1));
            }
        }
        let raised = self.alerts.range(..first).rev().find(|(_, is_raised)| **is_raised);
        let mut last = raised.map(|(alert, _)| alert.at).or(self.raised_before);
        for (alert, is_raised) in self.alerts.range_mut(first..) {
            let raises = last.is_none_or(|last| alert.at - last >= self.cooldown_ms);
            if raises {
                last = Some(alert.at);
            }
            if std::mem::replace(is_raised, raises) != raises {
                changes.push((*alert, if raises { 1 } else { -1 }));
            }
        }
    }

    /// Forgets the first alerts as long as they are `sealed`: they can no longer change.
    pub fn forget(&mut self, sealed: impl Fn(Millis) -> bool) {
        while let Some(first) = self.alerts.first_entry().filter(|first| sealed(first.key().at)) {
            let (alert, is_raised) = first.remove_entry();
            if is_raised {
                self.raised_before = Some(alert.at);
            }
        }
    }

    /// Whether it holds no alerts and can silence none that comes after `t`.
    pub fn is_over(&self, t: Millis) -> bool {
        self.alerts.is_empty() && self.raised_before.is_none_or(|raised| t.saturating_sub(raised) >= self.cooldown_ms)
    }
}
