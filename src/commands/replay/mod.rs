//! `watchtower replay`: computes all tables from files, as CSV or as one GeoPackage.

mod files;
mod fill;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use watchtower_core::events::Limits;
use watchtower_daemon as daemon;
use watchtower_geopackage::GeoPackage;
use watchtower_log::ClockSource;
use watchtower_log::append::{Format, Target, Wanted};
use watchtower_model::{Rules, ViewSet};

use super::arguments::InputArgs;
use super::files::{self as read_files, outcome};
use super::publish::{self, Pace};
use super::{END_WITHIN, runtime};
use crate::config::{self, ConfigError, environment};
use crate::{interrupt, progress};

pub use files::{Options, ReplayError, Summary, Tables, replay, write};
pub use fill::FillError;
use fill::Filled;

/// Events of an entry in the log of a file.
const EVENTS_A_BATCH: u32 = 64;

pub(super) const EXAMPLE: &str = "\
Example:
  watchtower replay --positions track.csv.gz --geofences depots.geojson --out tables
  column -s, -t tables/visits.csv | less
  watchtower replay --positions track.csv.gz --geofences depots.geojson --embedded fleet.gpkg

Positions are CSV, GPX, KML, NMEA, GeoJSON or other JSON. A vehicle, a time, lon and lat are needed, under the
names that trackers use or those of --columns; speed, heading, accuracy, altitude and ignition are
known; other columns become attributes. `watchtower inspect FILE` shows what is made of a file.

The exit code is 1 if anything was refused (all else is written), 2 if everything was.";

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files that are replayed
    #[command(flatten)]
    pub input: InputArgs,
    /// Deliver the position events in another order, the same for the same seed: all tables stay
    /// as they are
    #[arg(long, value_name = "SEED", conflicts_with = "embedded")]
    pub shuffle: Option<u64>,
    /// Number of worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Refuse positions older than the newest of their vehicle by more than this, as in 6h, 90s, 2d
    /// [default: however late, it counts]
    #[arg(long, value_name = "DURATION", value_parser = config::duration::parse_ms, conflicts_with = "embedded")]
    pub lateness: Option<i64>,
    /// Take the [rules] of a daemon's configuration, as speed limits and the time zone of days, and its alert
    /// rules ([[rule]]); nothing else of it matters for CSV [default: the rules as `watchtower example` has them]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which tables are computed, the others stay empty: all, or membership, which is visits, who is where now,
    /// and silences [default: what the configuration says, or all]
    #[arg(long, value_name = "SET", value_parser = views)]
    pub views: Option<ViewSet>,
    /// Folder for the tables; made if missing, files in it are replaced
    #[arg(long, value_name = "DIR", required_unless_present_any = ["embedded", "dry_run"])]
    pub out: Option<PathBuf>,
    /// Instead of CSV, the one file of the embedded mode, which must not be there yet: the events become its
    /// log, as `publish` would append them, and its tables are what a daemon makes of that log, [limits] of
    /// the configuration included. `run`, `publish`, `rebuild` and `export` continue from it
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub embedded: Option<PathBuf>,
}

