//! The `watchtower` program.

use std::io::{self, ErrorKind, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use watchtower::bench::{self, BenchError};
use watchtower::cli::{
    BenchArgs, Cli, Command, ConfigArgs, DemoArgs, ExportArgs, GeofencesCommand, PlaceArgs, PublishArgs, RebuildArgs,
    ReplayArgs, ResumeArgs, RunArgs,
};
use watchtower::config::{self, Config, ConfigError};
use watchtower::daemon::{self, DaemonError};
use watchtower::embedded::GeoPackage;
use watchtower::operate::check::{self, Severity};
use watchtower::operate::export::{self, Exported};
use watchtower::operate::fill::{self, Filled};
use watchtower::operate::{embedded, rebuild, resume, status};
use watchtower::publish::{PublishError, command};
use watchtower::replay::{self, Summary};
use watchtower::store::postgres::{Database, schema};
use watchtower::{demo, interrupt, progress, telemetry, tls};

/// What one thread allocates another frees, all the time: rows go from the workers to whoever stores them. The
/// system's allocator takes a fifth to a third of the engine's time for it (measured).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the command line or the configuration says cannot be done: as for what it says wrongly.
const WRONG_USE: u8 = 2;
/// Another daemon has taken over.
const FENCED: u8 = 3;
/// How long what still runs may take to end once the daemon has.
const END_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    tls::install_provider();
    let mut out = Printed { out: io::stdout().lock(), has_enough: false };
    let mut notes = io::stderr();
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match Cli::parse().command {
        Command::Run(args) => done(run_daemon(&args)),
        Command::Check(args) => run_check(&args, &mut out),
        Command::Migrate(args) => done(run_migrate(&args, &mut out)),
        Command::Status(args) => done(run_status(&args, &mut out)),
        Command::Resume(args) => done(run_resume(&args, &mut out)),
        Command::Rebuild(args) => done(run_rebuild(&args, &mut out)),
        Command::Export(args) => done(run_export(&args, &mut out)),
        Command::Example => done(write!(out, "{}", config::EXAMPLE).map_err(Into::into)),
        Command::Replay(args) => done(run_replay(&args, &mut out)),
        Command::Demo(args) => done(run_demo(&args, &mut out)),
        Command::Publish(args) => run_publish(&args, &mut out),
        Command::Geofences(GeofencesCommand::Import(args)) => {
            command::import(&args, &mut out, &mut notes).map_err(Into::into)
        }
        Command::Geofences(GeofencesCommand::Delete(args)) => {
            command::delete(&args, &mut out, &mut notes).map_err(Into::into)
        }
        Command::Bench(args) => run_bench(&args, &mut out),
    };
    result.unwrap_or_else(|error| {
        if out.has_enough {
            return ExitCode::SUCCESS;
        }
        eprintln!("watchtower: {}", told(&error));
        exit_code(&error)
    })
}

/// An error and its causes, but for those that it repeats itself.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

/// Standard output, and whether whoever reads it has had enough, as `head` has: that is no error.
struct Printed {
    out: StdoutLock<'static>,
    has_enough: bool,
}

