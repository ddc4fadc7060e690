//! Tokens and fleets as the store has them, held for a short time.
//!
//! A revoked token is accepted for at most [`FRESH`] longer. If the store does not answer, what was read last is used:
//! events are accepted as long as the log is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as Turn;
use tracing::warn;
use watchtower_auth::TokenHash;
use watchtower_store::tokens::{StoredToken, TokenError, Tokens};

use crate::answer::Failure;
use crate::now_ms;

/// What was read is used for so long without another look.
const FRESH: Duration = Duration::from_secs(3);
/// A token that is not known may have been created just now: that is a reason to look again, at most so often. Until then
/// its request waits.
const LOOK_FOR_NEW_EVERY: Duration = Duration::from_millis(250);
/// Time limit for the store; a request waits for it.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// The tokens of a pipeline.
#[derive(Debug)]
pub(crate) struct Accounts {
    store: Tokens,
    known: Mutex<Arc<Known>>,
    /// Held by the request that reads the store.
    turn: Turn<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    tokens: HashMap<TokenHash, StoredToken>,
    fleets: HashMap<String, String>,
    /// When the store answered last.
    read_at: Option<Instant>,
    /// When it was asked last.
    tried_at: Option<Instant>,
}

impl Accounts {
    pub(crate) fn new(store: Tokens) -> Self {
        Self { store, known: Mutex::default(), turn: Turn::default() }
    }

    /// The store itself.
    pub(crate) fn store(&self) -> &Tokens {
        &self.store
    }

    /// The token that is presented, if it is valid.
    ///
    /// # Errors
    /// If there is no such token, or the store was never read.
    pub(crate) async fn find(&self, presented: &str) -> Result<StoredToken, Failure> {
        let hash = TokenHash::of(presented);
        let mut known = self.look(FRESH).await;
        if !known.tokens.contains_key(&hash) {
            let since = known.tried_at.map_or(LOOK_FOR_NEW_EVERY, |at| at.elapsed());
            tokio::time::sleep(LOOK_FOR_NEW_EVERY.saturating_sub(since)).await;
            known = self.look(LOOK_FOR_NEW_EVERY).await;
        }
        match known.tokens.get(&hash) {
            Some(token) if token.is_valid(now_ms()) => Ok(token.clone()),
            Some(_) => Err(Failure::unauthorized("the token was revoked or has expired")),
            None if known.read_at.is_none() => Err(Failure::unavailable("the tokens cannot be read now")),
            None => Err(Failure::unauthorized("the token is not one of this pipeline")),
        }
    }

    /// The fleet of a vehicle, if it is in one, as the tables have it.
    pub(crate) fn fleet(&self, vehicle_id: &str) -> Option<String> {
        self.latest().fleets.get(vehicle_id).cloned()
    }

    fn latest(&self) -> Arc<Known> {
        Arc::clone(&self.known.lock().expect("nothing panics while it holds this"))
    }

    /// What is known, no older than `age` if the store answers.
    async fn look(&self, age: Duration) -> Arc<Known> {
        let is_old = |known: &Known| known.tried_at.is_none_or(|at| at.elapsed() >= age);
        let latest = self.latest();
        if !is_old(&latest) {
            return latest;
        }
        let _turn = self.turn.lock().await;
        let latest = self.latest();
        if !is_old(&latest) {
            return latest; // read while this request waited for its turn
        }
        let read = tokio::time::timeout(READ_WITHIN, self.read()).await;
        let now = Some(Instant::now());
        let known = match read {
            Ok(Ok((tokens, fleets))) => Known { tokens, fleets, read_at: now, tried_at: now },
            Ok(Err(error)) => {
                warn!(%error, "tokens cannot be read; those that were read last are used");
                Known { tried_at: now, ..(*latest).clone() }
            }
            Err(_) => {
                warn!("tokens were not read in time; those that were read last are used");
                Known { tried_at: now, ..(*latest).clone() }
            }
        };
        let known = Arc::new(known);
        *self.known.lock().expect("nothing panics while it holds this") = Arc::clone(&known);
        known
    }

    async fn read(&self) -> Result<(HashMap<TokenHash, StoredToken>, HashMap<String, String>), TokenError> {
        let tokens = self.store.list().await?;
        let narrow = tokens.iter().any(|token| token.grant.fleet.is_some() && token.is_valid(now_ms()));
        let fleets = if narrow { self.store.fleets().await? } else { HashMap::new() };
        Ok((tokens.into_iter().map(|token| (token.hash, token)).collect(), fleets))
    }
}
