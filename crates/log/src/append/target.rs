//! The pipeline that events are appended to, and the names of its streams.

use std::fmt;

use secrecy::SecretString;

use crate::file::stream_names;
use crate::redis::address;
use watchtower_geopackage::GeoPackage;

/// The longest name of a pipeline, in characters.
const MAX_NAME_CHARS: usize = 40;

/// Pipeline that events are appended to.
#[derive(Clone, Debug)]
pub enum Target {
    /// Streams of a Redis.
    Redis {
        /// Its URL, perhaps with a password.
        url: SecretString,
        /// Name of the pipeline, part of the keys of its streams.
        pipeline: PipelineName,
    },
    /// The log in a GeoPackage.
    Embedded(GeoPackage),
}

impl Target {
    /// Names of the streams of a pipeline with this number of event streams, the control stream last.
    pub fn keys(&self, streams: u16) -> Vec<String> {
        match self {
            Self::Redis { pipeline, .. } => {
                (0..streams).map(|stream| pipeline.events_key(stream)).chain([pipeline.control_key()]).collect()
            }
            Self::Embedded(_) => stream_names(streams),
        }
    }
}

impl Target {
    /// The pipeline, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Redis { pipeline, .. } => format!("pipeline {pipeline}"),
            Self::Embedded(file) => file.path().display().to_string(),
        }
    }

    /// The stream of its geofences and vehicles, for people.
    pub fn control(&self) -> String {
        match self {
            Self::Redis { url, pipeline } => format!("{} of Redis at {}", pipeline.control_key(), address(url)),
            Self::Embedded(file) => format!("control stream of {}", file.path().display()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis { url, pipeline } => write!(f, "pipeline {pipeline} of Redis at {}", address(url)),
            Self::Embedded(file) => write!(f, "{}", file.path().display()),
        }
    }
}

/// The name of a pipeline, from which the names of its keys in Redis are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineName(String);

/// The text cannot be the name of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a lower-case letter, then lower-case letters, digits and _, at most {MAX_NAME_CHARS} in all")]
pub struct PipelineNameError;

impl PipelineName {
    /// Parses a name.
    ///
    /// # Errors
    /// If it is not a lower-case letter followed by at most 39 lower-case letters, digits and `_`.
    pub fn parse(text: &str) -> Result<Self, PipelineNameError> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let named = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(fine);
        if named && text.len() <= MAX_NAME_CHARS { Ok(Self(text.to_owned())) } else { Err(PipelineNameError) }
    }

    /// The stream of the positions of some vehicles.
    pub fn events_key(&self, stream: u16) -> String {
        format!("wt:{self}:events:{stream}")
    }

    /// The stream of geofence and vehicle events.
    pub fn control_key(&self) -> String {
        format!("wt:{self}:control")
    }

    /// Key of the hash in which the daemon announces the number of streams and the source of clock events.
    pub fn layout_key(&self) -> String {
        format!("wt:{self}:pipeline")
    }

    /// What the keys of remembered deliveries begin with; a digest follows.
    pub fn delivery_prefix(&self) -> String {
        crate::redis::delivery_prefix(&self.to_string())
    }
}

impl fmt::Display for PipelineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_makes_keys() {
        let name = PipelineName::parse("lagos_2").unwrap();
        assert_eq!(name.events_key(3), "wt:lagos_2:events:3");
        assert_eq!(name.control_key(), "wt:lagos_2:control");
        assert_eq!(name.layout_key(), "wt:lagos_2:pipeline");
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in ["", "Lagos", "2lagos", "_a", "a-b", "a:b", "é", &"a".repeat(41)] {
            assert_eq!(PipelineName::parse(text), Err(PipelineNameError), "{text:?}");
        }
        assert!(PipelineName::parse(&"a".repeat(40)).is_ok());
    }
}