impl Printed {
    fn look_at<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.has_enough |= result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.look_at(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.look_at(flushed)
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() || error.downcast_ref::<PublishError>().is_some_and(PublishError::is_wrong_use) {
        return ExitCode::from(WRONG_USE);
    }
    if error.downcast_ref::<DaemonError>().is_some_and(DaemonError::is_fenced) {
        return ExitCode::from(FENCED);
    }
    ExitCode::FAILURE
}

fn load(args: &ConfigArgs) -> Result<Config, ConfigError> {
    Config::load(&args.config, config::environment())
}

/// The configuration, and the file if everything is in one.
fn load_place(args: &PlaceArgs) -> Result<(Config, Option<GeoPackage>), ConfigError> {
    let env = config::environment();
    Ok(match &args.embedded {
        Some(file) => (Config::load_embedded(args.config.as_deref(), env)?, Some(GeoPackage::at(file))),
        None => (Config::load(args.config(), env)?, None),
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads that wait for the servers")
}

fn run_daemon(args: &RunArgs) -> anyhow::Result<()> {
    let (config, file) = load_place(&args.place)?;
    telemetry::log::init(config.log.format, &config.log.level)?;
    match &file {
        None => tracing::info!(version = env!("CARGO_PKG_VERSION"), pipeline = config.pipeline, "watchtower starts"),
        Some(_) => tracing::info!(version = env!("CARGO_PKG_VERSION"), "watchtower starts"),
    }
    tracing::debug!("configuration:\n{config}");
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let ended = runtime.block_on(async {
        match &file {
            None => daemon::run(config, args.takeover, stop).await,
            Some(file) => daemon::run_embedded(file, config, args.takeover, stop).await,
        }
    });
    runtime.shutdown_timeout(END_WITHIN);
    Ok(ended?)
}

fn run_check(args: &ConfigArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = load(args)?;
    writeln!(out, "{config}")?;
    let findings = runtime()?.block_on(check::check(&config));
    for finding in &findings.0 {
        writeln!(out, "{finding}")?;
    }
    Ok(match findings.worst() {
        Severity::Good | Severity::Warning => ExitCode::SUCCESS,
        Severity::Wrong => ExitCode::FAILURE,
    })
}

fn run_migrate(args: &ConfigArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let config = load(args)?;
    let migrated = runtime()?.block_on(async {
        let database = Database::new(&config.pipeline, &config.store)?;
        let mut client = database.connect().await?;
        schema::migrate(&mut client, &database, config.store.reader_role.as_deref()).await
    })?;
    for migration in &migrated.applied {
        writeln!(out, "applied {migration}")?;
    }
    writeln!(out, "schema {} has version {}", config.store.schema, migrated.version)?;
    Ok(())
}

fn run_status(args: &PlaceArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (config, file) = load_place(args)?;
    match file {
        None => Ok(runtime()?.block_on(status::status(&config, out))?),
        Some(file) => Ok(embedded::status(&file, out)?),
    }
}

fn run_resume(args: &ResumeArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let config = load(&args.config)?;
    let accepted = runtime()?.block_on(resume::accept_gap(&config))?;
    if accepted.is_empty() {
        writeln!(out, "nothing is lost: start the daemon")?;
    }
    for loss in accepted {
        writeln!(out, "{loss}")?;
    }
    Ok(())
}

fn run_rebuild(args: &RebuildArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (config, file) = load_place(&args.place)?;
    telemetry::log::init(config.log.format, &config.log.level)?;
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let ended: anyhow::Result<()> = runtime.block_on(async {
        match &file {
            None => Ok(rebuild::rebuild(&config, args.force, stop, out).await?),
            Some(file) => Ok(embedded::rebuild(file, config, args.force, stop, out).await?),
        }
    });
    runtime.shutdown_timeout(END_WITHIN);
    ended
}

fn run_export(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    let started = std::time::Instant::now();
    let target = args.target();
    let Exported { entries, before, layout } = export::export(&GeoPackage::at(&args.embedded), &target, &stop)?;
    writeln!(
        out,
        "{target} holds all {entries} entries of {}, {} of them new, after {:.1} s; its configuration needs [redis] \
         streams = {}",
        args.embedded.display(),
        entries - before,
        started.elapsed().as_secs_f64(),
        layout.streams,
    )?;
    Ok(())
}

fn run_publish(args: &PublishArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    Ok(command::run(args, &stop, out, &mut io::stderr())?)
}

fn run_demo(args: &DemoArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let stop = interrupt::stop_flag().context("cannot listen for SIGTERM and Ctrl-C")?;
    Ok(demo::run(args, &stop, out, &mut io::stderr())?)
}

fn run_bench(args: &BenchArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    match bench::run(args, &stop, out) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(BenchError::Interrupted) => Ok(ExitCode::from(interrupt::EXIT_CODE)),
        Err(error) => Err(error.into()),
    }
}

fn run_replay(args: &ReplayArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut bar = progress::FileBar::new(io::stderr().is_terminal());
    let Some(folder) = &args.out else { return run_fill(args, bar, out) };
    let (tables, summary) = replay::replay(&args.options()?, &mut |path, progress| bar.show(path, progress))?;
    bar.finish();
    replay::write(tables, folder)?;
    print_summary(args, folder, &summary, out)?;
    Ok(())
}

fn run_fill(args: &ReplayArgs, mut bar: progress::FileBar, out: &mut impl Write) -> anyhow::Result<()> {
    let Some((file, options, config)) = args.embedded()? else { return Ok(()) };
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    let runtime = runtime()?;
    let filled = runtime.block_on(async {
        fill::fill(&file, &options, config, &stop, &mut |path, progress| bar.show(path, progress)).await
    });
    runtime.shutdown_timeout(END_WITHIN);
    bar.finish();
    print_filled(args, &file, &filled?, out)?;
    Ok(())
}

fn print_filled(args: &ReplayArgs, file: &GeoPackage, filled: &Filled, out: &mut impl Write) -> io::Result<()> {
    let Filled { events, elapsed, refused, unpublished, rows } = filled;
    print_events(*events, *elapsed, args.workers, out)?;
    print_refused(refused.iter().map(|(reason, count)| (reason.as_str(), *count)), out)?;
    if unpublished.count > 0 {
        writeln!(out, "{} records of files are no events, and nowhere", unpublished.count)?;
    }
    writeln!(out, "rows written to {}:", file.path().display())?;
    for (table, rows) in rows {
        writeln!(out, "  {rows:>9} {table}")?;
    }
    Ok(())
}

fn print_summary(args: &ReplayArgs, folder: &Path, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    print_events(summary.events, summary.elapsed, args.workers, out)?;
    print_refused(summary.refused.iter().map(|(reason, count)| (reason.as_str(), *count)), out)?;
    writeln!(out, "rows written to {}:", folder.display())?;
    for (table, rows) in &summary.rows {
        writeln!(out, "  {rows:>9} {table}.csv")?;
    }
    Ok(())
}

fn print_events(events: u64, elapsed: Duration, workers: u16, out: &mut impl Write) -> io::Result<()> {
    let seconds = elapsed.as_secs_f64();
    writeln!(
        out,
        "{events} events in {seconds:.2} s: {:.0} events/s on {workers} worker{}",
        events as f64 / seconds.max(1e-9),
        if workers == 1 { "" } else { "s" },
    )
}

fn print_refused<'a>(refused: impl Iterator<Item = (&'a str, u64)> + Clone, out: &mut impl Write) -> io::Result<()> {
    let sum: u64 = refused.clone().map(|(_, count)| count).sum();
    writeln!(out, "{sum} refused{}", if sum == 0 { "" } else { ":" })?;
    for (reason, count) in refused {
        writeln!(out, "  {count:>9} {reason}")?;
    }
    Ok(())
}
