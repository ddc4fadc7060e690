//! Observes commits as a reader of the tables does: when they become visible to other sessions.
//!
//! A trigger on `commit_log` notifies; PostgreSQL delivers the notification once the commit is durable. So the observed
//! time includes the commit itself and the way to a reader, without the delay of polling.

use std::task::Poll;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio_postgres::{AsyncMessage, NoTls};

use super::stage::Pipeline;
use super::{BenchError, Context};
use watchtower_core::EntryId;

/// Interval between checks for Ctrl-C during a wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time without a commit after which the daemon is considered stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// An observed commit.
#[derive(Clone, Copy, Debug)]
pub struct ObservedCommit {
    /// Instant at which the notification arrived.
    pub at: Instant,
    /// Last entry of the events' stream that the tables contain.
    pub last: EntryId,
}

/// A listening session; ends when dropped.
pub struct Observer {
    commits: Receiver<ObservedCommit>,
}

impl Observer {
    /// Starts to listen; the tables must exist.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn start(pipeline: &Pipeline<'_>) -> Result<Self, BenchError> {
        let (name, key) = (&pipeline.name, pipeline.events_key());
        pipeline.sql(&format!(
            "CREATE FUNCTION tell_bench() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_notify('{name}', coalesce(NEW.cursors->>'{key}', '')); RETURN NULL; END $$; \
             CREATE TRIGGER tell_bench AFTER INSERT ON commit_log FOR EACH ROW EXECUTE FUNCTION tell_bench()"
        ))?;
        let (sender, commits) = crossbeam_channel::unbounded();
        let (url, channel) = (pipeline.postgres_url().to_owned(), name.to_string());
        let (ready, is_ready) = crossbeam_channel::bounded(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let listened = runtime.map_err(BenchError::from).and_then(|runtime| {
                runtime.block_on(async {
                    let (client, mut connection) = tokio_postgres::connect(&url, NoTls).await?;
                    let listen = format!("LISTEN {channel}");
                    let mut listening = std::pin::pin!(client.batch_execute(&listen));
                    let mut is_listening = false;
                    loop {
                        let message = std::future::poll_fn(|context| {
                            if !is_listening && let Poll::Ready(done) = listening.as_mut().poll(context) {
                                is_listening = true;
                                let _ = ready.send(done.map_err(BenchError::from));
                            }
                            connection.poll_message(context)
                        });
                        match message.await {
                            Some(Ok(AsyncMessage::Notification(told))) => {
                                let seen = ObservedCommit {
                                    at: Instant::now(),
                                    last: told.payload().parse().unwrap_or_default(),
                                };
                                if sender.send(seen).is_err() {
                                    return Ok(()); // the observer was dropped
                                }
                            }
                            Some(Ok(_)) => {}
                            Some(Err(error)) => return Err(error.into()),
                            None => return Ok(()),
                        }
                    }
                })
            });
            if let Err(error) = listened {
                // After the start, the closed channel reports the error instead.
                let _ = ready.try_send(Err(error));
            }
        });
        is_ready.recv().map_err(|_| BenchError::Setup("the thread that listens to commits has ended".to_owned()))??;
        Ok(Self { commits })
    }

    /// Waits for the next commit.
    ///
    /// # Errors
    /// If none comes within `PATIENCE`, or Ctrl-C was pressed.
    pub fn next(&self, context: &Context<'_>) -> Result<ObservedCommit, BenchError> {
        let started = Instant::now();
        loop {
            match self.commits.recv_timeout(LOOK_EVERY) {
                Ok(seen) => return Ok(seen),
                Err(RecvTimeoutError::Timeout) if started.elapsed() < PATIENCE => context.check()?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(BenchError::Setup(format!("no commit for {} s", PATIENCE.as_secs())));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(BenchError::Setup("the connection that listens to commits was lost".to_owned()));
                }
            }
        }
    }

    /// Waits for the commit with an entry.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn wait_for(&self, entry: EntryId, context: &Context<'_>) -> Result<ObservedCommit, BenchError> {
        loop {
            let seen = self.next(context)?;
            if seen.last >= entry {
                return Ok(seen);
            }
        }
    }
}
