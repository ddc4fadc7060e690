//! The log of the process: lines on stderr, as text or JSON.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::subscriber::set_global_default;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Names of the levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Values of `[log]`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Format of a line.
    pub format: Format,
    /// What is logged: a level (`info`), or directives (`info,watchtower=debug`).
    pub level: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { format: Format::Human, level: "info".to_owned() }
    }
}

/// Format of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for terminals.
    Human,
    /// One JSON object per line.
    Json,
}

/// The log cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The text is neither a level nor directives.
    #[error(
        "{text:?} is not a log level; expected error, warn, info, debug, trace or off, or directives as in \
         info,watchtower=debug"
    )]
    Level {
        /// The text in the configuration.
        text: String,
    },
    /// The process already has a log.
    #[error("the log is set up already")]
    Twice,
}

/// Sets up the log of the process, on stderr. `level` is a level (`info`) or directives
/// (`info,watchtower=debug`).
///
/// # Errors
/// If `level` is neither, or the process has a log.
pub fn init(format: Format, level: &str) -> Result<(), LogError> {
    let subscriber = subscriber(format, filter(level)?, io::stderr().is_terminal(), io::stderr);
    set_global_default(subscriber).map_err(|_| LogError::Twice)
}

fn subscriber<W>(format: Format, filter: EnvFilter, colours: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Human => Box::new(builder.compact().with_target(false).with_ansi(colours).finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).with_ansi(false).finish()),
    }
}

/// Parses and checks `level`. `tracing` itself accepts any word as the name of a module, so that it would accept a
/// misspelt level.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let error = || LogError::Level { text: level.to_owned() };
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let names_one = |directive: &&str| is_level(directive.rsplit_once('=').map_or(directive, |(_, level)| level));
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    if !directives.iter().all(names_one) {
        return Err(error());
    }
    EnvFilter::builder().parse(directives.join(",")).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use super::*;

    fn logged(format: Format, level: &str) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let subscriber = subscriber(format, filter(level).unwrap(), false, writer);
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("epoch", epoch = 7).entered();
            tracing::info!(stream = "wt:lagos:events:0", lag = 3, "reading \"again\"");
            tracing::debug!("details");
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_line_for_people_has_time_level_and_fields() {
        let text = logged(Format::Human, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        for expected in ["Z  INFO ", "reading \"again\"", "stream=\"wt:lagos:events:0\"", "lag=3", "epoch=7"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn a_line_for_programs_is_an_object() {
        let text = logged(Format::Json, "info,watchtower=debug");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["message"], "reading \"again\"");
        assert_eq!(lines[0]["lag"], 3);
        assert_eq!(lines[0]["span"]["epoch"], 7);
        assert!(lines[0]["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(lines[1]["message"], "details");
    }

    #[test]
    fn levels_and_directives_are_understood() {
        for level in ["info", "WARN", "off", "info,watchtower=debug", "warn, watchtower::publish=trace"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        assert_eq!(logged(Format::Human, "warn"), "");
    }

    #[test]
    fn anything_else_is_told_what_is_expected() {
        for level in ["", "inof", "warning", "info,", "watchtower", "watchtower=loud", "info,watchtower"] {
            let error = filter(level).unwrap_err().to_string();
            assert!(error.contains(&format!("{level:?}")) && error.contains("info,watchtower=debug"), "{error}");
        }
    }
}
