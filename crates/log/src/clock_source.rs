//! Source of a pipeline's clock events.

/// Source of the clock events of a pipeline: `[clock] source`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockSource {
    /// The daemon appends a clock event to each stream every second.
    #[default]
    Wall,
    /// Only producers append them.
    Log,
}

impl ClockSource {
    /// As it is written in the configuration, on the command line and in Redis.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Log => "log",
        }
    }
}
