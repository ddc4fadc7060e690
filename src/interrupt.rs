//! Handles Ctrl-C in commands that can stop in the middle.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after an interrupt: 128 and the number of SIGINT.
pub const EXIT_CODE: u8 = 130;

/// A flag that the first Ctrl-C sets. The second one ends the process at once.
///
/// # Errors
/// If the signal handler cannot be installed.
pub fn flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Listens from here on, not only once the thread runs.
    let mut interrupts = runtime.block_on(async { listen() })?;
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        runtime.block_on(async {
            interrupts.recv().await;
            set.store(true, Ordering::Relaxed);
            interrupts.recv().await;
            std::process::exit(i32::from(EXIT_CODE));
        });
    });
    Ok(flag)
}

/// A flag that is set when [`asked_to_stop`] completes.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = {
        let _entered = runtime.enter();
        asked_to_stop()?
    };
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        runtime.block_on(async {
            asked.await;
            set.store(true, Ordering::Relaxed);
            // Keeps the runtime alive for the task that handles the second signal.
            std::future::pending::<()>().await;
        });
    });
    Ok(flag)
}

#[cfg(unix)]
fn listen() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn listen() -> io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}

/// Completes when the process is asked to stop: by Ctrl-C or, on Unix, SIGTERM. A second signal ends the process at
/// once. Must be called within a runtime; the handlers are installed immediately.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn asked_to_stop() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupts = listen()?;
    #[cfg(unix)]
    let mut terminations = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
        #[cfg(not(unix))]
        interrupts.recv().await;
        tokio::spawn(async move {
            interrupts.recv().await;
            std::process::exit(i32::from(EXIT_CODE));
        });
    })
}
