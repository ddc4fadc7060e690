//! The `watchtower` program.

use std::process::ExitCode;

use clap::Parser;
use watchtower::commands::{self, Cli};
use watchtower_auth::tls;

/// Rows go from the workers to the committer: one thread allocates what another frees. The system's allocator takes a
/// fifth to a third of the engine's time for it (measured).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tls::install_provider();
    commands::run(&Cli::parse().command)
}
