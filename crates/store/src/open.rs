//! The one place where a daemon's tables are opened, and their backend chosen.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::Client;
use watchtower_core::{Findings, Note, crash};
use watchtower_geopackage::{GeoPackage, Lease};

use crate::geopackage::{self, EmbeddedError};
use crate::postgres::{self, Database};
use crate::query::Reader;
use crate::{Backend, Claim, LaggingWriter, Progress, Rebuild, Resume, Stored, Writer, WriterError};

/// Interval at which a daemon that has taken over tries to get the lock of its predecessor.
const LEASE_EVERY: Duration = Duration::from_millis(500);

/// Where the tables of a pipeline are.
#[derive(Clone, Debug)]
pub enum Options {
    /// A schema in PostgreSQL.
    Postgres {
        /// Name of the pipeline.
        pipeline: String,
        /// The database.
        postgres: postgres::Options,
        /// Number of event streams of the pipeline's log.
        streams: u16,
    },
    /// A GeoPackage, which is created if missing.
    File(GeoPackage),
}

/// The tables of a pipeline, before they are claimed.
#[derive(Clone, Debug)]
pub struct Store(Place);

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
enum Place {
    Postgres { database: Database, options: postgres::Options, streams: u16 },
    File(GeoPackage),
}

/// A connection to the store.
pub struct Session(Option<Client>);

/// A pipeline that was claimed, and the two writers of its tables.
#[derive(Debug)]
pub struct Opened {
    /// The right to write the tables.
    pub claim: Claim,
    /// Writes the transactional tables.
    pub writer: Writer,
    /// Writes the lagging tables.
    pub lagging: LaggingWriter,
    /// Keeps other daemons out; `None` if the writer's connection does.
    pub hold: Option<Hold>,
}

/// The lock on a file, for as long as a daemon runs.
#[derive(Debug)]
pub struct Hold {
    lease: Option<Lease>,
    file: GeoPackage,
}

impl Hold {
    /// Holds the lock; never returns. A daemon that has taken over gets it when its predecessor has ended.
    pub async fn run(mut self) {
        loop {
            if self.lease.is_none() {
                self.lease = Lease::take(&self.file).ok().flatten();
            }
            sleep(LEASE_EVERY).await;
        }
    }
}

/// The tables could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The store cannot be used.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// Another daemon writes the pipeline.
    #[error(
        "pipeline {pipeline} is being written by {owner}: stop that daemon first (or start this one with --takeover, \
         which fences it)"
    )]
    Occupied {
        /// Name of the pipeline.
        pipeline: String,
        /// Process and machine of that daemon.
        owner: String,
    },
    /// The same of a command that no daemon may disturb, and that takes over from none.
    #[error("pipeline {pipeline} is being written by {owner}: stop it first")]
    Held {
        /// Name of the pipeline.
        pipeline: String,
        /// Process and machine of that daemon.
        owner: String,
    },
}

impl From<postgres::StoreError> for ClaimError {
    fn from(error: postgres::StoreError) -> Self {
        Self::Writer(error.into())
    }
}

impl From<EmbeddedError> for ClaimError {
    fn from(error: EmbeddedError) -> Self {
        Self::Writer(error.into())
    }
}

impl Store {
    /// The store of these options. Does not connect.
    ///
    /// # Errors
    /// If the address or the certificates are invalid.
    pub fn new(options: &Options) -> Result<Self, WriterError> {
        Ok(Self(match options {
            Options::Postgres { pipeline, postgres, streams } => Place::Postgres {
                database: Database::new(pipeline, postgres)?,
                options: postgres.clone(),
                streams: *streams,
            },
            Options::File(file) => Place::File(file.clone()),
        }))
    }

    /// The kind of store.
    pub fn backend(&self) -> Backend {
        match self.0 {
            Place::Postgres { .. } => Backend::Postgres,
            Place::File(_) => Backend::File,
        }
    }

    /// The GeoPackage that holds the tables, if one does.
    pub fn file(&self) -> Option<&GeoPackage> {
        match &self.0 {
            Place::Postgres { .. } => None,
            Place::File(file) => Some(file),
        }
    }

    /// Refuses a file that another daemon writes, before anything else is started. A server is asked when the tables are
    /// claimed.
    ///
    /// # Errors
    /// If another daemon holds the file, or its lock cannot be examined.
    pub fn refuse_occupied(&self) -> Result<(), WriterError> {
        match self.file() {
            Some(file) if file.path().exists() && Lease::take(file).map_err(EmbeddedError::from)?.is_none() => {
                Err(occupied(file)?.into())
            }
            _ => Ok(()),
        }
    }

    /// Connects. A file has no connection.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses: see [`WriterError::remedy`].
    pub async fn connect(&self) -> Result<Session, WriterError> {
        Ok(Session(match &self.0 {
            Place::Postgres { database, .. } => Some(database.connect().await?),
            Place::File(_) => None,
        }))
    }

    /// Creates or migrates the tables and claims them: from here on no earlier writer can change them. Findings go to
    /// `note`. With `takeover` a daemon that still runs is fenced, otherwise it is an error after some seconds.
    ///
    /// # Errors
    /// If another daemon writes the tables, they were computed under another plan, or the store refuses.
    pub async fn claim(
        &self,
        session: Session,
        plan: &str,
        takeover: bool,
        note: &mut (dyn FnMut(Note) + Send),
    ) -> Result<Opened, ClaimError> {
        match (&self.0, session.0) {
            (Place::Postgres { database, options, streams }, Some(client)) => {
                let opening = postgres::open::Opening { options, database, streams: *streams, plan, takeover };
                opening.claim(client, note).await
            }
            (Place::File(file), None) => tokio::task::block_in_place(|| claim_file(file, plan, takeover, note)),
            (Place::Postgres { .. }, None) | (Place::File(_), Some(_)) => {
                unreachable!("a session belongs to the store that made it")
            }
        }
    }

