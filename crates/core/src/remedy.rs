//! Recovery from errors of a store.

/// How the committer should recover from an error of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Retry on a new connection, after a pause.
    Reconnect,
    /// Retry the transaction.
    Retry,
    /// Wait for resources: the disk is full, or the server has too many connections.
    Wait,
    /// A retry does not help: an operator must act.
    None,
}