impl ReplayArgs {
    /// File, publication and daemon of `--embedded`; `None` if the tables are written as CSV.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn embedded(&self) -> Result<Option<(GeoPackage, publish::Options, daemon::Options)>, ConfigError> {
        let Some(path) = &self.embedded else { return Ok(None) };
        let mut options = config::load_embedded(self.config.as_deref(), environment())?;
        options.engine.workers = self.workers;
        let file = GeoPackage::at(path);
        let published = publish::Options {
            geofences: self.input.geofences.clone(),
            positions: self.input.positions.clone(),
            events: self.input.events.clone(),
            reading: self.input.reading(),
            target: Target::Embedded(file.clone()),
            wanted: Wanted { streams: options.embedded.streams, clock: Some(ClockSource::Log) },
            pace: Pace::Unpaced,
            format: Format::Bin,
            batch: EVENTS_A_BATCH,
            limits: options.limits.clone(),
            present: self.input.present(),
        };
        Ok(Some((file, published, options)))
    }

    /// Options of the replay that the arguments describe.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn options(&self) -> Result<files::Options, ConfigError> {
        let configured = self.config.as_ref().map(|path| config::load_all_embedded(Some(path), environment()));
        let configured = configured.transpose()?;
        let configured = configured.map(|all| (all.daemon.rules, all.daemon.limits, all.alert_rules));
        let (rules, Limits { refuse_zero, isolated_after_ms, .. }, alert_rules) = configured.unwrap_or_default();
        let views = self.views.unwrap_or(rules.views);
        Ok(files::Options {
            geofences: self.input.geofences.clone(),
            positions: self.input.positions.clone(),
            events: self.input.events.clone(),
            shuffle: self.shuffle,
            workers: self.workers.into(),
            reading: self.input.reading(),
            limits: Limits { lateness_ms: self.lateness, refuse_zero, isolated_after_ms, ..Limits::for_replay() },
            present: self.input.present(),
            // Nothing leaves memory: a replay refuses nothing by arrival.
            rules: Rules { views, retention_ms: None, horizon_ms: None, ..rules },
            alert_rules,
            has_rule_events: true,
        })
    }
}

/// A set of tables by its name.
fn views(name: &str) -> Result<ViewSet, String> {
    let known = ViewSet::NAMES.iter().find(|(known, _)| *known == name).map(|(_, set)| *set);
    known.ok_or_else(|| format!("expected {}", ViewSet::NAMES.map(|(known, _)| known).join(" or ")))
}

/// Replays, and prints a summary.
///
/// # Errors
/// If a file cannot be read or written. A refused event is no error.
pub fn run(args: &ReplayArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if args.input.dry_run {
        let limits = args
            .embedded()?
            .map_or_else(|| args.options().map(|options| options.limits), |(.., options)| Ok(options.limits))?;
        return Ok(read_files::dry_run(&args.input, &limits, out)?);
    }
    let mut bar = progress::FileBar::new(io::stderr().is_terminal());
    let Some(folder) = &args.out else { return run_fill(args, bar, out) };
    let (tables, summary) = replay(&args.options()?, &mut |path, progress| bar.show(path, progress))?;
    bar.finish();
    write(tables, folder)?;
    print_summary(args, folder, &summary, out)?;
    Ok(outcome(summary.events, summary.refused.values().sum()))
}

fn run_fill(args: &ReplayArgs, mut bar: progress::FileBar, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some((file, published, options)) = args.embedded()? else { return Ok(ExitCode::SUCCESS) };
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    let runtime = runtime()?;
    let filled = runtime.block_on(async {
        fill::fill(&file, &published, options, &stop, &mut |path, progress| bar.show(path, progress)).await
    });
    runtime.shutdown_timeout(END_WITHIN);
    bar.finish();
    let filled = filled?;
    print_filled(args, &file, &filled, out)?;
    let refused = filled.refused.values().sum::<u64>() + filled.unpublished.count;
    Ok(outcome(filled.events + filled.unpublished.count, refused))
}

fn print_filled(args: &ReplayArgs, file: &GeoPackage, filled: &Filled, out: &mut impl Write) -> io::Result<()> {
    let Filled { events, elapsed, refused, unpublished, rows, files } = filled;
    read_files::print(files, false, out)?;
    print_events(*events, *elapsed, args.workers, out)?;
    print_refused(refused.iter().map(|(reason, count)| (reason.as_str(), *count)), out)?;
    if unpublished.count > 0 {
        writeln!(out, "{} of them records of files that were refused before they were appended", unpublished.count)?;
    }
    writeln!(out, "rows written to {}:", file.path().display())?;
    for (table, rows) in rows {
        writeln!(out, "  {rows:>9} {table}")?;
    }
    Ok(())
}

fn print_summary(args: &ReplayArgs, folder: &Path, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    read_files::print(&summary.files, false, out)?;
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
