//! Tokens of clients, and what a request is checked against: fleets of vehicles and versions of what is edited.
//!
//! In PostgreSQL the table `tokens` is created by a migration; in a GeoPackage when the first token is.

mod geopackage;
mod postgres;

use std::collections::HashMap;

use watchtower_auth::{Grant, Role, TokenHash};
use watchtower_geopackage::GeoPackage;
use watchtower_model::Millis;

use crate::Options;
use crate::geopackage::EmbeddedError;
use crate::postgres::{Database, StoreError};

/// A token as it is stored: without the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its identifier, which is no secret.
    pub token_id: String,
    /// What it is for, in the words of its author.
    pub name: String,
    /// What its holder may do.
    pub grant: Grant,
    /// Its digest.
    pub hash: TokenHash,
    /// When it was created.
    pub created_at: Millis,
    /// From when on it is not accepted, if it expires.
    pub expires_at: Option<Millis>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Millis>,
}

impl StoredToken {
    /// Whether it is accepted at `now`.
    pub fn is_valid(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What an edit with `If-Match` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A geofence, by its identifier.
    Geofence(&'a str),
    /// A vehicle, by its identifier.
    Vehicle(&'a str),
}

/// Tokens cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// PostgreSQL does not do it.
    #[error(transparent)]
    Postgres(#[from] StoreError),
    /// The file does not do it.
    #[error(transparent)]
    File(#[from] EmbeddedError),
    /// A row is not what this program writes.
    #[error("token {token_id} has a role or a digest that this program does not know: was it made by a later one?")]
    Unreadable {
        /// Identifier of the token.
        token_id: String,
    },
}

/// Where tokens are stored.
#[derive(Clone, Debug)]
pub enum Tokens {
    /// The schema of a pipeline, which has to be migrated.
    Postgres(Box<Database>),
    /// A file; one that is missing has no tokens.
    File(GeoPackage),
}

impl Tokens {
    /// The tokens beside these tables. Does not connect.
    ///
    /// # Errors
    /// If the address or the certificates of PostgreSQL are invalid.
    pub fn new(tables: &Options) -> Result<Self, TokenError> {
        Ok(match tables {
            Options::Postgres { pipeline, postgres, .. } => {
                Self::Postgres(Box::new(Database::new(pipeline, postgres)?))
            }
            Options::File(file) => Self::File(file.clone()),
        })
    }

    /// Whether the table of tokens was created. A file needs none: without the table it has no tokens.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn are_created(&self) -> Result<bool, TokenError> {
        match self {
            Self::Postgres(database) => postgres::are_created(database).await,
            Self::File(_) => Ok(true),
        }
    }

    /// All tokens, revoked and expired ones too, oldest first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self) -> Result<Vec<StoredToken>, TokenError> {
        match self {
            Self::Postgres(database) => postgres::list(database).await,
            Self::File(file) => blocking(|| geopackage::list(file)),
        }
    }

    /// Stores a new token. If it is the token of a device, earlier ones of the same vehicle are revoked.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn create(&self, token: &StoredToken) -> Result<(), TokenError> {
        match self {
            Self::Postgres(database) => postgres::create(database, token).await,
            Self::File(file) => blocking(|| geopackage::create(file, token)),
        }
    }

    /// Revokes a token. Returns whether there is one of this identifier that was not revoked yet.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn revoke(&self, token_id: &str, now: Millis) -> Result<bool, TokenError> {
        match self {
            Self::Postgres(database) => postgres::revoke(database, token_id, now).await,
            Self::File(file) => blocking(|| geopackage::revoke(file, token_id, now)),
        }
    }

    /// The fleets of the vehicles that are in one, by the version of their metadata that no other follows.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn fleets(&self) -> Result<HashMap<String, String>, TokenError> {
        match self {
            Self::Postgres(database) => postgres::fleets(database).await,
            Self::File(file) => blocking(|| geopackage::fleets(file)),
        }
    }

    /// A digest of all versions of a geofence or a vehicle in the tables; None if there is none.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn version(&self, subject: Subject<'_>) -> Result<Option<String>, TokenError> {
        match self {
            Self::Postgres(database) => postgres::version(database, subject).await,
            Self::File(file) => blocking(|| geopackage::version(file, subject)),
        }
    }
}

/// Runs what blocks the thread, inside or outside of a runtime.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// A row as text columns and times.
struct RawToken {
    texts: [Option<String>; 7],
    times: [Option<Millis>; 3],
}

impl RawToken {
    /// The token, if the row is one.
    fn parse(self) -> Result<StoredToken, TokenError> {
        let [token_id, name, role, fleet, vehicle_id, source, sha256] = self.texts;
        let [created_at, expires_at, revoked_at] = self.times;
        let token_id = token_id.unwrap_or_default();
        let role = role.as_deref().and_then(Role::from_name);
        let hash = sha256.as_deref().and_then(TokenHash::from_hex);
        let (Some(role), Some(hash)) = (role, hash) else { return Err(TokenError::Unreadable { token_id }) };
        Ok(StoredToken {
            token_id,
            name: name.unwrap_or_default(),
            grant: Grant { role, fleet, vehicle_id, source },
            hash,
            created_at: created_at.unwrap_or_default(),
            expires_at,
            revoked_at,
        })
    }
}
