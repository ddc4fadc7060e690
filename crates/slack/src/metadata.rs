//! Metadata of messages, by which a message is found again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an app attaches to a message, invisible to readers: a type and named texts.
///
/// Any app of the workspace can read it. Names and texts are best plain ASCII, such as the hexadecimal digest of a key:
/// they are compared as they come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metadata {
    event_type: String,
    event_payload: BTreeMap<String, String>,
}

/// Slack would post the message and ignore its metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event type {event_type:?} is not made of letters, digits, underscores and hyphens")]
pub struct MetadataError {
    /// The type.
    pub event_type: String,
}

impl Metadata {
    /// Metadata of a type with named texts.
    ///
    /// # Errors
    /// If the type is empty or has other characters than ASCII letters, digits, `_` and `-`: Slack posts such a message
    /// without its metadata, with only a warning. Source: <https://docs.slack.dev/messaging/message-metadata>.
    pub fn new<N: Into<String>, T: Into<String>>(
        event_type: &str,
        event_payload: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, MetadataError> {
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if event_type.is_empty() || !event_type.chars().all(usable) {
            return Err(MetadataError { event_type: event_type.to_owned() });
        }
        let event_payload = event_payload.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        Ok(Self { event_type: event_type.to_owned(), event_payload })
    }

    /// Whether a message's metadata is of this type and has these texts, beside others that it may have.
    pub(crate) fn is_in(&self, read: &ReadMetadata) -> bool {
        let texts = self.event_payload.iter();
        let has = |(name, text): (&String, &String)| read.event_payload.get(name).is_some_and(|value| value == text);
        read.event_type == self.event_type && texts.into_iter().all(has)
    }
}

/// Metadata of any app, as Slack returns it.
#[derive(Debug, Deserialize)]
pub(crate) struct ReadMetadata {
    #[serde(default)]
    event_type: String,
    #[serde(default)]
    event_payload: serde_json::Map<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_slack_keeps_are_made() {
        for event_type in ["", "watchtower.alert", "alert 1", "alért"] {
            assert!(Metadata::new(event_type, [("a", "b")]).is_err(), "{event_type}");
        }
        let metadata = Metadata::new("watchtower_alert-1", [("subject", "1f")]).unwrap();
        let json = serde_json::to_string(&metadata).unwrap();
        assert_eq!(json, r#"{"event_type":"watchtower_alert-1","event_payload":{"subject":"1f"}}"#);
    }

    #[test]
    fn metadata_is_recognized_by_its_type_and_all_its_texts() {
        let metadata = Metadata::new("alert", [("subject", "1f"), ("revision", "7")]).unwrap();
        let read = |json: &str| serde_json::from_str::<ReadMetadata>(json).unwrap();
        let is_in = |json| metadata.is_in(&read(json));
        assert!(is_in(r#"{"event_type":"alert","event_payload":{"subject":"1f","revision":"7","more":[1]}}"#));
        for other in [
            r#"{"event_type":"other","event_payload":{"subject":"1f","revision":"7"}}"#,
            r#"{"event_type":"alert","event_payload":{"subject":"1f","revision":"8"}}"#,
            r#"{"event_type":"alert","event_payload":{"subject":"1f","revision":7}}"#,
            r#"{"event_type":"alert","event_payload":{"subject":"1f"}}"#,
            r#"{"event_type":"alert"}"#,
            r#"{}"#,
        ] {
            assert!(!is_in(other), "{other}");
        }
    }
}
