//! `watchtower resume --accept-gap`: continues although entries of the log were lost.
//!
//! A daemon that finds entries missing writes nothing more. An operator decides whether tables without them are better
//! than none; the decision is a commit of its own, with a note. Only the streams of a Redis can lose entries that the
//! tables do not contain yet.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use watchtower_core::plan;
use watchtower_core::{Commit, StreamPosition};
use watchtower_daemon::checkpoint::load_newest;
use watchtower_daemon::{self as daemon, Places};
use watchtower_log::{Accepted, LossError, losses};
use watchtower_store::geopackage::EmbeddedError;
use watchtower_store::{Claim, ClaimError, Resume, Store, WriterError};

use super::arguments::PlaceArgs;
use super::runtime;

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The pipeline.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Continue without the lost entries. The decision is recorded in commit_log
    #[arg(long, required = true)]
    pub accept_gap: bool,
}

/// Accepts the loss, and prints it.
///
/// # Errors
/// If a daemon runs, the loss cannot be determined, or the log is in a file.
pub fn run(args: &ResumeArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (options, places) = args.place.load()?;
    let accepted = runtime()?.block_on(accept_gap(&options, &places))?;
    if accepted.is_empty() {
        writeln!(out, "nothing is lost: start the daemon")?;
    }
    for loss in accepted {
        writeln!(out, "{loss}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The loss could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// A daemon runs, or the tables were computed under another plan.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The tables cannot be used.
    #[error(transparent)]
    Store(#[from] WriterError),
    /// The loss cannot be determined, or cannot be accepted.
    #[error(transparent)]
    Loss(#[from] LossError),
}

impl ResumeError {
    /// Whether the command line is wrong: nothing can be resumed over a file.
    pub fn is_wrong_use(&self) -> bool {
        let refused =
            |error: &WriterError| matches!(error, WriterError::Embedded(EmbeddedError::NothingToResume { .. }));
        matches!(self, Self::Claim(ClaimError::Writer(error)) if refused(error))
    }
}

/// Accepts the loss of the entries missing between the tables and the streams. Returns the losses by stream, empty if
/// no entry is lost.
///
/// # Errors
/// If a daemon runs, a server does not answer, lost entries are needed to restore the state of the tables, or the log is
/// in a file.
pub async fn accept_gap(options: &daemon::Options, places: &Places) -> Result<Vec<Accepted>, ResumeError> {
    let store = Store::new(&places.store)?;
    let plan = plan::of(&options.limits, &options.rules);
    let Resume { claim, now, mut writer } = store.hold_for_resume(&plan).await?;
    let known = known(options, &claim, &plan, usize::from(options.redis.streams) + 1);
    let (cursors, accepted) = losses(&places.log, &claim.cursors, &known).await?;
    if accepted.is_empty() {
        return Ok(accepted);
    }
    let losses: Vec<String> = accepted.iter().map(Accepted::to_string).collect();
    let note = Some(format!("accepted the loss: {}", losses.join("; ")));
    writer.commit(&Commit { cursors, now, note, ..Commit::default() }).await?;
    writer.set_halted(None).await?;
    Ok(accepted)
}

/// Position in each stream that the next start restores from a checkpoint.
fn known(options: &daemon::Options, claim: &Claim, plan: &str, streams: usize) -> Vec<StreamPosition> {
    let (loaded, _) = load_newest(&*daemon::folder(options, claim), &daemon::expected_tables(claim, plan.to_owned()));
    loaded.map_or_else(|| vec![StreamPosition::default(); streams], |loaded| daemon::known(&loaded.checkpoint.flow))
}
