//! Findings that a library returns for its caller to log.

/// A finding about a log or a store that a daemon starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether an operator should act on it.
    pub is_warning: bool,
    /// The finding, without a full stop.
    pub text: String,
}

impl Note {
    /// A finding that needs no action.
    pub fn info(text: impl Into<String>) -> Self {
        Self { is_warning: false, text: text.into() }
    }

    /// A finding that an operator should act on.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { is_warning: true, text: text.into() }
    }
}