    /// Plan and cursors of the tables; `None` without tables.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn stored(&self, session: &Session) -> Result<Option<Stored>, WriterError> {
        match (&self.0, &session.0) {
            (Place::Postgres { database, .. }, Some(client)) => {
                match postgres::claim::exists(client, database).await? {
                    true => Ok(postgres::claim::stored(client, database).await?),
                    false => Ok(None),
                }
            }
            (Place::File(file), None) if file.path().exists() => tokio::task::block_in_place(|| {
                let connection = file.connect_to_read().map_err(EmbeddedError::from)?;
                Ok(geopackage::claim::stored(file, &connection)?)
            }),
            _ => Ok(None),
        }
    }

    /// The state of the tables, for people.
    ///
    /// # Errors
    /// If the store cannot be read, or has no tables.
    pub async fn progress(&self) -> Result<Progress, WriterError> {
        match &self.0 {
            Place::Postgres { database, .. } => {
                Ok(postgres::progress::progress(&mut database.connect().await?, database).await?)
            }
            Place::File(file) => Ok(tokio::task::block_in_place(|| geopackage::progress::progress(file))?),
        }
    }

    /// Checks what only a backend of this kind can lack. Returns the plan of its tables, if
    /// it has some that can be read.
    pub(crate) async fn check_backend(&self, findings: &mut Findings) -> Result<Option<Stored>, WriterError> {
        match &self.0 {
            Place::Postgres { database, options, .. } => Ok(postgres::check::check(database, options, findings).await?),
            Place::File(file) => Ok(tokio::task::block_in_place(|| geopackage::check::check(file, findings))?),
        }
    }

    /// A session that reads rows of the tables.
    ///
    /// # Errors
    /// If the store cannot be reached, or the file does not exist.
    pub async fn reader(&self) -> Result<Reader, WriterError> {
        match &self.0 {
            Place::Postgres { database, .. } => Reader::of_database(database).await,
            Place::File(file) => Reader::of_file(file),
        }
    }

    /// Holds the tables, so that they can be computed anew.
    ///
    /// # Errors
    /// If a daemon writes them, there are none, or the store cannot be used.
    pub async fn hold_for_rebuild(&self) -> Result<Rebuild, ClaimError> {
        match &self.0 {
            Place::Postgres { database, options, streams } => match postgres::rebuild::Old::hold(database).await? {
                Ok(old) => Ok(Rebuild::of_schema(old, options.clone(), *streams)),
                Err(owner) => Err(ClaimError::Held { pipeline: database.pipeline.clone(), owner }),
            },
            Place::File(file) => tokio::task::block_in_place(|| match Rebuild::of_file(file)? {
                Some(rebuild) => Ok(rebuild),
                None => Err(occupied(file)?.into()),
            }),
        }
    }

    /// Claims the tables, so that the loss of entries can be recorded. Unlike [`Self::claim`] it neither creates nor
    /// migrates them, fences no daemon, and leaves the record of a halt.
    ///
    /// # Errors
    /// If a daemon writes them, they were computed under another plan, or the store cannot be used; and of a file, whose
    /// log loses nothing.
    pub async fn hold_for_resume(&self, plan: &str) -> Result<Resume, ClaimError> {
        match &self.0 {
            Place::Postgres { database, options, streams } => {
                match postgres::open::hold_for_resume(database, options, *streams, plan).await? {
                    Ok(resume) => Ok(resume),
                    Err(owner) => Err(ClaimError::Held { pipeline: database.pipeline.clone(), owner }),
                }
            }
            Place::File(file) => Err(EmbeddedError::NothingToResume { path: file.path().to_owned() }.into()),
        }
    }

    /// Moves what SQLite keeps beside the file into it, once all writers are closed. Does nothing for a server.
    pub fn settle(&self) {
        if let Some(file) = self.file() {
            file.settle();
        }
    }
}

/// Takes the file's lock and claims its tables. Creates missing ones.
fn claim_file(
    file: &GeoPackage,
    plan: &str,
    takeover: bool,
    note: &mut (dyn FnMut(Note) + Send),
) -> Result<Opened, ClaimError> {
    let mut connection = file.connect_or_create().map_err(EmbeddedError::from)?;
    let lease = Lease::take(file).map_err(EmbeddedError::from)?;
    if lease.is_none() && !takeover {
        return Err(occupied(file)?.into());
    }
    let claim = geopackage::claim::claim(file, &mut connection, plan)?;
    crash::point("after-claim");
    let (path, Claim { term, commit_seq, .. }) = (file.path().display(), &claim);
    note(Note::info(format!("opened {path}: term {term}, commit {commit_seq}")));
    let lagging = geopackage::lagging::LaggingWriter::new(file, &claim)?;
    let writer = geopackage::commit::Writer::new(file.clone(), connection, &claim);
    Ok(Opened {
        claim,
        writer: Writer::Embedded(writer),
        lagging: LaggingWriter::Embedded(lagging),
        hold: Some(Hold { lease, file: file.clone() }),
    })
}

/// The refusal of a file that another daemon writes.
fn occupied(file: &GeoPackage) -> Result<EmbeddedError, EmbeddedError> {
    let owner = geopackage::claim::owner(file, &file.connect_to_read()?)?;
    let owner = owner.map_or_else(|| "another process".to_owned(), |owner| owner.name);
    Ok(EmbeddedError::Occupied { path: file.path().to_owned(), owner })
}
