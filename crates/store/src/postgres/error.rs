//! What can go wrong with the database, and what to do about it.

use std::io;
use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use watchtower_core::Remedy;

use crate::UnreadableCursor;

/// The database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be read; it is not repeated here, for it may hold a password.
    #[error("[store] url is no PostgreSQL address: {0}")]
    Address(String),
    /// The file of certificates cannot be used.
    #[error("cannot read certificates from {}: {fault}", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// It cannot be reached, or does not let us in.
    #[error("cannot connect to PostgreSQL at {server}: {}", explain(source))]
    Connect {
        /// Host, port, database, user.
        server: String,
        /// Why.
        source: tokio_postgres::Error,
    },
    /// It takes too long to answer.
    #[error("PostgreSQL at {server} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Host, port, database, user.
        server: String,
        /// How long we waited.
        after: std::time::Duration,
    },
    /// A statement failed.
    #[error("cannot {doing}: {}", explain(source))]
    Statement {
        /// What was being done, and to what.
        doing: String,
        /// Why.
        source: tokio_postgres::Error,
    },
    /// A pooler hands every transaction to another session.
    #[error(
        "PostgreSQL at {server} is behind a pooler in transaction mode: two connections of ours share one session \
         (backend {backend}). Commits need a session of their own: use the pooler's session mode (for Supabase port \
         5432 instead of 6543; for PgBouncer pool_mode = session) or connect to the database directly"
    )]
    Pooled {
        /// Host, port, database, user.
        server: String,
        /// The process both were served by.
        backend: String,
    },
    /// Something has to be put right by hand.
    #[error("{0}")]
    Setup(String),
    /// A stored cursor cannot be read: to guess one would repeat or lose entries.
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
        /// Which pipeline.
        pipeline: String,
        /// The plan of its tables.
        stored: String,
        /// The plan of this program and configuration.
        ours: String,
    },
    /// Another daemon has taken over.
    #[error("fenced: {by} took over pipeline {pipeline} (term {term}, ours was {ours}); nothing was written since")]
    Fenced {
        /// Which pipeline.
        pipeline: String,
        /// The new owner: its process and machine.
        by: String,
        /// Its term.
        term: i64,
        /// Ours.
        ours: i64,
    },
}

impl StoreError {
    /// An error of a statement; `doing` says what it was to achieve.
    pub fn statement(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Statement { doing: doing.into(), source }
    }

    /// Whether the statement found no row to change that it had to: see [`super::batch::only_if_one`].
    pub fn found_nothing(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.code() == Some(&SqlState::DIVISION_BY_ZERO))
    }

    /// What helps.
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
        // Connection exceptions; shut down, crashed, starting up; idle or unwanted sessions.
        _ if ["08", "57P", "25P03"].iter().any(|class| state.code().starts_with(class)) => Remedy::Reconnect,
        _ => Remedy::None,
    }
}

/// Where the server said nothing, the connection is gone, or could not be made; unless it is our own doing:
/// a password it wants and we do not have, a certificate that is not trusted, a value that cannot be sent.
fn remedy_without_a_word(error: &tokio_postgres::Error) -> Remedy {
    let Some(source) = std::error::Error::source(error) else { return Remedy::Reconnect };
    match source.downcast_ref::<io::Error>().map(io::Error::kind) {
        None | Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Remedy::None,
        Some(_) => Remedy::Reconnect,
    }
}

/// The server's own words; tokio-postgres says only "db error".
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
