//! Errors of the database, and how to recover from them.

use std::io;
use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use watchtower_core::Remedy;

use crate::UnreadableCursor;

/// An operation on the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be parsed. The error does not repeat it, because it may hold a password.
    #[error("[store] url is not a PostgreSQL address: {0}")]
    Address(String),
    /// The file of certificates cannot be used.
    #[error("cannot read certificates from {}: {fault}", path.display())]
    Certificates {
        /// Path of the file.
        path: PathBuf,
        /// The fault of the file.
        fault: String,
    },
    /// The server cannot be reached, or refuses the login.
    #[error("cannot connect to PostgreSQL at {server}: {}", explain(source))]
    Connect {
        /// Host, port, database, user.
        server: String,
        /// Cause reported by the client library.
        source: tokio_postgres::Error,
    },
    /// The server did not answer in time.
    #[error("PostgreSQL at {server} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Host, port, database, user.
        server: String,
        /// Time after which the statement was given up.
        after: std::time::Duration,
    },
    /// A statement failed.
    #[error("cannot {doing}: {}", explain(source))]
    Statement {
        /// The operation and its object, as in `cannot <doing>`.
        doing: String,
        /// Cause reported by the server or the client library.
        source: tokio_postgres::Error,
    },
    /// A pooler assigns transactions of one connection to several sessions.
    #[error(
        "PostgreSQL at {server} is behind a pooler in transaction mode: two connections of ours share one session \
         (backend {backend}). Commits need a session of their own: use the pooler's session mode (for Supabase port \
         5432 instead of 6543; for PgBouncer pool_mode = session) or connect to the database directly"
    )]
    Pooled {
        /// Host, port, database, user.
        server: String,
        /// Process id of the session that served both.
        backend: String,
    },
    /// A fault of the setup that an operator must repair.
    #[error("{0}")]
    Setup(String),
    /// A stored cursor cannot be read. A guessed cursor would repeat or lose entries.
    #[error("schema {schema}: {fault}")]
    Cursor {
        /// The schema of the pipeline.
        schema: String,
        /// The row and its cell.
        fault: UnreadableCursor,
    },
    /// The tables were computed under another plan.
    #[error(
        "what the tables of pipeline {pipeline} mean has changed: {}. They are not mixed: put the configuration back, or \
         let `watchtower rebuild --config <file>` compute them anew from the log",
        watchtower_core::plan::difference(stored, ours)
    )]
    Plan {
        /// Name of the pipeline.
        pipeline: String,
        /// The plan of its tables.
        stored: String,
        /// The plan of this program and configuration.
        ours: String,
    },
    /// Another daemon has taken over.
    #[error("fenced: {by} took over pipeline {pipeline} (term {term}, ours was {ours}); nothing was written since")]
    Fenced {
        /// Name of the pipeline.
        pipeline: String,
        /// Process and machine of the new owner.
        by: String,
        /// Term of the new owner.
        term: i64,
        /// Term of this writer.
        ours: i64,
    },
}

impl StoreError {
    /// Wraps an error of a statement; `doing` is the operation, as in `cannot <doing>`.
    pub fn statement(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Statement { doing: doing.into(), source }
    }

    /// Whether a compare-and-set found no row to change: see [`super::queue::only_if_one`].
    pub fn changed_no_row(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.code() == Some(&SqlState::DIVISION_BY_ZERO))
    }

    /// How the committer should recover from this error.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Connect { source, .. } | Self::Statement { source, .. } => remedy(source),
            Self::TimedOut { .. } => Remedy::Reconnect,
            Self::Address(_)
            | Self::Certificates { .. }
            | Self::Pooled { .. }
            | Self::Setup(_)
            | Self::Cursor { .. }
            | Self::Plan { .. }
            | Self::Fenced { .. } => Remedy::None,
        }
    }
}

/// By SQLSTATE. Source: PostgreSQL's documentation, appendix A.
fn remedy(error: &tokio_postgres::Error) -> Remedy {
    let Some(state) = error.code() else { return remedy_without_a_word(error) };
    match *state {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::LOCK_NOT_AVAILABLE => {
            Remedy::Retry
        }
        _ if state.code().starts_with("53") => Remedy::Wait,
        // Connection exceptions; server shutting down, crashed or starting; idle or terminated sessions.
        _ if ["08", "57P", "25P03"].iter().any(|class| state.code().starts_with(class)) => Remedy::Reconnect,
        _ => Remedy::None,
    }
}

/// Recovery from an error without SQLSTATE: the connection is lost or could not be made. No retry helps against a
/// missing password, a certificate that is not trusted, or a value that cannot be encoded.
fn remedy_without_a_word(error: &tokio_postgres::Error) -> Remedy {
    let Some(source) = std::error::Error::source(error) else { return Remedy::Reconnect };
    match source.downcast_ref::<io::Error>().map(io::Error::kind) {
        None | Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Remedy::None,
        Some(_) => Remedy::Reconnect,
    }
}

/// The server's message; tokio-postgres's own text is only "db error".
fn explain(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return format!("{error}{cause}");
    };
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}
