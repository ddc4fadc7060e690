//! Number of streams of a pipeline, and source of its clock events: as its daemon announced them, or, before
//! one has run, as the producer wants them.

use crate::ClockSource;

/// The most event streams a pipeline can have.
pub const MAX_STREAMS: u16 = 1024;

/// The fields of the daemon's hash.
pub const FIELDS: [&str; 2] = ["streams", "clock"];

const DEFAULT_STREAMS: u16 = 1;
const DEFAULT_CLOCK: ClockSource = ClockSource::Log;

/// Layout that a producer asks for; `None` accepts any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Number of event streams.
    pub streams: Option<u16>,
    /// Source of clock events.
    pub clock: Option<ClockSource>,
}

/// Event streams and clock of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of event streams.
    pub streams: u16,
    /// Source of clock events.
    pub clock: ClockSource,
    /// Whether the pipeline's daemon announced it.
    pub by_daemon: bool,
}

impl Layout {
    /// Whether a daemon appends the machine's time to the streams: history is late there.
    pub fn is_at_machine_time(&self) -> bool {
        self.by_daemon && self.clock == ClockSource::Wall
    }
}

/// There is no layout that everybody agrees on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The number of streams is another one.
    #[error("the pipeline has {has} event stream{}, not {wanted} as --streams says", if *has == 1 { "" } else { "s" })]
    Streams {
        /// Number of streams that the command asks for.
        wanted: u16,
        /// Written by the daemon.
        has: u16,
    },
    /// The clock is another one.
    #[error("the pipeline's clock is {has}, not {wanted} as --clock says")]
    Clock {
        /// Clock that the command asks for.
        wanted: &'static str,
        /// Written by the daemon.
        has: &'static str,
    },
    /// The pipeline's hash in Redis has an invalid value.
    #[error("the field {field} of the hash {key} is {found:?}; was it written by another program?")]
    Unreadable {
        /// The daemon's hash.
        key: String,
        /// Name of the field in the hash.
        field: &'static str,
        /// Value of the field.
        found: String,
    },
}

/// Compares what is wanted with the fields that the daemon wrote to the hash `key`, if it did.
pub fn agree(wanted: Wanted, key: &str, written: [Option<String>; 2]) -> Result<Layout, LayoutError> {
    let [streams_text, clock_text] = written;
    let by_daemon = streams_text.is_some();
    let [streams_field, clock_field] = FIELDS;
    let unreadable = |field, found| LayoutError::Unreadable { key: key.to_owned(), field, found };
    let streams = match streams_text {
        None => wanted.streams.unwrap_or(DEFAULT_STREAMS),
        Some(text) => match text.parse::<u16>() {
            Ok(has @ 1..=MAX_STREAMS) => has,
            Ok(_) | Err(_) => return Err(unreadable(streams_field, text)),
        },
    };
    let clock = match clock_text.as_deref() {
        None => wanted.clock.unwrap_or(DEFAULT_CLOCK),
        Some("wall") => ClockSource::Wall,
        Some("log") => ClockSource::Log,
        Some(other) => return Err(unreadable(clock_field, other.to_owned())),
    };
    if let Some(asked) = wanted.streams.filter(|asked| *asked != streams) {
        return Err(LayoutError::Streams { wanted: asked, has: streams });
    }
    if let Some(asked) = wanted.clock.filter(|asked| *asked != clock) {
        return Err(LayoutError::Clock { wanted: asked.word(), has: clock.word() });
    }
    Ok(Layout { streams, clock, by_daemon })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_daemon_knows() {
        let layout = agree(Wanted::default(), "k", [text("4"), text("wall")]).unwrap();
        assert_eq!(layout, Layout { streams: 4, clock: ClockSource::Wall, by_daemon: true });
        let same = Wanted { streams: Some(4), clock: Some(ClockSource::Wall) };
        assert_eq!(agree(same, "k", [text("4"), text("wall")]), Ok(layout));
    }

    #[test]
    fn before_there_is_one_the_options_say() {
        let none = || [None, None];
        let layout = |streams, clock| Ok(Layout { streams, clock, by_daemon: false });
        assert_eq!(agree(Wanted::default(), "k", none()), layout(1, ClockSource::Log));
        let wanted = Wanted { streams: Some(3), clock: Some(ClockSource::Wall) };
        assert_eq!(agree(wanted, "k", none()), layout(3, ClockSource::Wall));
    }

    #[test]
    fn a_contradiction_names_both() {
        let error = |wanted| agree(wanted, "k", [text("4"), text("wall")]).unwrap_err().to_string();
        let streams = error(Wanted { streams: Some(2), clock: None });
        assert!(streams.contains("4 event streams") && streams.contains("not 2"), "{streams}");
        let clock = error(Wanted { streams: None, clock: Some(ClockSource::Log) });
        assert!(clock.contains("is wall, not log"), "{clock}");
    }

    #[test]
    fn nonsense_is_told() {
        for written in [[text("0"), None], [text("1025"), None], [text("x"), None], [text("1"), text("moon")]] {
            assert!(matches!(agree(Wanted::default(), "k", written), Err(LayoutError::Unreadable { .. })));
        }
    }
}
