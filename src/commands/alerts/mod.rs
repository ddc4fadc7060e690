//! `watchtower alerts`: what rules say.

mod tail;
mod test;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

pub use tail::TailArgs;
pub use test::TestArgs;

/// A command about alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Print what a rule of the configuration would have reported about recorded positions; sends nothing.
    ///
    /// The rule counts as in force since the beginning, and no alert is too old. Needs no server.
    #[command(after_help = test::EXAMPLE)]
    Test(TestArgs),
    /// Print alerts as they are raised, corrected and retracted, until Ctrl-C.
    ///
    /// Follows the table `alerts`; changes nothing.
    #[command(after_help = tail::EXAMPLE)]
    Tail(TailArgs),
}

/// Runs a command about alerts.
///
/// # Errors
/// If a file cannot be read, or the configuration is wrong.
pub fn run(command: &AlertsCommand, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::Test(args) => test::run(args, out),
        AlertsCommand::Tail(args) => tail::run(args, out),
    }
}
