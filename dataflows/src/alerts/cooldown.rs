//! Which of several alerts are raised, where a rule has a cooldown.
//!
//! In the order of their instants, an alert is raised if none was, of the same version of the rule, vehicle and geofence, or
//! if the last one raised lies a cooldown or longer before it. So a late alert may silence later ones, and those raise
//! others that they had silenced: everything behind a change is decided anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alerts::world::World;
use watchtower_model::{Alert, GeofenceId, Millis, RuleId};

/// Alerts of one owner that share a cooldown: of a version of a rule, and perhaps a geofence.
pub type ChainKey = (RuleId, u64, Option<GeofenceId>);

/// Passes on changes of the alerts of one owner, those of rules with a cooldown by their chains, which ascend by key.
pub fn raise(
    world: &World,
    diffs: Vec<(Alert, i64)>,
    chains: &mut Vec<(ChainKey, Chain)>,
    changes: &mut Vec<(Alert, i64)>,
) {
    let mut chained = BTreeMap::<ChainKey, Vec<(Alert, i64)>>::new();
    for (alert, diff) in diffs {
        if world.cooldown_ms(alert.rule, alert.seq) == 0 {
            changes.push((alert, diff));
        } else {
            chained.entry((alert.rule, alert.seq, alert.geofence)).or_default().push((alert, diff));
        }
    }
    for (key, diffs) in chained {
        let place = chains.binary_search_by_key(&key, |(key, _)| *key).unwrap_or_else(|place| {
            chains.insert(place, (key, Chain::new(world.cooldown_ms(key.0, key.1))));
            place
        });
        chains[place].1.update(&diffs, changes);
    }
}

/// The alerts of one version of a rule, vehicle and geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// Cooldown of the version, milliseconds.
    cooldown_ms: i64,
    /// Alerts that may still change, ascending, and whether each is raised.
    alerts: Vec<(Alert, bool)>,
    /// Instant of the last raised one that can no longer change.
    raised_before: Option<Millis>,
}

impl Chain {
    /// No alerts yet.
    pub fn new(cooldown_ms: i64) -> Self {
        Self { cooldown_ms, alerts: Vec::new(), raised_before: None }
    }

    /// Adds and removes alerts. Appends to `changes` which are raised now and which are no longer.
    pub fn update(&mut self, diffs: &[(Alert, i64)], changes: &mut Vec<(Alert, i64)>) {
        let Some(first) = diffs.iter().map(|(alert, _)| *alert).min() else { return };
        for &(alert, diff) in diffs {
            match self.alerts.binary_search_by_key(&alert, |(alert, _)| *alert) {
                Err(place) if diff > 0 => self.alerts.insert(place, (alert, false)),
                Ok(place) if diff < 0 => {
                    let (_, was_raised) = self.alerts.remove(place);
                    changes.extend(was_raised.then_some((alert, -1)));
                }
                Ok(_) | Err(_) => debug_assert!(false, "an alert comes once and goes once: {alert:?} {diff}"),
            }
        }
        let place = self.alerts.partition_point(|(alert, _)| *alert < first);
        let (before, behind) = self.alerts.split_at_mut(place);
        let raised = before.iter().rev().find(|(_, is_raised)| *is_raised);
        let mut last = raised.map(|(alert, _)| alert.at).or(self.raised_before);
        for (alert, is_raised) in behind {
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
        let count = self.alerts.iter().take_while(|(alert, _)| sealed(alert.at)).count();
        let mut raised = self.alerts.drain(..count).filter(|(_, is_raised)| *is_raised);
        if let Some((alert, _)) = raised.next_back() {
            self.raised_before = Some(alert.at);
        }
    }

    /// Whether it holds no alerts and can silence none that comes after `t`.
    pub fn is_over(&self, t: Millis) -> bool {
        self.alerts.is_empty() && self.raised_before.is_none_or(|raised| t.saturating_sub(raised) >= self.cooldown_ms)
    }
}
