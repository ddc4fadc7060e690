//! What to do when a store fails.

/// What helps against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Try again on a new connection, a little later.
    Reconnect,
    /// Try the transaction again.
    Retry,
    /// Wait until there is room again: the disk is full, or too many connections.
    Wait,
    /// Nothing we could do.
    None,
}
