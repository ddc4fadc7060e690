//! What a log has of what its daemon and its gateways need.

use watchtower_core::Findings;
use watchtower_model::Millis;

use crate::error::BackendError;
use crate::file::{LogError, Reader};
use crate::{Options, redis};

impl Options {
    /// Checks everything that a daemon needs of the log. Changes nothing.
    ///
    /// # Errors
    /// If the log cannot be used at all.
    pub async fn check(&self, findings: &mut Findings) -> Result<(), BackendError> {
        match self {
            Self::Redis { pipeline, redis, clock } => {
                Ok(redis::check::daemon(pipeline, redis, *clock, findings).await?)
            }
            Self::File { .. } => Ok(tokio::task::block_in_place(|| self.check_file(findings))?),
        }
    }

    /// Checks what a gateway needs of the log; `sources` are the names of those that it fetches. Returns the
    /// time of the log's server; `None` of a file. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn check_appending(
        &self,
        sources: &[&str],
        findings: &mut Findings,
    ) -> Result<Option<Millis>, BackendError> {
        match self {
            Self::Redis { pipeline, redis, .. } => {
                Ok(Some(redis::check::gateway(pipeline, redis, sources, findings).await?))
            }
            // A process that may write the file may append to its log.
            Self::File { .. } => Ok(None),
        }
    }

    fn check_file(&self, findings: &mut Findings) -> Result<(), LogError> {
        let Self::File { file, streams, keep: _, clock } = self else { return Ok(()) };
        if !file.path().exists() {
            return Ok(());
        }
        let log = match Reader::open_to_read(file) {
            Err(LogError::NoLog { .. }) => {
                findings.good("the file has no log yet: the first `run` or the first producer creates it");
                return Ok(());
            }
            opened => opened?,
        };
        let layout = log.layout();
        match streams {
            Some(wanted) if *wanted != layout.streams => {
                let has = layout.streams;
                findings.wrong(LogError::Streams { path: file.path().to_owned(), has, wanted: *wanted }.to_string());
            }
            _ => {}
        }
        if let (Some(configured), Some(stored)) = (clock, layout.clock)
            && *configured != stored
        {
            let (configured, stored) = (configured.word(), stored.word());
            findings.warning(format!("[clock] source is {configured}; the file was written with {stored} until now"));
        }
        let trimmed = log.first()?.map_or(0, |first| first.saturating_sub(1));
        for end in log.ends()? {
            findings.good(format!("stream {}: {} entries ever added", end.name, end.entries));
        }
        if trimmed > 0 {
            findings.warning(format!(
                "the first {trimmed} entries of the log were trimmed ([embedded] log_keep): tables cannot be computed \
                 anew from it (`rebuild`), so a change of [rules] or [limits] needs a new file"
            ));
        }
        Ok(())
    }
}
