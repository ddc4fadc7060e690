//! `[[rule]]`: alert rules, whose keys are the members of a `rule` event.

use serde_json::{Map, Value as Json};
use toml::de::{DeTable, DeValue};
use watchtower_core::events::{Limits, RuleText};
use watchtower_notify::{Options, check_template};

use super::notify::unknown_channel;
use super::reader::{Entry, Reader};

/// Keys of a rule.
const KEYS: [&str; 16] = [
    "id",
    "valid_from",
    "on",
    "after",
    "more_than",
    "fewer_than",
    "where",
    "hours",
    "cooldown",
    "max_age",
    "mode",
    "corrections",
    "severity",
    "to",
    "message",
    "deleted",
];

/// The rules of the file, in its order.
pub(super) fn alert_rules(reader: &mut Reader<'_>, limits: &Limits, notify: &Options) -> Vec<RuleText> {
    let mut ids = Vec::new();
    let rules = reader.list("rule", |entry| {
        let rule = rule(entry, limits, notify)?;
        if ids.contains(&rule.rule_id) {
            entry.problem_at("id", "another [[rule]] has it too; each needs its own");
        }
        ids.push(rule.rule_id.clone());
        Some(rule)
    });
    rules.into_iter().flatten().collect()
}

fn rule(entry: &mut Entry<'_>, limits: &Limits, notify: &Options) -> Option<RuleText> {
    KEYS.into_iter().for_each(|key| entry.declare(key));
    let mut members = object(entry.table());
    members.retain(|name, _| KEYS.contains(&name.as_str()));
    if !members.contains_key("id") {
        entry.problem_at("id", "missing; alerts and events name the rule by it, as in id = \"in\"");
        return None;
    }
    let text: RuleText = match serde_json::from_value(Json::Object(members)) {
        Ok(text) => text,
        Err(fault) => {
            entry.problem_at("id", &format!("the rule cannot be read: {fault}"));
            return None;
        }
    };
    if let Err(rejection) = text.change(limits) {
        let (field, wrong) = rejection.detail.split_once(": ").unwrap_or(("id", &rejection.detail));
        let field = if field == "rule_id" { "id" } else { field.split(['.', ',']).next().unwrap_or("id") };
        entry.problem_at(field, wrong);
        return None;
    }
    for fault in text.to.0.iter().filter_map(|name| unknown_channel(notify, name)) {
        entry.problem_at("to", &fault);
    }
    if let Some(Err(fault)) = text.message.as_deref().map(check_template) {
        entry.problem_at("message", &format!("the template cannot be used: {fault}"));
    }
    Some(text)
}

/// A table as a JSON object.
fn object(table: &DeTable<'_>) -> Map<String, Json> {
    table.iter().map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref()))).collect()
}

/// A value as JSON; dates and times as texts.
fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(number) => number.to_string().parse::<i64>().map_or(Json::Null, Json::from),
        DeValue::Float(number) => number.to_string().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Boolean(flag) => Json::from(*flag),
        DeValue::Datetime(instant) => Json::from(instant.to_string()),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => Json::Object(object(table)),
    }
}
