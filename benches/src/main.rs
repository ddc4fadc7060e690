//! The `watchtower-bench` program.

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use watchtower::commands::{self, Cli};
use watchtower_auth::tls;
use watchtower_bench::args::BenchArgs;
use watchtower_bench::{BenchError, PRODUCT};

/// The allocator of the product, so that the benchmarks measure the same code.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code after an interrupt: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    tls::install_provider();
    // The product that a benchmark measures is this program in another process: both are of one build. Its command line
    // comes after its name, because a benchmark may have the name of one of its commands.
    if env::args_os().nth(1).is_some_and(|name| name == PRODUCT) {
        return commands::run(&Cli::parse_from(env::args_os().skip(1)).command);
    }
    let args = BenchArgs::parse();
    let result = interrupt_flag()
        .map_err(BenchError::from)
        .and_then(|stop| watchtower_bench::run(&args, &stop, &mut io::stdout()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(BenchError::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("watchtower-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A flag that the first Ctrl-C sets; the second ends the process at once.
fn interrupt_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if set.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        });
    });
    Ok(flag)
}
